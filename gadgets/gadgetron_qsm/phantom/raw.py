"""The ISMRMRD file, written in blocks."""

from __future__ import annotations

import h5py
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype
from numpy.typing import NDArray

from gadgetron_qsm.phantom.header import header_xml
from gadgetron_qsm.phantom.heads import readout_heads
from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.scan import Scan
from gadgetron_qsm.phantom.shots import plan_course
from gadgetron_qsm.phantom.waveforms import write_waveforms

GROUP = "dataset"
CHUNK = 256  # readouts


class RawFile:
    """An ISMRMRD file under way: made with all heads, filled echo by echo."""

    def __init__(self, file: h5py.File, scan: Scan, grid: Grid) -> None:
        self.course = plan_course(scan, grid)
        self._heads = readout_heads(scan, grid, self.course)
        group = file.create_group(GROUP)
        group.create_dataset("xml", (1,), dtype=h5py.special_dtype(vlen=bytes))
        group["xml"][0] = header_xml(scan, grid).encode()
        self._rows = group.create_dataset(
            "data", self._heads.shape, acquisition_dtype, chunks=(CHUNK,), maxshape=(None,)
        )
        if scan.extras.waveforms:
            write_waveforms(group, self._heads)

    def write(self, rows: NDArray[np.intp], lines: NDArray[np.complex64]) -> None:
        """Write lines (channel, readout, sample) to ascending rows (readout,)."""
        records = np.empty(len(rows), acquisition_dtype)
        records["head"] = self._heads[rows]
        for record, samples in enumerate(np.ascontiguousarray(lines.swapaxes(0, 1))):
            records["data"][record] = samples.view(np.float32).ravel()
            records["traj"][record] = records["data"][record][:0]
        # h5py is fast where rows are evenly spaced
        steps = np.diff(rows)
        step = int(steps.min(initial=len(self._heads)))
        for part in np.split(np.arange(len(rows)), np.flatnonzero(steps != step) + 1):
            if len(part):
                self._rows[rows[part[0]] : rows[part[-1]] + 1 : step] = records[part]
