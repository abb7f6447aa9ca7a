"""Readouts of version 1 in version 2 of MRD; where its package is not, tests are skipped."""

from __future__ import annotations

import pytest

from tests.missing import IN_CI

if IN_CI:
    import mrd
else:
    mrd = pytest.importorskip("mrd")

NUMBERS = (
    "measurement_uid", "scan_counter", "acquisition_time_stamp", "discard_pre", "discard_post",
    "center_sample", "encoding_space_ref",
)  # fmt: skip
VECTORS = "position", "read_dir", "phase_dir", "slice_dir", "patient_table_position"
LISTS = "physiology_time_stamp", "user_int", "user_float"


def of_version_2(readout):
    """A readout of version 1 as the package's own converter has it."""
    head = readout.head
    counters = {name: int(head["idx"][name]) for name in head["idx"].dtype.names if name != "user"}
    mask = head["channel_mask"].tolist()
    return mrd.Acquisition(
        head=mrd.AcquisitionHeader(
            flags=mrd.AcquisitionFlags(int(head["flags"])),
            idx=mrd.EncodingCounters(**counters, user=head["idx"]["user"].tolist()),
            channel_order=[n for n in range(1024) if mask[n // 64] >> n % 64 & 1],
            **{name: int(head[name]) for name in NUMBERS},
            **{name: head[name] for name in VECTORS},
            **{name: head[name].tolist() for name in LISTS},
            sample_time_us=float(head["sample_time_us"]),
        ),
        data=readout.data,
        trajectory=None if readout.trajectory is None else readout.trajectory.T.copy(),
    )
