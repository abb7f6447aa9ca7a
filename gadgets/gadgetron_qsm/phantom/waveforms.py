"""Physiological waveforms beside the readouts: an ECG and a breathing belt, as a monitor sends."""

from __future__ import annotations

import math

import h5py
import numpy as np
from ismrmrd.hdf5 import waveform_dtype
from numpy.typing import NDArray

from gadgetron_qsm.phantom.heads import TICK_S

SAMPLE_TIME_US = 2500.0
SAMPLES = 400  # of a waveform: a second
MIDDLE, SIZE = 2048, 1000  # of the samples, which have no sign
KINDS = ((0, 2, 1.1), (2, 1, 0.25))  # waveform_id by ISMRMRD, channels, rate in Hz


def write_waveforms(group: h5py.Group, heads: NDArray[np.void]) -> None:
    """Write one waveform of each kind for every second from the first to the last readout."""
    ticks = heads["acquisition_time_stamp"]
    seconds = math.ceil((int(ticks[-1]) - int(ticks[0])) * TICK_S) + 1
    records = np.empty(seconds * len(KINDS), waveform_dtype)
    for number, record in enumerate(records):
        second, kind = divmod(number, len(KINDS))
        _fill(record, second, int(ticks[0]) + round(second / TICK_S), *KINDS[kind])
    group.create_dataset("waveforms", data=records, maxshape=(None,))


def _fill(record: np.void, second: int, tick: int, kind: int, channels: int, hertz: float) -> None:
    head = record["head"]
    head["version"], head["measurement_uid"], head["scan_counter"] = 1, 1, 0
    head["flags"], head["time_stamp"] = 0, tick
    head["number_of_samples"], head["channels"] = SAMPLES, channels
    head["sample_time_us"], head["waveform_id"] = SAMPLE_TIME_US, kind
    times_s = second + np.arange(SAMPLES) * SAMPLE_TIME_US * 1e-6
    wave = MIDDLE + SIZE * np.sin(2 * math.pi * hertz * times_s)
    record["data"] = np.tile(wave.astype(np.uint32), channels)
