"""Coil compression of a stream of readouts: fewer virtual coils that hold nearly all the signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module, compiled, to_numpy

METHODS = ("gcc", "svd")
REACH = 0.1  # of the readout: so far apart positions help to find each other's virtual coils
PEDESTAL = 0.03  # share of the whole readout in this, which decides where there is no signal
DEAD = 1e-9  # of the strongest direction's power, which noise exceeds: a coil is not connected
HERMITIAN = 1e-4  # largest asymmetry, relative; single precision makes 1e-6
CHUNK = 64  # lines, whose samples stay in the processor's cache
TILE = 8  # samples of a line of that cache

Lines = Array  # complex64
Matrices = Array  # complex64
Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


class CoilCovariance:
    """Covariance of the coils at each position along x, summed over lines as they come.

    sums (half, x, coil, coil) complex128: s s^H of the samples s (coil,), of every other line;
    lines (half,): how many. Two halves with noise of their own tell signal from noise.
    The sums are where an array `like` is.
    """

    def __init__(self, x: int, coils: int, *, like: Array | None = None) -> None:
        self.sums: Array = array_module(like).zeros((2, x, coils, coils), np.complex128)
        self.lines = np.zeros(2, np.int64)

    def add(self, lines: Lines) -> None:
        """Add lines (line, coil, x), transformed to x, any of them in any order."""
        turn = int(self.lines.sum())
        for offset in range(2):
            half = (turn + offset) % 2
            part = _by_x(lines[offset::2])
            self.sums[half] += part @ part.conj().transpose(0, 2, 1)
            self.lines[half] += part.shape[2]


def compression_matrices(
    covariance: CoilCovariance,
    *,
    method: str = "gcc",
    coils: int | None = None,
    most: int | None = None,
    kept_energy: float = 0.998,
    noise: float | None = 1.0,
    whitening: Array | None = None,
) -> Matrices:
    """Return the matrices (x, virtual, coil) complex64 that make virtual coils of coils.

    "gcc": a matrix for each x, with virtual coils that are smooth along x; "svd": one for all,
    (1, virtual, coil). Rows are orthonormal: white noise stays white. Each x is helped by its
    neighbours, and a little by all.
    The number of virtual coils is `coils`, or the smallest that keeps the share `kept_energy` of
    the signal's energy, `most` at most; the energy that directions found in one half of the lines
    have in the other half, which noise does not inflate, judges this.
    noise: variance of a complex sample once white, 1 where readouts are complete; None: unknown,
    that of the weakest direction that receives anything. whitening (coil, coil): when the lines
    were not white yet; the matrices then whiten, too. They are small and found on the host, and
    returned where the covariance is.
    Raises ValueError for fewer than two lines, a covariance that is not finite or not Hermitian,
    more virtual coils than coils, and other arguments out of range.
    Zhang et al. 2013, doi:10.1002/mrm.24267; svd: Huang et al. 2008, doi:10.1016/j.mri.2007.04.010.
    """
    sums = to_numpy(covariance.sums)
    _check(sums, covariance.lines, method, (coils, most), kept_energy)
    if whitening is not None:
        whitening = to_numpy(whitening)
        sums = whitening @ sums @ whitening.conj().T
    near = _neighbours(sums.shape[1]) if method == "gcc" else np.ones((1, sums.shape[1]))
    if coils is None:
        coils = _enough(sums, covariance.lines, near, kept_energy, noise)
    directions = _directions(_smooth(sums.sum(axis=0), near))
    rows = directions[..., : min(coils, most or coils)].conj().transpose(0, 2, 1)
    matrices = _align(rows).astype(np.complex64)
    if whitening is not None:
        matrices = matrices @ whitening
    return array_module(covariance.sums).asarray(matrices)


def compress(lines: Lines, matrices: Matrices, out: Lines | None = None) -> Lines:
    """Return virtual coils (line, virtual, x) of lines (line, coil, x), in `out` where given.

    matrices (x, virtual, coil) or (1, virtual, coil).
    """
    xp = array_module(lines)
    if out is None:
        out = xp.empty((len(lines), *matrices.shape[1:2], lines.shape[2]), np.complex64)
    if len(matrices) == 1:
        return xp.matmul(matrices[0], lines, out=out)
    step = CHUNK if xp is np else max(len(lines), 1)
    for first in range(0, len(lines), step):
        chunk = slice(first, first + step)
        out[chunk] = xp.matmul(matrices, _by_x(lines[chunk])).transpose(2, 1, 0)
    return out


def _by_x(lines: Lines) -> Lines:
    """Copy lines (line, coil, x) to (x, coil, line), as BLAS takes them."""
    xp = array_module(lines)
    if xp is not np:
        return xp.ascontiguousarray(lines.transpose(2, 1, 0))
    turned = np.empty(lines.shape[::-1], np.complex64)
    _turn(lines, turned)
    return turned


@compiled
def _turn(lines: Lines, turned: Lines) -> None:
    """Transpose in tiles: three times as fast as numpy, which walks through all of x."""
    count, coils, size = lines.shape
    for coil in range(coils):
        for x0 in range(0, size, TILE):
            for line0 in range(0, count, TILE):
                for x in range(x0, min(x0 + TILE, size)):
                    for line in range(line0, min(line0 + TILE, count)):
                        turned[x, coil, line] = lines[line, coil, x]


def _check(
    sums: Complex,
    lines: NDArray[np.int64],
    method: str,
    numbers: tuple[int | None, ...],
    kept_energy: float,
) -> None:
    if method not in METHODS:
        raise ValueError(f"no coil compression is called {method!r}; take one of {METHODS}")
    if not 0 < kept_energy <= 1:
        raise ValueError(f"the kept energy must be above 0 and at most 1, not {kept_energy}")
    for number in numbers:
        if number is not None and not 1 <= number <= sums.shape[-1]:
            raise ValueError(f"{number} virtual coils cannot be made of {sums.shape[-1]} coils")
    if not lines.all():
        raise ValueError("coil compression needs two lines or more")
    if not np.isfinite(sums).all():
        raise ValueError("the coils' covariance is not finite")
    if np.abs(sums - sums.conj().swapaxes(-1, -2)).max() > HERMITIAN * np.abs(sums).max():
        raise ValueError("the coils' covariance is not Hermitian")


def _neighbours(x: int) -> Real:
    """Weights (x, x) of positions at positions: Hann window on a pedestal."""
    apart = np.abs(np.subtract.outer(np.arange(x), np.arange(x))) / (REACH * x + 1)
    hann = np.where(apart < 1, np.cos(np.pi / 2 * apart) ** 2, 0)
    return hann / hann.sum(axis=1, keepdims=True) + PEDESTAL / x


def _smooth(sums: Complex, weights: Real) -> Complex:
    flat = sums.reshape(len(sums), -1).view(np.float64)
    return (weights @ flat).view(np.complex128).reshape(-1, *sums.shape[1:])


def _directions(covariance: Complex) -> Complex:
    """Eigenvectors (x, coil, direction), the strongest first."""
    return np.linalg.eigh(covariance)[1][..., ::-1]


def _enough(
    sums: Complex, lines: NDArray[np.int64], near: Real, kept_energy: float, noise: float | None
) -> int:
    """Smallest number of directions that keeps the share of the signal's energy."""
    power = np.zeros(sums.shape[-1])
    for found, judged in (sums, sums[::-1]):
        directions = _directions(_smooth(found, near))
        power += (directions.conj() * (judged @ directions)).sum(axis=(0, 1)).real
    samples = int(lines.sum()) * sums.shape[1]
    if noise is None:
        noise = power[power >= DEAD * power.max()].min() / samples
    signal = power - noise * samples
    beyond = signal.sum() - np.cumsum(signal)
    left = np.arange(len(power))[::-1]
    beyond += noise * np.sqrt(samples * left)  # what may hide in the noise
    enough = beyond <= (1 - kept_energy) * signal.sum()
    enough[-1] = True
    return int(enough.argmax()) + 1


def _align(rows: Complex) -> Complex:
    """Turn the virtual coils (x, virtual, coil) to be as much as can be those of x before."""
    aligned = rows.copy()
    for x in range(1, len(rows)):
        left, _, right = np.linalg.svd(aligned[x - 1] @ rows[x].conj().T)
        aligned[x] = left @ right @ rows[x]
    return aligned
