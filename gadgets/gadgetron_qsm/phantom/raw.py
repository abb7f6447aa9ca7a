"""The ISMRMRD file: heads of all readouts, written in blocks."""

from __future__ import annotations

import h5py
import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype, acquisition_header_dtype
from numpy.typing import NDArray

from gadgetron_qsm.phantom.header import header_xml
from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.scan import READOUT_OVERSAMPLING, Scan

GROUP = "dataset"
CHUNK = 256  # readouts
TICK_S = 0.0025  # of the time stamps, as on Siemens scanners
NOON_TICKS = round(12 * 3600 / TICK_S)


def readout_heads(scan: Scan, grid: Grid) -> NDArray[np.void]:
    """Heads (readout,) in the order of acquisition: noise, then partition, phase, echo."""
    nz, ny, nx = grid.matrix
    echoes, noise = len(scan.echo_times_s), noise_lines(scan)
    heads = np.zeros(noise + nz * ny * echoes, acquisition_header_dtype)
    heads["version"] = 1
    heads["measurement_uid"] = 1
    heads["scan_counter"] = np.arange(len(heads))
    heads["number_of_samples"] = READOUT_OVERSAMPLING * nx
    heads["available_channels"] = heads["active_channels"] = scan.coils
    heads["channel_mask"][:, 0] = 2**scan.coils - 1
    heads["sample_time_us"] = scan.sample_time_us
    heads["position"] = scan.position_mm
    for name, direction in zip(
        ("read_dir", "phase_dir", "slice_dir"), scan.directions, strict=True
    ):
        heads[name] = direction
    lines = heads[noise:]
    lines["center_sample"] = READOUT_OVERSAMPLING * nx // 2
    counters = np.unravel_index(np.arange(len(lines)), (nz, ny, echoes))
    names = ("kspace_encode_step_2", "kspace_encode_step_1", "contrast")
    for name, counter in zip(names, counters, strict=True):
        lines["idx"][name] = counter
    started = np.arange(noise + nz * ny) * scan.tr_s / TICK_S
    heads["acquisition_time_stamp"][:noise] = NOON_TICKS + started[:noise]
    after_pulse = np.array(scan.echo_times_s) / TICK_S
    lines["acquisition_time_stamp"] = (
        NOON_TICKS + np.add.outer(started[noise:], after_pulse).ravel()
    )
    _flag_lines(lines, ny)
    _flag(heads, slice(noise), ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    return heads


def noise_lines(scan: Scan) -> int:
    """Number of noise readouts; a scan without noise has none."""
    return scan.noise_lines if np.isfinite(scan.snr) else 0


def _flag_lines(lines: NDArray[np.void], ny: int) -> None:
    step = lines["idx"]["kspace_encode_step_1"]
    _flag(lines, step == 0, ismrmrd.ACQ_FIRST_IN_ENCODE_STEP1)
    _flag(lines, step == ny - 1, ismrmrd.ACQ_LAST_IN_ENCODE_STEP1)
    for flag in (ismrmrd.ACQ_FIRST_IN_SLICE, ismrmrd.ACQ_FIRST_IN_REPETITION):
        _flag(lines, slice(1), flag)
    for flag in (
        ismrmrd.ACQ_LAST_IN_SLICE,
        ismrmrd.ACQ_LAST_IN_REPETITION,
        ismrmrd.ACQ_LAST_IN_MEASUREMENT,
    ):
        _flag(lines, slice(-1, None), flag)


def _flag(heads: NDArray[np.void], where: slice | NDArray[np.bool_], flag: int) -> None:
    heads["flags"][where] |= np.uint64(1 << flag - 1)  # flags count from 1


class RawFile:
    """An ISMRMRD file under way: made with all heads, filled echo by echo."""

    def __init__(self, file: h5py.File, scan: Scan, grid: Grid) -> None:
        self._scan, self._grid = scan, grid
        self._heads = readout_heads(scan, grid)
        group = file.create_group(GROUP)
        group.create_dataset("xml", (1,), dtype=h5py.special_dtype(vlen=bytes))
        group["xml"][0] = header_xml(scan, grid).encode()
        self._rows = group.create_dataset(
            "data", self._heads.shape, acquisition_dtype, chunks=(CHUNK,), maxshape=(None,)
        )

    def write_noise(self, readouts: NDArray[np.complex64]) -> None:
        """Write noise readouts (coil, readout, sample)."""
        self._write(slice(0, readouts.shape[1]), readouts)

    def write_partition(self, echo: int, partition: int, lines: NDArray[np.complex64]) -> None:
        """Write the lines (coil, y, sample) of one echo and partition."""
        echoes, ny = len(self._scan.echo_times_s), self._grid.matrix[1]
        first = noise_lines(self._scan) + partition * ny * echoes + echo
        self._write(slice(first, first + (ny - 1) * echoes + 1, echoes), lines)

    def _write(self, where: slice, lines: NDArray[np.complex64]) -> None:
        rows = np.empty(lines.shape[1], acquisition_dtype)
        rows["head"] = self._heads[where]
        for row, samples in enumerate(np.ascontiguousarray(lines.swapaxes(0, 1))):
            rows["data"][row] = samples.view(np.float32).ravel()
            rows["traj"][row] = rows["data"][row][:0]
        if len(rows):
            self._rows[where] = rows
