"""Weights of a parallel imaging kernel along x, from calibration lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.kspace.lattice import Places
from gadgetron_qsm.kspace.sampling import Lines, central

NODES = 48  # along x, at most, where weights are found
SMOOTH = 10  # parts of the field of view, of which weights are means: a few taps along kx
EQUATIONS = 3  # for each weight; where a node has fewer, its neighbours are taken along
FLOOR = 1e-6  # of the largest energy along x, below which nothing signals

KSpace = Array  # complex64


@dataclass(frozen=True)
class Kernels:
    """Weights of the lattice lines around a cell for the lines inside it.

    weights (node, source, coil, target, coil) complex64 at `positions` (node,) along x, linear in
    between; sources and targets (n, 2) are lines (kz, ky) from the line that begins the cell, of a
    `matrix` (kz, ky).
    """

    weights: KSpace
    positions: NDArray[np.float64]
    sources: Places
    targets: Places
    matrix: tuple[int, ...]

    def at(self, x: Places) -> KSpace:
        """Return the weights (x, source * coil, target * coil) at some samples."""
        xp = array_module(self.weights)
        nodes, sources, coils, targets, _ = self.weights.shape
        flat = self.weights.reshape(nodes, sources * coils, targets * coils)
        place = np.interp(x, self.positions, np.arange(nodes))
        before = place.astype(int)
        after = np.minimum(before + 1, nodes - 1)
        part = xp.asarray((place - before).astype(np.float32))[:, None, None]
        before, after = xp.asarray(before), xp.asarray(after)
        return (1 - part) * flat[before] + part * flat[after]


@dataclass(frozen=True)
class Moments:
    """Second moments (node, source * coil, (source + target) * coil) of calibration lines.

    Those of neighbouring samples along x, around `positions`, are added up; each node is a sum
    over `equations` cells.
    """

    sums: KSpace
    positions: NDArray[np.float64]
    sources: Places
    targets: Places
    equations: float

    def merged(self, step: int) -> Moments:
        """Return the moments of as many nodes together."""
        xp = array_module(self.sums)
        starts = np.arange(0, len(self.sums), step)
        counts = np.diff(np.append(starts, len(self.sums)))
        return replace(
            self,
            sums=xp.stack([self.sums[start : start + step].sum(axis=0) for start in starts]),
            positions=np.add.reduceat(self.positions, starts) / counts,
            equations=self.equations * step,
        )

    def kernels(self, matrix: tuple[int, ...], regularisation: float) -> Kernels:
        """Find the weights that predict the targets best."""
        everything = np.ones((1, len(self.sources)), bool)
        return self.of_patterns(matrix, [regularisation], everything)[0]

    def of_patterns(
        self, matrix: tuple[int, ...], regularisation: Sequence[float], there: Lines
    ) -> list[Kernels]:
        """Find the same from those sources alone that are `there` (pattern, source) bool.

        Patterns with as many sources each are solved for together; regularisation (pattern,).
        """
        xp = array_module(self.sums)
        unknowns = self.sums.shape[1]
        coils = unknowns // len(self.sources)
        used = np.nonzero(np.repeat(there, coils, axis=1))[1].reshape(len(there), -1)
        nodes, size = len(self.sums), used.shape[1]
        sums = self.sums
        wider = min(int(np.ceil(EQUATIONS * size / self.equations)), nodes // 4)
        if wider > 1:
            sums = _mixed(_window(nodes, wider), sums)
        energy = xp.trace(sums, axis1=1, axis2=2).real[:, None] / unknowns
        sums = sums / energy.max()  # whose squares are then in the range of float32
        ridge = xp.asarray(regularisation, dtype=np.float32) * energy / energy.max() + FLOOR
        rows = xp.asarray(used)
        normal = sums[:, rows[:, :, None], rows[:, None, :]]
        normal += ridge[..., None, None] * xp.eye(size, dtype=np.float32)
        weights = xp.linalg.solve(normal, sums[:, :, unknowns:][:, rows])
        smooth = _window(nodes, max(1, nodes // SMOOTH))
        smooth /= smooth.sum(axis=1, keepdims=True)
        weights = _mixed(smooth, weights)
        weights = weights.reshape(nodes, len(there), -1, coils, len(self.targets), coils)
        return [
            Kernels(weights[:, i], self.positions, self.sources[of], self.targets, matrix)
            for i, of in enumerate(there)
        ]


def measure(calibration: KSpace, sources: Places, targets: Places) -> Moments:
    """Add up products of lines of the calibration region (echo, coil, kz, ky, x).

    Raises ValueError when the region is smaller than the sources' extent, or empty.
    """
    offsets = np.concatenate([sources, targets])
    before, after = -offsets.min(axis=0), offsets.max(axis=0)
    calibration = central(calibration)
    _, coils, nz, ny, samples = calibration.shape
    needed = before + after + 1
    if nz < needed[0] or ny < needed[1]:
        raise ValueError(
            f"the fully sampled centre of {nz} partitions x {ny} lines is too small to calibrate "
            f"GRAPPA; {needed[0]} x {needed[1]} are needed"
        )
    first = np.indices((nz, ny) - needed + 1).reshape(2, -1).T + before
    xp = array_module(calibration)
    lines = xp.asarray((first[:, None] + offsets) @ (ny, 1))
    parts = np.array_split(np.arange(samples), min(NODES, samples))
    unknowns = len(sources) * coils
    sums = xp.zeros((len(parts), unknowns, len(offsets) * coils), np.complex64)
    for node, x in enumerate(parts):
        for echo in calibration[..., x[0] : x[-1] + 1]:
            flat = xp.ascontiguousarray(echo.transpose(3, 1, 2, 0)).reshape(len(x), -1, coils)
            rows = xp.take(flat, lines, axis=1).reshape(len(x) * len(lines), -1)
            sums[node] += rows[:, :unknowns].conj().T @ rows
    if not sums.any():
        raise ValueError("the calibration lines are empty")
    positions = np.array([x.mean() for x in parts])
    equations = len(calibration) * len(lines) * samples / len(parts)
    return Moments(sums, positions, sources, targets, equations)


def _mixed(weights: NDArray[np.float32], nodes: KSpace) -> KSpace:
    """Sums of nodes (node, ...), by weights (sum, node)."""
    xp = array_module(nodes)
    sums = xp.asarray(weights.astype(np.complex64)) @ nodes.reshape(len(nodes), -1)
    return sums.reshape(-1, *nodes.shape[1:])


def _window(nodes: int, half: int) -> NDArray[np.float32]:
    """Weights (node, node) that fall to 0 at a distance of `half` nodes."""
    node = np.arange(nodes)
    distance = np.abs(node[:, None] - node) / half
    return np.where(distance < 1, np.cos(np.pi / 2 * distance) ** 2, 0).astype(np.float32)
