"""Nonlinear total variation, with what background removal left behind estimated alongside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, ndimage_module
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel, from_half_spectra, half_spectra
from gadgetron_qsm.inversion.admm import RELAXATION, SHRINK_PPM
from gadgetron_qsm.inversion.edges import edge_prices, shrink_edges
from gadgetron_qsm.inversion.gradient import scales, squared_spectrum

SLACK = np.float32(0.3)  # ADMM's penalty of the harmonic field, relative to `harmonic`
PACE = np.float32(RELAXATION)
NEWTON_STEPS = 3  # from below, where they never overshoot; the next iteration goes on from there
TURN = np.float32(2 * np.pi)


def nltv(
    local_field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    *,
    weight: Array | None = None,
    magnitude: Array | None = None,
    radians_per_ppm: float | None = None,
    nonlinear: bool = True,
    strongest_ppm: float = 0.3,
    regularisation: float = 5e-5,
    edge_share: float = 0.3,
    harmonic: float = 5.0,
    iterations: int = 25,
    padding_mm: float = 20.0,
) -> Array:
    """Invert the dipole field under total variation, with a weak harmonic field of its own.

    Minimises, by ADMM over chi and a field h,
    1/2 |W (exp(i s (D chi + h)) - exp(i s field)) / s|^2 + regularisation * |grad chi|_1
    + harmonic / 2 |M (laplace h - c)|^2, with W the `weight` (z, y, x), relative precision of the
    field (default the mask), and M the mask less one voxel. h is what sources outside have left in
    the local field: it has no Laplacian inside, or a constant one (c, its mean), since what is left
    of phase offsets is smooth but not harmonic. Without `harmonic` (0) there is no h.
    s is `radians_per_ppm`, the phase that 1 ppm has at the echo time. Misfits of whole turns cost
    nothing then, which forgives wrong unwrapping but would forgive not to explain strong sources
    too. Hence s is lowered, where needed, so that `strongest_ppm` of local field is half a turn,
    and the first half of the iterations is linear, on the voxels below that. Without s, or unless
    `nonlinear`, all are linear, on all voxels. Gradients count inside the mask only, and less where
    the magnitude (z, y, x) has its edges, the `edge_share` of all.
    local_field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm; b0_direction unit
    vector (z, y, x). `regularisation` in ppm; derivatives are per mm times the geometric mean of
    the voxel sides. Zeros, `padding_mm` an axis, keep the dipole from wrapping.
    Two transform pairs an iteration, three with `harmonic`.
    Returns chi (z, y, x) in ppm, float32, 0 outside the mask, mean not referenced.
    Raises ValueError when the mask is empty, or regularisation, strongest_ppm or radians_per_ppm is
    not above 0.
    Milovic et al. 2018, doi:10.1002/mrm.27073; with h: Milovic et al. 2019, doi:10.1002/mrm.27483.
    """
    for name, value in (("regularisation", regularisation), ("strongest_ppm", strongest_ppm)):
        if not value > 0:
            raise ValueError(f"{name} is {value:g}; it must be above 0")
    if radians_per_ppm is not None and not radians_per_ppm > 0:
        raise ValueError(f"radians_per_ppm is {radians_per_ppm:g}; it must be above 0")
    domain = Domain.around(mask, voxel_size, padding_mm)
    shape, scale = domain.shape, scales(voxel_size)
    problem = _Problem.of(domain, voxel_size, b0_direction, regularisation, harmonic)
    measured = domain.embed(local_field)
    trust = domain.embed(mask if weight is None else weight) ** 2
    bounds = [SHRINK_PPM * price for price in edge_prices(domain, magnitude, edge_share)]
    # copies of the gradients, of the field and of the Laplacian of h, each plus its dual
    edges = [array_module(measured).zeros_like(measured) for _ in range(3)]
    pull = field = curvature = chi = 0 * measured
    turns = None
    if nonlinear and radians_per_ppm is not None:
        turns = min(radians_per_ppm, np.pi / strongest_ppm)
    sure = trust if turns is None else trust * (abs(measured) * np.float32(turns / np.pi) < 1)
    for iteration in range(iterations):
        if turns is None or iteration < iterations // 2:
            agreed = (sure * measured + field) / (sure + 1)
        else:
            agreed = _agree(field, measured, trust, turns)
        flat = problem.flatten(curvature)
        spectrum, smooth = problem.solve(2 * agreed - field, 2 * flat - curvature, pull)
        predicted = from_half_spectra(problem.kernel * spectrum + smooth, shape)
        chi = from_half_spectra(spectrum, shape)
        pull = shrink_edges(edges, chi, bounds, RELAXATION, scale)
        field = field + PACE * (predicted - agreed)
        if harmonic:
            smooth *= problem.laplace
            bend = from_half_spectra(smooth, shape)
            curvature = curvature + PACE * (bend - flat)
    return domain.extract(chi)


def _agree(wanted: Array, measured: Array, trust: Array, turns: float) -> Array:
    """Return the field that is best, near the one wanted and the one measured.

    Minimises trust (1 - cos(s (x - measured))) / s^2 + (x - wanted)^2 / 2, with s = `turns`, in
    whichever period of the measured field is closest to the wanted one.
    """
    xp, s = array_module(wanted), np.float32(turns)
    away = s * (wanted - measured)
    away -= TURN * xp.round(away / TURN)
    u = away / (1 + trust)
    for _ in range(NEWTON_STEPS):
        u -= (trust * xp.sin(u) + u - away) / (trust * xp.cos(u) + np.float32(1 + 1e-6))
    return wanted + (u - away) / s


@dataclass(frozen=True)
class _Problem:
    """The quadratic problem for chi and h, which each frequency has on its own.

    Of what chi does not explain, h takes the share `ease`; all arrays on the half spectrum, but
    `inside`, the voxels that the Laplacian of h counts in.
    """

    kernel: Array
    laplace: Array
    ease: Array
    normal: Array
    inside: Array
    smooth: np.float32
    slack: np.float32
    scale: tuple[float, float, float]

    @classmethod
    def of(
        cls,
        domain: Domain,
        voxel_size: Sequence[float],
        b0_direction: Sequence[float],
        regularisation: float,
        harmonic: float,
    ) -> _Problem:
        mask, scale = domain.mask, scales(voxel_size)
        kernel = dipole_kernel(domain.shape, voxel_size, b0_direction, like=mask)
        laplace = squared_spectrum(domain.shape, scale, like=mask)
        smooth, slack = np.float32(regularisation) / SHRINK_PPM, SLACK * np.float32(harmonic)
        ease = 1 / (1 + slack * laplace**2) if harmonic else 0 * laplace
        normal = smooth * laplace + (1 - ease) * kernel**2
        normal[0, 0, 0] = 1  # the mean has no say in the field
        around = array_module(mask).ones((3, 3, 3), bool)
        inside = domain.embed(ndimage_module(mask).binary_erosion(mask, structure=around))
        return cls(kernel, laplace, ease, normal, inside, smooth, slack, scale)

    def solve(self, field: Array, curvature: Array, pull: Array) -> tuple[Array, Array]:
        """Return the spectra of chi and of h that fit best what the three are pulled to."""
        misfit = half_spectra(field)
        sources = (1 - self.ease) * misfit
        if self.slack:
            bend = self.slack * self.laplace * half_spectra(curvature)
            sources -= self.ease * bend
            misfit += bend
        chi = (self.kernel * sources + self.smooth * half_spectra(pull)) / self.normal
        return chi, self.ease * (misfit - self.kernel * chi)

    def flatten(self, curvature: Array) -> Array:
        """Draw the Laplacian of h to its mean inside; let it be outside."""
        count = array_module(curvature).maximum(self.inside.sum(), 1)
        mean = (curvature * self.inside).sum(dtype=np.float64) / count
        return curvature - self.inside * (curvature - mean.astype(np.float32)) / (1 + SLACK)
