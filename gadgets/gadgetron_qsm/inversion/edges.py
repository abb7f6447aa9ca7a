"""Gradients under total variation: what each costs, and the step that shrinks the small ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, compiled
from gadgetron_qsm.arrays.kernels import Elementwise
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.inversion.gradient import adjoint, forward

EDGE_PRICE = np.float32(0.3)  # of a gradient where the magnitude has an edge


def edge_prices(domain: Domain, magnitude: Array | None, share: float) -> list[Array]:
    """Return the cost of the gradient from each voxel to the next, a work grid (z, y, x) an axis.

    It is 1 between voxels of the mask, EDGE_PRICE for the `share` of them across which the
    magnitude (z, y, x), any unit, changes most, and 0 where a voxel lies outside: what leaves the
    mask is not penalised. As in MEDI: Liu et al. 2012, doi:10.1016/j.neuroimage.2011.08.082.
    """
    inside = domain.embed(domain.mask)
    xp = array_module(inside)
    prices = [inside * xp.roll(inside, -1, axis) for axis in range(3)]
    if magnitude is None or share <= 0:
        return prices
    image = domain.embed(magnitude)
    changes = [xp.abs(forward(image, axis, 1)) for axis in range(3)]
    held = xp.concatenate([c[p > 0] for c, p in zip(changes, prices, strict=True)])
    if held.size == 0:
        return prices
    sharp = xp.quantile(held, 1 - min(share, 1)).astype(xp.float32)
    return [
        xp.where(change > sharp, EDGE_PRICE * price, price)
        for change, price in zip(changes, prices, strict=True)
    ]


def shrink_edges(
    edges: list[Array],
    chi: Array,
    bounds: Sequence[Array],
    relaxation: float,
    scale: Sequence[float],
    out: Array | None = None,
) -> Array:
    """Move copies of the gradients of chi on by one step; return what they pull chi to.

    edges: three arrays (z, y, x) float32, each a copy of a gradient plus its dual, changed in
    place, or on a device replaced in the list; bounds, like them, is by how much each gradient
    shrinks; scale as `gradient.scales`. Returns the adjoint of the gradient of the copies less
    their duals, in `out` if given.
    One fused pass over memory, the least there is: chi, edges and bounds in, edges and pull out.
    On the CPU it takes a seventh of the time of `plain`.
    """
    pace, (z, y, x) = np.float32(relaxation), scale
    if array_module(chi) is np:
        pull = np.empty_like(chi) if out is None else out
        pull[...] = 0
        _fused(*edges, chi, *bounds, pace, np.asarray(scale, np.float32), pull)
        return pull
    empty = array_module(chi).empty_like
    moved = [empty(edge) for edge in edges]  # neighbours read the old ones until all are done
    pull = empty(chi) if out is None else out
    _SHRINK(*edges, chi, *bounds, pace, z, y, x, *chi.shape, *moved, pull)
    edges[:] = moved
    return pull


def plain(
    edges: Sequence[Array],
    chi: Array,
    bounds: Sequence[Array],
    pace: np.float32,
    scale: Sequence[float],
) -> Array:
    """`shrink_edges`, an array at a time."""
    xp = array_module(chi)
    pulled = []
    for axis, bound in enumerate(bounds):
        edge = edges[axis]
        edge[...] += pace * (forward(chi, axis, scale[axis]) - edge + xp.clip(edge, -bound, bound))
        pulled.append(edge - 2 * xp.clip(edge, -bound, bound))
    return adjoint(pulled, scale)


@compiled
def _fused(gz, gy, gx, chi, bz, by, bx, pace, scale, pull):  # type: ignore[no-untyped-def]
    nz, ny, nx = chi.shape
    thrust = np.empty(nx, np.float32)
    for z in range(nz):
        below = (z + 1) % nz
        for y in range(ny):
            beside = (y + 1) % ny
            here, own = chi[z, y], pull[z, y]
            _line(gz[z, y], here, chi[below, y], bz[z, y], pace, scale[0], thrust)
            _push(thrust, own, pull[below, y])
            _line(gy[z, y], here, chi[z, beside], by[z, y], pace, scale[1], thrust)
            _push(thrust, own, pull[z, beside])
            g, b = gx[z, y], bx[z, y]
            _line(g[:-1], here[:-1], here[1:], b[:-1], pace, scale[2], thrust)
            _line(g[-1:], here[-1:], here[:1], b[-1:], pace, scale[2], thrust[-1:])
            own -= thrust
            own[1:] += thrust[:-1]
            own[0] += thrust[-1]


@compiled
def _line(edge, here, ahead, bound, pace, scale, thrust):  # type: ignore[no-untyped-def]
    for x in range(len(here)):
        old, most = edge[x], bound[x]
        new = old + pace * ((ahead[x] - here[x]) * scale - old + min(max(old, -most), most))
        edge[x] = new
        kept = min(max(new, -most), most)
        thrust[x] = (new - kept - kept) * scale


@compiled
def _push(thrust, back, on):  # type: ignore[no-untyped-def]
    for x in range(len(thrust)):
        back[x] -= thrust[x]
        on[x] += thrust[x]


_SHRINK = Elementwise(
    "shrink_edges",
    "raw float32 gz, raw float32 gy, raw float32 gx, raw float32 chi, "
    "raw float32 bz, raw float32 by, raw float32 bx, "
    "float32 pace, float32 sz, float32 sy, float32 sx, int32 nz, int32 ny, int32 nx",
    "float32 newz, float32 newy, float32 newx, float32 pull",
    """
    const int at = i, plane = ny * nx;
    const int x = at % nx, y = at / nx % ny, z = at / plane;
    const int below = z + 1 < nz ? at + plane : at - z * plane;
    const int above = z > 0 ? at - plane : at + (nz - 1) * plane;
    const int beside = y + 1 < ny ? at + nx : at - y * nx;
    const int before = y > 0 ? at - nx : at + (ny - 1) * nx;
    const int right = x + 1 < nx ? at + 1 : at - x;
    const int left = x > 0 ? at - 1 : at + nx - 1;
    const float here = chi[at];
    newz = moved(gz[at], bz[at], (chi[below] - here) * sz, pace);
    newy = moved(gy[at], by[at], (chi[beside] - here) * sy, pace);
    newx = moved(gx[at], bx[at], (chi[right] - here) * sx, pace);
    const float fromz = moved(gz[above], bz[above], (here - chi[above]) * sz, pace);
    const float fromy = moved(gy[before], by[before], (here - chi[before]) * sy, pace);
    const float fromx = moved(gx[left], bx[left], (here - chi[left]) * sx, pace);
    pull = (thrust(fromz, bz[above]) - thrust(newz, bz[at])) * sz
        + (thrust(fromy, by[before]) - thrust(newy, by[at])) * sy
        + (thrust(fromx, bx[left]) - thrust(newx, bx[at])) * sx
    """,
    preamble="""
    __device__ float kept(float edge, float bound) { return min(max(edge, -bound), bound); }
    __device__ float moved(float edge, float bound, float gradient, float pace) {
        return edge + pace * (gradient - edge + kept(edge, bound));
    }
    __device__ float thrust(float edge, float bound) { return edge - 2.0f * kept(edge, bound); }
    """,
)
