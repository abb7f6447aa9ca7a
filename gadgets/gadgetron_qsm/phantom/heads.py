"""The heads of all readouts: counters, flags, geometry, time stamps."""

from __future__ import annotations

import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_header_dtype
from numpy.typing import NDArray

from gadgetron_qsm.phantom.flags import bit, extra_flags, shot_flags
from gadgetron_qsm.phantom.pattern import encoded_lines, first_lines
from gadgetron_qsm.phantom.readout import ReadoutShape, readout_shape
from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.scan import READOUT_OVERSAMPLING, Scan
from gadgetron_qsm.phantom.shots import Course
from gadgetron_qsm.phantom.slices import slice_numbers, slice_positions

TICK_S = 0.0025  # of the time stamps, as on Siemens scanners
NOON_TICKS = round(12 * 3600 / TICK_S)
DIRECTIONS = ("read_dir", "phase_dir", "slice_dir")
MASK_BITS = 64  # of each word of the channel mask

Heads = NDArray[np.void]


def readout_heads(scan: Scan, grid: Grid, course: Course) -> Heads:
    """Heads (readout,) in the order of acquisition."""
    heads = np.zeros(course.readouts, acquisition_header_dtype)
    heads["version"] = 1
    heads["measurement_uid"] = 1
    heads["scan_counter"] = np.arange(len(heads))
    heads["number_of_samples"] = READOUT_OVERSAMPLING * grid.matrix[2]
    heads["available_channels"] = scan.coils + scan.extras.idle_channels
    heads["sample_time_us"] = scan.sample_time_us
    heads["position"] = scan.position_mm
    for name, direction in zip(DIRECTIONS, scan.directions, strict=True):
        heads[name] = direction
    _set_channels(heads[: course.noise], np.arange(scan.coils + scan.extras.idle_channels))
    _set_channels(heads[course.noise :], scan.channels)
    heads["flags"][: course.noise] = bit(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    for echo in range(len(scan.echo_times_s)):
        heads[course.rows + echo] = _echo_heads(heads[course.rows + echo], scan, grid, course, echo)
    _set_times(heads["acquisition_time_stamp"], scan, grid, course)
    _set_extras(heads, scan, course)
    return heads


def _set_times(stamps: NDArray[np.uint32], scan: Scan, grid: Grid, course: Course) -> None:
    """Time the readouts, one TR from shot to shot, or for all slices together."""
    shot_s = scan.tr_s / grid.matrix[0] if scan.slices else scan.tr_s
    started = np.arange(course.noise + len(course.shots)) * shot_s / TICK_S
    stamps[: course.noise] = NOON_TICKS + started[: course.noise]
    for echo, echo_time_s in enumerate(scan.echo_times_s):
        after = started[course.noise :] + echo_time_s / TICK_S
        stamps[course.rows + echo] = NOON_TICKS + after


def _set_channels(heads: Heads, channels: NDArray[np.intp]) -> None:
    heads["active_channels"] = len(channels)
    for channel in channels.tolist():
        heads["channel_mask"][:, channel // MASK_BITS] |= np.uint64(1 << channel % MASK_BITS)


def _echo_heads(heads: Heads, scan: Scan, grid: Grid, course: Course, echo: int) -> Heads:
    """Fill in the heads (shot,) of one echo."""
    shots, shape = course.shots, readout_shape(scan.readout, grid.matrix[2], echo)
    _set_shape(heads, shape)
    heads["idx"]["contrast"] = echo
    for name in ("average", "repetition"):
        heads["idx"][name] = shots[name]
    encoded = encoded_lines(scan.sampling, grid.matrix)
    first_z, first_y = first_lines(scan.sampling, encoded)
    heads["idx"]["kspace_encode_step_1"] = shots["line"] - first_y
    if scan.slices:
        heads["idx"]["slice"] = slice_numbers(scan.slices, grid.matrix[0])[shots["plane"]]
        heads["position"] = slice_positions(scan, grid.matrix[0])[shots["plane"]]
    else:
        heads["idx"]["kspace_encode_step_2"] = shots["plane"] - first_z
    heads["flags"] = shot_flags(scan, course.shots, echo)
    return heads


def _set_shape(heads: Heads, shape: ReadoutShape) -> None:
    heads["number_of_samples"] = shape.samples
    heads["center_sample"] = shape.center
    heads["discard_pre"], heads["discard_post"] = shape.discard


def _set_extras(heads: Heads, scan: Scan, course: Course) -> None:
    """Give lines of other kinds the head of the image line that follows, but for the flags."""
    heads[course.extra_rows] = heads[course.rows[course.extra_shots]]
    heads["scan_counter"][course.extra_rows] = course.extra_rows
    heads["flags"][course.extra_rows] = extra_flags(scan.extras.kinds, len(course.extra_rows))
