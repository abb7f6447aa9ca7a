"""What there is once a dataset, and what others have written there."""

from __future__ import annotations

import json
import shutil

import pytest

from gadgetron_qsm.bids.dataset import DESCRIPTION, require_dataset, write_dataset
from gadgetron_qsm.bids.place import DERIVATIVES
from gadgetron_qsm.errors import QsmError
from tests.bids_scan import EVERY

# What BIDS recommends and neither raw data nor this program know.
UNKNOWN = {
    "DeviceSerialNumber", "StationName", "SoftwareVersions", "ReceiveCoilName", "MatrixCoilMode",
    "SequenceVariant", "DwellTime", "InstitutionName", "InstitutionAddress",
    "InstitutionalDepartmentName", "HEDVersion", "License", "SourceDatasets", "Authors",
    "/dataset_description.json", "CoilCombinationMethod", "NonlinearGradientCorrection",
}  # fmt: skip
ANOTHER = {"Name": "Theirs", "BIDSVersion": "1.8.0", "License": "CC0"}


def test_a_dataset_of_all_kinds_of_scans_validates(written, issues):
    root = written("sub-01", maps=",".join(EVERY))
    written("sub-01_acq-fast_run-2", root=root)
    written("sub-02_ses-a", root=root, repetitions=2)
    written("sub-02_ses-b", root=root, echoes=1, maps="swi,chi_positive")
    write_dataset(root)
    found = issues(root)
    assert "error" not in found.values(), found
    assert {what for _, what in found} <= UNKNOWN


def test_what_is_wrong_is_an_error_of_the_validator(written, issues):
    root = written()
    write_dataset(root)
    shutil.copy(root / "README.md", root / "sub-01" / "anat" / "sub-01_chi.nii.gz")
    assert "error" in issues(root).values()


def test_subjects_are_the_participants_and_stay_so(written):
    root = written("sub-02")
    write_dataset(root)
    assert (root / "participants.tsv").read_text() == "participant_id\nsub-02\n"
    written("sub-01_ses-1", root=root)
    write_dataset(root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert (root / "participants.tsv").read_text() == "participant_id\nsub-02\nsub-01\n"
    assert set(json.loads((root / "participants.json").read_bytes())) == {"participant_id"}
    write_dataset(root)
    assert {path: path.read_bytes() for path in before} == before


def test_what_others_wrote_stays(written):
    root = written("sub-03")
    (root / DESCRIPTION).write_text(json.dumps(ANOTHER))
    (root / "README").write_text("theirs")
    (root / "participants.tsv").write_text("age\tparticipant_id\tsex\n31\tsub-01\tF\n")
    (root / "participants.json").write_text("{}")
    (root / "sub-list.txt").write_text("theirs")
    write_dataset(root)
    assert (root / "participants.json").read_text() == "{}"
    assert json.loads((root / DESCRIPTION).read_bytes()) == ANOTHER
    assert [path.name for path in root.glob("README*")] == ["README"]
    expected = "age\tparticipant_id\tsex\n31\tsub-01\tF\nn/a\tsub-03\tn/a\n"
    assert (root / "participants.tsv").read_text() == expected
    derived = json.loads((root / DERIVATIVES / DESCRIPTION).read_bytes())
    assert derived["DatasetType"] == "derivative"
    assert derived["GeneratedBy"][0]["Name"] == "gadgetron-qsm"
    assert derived["DatasetLinks"] == {"raw": "../../"}


def test_a_table_that_needs_no_row_is_left_alone(written):
    root, table = written(), b"participant_id\r\nsub-01\r\n"
    (root / "participants.tsv").write_bytes(table)
    write_dataset(root)
    assert (root / "participants.tsv").read_bytes() == table


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"notes.txt": "x"}, "it is no BIDS dataset; name another folder"),
        ({DESCRIPTION: '{"DatasetType": "derivative"}'}, "but not of raw data"),
        ({DESCRIPTION: "{"}, "cannot read"),
        ({DESCRIPTION: "[]"}, "is no description of a BIDS dataset"),
    ],
)
def test_a_folder_that_is_no_dataset_of_scans_is_refused(tmp_path, files, reason):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(QsmError, match=reason):
        write_dataset(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(files)


def test_a_folder_that_is_absent_empty_or_begun_is_taken(written, tmp_path):
    require_dataset(tmp_path / "absent")
    (tmp_path / "empty" / ".git").mkdir(parents=True)
    require_dataset(tmp_path / "empty")
    (tmp_path / "beginning" / "derivatives").mkdir(parents=True)
    require_dataset(tmp_path / "beginning")
    require_dataset(written())


def test_a_table_of_participants_without_their_ids_is_refused(written):
    root = written()
    (root / "participants.tsv").write_text("age\n31\n")
    with pytest.raises(QsmError, match="has no column participant_id"):
        write_dataset(root)
