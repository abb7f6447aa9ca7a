"""What a replay leaves of a scan whose patient is not to be known."""

from __future__ import annotations

import re

import pytest

from gadgetron_qsm.replay import replay
from tests.report.conftest import PRIVATE, SECRETS, USER
from tests.sphere_scan import header_text, scan, write_raw

QUICK = {
    "inversion.iterations": "2",
    "deliver.maps": "chi",
    "deliver.measurements": "true",
    "measure.sources": "true",
    "measure.noise_samples": "0",
}
SECRET = {"identity.deidentify": "true", "identity.key": "a secret of this site alone"}
TIME_STAMP = 40520005  # it is one of SECRETS


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    path = tmp_path_factory.mktemp("raw") / "scan.h5"
    text = header_text().replace("<experimentalConditions>", f"{PRIVATE}<experimentalConditions>")
    text = text.replace("</ismrmrdHeader>", f"{USER}</ismrmrdHeader>")
    readouts = list(scan())
    for readout in readouts:
        readout.head["acquisition_time_stamp"] = TIME_STAMP
    write_raw(path, readouts, text)
    return path


def told(folder):
    """Names of the files that tell a secret; UIDs made of hashes hold any four digits."""
    found = set()
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = re.sub(rb"2\.25\.\d+", b"", path.read_bytes()) + str(path).encode()
        if any(secret.encode() in content for secret in SECRETS):
            found.add(path.name if path.suffix != ".dcm" else "dicom")
    return found


def readable_by_all(folder):
    return [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o007]


def test_no_file_of_a_deidentified_replay_tells_the_patient(raw, tmp_path, caplog):
    caplog.set_level("DEBUG")
    replay(raw, tmp_path / "plain", overrides=QUICK)
    assert told(tmp_path / "plain") == {"dicom", "images.h5", "measurement.json"}  # when it was
    assert {path.name for path in readable_by_all(tmp_path)} == set()
    replay(raw, tmp_path / "private", overrides=QUICK | SECRET)
    assert told(tmp_path / "private") == set()
    assert not [secret for secret in SECRETS if secret in caplog.text]
