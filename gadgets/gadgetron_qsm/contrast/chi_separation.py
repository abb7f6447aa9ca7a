"""chi-separation: chi+ and chi- that explain the local field and R2' together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, fft_module
from gadgetron_qsm.contrast.r2star_qsm import relaxivities
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel
from gadgetron_qsm.inversion.edges import edge_prices, shrink_edges
from gadgetron_qsm.inversion.gradient import scales, squared_spectrum

FIT = np.float32(0.1)  # penalty on a field that is not its copy in the data term
COPY = np.float32(0.01)  # the same on sources and their copies in the relaxation term
SHRINK_PPM = np.float32(0.01)  # by which one step shrinks gradients; it sets only the pace
PACE = 1.6  # over-relaxation: Eckstein and Bertsekas 1992, doi:10.1007/BF01581204
SIGNS = (1, -1)  # of chi+ and of chi- in their sum


def chi_separation(
    local_field: Array,
    rate: Array,
    mask: Array,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    *,
    field_strength_t: float,
    weight: Array | None = None,
    magnitude: Array | None = None,
    relaxivity_positive: float = 137.0,
    relaxivity_negative: float = 137.0,
    r2_hz: float = 0.0,
    relaxation_weight: float = 0.03,
    largest_misfit_ppm: float = 0.03,
    regularisation: float = 5e-5,
    edge_share: float = 0.3,
    iterations: int = 20,
    padding_mm: float = 20.0,
) -> tuple[Array, Array]:
    """Find sources of both signs from field and relaxation at once, by ADMM.

    Minimises 1/2 |W (D (chi+ + chi-) - field)|^2 + relaxation_weight H(misfit)
    + regularisation (|grad chi+|_1 + |grad chi-|_1) with chi+ >= 0 >= chi- in the mask;
    misfit = (rate - r2_hz - D+ |chi+| - D- |chi-|) / mean(D+, D-) in ppm, H(m) = m^2 / 2, going on
    as a line from `largest_misfit_ppm`, as strong sources (bleeds, calcifications) leave too little
    signal for the rate that the model asks of them. It also settles what the field leaves open:
    the constant, and the dipole's cone. Gradients count inside the mask only, and less where the
    magnitude (z, y, x) has its edges, the `edge_share` of all. Sources outside are free: they
    explain what background is left. Shin et al. have a square for H.
    local_field (z, y, x) in ppm; rate (z, y, x): R2' in 1/s at `field_strength_t`, or R2* with
    r2_hz the R2 to take off; mask (z, y, x) bool, outside which neither has a say; voxel_size
    (z, y, x) in mm; b0_direction unit vector (z, y, x); W is `weight` (z, y, x), precision of the
    field (1 where best; default the mask). Relaxivities in 1/s per ppm at 3 T, proportional to
    the field strength; regularisation in ppm. Three transform pairs an iteration.
    Returns chi+ (0 or more) and chi- (0 or less) in ppm, (z, y, x) float32, 0 outside the mask;
    0 is tissue without sources. Raises ValueError when the mask is empty, and for a relaxivity,
    field strength or regularisation of 0 or less.
    Shin et al. 2021, doi:10.1016/j.neuroimage.2021.118371.
    """
    if not regularisation > 0:
        raise ValueError(f"the regularisation is {regularisation:g}; it must be above 0")
    xp = array_module(local_field)
    domain, scale = Domain.around(mask, voxel_size, padding_mm), scales(voxel_size)
    relaxivity = relaxivities(field_strength_t, relaxivity_positive, relaxivity_negative)
    mean = sum(relaxivity) / 2
    inside = domain.embed(mask)
    decay = _Decay(
        caused=domain.embed(xp.maximum(rate - np.float32(r2_hz), 0) / mean),
        weight=np.float32(relaxation_weight) * inside,
        tolerated=np.float32(largest_misfit_ppm),
        shares=tuple(each / mean for each in relaxivity),
    )
    fidelity = inside if weight is None else domain.embed(weight) ** 2
    share = FIT / (fidelity + FIT)
    data = (1 - share) * domain.embed(local_field)
    kernel = dipole_kernel(domain.shape, voxel_size, b0_direction, like=local_field)
    smooth = np.float32(regularisation) / SHRINK_PPM
    alone = smooth * squared_spectrum(domain.shape, scale, kernel) + COPY
    spectra = _Spectra(kernel, alone, domain.shape)
    bounds = [SHRINK_PPM * price for price in edge_prices(domain, magnitude, edge_share)]
    # each split is kept as its copy plus its dual
    edges = [[xp.zeros_like(inside) for _ in range(3)] for _ in SIGNS]
    field, *sources = (xp.zeros_like(inside) for _ in range(3))
    pulls = sources
    for _ in range(iterations):
        agreed = data + share * field
        near = [
            xp.where(inside > 0, strength, source)
            for strength, source in zip(decay.nearest(*sources), sources, strict=True)
        ]
        towards = [
            smooth * pull + COPY * (2 * strength - source)
            for pull, strength, source in zip(pulls, near, sources, strict=True)
        ]
        found, predicted = spectra.solved(towards, 2 * agreed - field)
        pulls = [
            shrink_edges(edge, strength, bounds, PACE, scale)
            for edge, strength in zip(edges, found, strict=True)
        ]
        field = field + PACE * (predicted - agreed)
        sources = [
            source + PACE * (strength - was)
            for source, strength, was in zip(sources, found, near, strict=True)
        ]
    para, dia = (domain.extract(strength) for strength in decay.nearest(*sources))
    return para, 0 - dia  # no -0


@dataclass(frozen=True)
class _Spectra:
    """The quadratic part of a step, diagonal in k-space for the sources' sum and difference.

    kernel: the dipole's; alone: what the splits of gradients and of sources cost; on half spectra.
    """

    kernel: Array
    alone: Array
    shape: tuple[int, ...]

    def solved(self, towards: Sequence[Array], field: Array) -> tuple[list[Array], Array]:
        """Strengths (chi+, |chi-|) nearest to what they are drawn to, and the field they make."""
        fft = fft_module(field)
        para, dia = (fft.rfftn(towards_one) for towards_one in towards)
        both = self.alone + 2 * FIT * self.kernel**2  # twice: chi+ and chi- make the same field
        spectrum = (para - dia + (2 * FIT) * self.kernel * fft.rfftn(field)) / both
        total = fft.irfftn(spectrum, s=self.shape)
        absolute = fft.irfftn((para + dia) / self.alone, s=self.shape)
        predicted = fft.irfftn(self.kernel * spectrum, s=self.shape)
        return [(absolute + sign * total) / 2 for sign in SIGNS], predicted


@dataclass(frozen=True)
class _Decay:
    """The relaxation that strengths p, q >= 0 must explain: caused = shares . (p, q), in ppm."""

    caused: Array
    weight: Array
    tolerated: np.float32
    shares: tuple[np.float32, ...]

    def nearest(self, p: Array, q: Array) -> tuple[Array, Array]:
        """Minimise COPY/2 |(p, q) - what is given|^2 + the misfit's cost, voxel by voxel."""
        xp, (a, b) = array_module(p), self.shares
        step = self._step(self.caused - a * p - b * q, a * a + b * b)
        free_p, free_q = p + a * step, q + b * step
        return (
            xp.where(free_q < 0, self._alone(p, a), xp.maximum(free_p, 0)),
            xp.where(free_p < 0, self._alone(q, b), xp.maximum(free_q, 0)),
        )

    def _alone(self, strength: Array, share: np.float32) -> Array:
        """The same with the other strength 0."""
        step = self._step(self.caused - share * strength, share * share)
        return array_module(strength).maximum(strength + share * step, 0)

    def _step(self, misfit: Array, square: np.float32) -> Array:
        """How far to go against a misfit; no further than its cost, linear at last, demands."""
        limit = self.weight * (self.tolerated / COPY)
        step = self.weight * misfit / (COPY + self.weight * square)
        return array_module(misfit).clip(step, -limit, limit)
