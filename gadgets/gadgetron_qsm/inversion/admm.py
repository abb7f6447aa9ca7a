"""Any data term under total variation, by ADMM, and the proximal steps of two of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import from_half_spectra, half_spectra
from gadgetron_qsm.inversion.edges import shrink_edges
from gadgetron_qsm.inversion.gradient import scales, squared_spectrum

FIT = np.float32(0.1)  # penalty on a D chi that is not its copy in the data term
SHRINK_PPM = np.float32(1 / 300)  # by which one step shrinks gradients; it sets only the pace
RELAXATION = 1.6  # Eckstein and Bertsekas 1992, doi:10.1007/BF01581204


class State(NamedTuple):
    """Where ADMM stands, on the work grid (z, y, x): chi in ppm, and what the next step needs.

    A copy of each gradient of chi and one of its field, each summed with its dual, and what the
    gradients pull chi to.
    """

    chi: Array
    edges: tuple[Array, Array, Array]
    field: Array
    pull: Array

    @classmethod
    def nothing(cls, shape: Sequence[int], like: Array) -> State:
        """Return the state of chi = 0."""
        z, y, x, chi = (array_module(like).zeros(tuple(shape), np.float32) for _ in range(4))
        return cls(chi, (z, y, x), chi, chi)


def minimise(
    agree: Callable[[Array], Array],
    kernel: Array,
    domain: Domain,
    voxel_size: Sequence[float],
    prices: Sequence[Array],
    *,
    regularisation: float,
    iterations: int,
    start: State | None = None,
) -> State:
    """Find chi with the least data(D chi) + regularisation * |prices * grad chi|_1.

    All on the work grid (z, y, x), ppm. `agree` is the proximal step of the data term: of a
    predicted field it returns the x with the least data(x) + FIT / 2 * |x - predicted|^2.
    kernel is D on the half spectrum; prices as `edge_prices`. Two transform pairs an iteration,
    from `start` on, by default from nothing; its edges may be changed in place.
    Over-relaxed ADMM that keeps a copy of D chi and one of the gradients, each summed with its
    dual: Bilgic et al. 2014, doi:10.1002/mrm.25029; Milovic et al. 2018, doi:10.1002/mrm.27073.
    """
    xp, scale = array_module(kernel), scales(voxel_size)
    smooth = np.float32(regularisation) / SHRINK_PPM
    normal = smooth * squared_spectrum(domain.shape, scale, like=kernel) + FIT * kernel**2
    normal[0, 0, 0] = 1  # the mean has no say in the field
    smooth_share, fit_share = smooth / normal, FIT * kernel / normal
    bounds = [SHRINK_PPM * price for price in prices]
    chi, (*edges,), field, pull = start or State.nothing(domain.shape, like=kernel)
    drawn = xp.stack([pull, pull])
    for _ in range(iterations):
        agreed = agree(field)
        drawn[1] = 2 * agreed - field
        of_chi, of_field = spectra = half_spectra(drawn)
        of_chi *= smooth_share
        of_field *= fit_share
        of_chi += of_field
        xp.multiply(kernel, of_chi, out=of_field)
        chi, predicted = from_half_spectra(spectra, domain.shape)
        shrink_edges(edges, chi, bounds, RELAXATION, scale, out=drawn[0])
        predicted -= agreed
        predicted *= np.float32(RELAXATION)
        field = field + predicted
    return State(chi, tuple(edges), field, drawn[0])


def squared_misfit(field: Array, fidelity: Array) -> Callable[[Array], Array]:
    """Return the proximal step of 1/2 sum fidelity * (x - field)^2, all (z, y, x), ppm."""
    trust = fidelity / (fidelity + FIT)
    data = trust * field
    return lambda predicted: data + (1 - trust) * predicted


def absolute_misfit(field: Array, price: Array) -> Callable[[Array], Array]:
    """Return the proximal step of sum price * |x - field|, all (z, y, x), ppm."""
    xp, reach = array_module(field), price / FIT

    def agree(predicted: Array) -> Array:
        off = predicted - field
        return predicted - xp.clip(off, -reach, reach)

    return agree
