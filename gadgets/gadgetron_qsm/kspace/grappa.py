"""GRAPPA in hybrid space: lines left out are weighted sums of lattice lines, at each x."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import scipy.fft

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.kspace.cells import Group, groups, neighbours
from gadgetron_qsm.kspace.kernels import Kernels, measure
from gadgetron_qsm.kspace.lattice import Lattice, Places, find_lattice
from gadgetron_qsm.kspace.sampling import Lines, calibration_region

DEPTH = 8  # samples along x that are filled together, at most: a cache line
COPIES = 2**29  # bytes that all threads take at a time, with fewer samples if need be
WORKING = 3  # copies of the sources that are held together
GATHERED = 2**17  # samples of neighbours that are gathered together at a place along x, however
# many threads there are: BLAS rounds a product of more rows otherwise
DEVICE_BUFFER = 2**23  # on a device, at all places together
EDGE_NODES = 16  # along x at most for weights at the edge of k-space, which are many
TOGETHER = 8  # sets of those that are found together, with as many sources each
EXTRAPOLATION = 100.0  # more regularisation beyond the outermost lines: noise would blow up

REGULARISATION = 3e-4

KSpace = Array  # complex64


def grappa(
    hybrid: KSpace,
    sampled: Lines,
    wanted: Lines,
    acceleration: tuple[int, int],
    *,
    calibration: KSpace | None = None,
    regularisation: float = REGULARISATION,
    per_echo: bool = False,
) -> list[Kernels]:
    """Fill the lines that are wanted and were not sampled, in place; return the weights.

    hybrid (echo, coil, kz, ky, x) complex64; sampled and wanted (kz, ky) alike for all echoes;
    acceleration along (kz, ky). calibration (echo, coil, kz, ky, x): fully sampled lines about
    k = 0, which is at n//2; None takes the centre of `hybrid`.

    At each x a line is the sum over all coils of the lattice lines less than 2 cells from the
    middle of its cell, 4 x 4 of them; weights that change slowly along x do what taps along kx do.
    They predict the calibration lines best, of all echoes together or `per_echo`, with a Tikhonov
    term relative to the mean energy at each x. Cells at the edge of k-space have weights of their
    own for the sources they have. Lines without any source are left.

    Returns one set of weights for all echoes or for each; none when no line was left out.
    Raises ValueError when the lines lie on no lattice, or the calibration lines are too few.
    Griswold et al. 2002, doi:10.1002/mrm.10171; 2D: Blaimer et al. 2006, doi:10.1002/mrm.21071;
    in hybrid space: Brau et al. 2008, doi:10.1002/mrm.21481.
    """
    missing = wanted & ~sampled
    if not missing.any():
        return []
    lattice = find_lattice(sampled, wanted, acceleration)
    if lattice is None:
        factors = f"{acceleration[1]} x {acceleration[0]}"
        raise ValueError(f"the lines that came lie on no lattice of {factors}")
    if calibration is None:
        calibration = hybrid[(slice(None), slice(None), *calibration_region(sampled))]
    _check(hybrid, calibration, per_echo)
    calibration = array_module(hybrid).asarray(calibration)
    used = []
    for part in _parts(len(hybrid), per_echo):
        filling = Filling(calibration[part], lattice, sampled.shape, regularisation)
        filling.fill(hybrid[part], sampled, missing)
        used.append(filling.kernels)
    return used


def _parts(echoes: int, per_echo: bool) -> list[slice]:
    return [slice(e, e + 1) for e in range(echoes)] if per_echo else [slice(None)]


def _check(hybrid: KSpace, calibration: KSpace, per_echo: bool) -> None:
    if calibration.shape[1::3] != hybrid.shape[1::3]:
        raise ValueError(
            f"calibration of {calibration.shape[1]} coils x {calibration.shape[4]} samples does "
            f"not fit a scan of {hybrid.shape[1]} coils x {hybrid.shape[4]} samples"
        )
    if per_echo and len(calibration) != len(hybrid):
        raise ValueError(f"{len(calibration)} echoes of calibration for {len(hybrid)} of the scan")


class Filling:
    """Weights of a lattice, from calibration lines, and what they fill.

    kernels: those of cells with all of their sources.
    """

    def __init__(
        self,
        calibration: KSpace,
        lattice: Lattice,
        matrix: tuple[int, int],
        regularisation: float = REGULARISATION,
    ) -> None:
        """Calibrate with lines (echo, coil, kz, ky, x), all there; raises what `grappa` does."""
        self.lattice, self._regularisation = lattice, regularisation
        self.sources, targets = neighbours(lattice, matrix)
        moments = measure(calibration, self.sources, targets)
        self.kernels = moments.kernels(matrix, regularisation)
        self._coarse = moments.merged(-(-len(moments.sums) // EDGE_NODES))
        self._of_pattern: dict[bytes, Kernels] = {}

    def fill(self, data: KSpace, sampled: Lines, missing: Lines) -> None:
        """Set the missing lines of data (echo, coil, kz, ky, x) from the sampled ones around."""
        found = list(groups(self.lattice, self.sources, sampled, missing))
        if found:
            self._meet([group for group in found if not group.there.all()])
            _fill(data, found, [self._weights(group) for group in found])

    def _weights(self, group: Group) -> Kernels:
        """Weights of a group that was met, from as many sources as it has."""
        return self.kernels if group.there.all() else self._of_pattern[group.there.tobytes()]

    def _meet(self, found: Iterable[Group]) -> None:
        """Find the weights of groups not met before, together where they have as many sources."""
        new = [group for group in found if group.there.tobytes() not in self._of_pattern]
        for size in sorted({int(group.there.sum()) for group in new}):
            alike = [group for group in new if group.there.sum() == size]
            for first in range(0, len(alike), TOGETHER):
                some = alike[first : first + TOGETHER]
                there = np.stack([group.there for group in some])
                more = [EXTRAPOLATION if group.outermost else 1.0 for group in some]
                regularisation = [factor * self._regularisation for factor in more]
                kernels = self._coarse.of_patterns(self.kernels.matrix, regularisation, there)
                self._of_pattern |= {
                    group.there.tobytes(): kernel
                    for group, kernel in zip(some, kernels, strict=True)
                }


def _fill(data: KSpace, found: list[Group], kernels: list[Kernels]) -> None:
    """Set the lines of data (echo, coil, kz, ky, x) from their sources."""
    on_host = array_module(data) is np
    workers = scipy.fft.get_workers() if on_host else 1
    numbers = np.unique(np.concatenate([group.near.ravel() for group in found]))
    samples = data.shape[-1]
    of_sample = WORKING * 8 * len(data) * data.shape[1] * len(numbers) * workers
    depth = min(max(COPIES // of_sample, 1), DEPTH if on_host else samples)
    slabs = [slice(x, min(x + depth, samples)) for x in range(0, samples, depth)]
    gathered = GATHERED if on_host else DEVICE_BUFFER // depth
    work = partial(_fill_slab, data, numbers, found, kernels, gathered // len(data))
    if workers == 1:
        for there in slabs:
            work(there)
        return
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(work, slabs):
            pass


def _fill_slab(
    data: KSpace,
    numbers: Places,
    found: list[Group],
    kernels: list[Kernels],
    gathered: int,
    there: slice,
) -> None:
    """Set the lines in some samples along x.

    numbers (line,): of the lines that are sources; gathered: samples of an echo and a place along x
    that are gathered together.
    """
    xp, shape = array_module(data), data.shape[2:4]
    kz, ky = (xp.asarray(index) for index in np.unravel_index(numbers, shape))
    lines = xp.ascontiguousarray(data[:, :, kz, ky, there].transpose(3, 0, 2, 1))
    for group, kernel in zip(found, kernels, strict=True):
        weights = kernel.at(np.arange(there.start, there.stop))
        near = xp.asarray(np.searchsorted(numbers, group.near))
        step = max(1, gathered // weights.shape[1])
        for first in range(0, len(near), step):
            values = _synthesise(lines, near[first : first + step], weights)
            own = slice(*np.searchsorted(group.cells, (first, first + step)).tolist())
            cells, targets = (xp.asarray(x[own]) for x in (group.cells - first, group.targets))
            kz, ky = (xp.asarray(index) for index in group.filled[:, own])
            data[:, :, kz, ky, there] = values[:, :, cells, targets].transpose(1, 3, 2, 0)


def _synthesise(lines: KSpace, near: Places, weights: KSpace) -> KSpace:
    """Targets (x, echo, cell, target, coil) of cells with sources `near`.

    lines (x, echo, line, coil); near (cell, source); weights (x, source * coil, target * coil).
    """
    xp = array_module(lines)
    depth, echoes, _, coils = lines.shape
    gathered = xp.take(lines, near, axis=2).reshape(depth, -1, weights.shape[1])
    return xp.matmul(gathered, weights).reshape(depth, echoes, len(near), -1, coils)
