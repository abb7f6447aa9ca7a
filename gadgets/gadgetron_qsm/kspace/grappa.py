"""GRAPPA in hybrid space: lines left out are weighted sums of lattice lines, at each x."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gadgetron_qsm.kspace.kernels import Kernels, Moments, measure
from gadgetron_qsm.kspace.lattice import Lattice, Places, find_lattice
from gadgetron_qsm.kspace.sampling import Lines, calibration_region

DEPTH = 8  # samples along x that are filled together, at most: a cache line
COPIES = 2**29  # bytes that all threads take at a time, with fewer samples if need be
WORKING = 5  # copies of them, sources and results, that are held together
BUFFER = 2**23  # samples of neighbours that are gathered together, by all threads
EDGE_NODES = 16  # along x at most for weights at the edge of k-space, which are many
EXTRAPOLATION = 100.0  # more regularisation beyond the outermost lines: noise would blow up

KSpace = NDArray[np.complex64]


def grappa(
    hybrid: KSpace,
    sampled: Lines,
    wanted: Lines,
    acceleration: tuple[int, int],
    *,
    calibration: KSpace | None = None,
    regularisation: float = 3e-4,
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
    sources, targets = neighbours(lattice, sampled.shape)
    groups = list(_groups(lattice, sources, sampled, missing))
    used = []
    for part in _parts(len(hybrid), per_echo):
        moments = measure(calibration[part], sources, targets)
        kernels = moments.kernels(sampled.shape, regularisation)
        used.append(kernels)
        own = _of_groups(groups, moments, kernels, regularisation)
        _fill(hybrid[part], groups, own)
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


def neighbours(lattice: Lattice, shape: tuple[int, int]) -> tuple[Places, Places]:
    """Lines (n, 2) around a cell that weights are for, and lines of the cell, from its first."""
    rows, columns = lattice.cell
    offsets = np.indices((5 * rows, 5 * columns)).reshape(2, -1).T - (2 * rows - 1, 2 * columns - 1)
    from_middle = np.abs(2 * offsets + 1 - lattice.cell)
    near = (from_middle < (4 * rows, 4 * columns)).all(axis=1)
    inside = (np.abs(offsets) < shape).all(axis=1)
    kz, ky = (offsets + lattice.origin).T
    on = np.equal(lattice.within_cell(kz, ky), 0).all(axis=0)
    targets = np.indices(lattice.cell).reshape(2, -1).T
    return offsets[near & inside & on], targets


@dataclass(frozen=True)
class _Group:
    """Cells with the same sources: those (source,) bool that came.

    outermost: some of the sources at the corners of the cell did not. near: numbers (cell, source)
    of the sources among all lines. Line `filled[:, i]` (kz, ky) is target `targets[i]` of cell
    `cells[i]`.
    """

    there: Lines
    outermost: bool
    near: Places
    filled: Places
    cells: Places
    targets: Places


def _groups(lattice: Lattice, sources: Places, sampled: Lines, missing: Lines) -> Iterator[_Group]:
    """Sort the missing lines by the sources that their cells have; cells without are left out."""
    shape = np.array(sampled.shape)
    lines = np.argwhere(missing)
    in_cell = np.transpose(lattice.within_cell(*lines.T))
    target = np.ravel_multi_index(tuple(in_cell.T), lattice.cell)
    cells, cell = np.unique(lines - in_cell, axis=0, return_inverse=True)
    near = cells[:, None] + sources
    there = ((near >= 0) & (near < shape)).all(axis=-1)
    near = np.clip(near, 0, shape - 1)
    there &= sampled[near[..., 0], near[..., 1]]
    numbers = np.ravel_multi_index((near[..., 0], near[..., 1]), sampled.shape)
    from_middle = np.abs(2 * sources + 1 - lattice.cell)
    corners = (from_middle < 2 * np.array(lattice.cell)).all(axis=1)
    patterns, pattern = np.unique(there, axis=0, return_inverse=True)
    pattern, cell = pattern.ravel(), cell.ravel()  # numpy 2.0 returned them otherwise
    for index, kept in enumerate(patterns):
        if kept.any():
            members = np.flatnonzero(pattern == index)
            own = np.flatnonzero(pattern[cell] == index)
            rows = np.searchsorted(members, cell[own])
            outermost = not kept[corners].all()
            yield _Group(
                kept, outermost, numbers[members][:, kept], lines[own].T, rows, target[own]
            )


def _of_groups(
    groups: list[_Group], moments: Moments, whole: Kernels, regularisation: float
) -> list[Kernels]:
    """Weights of each group, from as many sources as it has."""
    coarse = moments.merged(-(-len(moments.sums) // EDGE_NODES))
    kernels = []
    for group in groups:
        more = EXTRAPOLATION if group.outermost else 1.0
        if not group.there.all():
            kernels.append(coarse.kernels(whole.matrix, more * regularisation, group.there))
        else:
            kernels.append(whole)
    return kernels


def _fill(data: KSpace, groups: list[_Group], kernels: list[Kernels]) -> None:
    """Set the lines of data (echo, coil, kz, ky, x) from their sources."""
    workers = scipy.fft.get_workers()
    of_sample = WORKING * data[0, ..., :1].nbytes * workers
    depth = min(max(COPIES // of_sample, 1), DEPTH)
    samples = data.shape[-1]
    slabs = [slice(x, min(x + depth, samples)) for x in range(0, samples, depth)]
    with ThreadPoolExecutor(workers) as pool:
        work = partial(_fill_slab, data, groups, kernels, BUFFER // workers)
        for _ in pool.map(work, slabs):
            pass


def _fill_slab(
    data: KSpace, groups: list[_Group], kernels: list[Kernels], buffer: int, there: slice
) -> None:
    """Set the lines in some samples along x."""
    at = np.arange(there.start, there.stop)
    for echo in data:
        sampled = np.ascontiguousarray(echo[..., there].transpose(3, 1, 2, 0))
        sampled = sampled.reshape(len(at), -1, len(echo))
        for group, kernel in zip(groups, kernels, strict=True):
            values = _synthesise(sampled, group.near, kernel.at(at), buffer)
            values = values.reshape(len(at), len(group.near), -1, len(echo))
            kz, ky = group.filled
            echo[:, kz, ky, there] = values[:, group.cells, group.targets].transpose(2, 1, 0)


def _synthesise(lines: KSpace, near: Places, weights: KSpace, buffer: int) -> KSpace:
    """Targets (x, cell, target * coil) of cells with sources `near` in lines (x, line, coil)."""
    depth, sources, targets = weights.shape
    values = np.empty((depth, len(near), targets), np.complex64)
    step = max(1, buffer // (depth * sources))
    for first in range(0, len(near), step):
        some = slice(first, first + step)
        gathered = np.take(lines, near[some], axis=1).reshape(depth, -1, sources)
        np.matmul(gathered, weights, out=values[:, some])
    return values
