"""A scan of Siemens' own format is replayed as any other, and it is what counts as the input."""

from __future__ import annotations

from gadgetron_qsm.cohort.finished import Input, settings_hash
from gadgetron_qsm.cohort.task import Task, perform

QUICK = {"preset": "fast", "inversion.iterations": "2", "deliver.maps": "chi"}


def test_a_file_of_siemens_is_converted_and_replayed(raw, dat, tmp_path):
    hashed = settings_hash("qsm", QUICK)
    done = perform(Task("meas", dat, tmp_path / "out", hashed, overrides=QUICK))
    plain = perform(Task("scan", raw, tmp_path / "plain", hashed, overrides=QUICK))
    assert done.maps == plain.maps
    assert done.input == Input.of(dat)
