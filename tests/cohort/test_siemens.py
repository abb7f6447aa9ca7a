"""A scan of Siemens' own format is replayed as any other, and it is what counts as the input."""

from __future__ import annotations

import sys

from gadgetron_qsm.cohort.finished import Input, settings_hash
from gadgetron_qsm.cohort.task import Task, perform

QUICK = {"preset": "fast", "inversion.iterations": "2", "deliver.maps": "chi"}


def test_a_file_of_siemens_is_converted_and_replayed(raw, tmp_path, monkeypatch):
    program = tmp_path / "siemens_to_ismrmrd"
    copies = f"if '-o' in sys.argv: shutil.copy({str(raw)!r}, sys.argv[-1])"
    program.write_text(f"#!{sys.executable}\nimport shutil, sys\n{copies}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    dat = tmp_path / "meas.dat"
    dat.write_bytes(bytes(4) + b"\x02" + bytes(1000))
    hashed = settings_hash("qsm", QUICK)
    done = perform(Task("meas", dat, tmp_path / "out", hashed, overrides=QUICK))
    plain = perform(Task("scan", raw, tmp_path / "plain", hashed, overrides=QUICK))
    assert done.maps == plain.maps
    assert done.input == Input.of(dat)
