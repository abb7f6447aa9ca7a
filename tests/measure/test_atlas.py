import json
import logging

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.atlas import read_atlas, read_label_map
from gadgetron_qsm.measure.label_files import write_labels
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.nifti import write_volume
from tests.measure.head import grid, points, signal

GRID = grid((5.0,) * 3)
NAMES = {"0": "Unknown", "3": "L Putamen", "4": "R Putamen", "7": "Third ventricle"}


def labels_on(geometry):
    x, y, z = np.moveaxis(points(geometry), -1, 0)
    labels = np.zeros(geometry.matrix, np.uint8)
    labels[(abs(x - 25) < 8) & (abs(y) < 15) & (abs(z) < 10)] = 3  # LPS: the left is at +x
    labels[(abs(x + 25) < 8) & (abs(y) < 15) & (abs(z) < 10)] = 4
    labels[(abs(x) < 4) & (abs(y) < 15) & (abs(z) < 10)] = 7
    return labels


@pytest.fixture
def folder(tmp_path):
    """An atlas: a template, and labels with their names on a smaller grid."""
    write_volume(tmp_path / "template.nii.gz", signal(GRID), GRID)
    small = grid((4.0,) * 3, fov=(40, 60, 80))
    write_volume(tmp_path / "nuclei.nii.gz", labels_on(small), small)
    (tmp_path / "nuclei.json").write_text(json.dumps(NAMES))
    return tmp_path


def test_an_atlas_is_its_template_and_its_named_labels(folder):
    atlas = read_atlas(folder)
    np.testing.assert_array_equal(atlas.template, signal(GRID))
    assert atlas.geometry.matrix == GRID.matrix
    assert atlas.labels_geometry.matrix == (10, 15, 20)
    assert atlas.labels.structures == (
        Structure(3, "putamen", "left"),
        Structure(4, "putamen", "right"),
        Structure(7, "third ventricle"),
    )
    np.testing.assert_array_equal(atlas.labels.values, labels_on(atlas.labels_geometry))


def test_the_atlas_of_the_field_is_read(shared_data):
    atlas = read_atlas(shared_data / "atlas")
    assert len(atlas.labels.structures) == 32
    labels = {structure.label for structure in atlas.labels.structures}
    assert {"left caudate nucleus", "right globus pallidus externus", "left putamen"} <= labels
    assert len(list(atlas.labels.pairs())) == 16


def test_what_describes_the_template_are_no_names(folder):
    (folder / "template.json").write_text('{"EchoTime": 0.01}')
    (folder / "readme.txt").touch()
    assert read_atlas(folder).template.shape == GRID.matrix


def spoil_names(folder):
    (folder / "nuclei.json").unlink()


def spoil_template(folder):
    (folder / "template.nii.gz").unlink()


def add_template(folder):
    write_volume(folder / "t2.nii", signal(GRID), GRID)


def add_labels(folder):
    write_volume(folder / "more.nii", labels_on(GRID), GRID)
    (folder / "more.csv").write_text("value,name\n3,left putamen\n")


def empty(folder):
    for path in folder.iterdir():
        path.unlink()


def blank_template(folder):
    write_volume(folder / "template.nii.gz", np.zeros(GRID.matrix, np.uint8), GRID)


def move_template(folder):
    away = grid((5.0,) * 3, position=(90, 0, 0))
    write_volume(folder / "template.nii.gz", signal(GRID), away)


def swap_sides(folder):
    (folder / "nuclei.json").write_text(json.dumps({"3": "R Putamen", "4": "L Putamen"}))


def other_names(folder):
    (folder / "nuclei.json").write_text(json.dumps({"30": "R Putamen"}))


def fractions(folder):
    write_volume(folder / "nuclei.nii.gz", signal(GRID) / 3, GRID)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoil_names, "no names of its structures"),
        (spoil_template, "images without names, but has none"),
        (add_template, r"images without names, but has t2\.nii, template\.nii\.gz"),
        (add_labels, r"images with names, but has more\.nii, nuclei\.nii\.gz"),
        (empty, "no NIfTI image"),
        (blank_template, "is empty"),
        (move_template, "lie outside"),
        (swap_sides, "left putamen on the patient's right"),
        (other_names, "no number that is named"),
        (fractions, "not whole"),
    ],
)
def test_a_folder_that_is_no_atlas_is_refused_in_a_line(folder, spoil, told):
    spoil(folder)
    with pytest.raises(QsmError, match=told):
        read_atlas(folder)


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(QsmError, match="no atlas folder"):
        read_atlas(tmp_path / "none")


def test_what_has_no_name_or_no_voxel_is_left_out_and_told(folder, caplog):
    (folder / "nuclei.json").write_text(json.dumps({"3": "L Putamen", "9": "Claustrum"}))
    with caplog.at_level(logging.WARNING):
        labels = read_atlas(folder).labels
    assert [s.value for s in labels.structures] == [3]
    assert set(np.unique(labels.values)) == {0, 3}
    assert "without a name are left out: 4, 7" in caplog.text
    assert "without a voxel are left out: claustrum" in caplog.text


def test_a_label_map_of_the_scan_is_read_and_written(tmp_path):
    structures = (Structure(3, "putamen", "left"), Structure(4, "putamen", "right"))
    values = np.where(labels_on(GRID) < 5, labels_on(GRID), 0)
    write_labels(tmp_path / "labels.nii.gz", LabelMap(values, structures), GRID)
    labels = read_label_map(tmp_path / "labels.nii.gz", GRID)
    assert labels.structures == structures
    np.testing.assert_array_equal(labels.values, values)


def test_a_label_map_on_another_grid_or_without_names_is_refused(tmp_path):
    write_volume(tmp_path / "labels.nii.gz", labels_on(GRID), GRID)
    with pytest.raises(QsmError, match=r"no names: put them beside it as labels\.json"):
        read_label_map(tmp_path / "labels.nii.gz", GRID)
    (tmp_path / "labels.json").write_text(json.dumps(NAMES))
    with pytest.raises(QsmError, match="another grid: its voxels 5 x 5 x 5 mm"):
        read_label_map(tmp_path / "labels.nii.gz", grid((4.0,) * 3))
