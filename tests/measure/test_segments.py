import highdicom
import numpy as np
import pydicom
import pytest

from gadgetron_qsm.dicom import companions
from gadgetron_qsm.dicom.regions import coded_region
from gadgetron_qsm.dicom.segmentation import segmentation, slice_indices
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.atlas import read_label_map
from gadgetron_qsm.measure.labels import Structure
from gadgetron_qsm.mrd.header import Header
from tests.dicom.conftest import BARE, IDENTITY
from tests.dicom.region_scene import DIRECTIONS, chi_of, images_of, slab
from tests.measure.head import grid

LEFT, RIGHT = Structure(1, "putamen", "left"), Structure(2, "putamen", "right")
HEADER = Header.parse(
    BARE.format(
        identity=IDENTITY.format(name="Doe^Jane", number=5), limits="", train="", sequence=""
    )
)


def masks_on(geometry):
    """Two bodies, lopsided, the left one at greater x of the patient."""
    left, right = np.zeros((2, *geometry.matrix), bool)
    left[1:3, 2, 4:] = left[2, 3:6, 5] = True
    right[3, 1:4, :2] = True
    return (right, left) if geometry.read_dir[0] < 0 else (left, right)


@pytest.fixture
def written(tmp_path):
    """Return a function that writes masks as a segmentation on a grid."""

    def write(geometry, masks, names=("putamen", "putamen"), sides=("left", "right"), change=None):
        chi = chi_of(geometry)
        images = images_of(chi, HEADER, tmp_path / "chi")
        regions = [coded_region(n, m, s) for n, m, s in zip(names, masks, sides, strict=True)]
        dataset = segmentation(chi, regions, images, HEADER)
        if change:
            change(dataset)
        path = tmp_path / "labels.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=list(DIRECTIONS))
def test_segments_come_back_on_the_voxels_of_the_scan_with_their_sides(directions, written):
    geometry = slab(directions)
    masks = masks_on(geometry)
    labels = read_label_map(written(geometry, masks), geometry)
    assert labels.structures == (LEFT, RIGHT)
    np.testing.assert_array_equal(labels.mask(LEFT), masks[0])
    np.testing.assert_array_equal(labels.mask(RIGHT), masks[1])


def test_the_whole_brain_of_our_own_segmentations_is_passed_over(written):
    geometry = slab()
    left, right = masks_on(geometry)
    names, sides = ("whole brain", "putamen", "putamen"), (None, "left", "right")
    path = written(geometry, (np.ones_like(left), left, right), names, sides)
    labels = read_label_map(path, geometry)
    assert [structure.label for structure in labels.structures] == ["left putamen", "right putamen"]
    for structure, mask in zip(labels.structures, (left, right), strict=True):
        np.testing.assert_array_equal(labels.mask(structure), mask)


def test_a_folder_is_told_from_a_segmentation(tmp_path):
    with pytest.raises(QsmError, match="is a folder; name the file of the segmentation in it"):
        read_label_map(tmp_path, slab())


def test_the_code_tells_the_side_where_the_label_does_not(written):
    def rename(dataset):
        for segment in dataset.SegmentSequence:
            segment.SegmentLabel = "Putamen"

    geometry = slab()
    labels = read_label_map(written(geometry, masks_on(geometry), change=rename), geometry)
    assert labels.structures == (LEFT, RIGHT)


@pytest.mark.parametrize("kind", ["LABELMAP", "FRACTIONAL"])
def test_label_map_and_fractional_objects_are_read_alike(kind, written, tmp_path):
    geometry = slab()
    left, right = masks_on(geometry)
    described = pydicom.dcmread(written(geometry, (left, right))).SegmentSequence
    images = images_of(chi_of(geometry), HEADER, tmp_path / "sources")
    pixels = left + 2 * right.astype(np.uint8)
    if kind == "FRACTIONAL":
        pixels = np.stack([0.2 + 0.6 * left, 0.1 + 0.7 * right], axis=-1)
    order = slice_indices(geometry, images)
    made = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=pixels[order],
        segmentation_type=kind,
        segment_descriptions=[highdicom.seg.SegmentDescription.from_dataset(d) for d in described],
        series_number=9,
        device_serial_number="1",
        **companions.made_here("1.2.3"),
    )
    made.save_as(tmp_path / "other.dcm", enforce_file_format=True)
    labels = read_label_map(tmp_path / "other.dcm", geometry)
    assert labels.structures == (LEFT, RIGHT)
    np.testing.assert_array_equal(labels.mask(LEFT), left)
    np.testing.assert_array_equal(labels.mask(RIGHT), right)


def test_a_label_and_a_code_that_disagree_are_refused(written):
    def swap(dataset):
        dataset.SegmentSequence[0].SegmentLabel = "right putamen"

    geometry = slab()
    with pytest.raises(QsmError, match=r"'right putamen' of .* is left by its code"):
        read_label_map(written(geometry, masks_on(geometry), change=swap), geometry)


def test_segments_that_overlap_are_refused(written):
    geometry = slab()
    left, right = masks_on(geometry)
    with pytest.raises(QsmError, match=r"segments 1 and 2 of .* overlap"):
        read_label_map(written(geometry, (left | right, right)), geometry)


def test_sides_the_wrong_way_round_are_refused(written):
    geometry = slab()
    with pytest.raises(QsmError, match="on the patient's right"):
        read_label_map(written(geometry, masks_on(geometry)[::-1]), geometry)


@pytest.mark.parametrize(
    ("scan", "told"),
    [
        (grid((2.5, 1.25, 2.0), fov=(12.5, 8.75, 12)), "its voxels 2.5 x 1.25 x 1.5 mm"),
        (grid((2.5, 1.25, 1.5), fov=(12.5, 8.75, 9)), "lies elsewhere"),
    ],
)
def test_segments_of_another_grid_are_refused(written, scan, told):
    geometry = slab()
    with pytest.raises(QsmError, match=told):
        read_label_map(written(geometry, masks_on(geometry)), scan)


def test_a_segment_that_lies_nowhere_is_refused(written):
    def displace(dataset):
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            frame.PlanePositionSequence[0].ImagePositionPatient = None

    geometry = slab()
    with pytest.raises(QsmError, match="cannot read the segmentation"):
        read_label_map(written(geometry, masks_on(geometry), change=displace), geometry)


def test_what_is_no_segmentation_is_refused(tmp_path):
    geometry = slab()
    images_of(chi_of(geometry), HEADER, tmp_path / "chi")
    image = next((tmp_path / "chi").rglob("*.dcm"))
    (tmp_path / "text.dcm").write_text("no DICOM")
    for path, told in (
        (image, "no DICOM segmentation"),
        (tmp_path / "none.dcm", "there is no"),
        (tmp_path / "text.dcm", "cannot read"),
    ):
        with pytest.raises(QsmError, match=told):
            read_label_map(path, geometry)
