from __future__ import annotations

from typing import Any

import numpy as np

from gadgetron_qsm.mrd.header import fingerprint
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER

SAMPLES = np.arange(6, dtype=np.complex64).reshape(2, 3)


def told(uid: int, stamp: int, data: np.ndarray) -> dict[str, Any]:
    head = np.zeros((), ACQUISITION_HEADER)
    head["measurement_uid"], head["acquisition_time_stamp"] = uid, stamp
    return fingerprint(head, "readouts", data)


def test_scans_whose_converter_left_number_and_time_out_differ_by_their_samples():
    assert told(0, 0, SAMPLES) != told(0, 0, SAMPLES + 1)
    assert told(0, 0, SAMPLES) == told(0, 0, SAMPLES.copy())


def test_a_number_or_a_time_tells_a_scan_without_its_samples():
    assert told(7, 0, SAMPLES) == told(7, 0, SAMPLES + 1)
    assert told(0, 7, SAMPLES) == told(0, 7, SAMPLES + 1)
    assert told(7, 0, SAMPLES) != told(8, 0, SAMPLES)
