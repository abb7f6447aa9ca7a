import json
import shutil
from datetime import datetime

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.folder import SCHEMA, read_visit, write_visit
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.nifti import write_volume

TURN = np.deg2rad(20)
GRID = Geometry(
    (3, 4, 5),
    (2.0, 1.0, 0.5),
    (10.0, -20.0, 30.0),
    (np.cos(TURN), np.sin(TURN), 0),
    (np.sin(TURN), -np.cos(TURN), 0),
    (0, 0, -1),
)
LABELS = LabelMap(
    np.arange(60).reshape(3, 4, 5) % 3,
    (Structure(1, "putamen", "left"), Structure(2, "brain stem")),
)
ABOUT = {
    "use": "Research use",
    "patient": "a1",
    "acquired": "2024-03-01T10:30:00",
    "scan": {"field_strength_t": 3.0},
    "methods": {"inversion": {"method": "tv"}},
    "reference": {"region": "whole brain"},
}


def scan(noise=True):
    rng = np.random.default_rng(1)
    chi, magnitude = rng.standard_normal((2, *GRID.matrix)).astype(np.float32)
    return Scan(chi, magnitude, chi > 0, GRID, np.abs(chi) if noise else None)


@pytest.fixture
def folder(tmp_path):
    write_visit(tmp_path / "visit 1", scan(), LABELS, ABOUT)
    return tmp_path / "visit 1"


def test_a_visit_comes_back_as_it_was_written(folder):
    visit, given = read_visit(folder), scan()
    for name in ("chi", "magnitude", "mask", "noise"):
        np.testing.assert_array_equal(getattr(visit.scan, name), getattr(given, name))
    assert visit.scan.mask.dtype == bool
    np.testing.assert_allclose(visit.scan.geometry.affine, GRID.affine, atol=1e-4)
    np.testing.assert_array_equal(visit.labels.values, LABELS.values)
    assert visit.labels.structures == LABELS.structures
    assert visit.about == {"schema": SCHEMA, **ABOUT}
    assert (visit.name, visit.patient) == ("visit 1", "a1")


def test_what_is_not_known_is_none(tmp_path):
    write_visit(tmp_path, scan(noise=False), None, {**ABOUT, "patient": None, "acquired": None})
    visit = read_visit(tmp_path)
    assert visit.scan.noise is None
    assert visit.labels is None
    assert visit.patient is None
    assert visit.acquired is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-01T10:30:00", datetime(2024, 3, 1, 10, 30)),
        ("2024-03-01T10:30:00Z", datetime(2024, 3, 1, 10, 30)),
        ("2024-03-01T10:30:00+02:00", datetime(2024, 3, 1, 8, 30)),
    ],
)
def test_times_with_and_without_a_zone_can_be_put_in_order(tmp_path, text, expected):
    write_visit(tmp_path, scan(), None, {**ABOUT, "acquired": text})
    assert read_visit(tmp_path).acquired == expected


def test_writing_again_leaves_nothing_of_the_visit_before_but_what_is_not_ours(folder):
    (folder / "regions.csv").write_text("structure")
    write_visit(folder, scan(noise=False), None, ABOUT)
    visit = read_visit(folder)
    assert visit.labels is None
    assert visit.scan.noise is None
    assert (folder / "regions.csv").exists()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_folder_whose_writing_was_cut_short_is_none_of_a_visit(folder, monkeypatch):
    monkeypatch.setattr("gadgetron_qsm.measure.folder.write_names", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_visit(folder, scan(), LABELS, ABOUT)
    with pytest.raises(QsmError, match=r"has no measurement\.json"):
        read_visit(folder)


def test_others_may_not_read_what_is_of_a_patient(folder):
    assert not any(path.stat().st_mode & 0o007 for path in folder.iterdir())


def rewrite(change):
    def damage(folder):
        path = folder / "measurement.json"
        about = json.loads(path.read_text())
        change(about)
        path.write_text(json.dumps(about))

    return damage


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "chi.nii.gz").unlink(), r"no .*chi\.nii\.gz"),
        (lambda f: (f / "mask.nii.gz").unlink(), r"no .*mask\.nii\.gz"),
        (lambda f: (f / "chi.nii.gz").write_bytes(b"\x1f\x8b"), r"cannot read .*chi\.nii\.gz"),
        (lambda f: (f / "measurement.json").unlink(), r"no measurement\.json"),
        (lambda f: (f / "measurement.json").write_text("{"), r"cannot read .*measurement\.json"),
        (lambda f: (f / "measurement.json").write_text("[]"), "schema is None"),
        (lambda f: (f / "labels.json").unlink(), r"cannot read .*labels\.json"),
        (lambda f: (f / "labels.json").write_text("[1]"), r"cannot read .*labels\.json"),
        (rewrite(lambda a: a["schema"].update(version=2)), "schema.*measure the scan again"),
        (rewrite(lambda a: a.pop("methods")), "no section 'methods'"),
        (rewrite(lambda a: a.update(patient=7)), "'patient' is no text"),
        (rewrite(lambda a: a.update(acquired="yesterday")), "'acquired' is no date"),
        (
            lambda f: write_volume(
                f / "noise.nii.gz",
                np.zeros(GRID.matrix, np.float32),
                Geometry(**{**vars(GRID), "position": (10.0, -20.0, 30.1)}),
            ),
            r"noise\.nii\.gz is on another grid",
        ),
    ],
)
def test_what_is_missing_or_damaged_is_said_in_a_line(folder, damage, told):
    damage(folder)
    with pytest.raises(QsmError, match=told) as caught:
        read_visit(folder)
    assert "\n" not in str(caught.value)


def test_a_replay_is_a_visit_by_its_own_name(folder, tmp_path):
    replayed = tmp_path / "before treatment"
    shutil.copytree(folder, replayed / "measurement")
    for named in (replayed, replayed / "measurement"):
        visit = read_visit(named)
        assert visit.name == "before treatment"
        assert visit.folder == replayed / "measurement"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(QsmError, match="there is no folder"):
        read_visit(tmp_path / "none")


def test_labels_on_another_grid_are_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="labels are"):
        write_visit(tmp_path, scan(), LabelMap(np.zeros((2, 2, 2), int), ()), ABOUT)
