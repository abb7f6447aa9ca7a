"""GRAPPA while the scan goes on: what it leaves for the end decides how long one waits."""

from __future__ import annotations

import math

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest.calibration import Calibration
from gadgetron_qsm.kspace.assemble import KY, KZ, Assembly, Place
from gadgetron_qsm.kspace.cells import Cells
from gadgetron_qsm.kspace.grappa import Filling
from gadgetron_qsm.kspace.kernels import Kernels
from gadgetron_qsm.kspace.lattice import Lattice, find_lattice
from gadgetron_qsm.kspace.sampling import (
    Window,
    brightest_line,
    calibration_region,
    central_window,
    is_settled,
)

BITE = 512  # lines of all echoes that are waited for before anything is done, which has its price
PACE = 8  # cells filled, at most, for each line that comes: the readouts must not wait
ATTEMPTS = 16  # to find lattice and calibration, at most, while the scan lasts
PERIODS = 2  # of any lattice, that lines must span along kz and ky for it to be told

Factors = tuple[int, int]


class Early:
    """Fills the cells of an accelerated scan as their sources come, and transforms what is settled.

    Presumed is that the lattice is the one seen so far, that all of its announced lines come, and
    that the calibration region, or what came of a calibration scan, is whole once lines around it
    were passed over. `finish` judges that by what came in the end; `undo` takes it all back.
    Lines count once they came in all echoes as often as is announced.
    """

    def __init__(
        self,
        assembly: Assembly,
        announced: np.ndarray,
        acceleration: Factors,
        calibration: Calibration,
        *,
        apart: bool = False,
        averages: int = 1,
        transforms: bool = True,
    ) -> None:
        """Lines (kz, ky) bool are announced, accelerated along (kz, ky).

        apart: whether a calibration scan is to come; averages: how often each line comes;
        transforms: whether nothing but GRAPPA needs k-space.
        """
        self._assembly, self._announced = assembly, announced.copy()
        self._acceleration, self._averages = acceleration, averages
        self._calibration, self._apart, self._transforms = calibration, apart, transforms
        self._came = np.zeros(announced.shape, bool)
        self._fresh = 0  # lines since the last bite
        self._wait = 0  # lines that must have come before the next attempt
        self._cells: Cells | None = None
        self._filling: Filling | None = None  # not before lattice and calibration are known
        self._calibrated = 0  # lines of the calibration scan that were used
        self._window: Window | None = None  # or the lines of the scan itself that were
        self._brightest = (0, 0)
        self._stale = False
        self.filled = np.zeros(announced.shape, bool)  # lines (kz, ky) that need no more
        self._touched = self.filled.copy()  # that were filled, for good or not

    def came(self, place: Place) -> None:
        """Go on: lines were added to the assembly at (echo, kz, ky), each (line,)."""
        if self._stale:
            return
        lines = np.unique(np.ravel_multi_index(place[1:], self._came.shape))
        count = self._assembly.count.reshape(len(self._assembly.count), -1)[:, lines]
        lines = lines[(count >= self._averages).all(axis=0)]
        again = self._came.flat[lines]
        self._came.flat[lines] = True
        self._judge(lines[again], lines[~again])
        self._fresh += int((~again).sum())
        if self._fresh * len(count) >= BITE:
            fresh, self._fresh = self._fresh, 0
            self._go_on(PACE * fresh)

    def finish(self, sampled: np.ndarray, wanted: np.ndarray) -> list[Kernels] | None:
        """Fill what is left of the lines wanted and not sampled, (kz, ky) bool alike in all echoes.

        Returns the weights; None, and nothing is done, where what was presumed does not hold.
        """
        filling, cells = self._filling, self._cells
        if filling is None or cells is None or not self._holds(filling, sampled, wanted):
            return None
        rest = wanted & ~sampled & ~self.filled
        surplus = self._touched & ~wanted & ~sampled
        self._assembly.put_back(cells.sources_of_rest() | rest | surplus)
        _set_zero(self._assembly.data, np.broadcast_to(surplus, self._assembly.count.shape))
        filling.fill(self._assembly.data, sampled, rest)
        return [filling.kernels]

    def undo(self) -> None:
        """Make lines that did not come zero again, all of it in k-space."""
        if self._touched.any():
            data = self._assembly.hybrid()
            _set_zero(data, self._touched & (self._assembly.count == 0))
            self._touched[:] = self.filled[:] = False
        self._filling, self._stale = None, True

    def _go_on(self, most: int) -> None:
        if self._filling is None:
            self._attempt()
        if self._filling is not None and self._cells is not None:
            self._fill(self._filling, self._cells, most)
            if self._transforms:
                self._transform(self._cells)

    def _attempt(self) -> None:
        """Find lattice and weights, if what came tells them."""
        came = int(self._came.sum())
        if came < self._wait:
            return
        lines = self._announced.sum() / math.prod(self._acceleration)
        self._wait = came + int(lines / ATTEMPTS)
        lattice = self._lattice()
        if lattice is None:
            return
        if self._cells is None or self._cells.lattice != lattice:
            self._cells = Cells(lattice, self._announced)
        self._cells.update(self._came)
        try:
            calibration = self._calibration_lines(self._cells)
            if calibration is not None:
                self._filling = Filling(calibration, lattice, self._announced.shape)
        except (ValueError, QsmError):  # too small, or not all there: more will come
            return

    def _lattice(self) -> Lattice | None:
        """The lattice of the lines between the outermost that came; None while it is not sure."""
        between = self._announced.copy()
        for axis, of_axis in enumerate((self._came.any(axis=1), self._came.any(axis=0))):
            there = np.flatnonzero(of_axis)
            span = int(there[-1]) + 1 - int(there[0]) if len(there) else 0
            all_of_it = int(np.count_nonzero(self._announced.any(axis=1 - axis)))
            if span < min(PERIODS * math.prod(self._acceleration), all_of_it):
                return None
            outside = np.ones(between.shape[axis], bool)
            outside[there[0] : there[-1] + 1] = False
            between[(outside, slice(None)) if axis == 0 else (slice(None), outside)] = False
        return find_lattice(self._came, between, self._acceleration)

    def _calibration_lines(self, cells: Cells) -> Array | None:
        """The calibration scan, or the centre once nothing more can come to it."""
        data = self._assembly.data
        if self._apart or self._calibration.lines:
            self._calibrated = self._calibration.lines
            block = self._calibration.block()
            return None if block is None else array_module(data).asarray(block)
        region = calibration_region(self._came)
        z, y = brightest_line(data[(slice(None), slice(None), *region)])
        self._brightest = region[0].start + z, region[1].start + y
        window = central_window(region, self._brightest)
        if not is_settled(region, window, cells.passed() & ~self._came):
            return None
        self._window = window
        return data[(slice(None), slice(None), *window)]

    def _fill(self, filling: Filling, cells: Cells, most: int) -> None:
        """Fill cells whose sources came; what has begun to come itself is left alone."""
        cells.update(self._came)
        chosen = cells.ready()[:most]
        missing = cells.lines_of(chosen) & (self._assembly.count == 0).all(axis=0)
        if len(chosen):
            filling.fill(self._assembly.data, cells.expected, missing)
        self.filled |= missing
        self._touched |= missing
        cells.filled[chosen] = True

    def _transform(self, cells: Cells) -> None:
        """Transform partitions, or lines of all of them, that nothing needs in k-space any more."""
        busy = cells.sources_of_rest() | (self._announced & ~self._came & ~self.filled)
        for axis in (KY, KZ):
            across = axis - KZ  # the axis of (kz, ky) that is transformed
            parts = ~busy.any(axis=across) & self._announced.any(axis=across)
            if busy.shape[across] > 1 and self._assembly.transform(axis, np.flatnonzero(parts)):
                return

    def _judge(self, again: np.ndarray, new: np.ndarray) -> None:
        """Leave to the end what lines that came again change; all, where they change the weights.

        Those do as well that come to the calibration region.
        """
        if self._filling is None or self._cells is None:
            return
        changed, more = np.zeros((2, *self._came.shape), bool)
        changed.flat[again] = more.flat[new] = True
        if self._window is not None:
            z, y = (slice(max(lines.start - 1, 0), lines.stop + 1) for lines in self._window)
            more &= ~self._cells.expected
            self._stale = bool(changed[self._window].any() or more[z, y].any())
        if len(again):
            spoilt = self._cells.spoil(changed)
            self.filled &= ~self._cells.lines_of(spoilt)

    def _holds(self, filling: Filling, sampled: np.ndarray, wanted: np.ndarray) -> bool:
        """Tell whether the scan turned out to be what it was taken for."""
        lattice = filling.lattice
        if self._stale or find_lattice(sampled, wanted, self._acceleration) != lattice:
            return False
        if (lattice.lines(sampled.shape) & sampled & ~self._announced).any():
            return False
        if self._window is None:
            return self._calibrated == self._calibration.lines
        window = central_window(calibration_region(sampled), self._brightest)
        return self._window == window and not self._calibration.lines


def _set_zero(data: Array, lines: np.ndarray) -> None:
    """Set lines (echo, kz, ky) bool of data (echo, coil, kz, ky, x) to zero."""
    if lines.any():
        where = array_module(data).asarray(np.stack(np.nonzero(lines)))
        data.transpose(0, 2, 3, 1, 4)[tuple(where)] = 0
