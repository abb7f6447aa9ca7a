"""The parts of an iteration of `ss_tv` beside its transforms, each of one pass over memory.

An iteration with n radii moves at least, in volumes of float32, 4 + 4 n for the transforms, each
read and written once, 4.5 + 2.5 n for `solve`, 11 for `shrink_edges`, and 13 for `step` and
`settle` times the share of the grid that has data: 43 with three radii and a third of the grid.
On a device this takes eight calls, and the host waits for none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, compiled
from gadgetron_qsm.arrays.kernels import Elementwise
from gadgetron_qsm.inversion.admm import FIT, RELAXATION

PACE = np.float32(RELAXATION)


@dataclass(frozen=True)
class Filtered:
    """The field behind the filters of all radii, each at the places it is the largest for.

    kernels (radius, z, y, x), float32: dipole and filter on the half spectrum; at: flat indices of
    the places into (radius, z, y, x) of the work grid; and of each place, float32: field in ppm;
    fidelity; leaning, by how much its step follows from what all misfits have of |x|^2.
    """

    kernels: Array
    at: Array
    field: Array
    fidelity: Array
    leaning: Array

    @classmethod
    def of(cls, kernels: Array, at: Array, field: Array, fidelity: Array, bow: Array) -> Filtered:
        """Make it of what the filters make of |x|^2 at each place, bow."""
        xp = array_module(field)
        leaning = bow * (fidelity / (fidelity + FIT))
        size = xp.sqrt((leaning * bow).sum(dtype=xp.float64))
        return cls(kernels, at, field, fidelity, leaning / size.astype(xp.float32))


def step(filtered: Filtered, off: Array, limit: np.float32, steps: Array) -> None:
    """Set steps (radius, z, y, x), at the places, to the proximal steps from fields to the data.

    off: misfit of each place less its dual, in ppm; beyond limit it counts linearly. A curvature,
    what fits all misfits best of what the filters make of |x|^2, is taken off first.
    """
    xp = array_module(off)
    bend = (filtered.leaning * off).sum(dtype=xp.float64)
    reach = np.float32(limit / FIT)
    places = filtered.at, off, filtered.fidelity, filtered.leaning
    if xp is np:
        _step(*places, np.float32(bend), FIT, reach, steps.reshape(-1))
    else:
        _STEP(*places, bend, FIT, reach, steps)


def solve(
    spectra: Array, held: Array, kernels: Array, cost: Array, smooth: np.float32, voxels: int
) -> None:
    """Solve for the spectra of chi and of its field behind each filter, in place of what they ask.

    spectra (1 + radius, z, y, x) complex64: of what the edges pull chi to and of the steps; then of
    chi and of the fields, divided by the number of voxels. held (z, y, x) complex64, moved on:
    the sum over radii of what the copies of the fields, each plus its dual, pull chi to. As this
    and the places with data are all that is asked of the copies, none is kept.
    cost (z, y, x), float32: smooth times that of gradients, 1 where nothing else has a say.
    """
    numbers = smooth, FIT, PACE, np.float32(1 / voxels)
    if array_module(spectra) is np:
        rows = spectra.shape[1] * spectra.shape[2]
        parts = spectra.view(np.float32).reshape(len(spectra), rows, -1, 2)
        _solve(
            parts,
            held.view(np.float32).reshape(rows, -1, 2),
            kernels.reshape(len(kernels), rows, -1),
            cost.reshape(rows, -1),
            *numbers,
        )
    else:
        _SOLVE(cost, kernels, *numbers, len(kernels), held, spectra)


def settle(filtered: Filtered, predicted: Array, steps: Array, off: Array) -> None:
    """Move misfits on, in place, by fields predicted (radius, z, y, x) and the steps taken."""
    if array_module(off) is np:
        fields = predicted.reshape(-1), steps.reshape(-1)
        _settle(filtered.at, filtered.field, *fields, PACE, off)
    else:
        _SETTLE(filtered.at, filtered.field, predicted, steps, PACE, off)


@compiled
def _step(at, off, fidelity, leaning, bend, fit, reach, steps):  # type: ignore[no-untyped-def]
    for n in range(len(at)):
        trusted = fidelity[n] / (fidelity[n] + fit)
        most = reach * fidelity[n]
        steps[at[n]] = min(max(trusted * off[n] - bend * leaning[n], -most), most)


_STEP = Elementwise(
    "ss_tv_step",
    "T at, float32 off, float32 fidelity, float32 leaning, raw float64 bend, "
    "float32 fit, float32 reach",
    "raw float32 steps",
    """
    const float trusted = fidelity / (fidelity + fit), most = reach * fidelity;
    const float wanted = trusted * off - (float)bend[0] * leaning;
    steps[at] = min(max(wanted, -most), most)
    """,
)


@compiled
def _solve(spectra, held, kernels, cost, smooth, fit, pace, share):  # type: ignore[no-untyped-def]
    radii, rows, columns = kernels.shape
    taken = np.empty((columns, 2), np.float32)
    square = np.empty(columns, np.float32)
    for row in range(rows):
        taken[...] = 0
        square[...] = 0
        for radius in range(radii):
            kernel, asked = kernels[radius, row], spectra[1 + radius, row]
            for x in range(columns):
                square[x] += kernel[x] * kernel[x]
                for part in range(2):
                    taken[x, part] += kernel[x] * asked[x, part]
        chi, own = spectra[0, row], held[row]
        for x in range(columns):
            inverse = np.float32(1) / (cost[row, x] + fit * square[x])
            for part in range(2):
                drawn = own[x, part] + taken[x, part] + taken[x, part]
                found = (smooth * chi[x, part] + fit * drawn) * inverse
                own[x, part] += pace * (square[x] * found - taken[x, part] - own[x, part])
                chi[x, part] = found * share
        for radius in range(radii):
            kernel, field = kernels[radius, row], spectra[1 + radius, row]
            for x in range(columns):
                for part in range(2):
                    field[x, part] = kernel[x] * chi[x, part]


_SOLVE = Elementwise(
    "ss_tv_solve",
    "float32 cost, raw float32 kernels, float32 smooth, float32 fit, float32 pace, "
    "float32 share, int32 radii",
    "complex64 held, raw complex64 spectra",
    """
    const ptrdiff_t count = _ind.size();
    complex<float> taken(0.0f, 0.0f);
    float square = 0.0f;
    for (int radius = 0; radius < radii; ++radius) {
        const float kernel = kernels[radius * count + i];
        taken += kernel * spectra[(1 + radius) * count + i];
        square += kernel * kernel;
    }
    const complex<float> drawn = held + 2.0f * taken;
    const complex<float> chi = (smooth * spectra[i] + fit * drawn) / (cost + fit * square);
    held += pace * (square * chi - taken - held);
    const complex<float> shared = share * chi;
    spectra[i] = shared;
    for (int radius = 0; radius < radii; ++radius)
        spectra[(1 + radius) * count + i] = kernels[radius * count + i] * shared
    """,
)


@compiled
def _settle(at, field, predicted, steps, pace, off):  # type: ignore[no-untyped-def]
    for n in range(len(at)):
        off[n] += pace * (field[n] - predicted[at[n]] - off[n] + steps[at[n]])


_SETTLE = Elementwise(
    "ss_tv_settle",
    "T at, float32 field, raw float32 predicted, raw float32 steps, float32 pace",
    "float32 off",
    "off += pace * (field - predicted[at] - off + steps[at])",
)
