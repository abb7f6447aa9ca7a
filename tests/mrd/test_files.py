from __future__ import annotations

import h5py
import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.pixels import quantise, quantise12
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.files import RawFile, write_images
from gadgetron_qsm.mrd.images import map_to_image
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER
from gadgetron_qsm.mrd.slices import slices_of


@pytest.fixture
def written(tmp_path, make_acquisition, make_waveform):
    """A file that ismrmrd wrote, and what is in it; the second readout has a trajectory."""
    readouts = [make_acquisition(), make_acquisition(2, 5, 3), make_acquisition(samples=1)]
    waveforms = [make_waveform(), make_waveform(channels=1)]
    path = tmp_path / "written.h5"
    with ismrmrd.Dataset(path, "dataset") as dataset:
        dataset.write_xml_header(b"<header/>")
        for readout in readouts:
            head = ismrmrd.AcquisitionHeader.from_buffer_copy(readout.head)
            dataset.append_acquisition(ismrmrd.Acquisition(head, readout.data, readout.trajectory))
        for waveform in waveforms:
            head = ismrmrd.WaveformHeader.from_buffer_copy(waveform.head)
            dataset.append_waveform(ismrmrd.Waveform(head, waveform.data))
    return path, readouts, waveforms


def test_blocks_are_what_ismrmrd_reads_one_by_one(raw_file):
    with RawFile(raw_file) as raw:
        readouts = [readout for block in raw.blocks(100) for readout in block]
        assert len(raw) == len(readouts)
    with ismrmrd.Dataset(raw_file, "dataset", False) as dataset:
        assert raw.header_text.encode() == dataset.read_xml_header()
        assert len(readouts) == dataset.number_of_acquisitions()
        for i in (0, 31, 32, 99, 100, 1000, 1879):
            theirs = dataset.read_acquisition(i)
            assert readouts[i].head.tobytes() == bytes(theirs.getHead())
            np.testing.assert_array_equal(readouts[i].data, theirs.data)
            assert readouts[i].trajectory is None


def test_blocks_have_the_size_asked_for_and_the_rest(written):
    path, readouts, _ = written
    with RawFile(path) as raw:
        assert [len(block) for block in raw.blocks(2)] == [2, 1]
        assert [len(block) for block in raw.blocks()] == [len(readouts)]


def test_trajectories_and_waveforms_are_read(written):
    path, readouts, waveforms = written
    with RawFile(path) as raw:
        for ours, sent in zip(next(raw.blocks()), readouts, strict=True):
            assert ours.head.tobytes() == sent.head.tobytes()
            np.testing.assert_array_equal(ours.data, sent.data)
        np.testing.assert_array_equal(next(raw.blocks())[1].trajectory, readouts[1].trajectory)
        for ours, sent in zip(raw.waveforms(), waveforms, strict=True):
            assert ours.head["waveform_id"] == sent.head["waveform_id"]
            np.testing.assert_array_equal(ours.data, sent.data)


def test_a_file_without_waveforms_has_none(raw_file):
    with RawFile(raw_file) as raw:
        assert list(raw.waveforms()) == []


def test_headers_in_another_order_are_laid_out_as_on_the_wire(written, tmp_path):
    path, readouts, _ = written
    names = list(reversed(ACQUISITION_HEADER.names))
    shuffled = np.dtype([(name, ACQUISITION_HEADER[name]) for name in names])
    with h5py.File(path) as file, h5py.File(tmp_path / "other.h5", "w") as other:
        records = file["dataset/data"][:]
        dtype = np.dtype(
            [("head", shuffled), ("traj", records.dtype["traj"]), ("data", records.dtype["data"])]
        )
        moved = np.empty(len(records), dtype)
        for name in names:
            moved["head"][name] = records["head"][name]
        moved["traj"], moved["data"] = records["traj"], records["data"]
        other.create_dataset("dataset/data", data=moved)
        other["dataset/xml"] = file["dataset/xml"][:]
    with RawFile(tmp_path / "other.h5") as raw:
        assert [a.head.tobytes() for a in next(raw.blocks())] == [
            a.head.tobytes() for a in readouts
        ]


def test_the_file_is_not_locked_for_other_readers(raw_file):
    with RawFile(raw_file) as one, RawFile(raw_file) as other:
        assert len(one) == len(other)


@pytest.mark.parametrize(
    ("names", "dataset", "found"),
    [
        (["dataset"], None, "dataset"),
        (["scan"], None, "scan"),
        (["dataset", "noise"], None, "dataset"),
        (["one", "two"], "two", "two"),
    ],
)
def test_the_dataset_is_found(tmp_path, raw_file, names, dataset, found):
    path = tmp_path / "some.h5"
    with h5py.File(raw_file) as source, h5py.File(path, "w") as file:
        for name in names:
            source.copy("dataset/data", file.create_group(name))
            file[name]["xml"] = np.array([name.encode()], object)
    with RawFile(path, dataset) as raw:
        assert raw.header_text == found


def broken(raw_file, tmp_path, kind):
    path = tmp_path / "bad.h5"
    whole = raw_file.read_bytes()
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "not HDF5":
        path.write_bytes(b"a text" * 1000)
    elif kind == "a folder":
        path.mkdir()
    elif kind != "absent":
        with h5py.File(raw_file) as source, h5py.File(path, "w") as file:
            group = file.create_group("one")
            if kind == "two datasets":
                file.create_group("two")
            if kind == "no header":
                source.copy("dataset/data", group)
            if kind == "no readouts":
                source.copy("dataset/xml", group)
            if kind == "other data":
                source.copy("dataset/xml", group)
                group["data"] = np.zeros(10)
    return path


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("truncated", "is truncated"),
        ("not HDF5", "no HDF5 file"),
        ("absent", "does not exist"),
        ("a folder", "cannot be opened"),
        ("two datasets", "no dataset 'dataset'; it has"),
        ("no header", "no header or no readouts"),
        ("no readouts", "no header or no readouts"),
        ("other data", "no header or no readouts"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_without_its_folder(raw_file, tmp_path, kind, what):
    with pytest.raises(QsmError, match=f"^bad.h5 .*{what}") as refused:
        RawFile(broken(raw_file, tmp_path, kind))
    assert str(tmp_path) not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_data_that_do_not_fit_their_header_are_refused(written):
    path, _, _ = written
    with h5py.File(path, "r+") as file:
        records = file["dataset/data"][:]
        records["head"]["number_of_samples"][1] += 1
        file["dataset/data"][:] = records
    with RawFile(path) as raw, pytest.raises(QsmError, match="do not fit their header"):
        next(raw.blocks())


def test_images_are_what_ismrmrd_reads(tmp_path, make_image, rng):
    complex_data = rng.standard_normal((2, 1, 3, 4, 5, 2), np.float32).view(np.complex64)[..., 0]
    real_data = rng.standard_normal((1, 2, 3, 4), np.float32)
    meta = ismrmrd.Meta({"DataRole": ["Image", "Quantitative"]}).serialize()
    images = [
        make_image(complex_data[0], meta, image_series_index=1),
        make_image(real_data, image_series_index=7, image_index=3),
        make_image(complex_data[1], image_series_index=1),
    ]
    write_images(tmp_path / "images.h5", iter(images), "<header/>")
    with ismrmrd.Dataset(tmp_path / "images.h5", "dataset", False) as dataset:
        assert set(dataset.list()) == {"xml", "image_1", "image_7"}
        assert dataset.read_xml_header() == b"<header/>"
        assert dataset.number_of_images("image_1") == 2
        for i in (0, 1):
            theirs = dataset.read_image("image_1", i)
            np.testing.assert_array_equal(theirs.data, complex_data[i])
        assert dataset.read_image("image_1", 0).meta["DataRole"] == ["Image", "Quantitative"]
        theirs = dataset.read_image("image_7", 0)
        np.testing.assert_array_equal(theirs.data, real_data)
        assert theirs.image_index == 3


@pytest.mark.parametrize("count", [quantise, quantise12])
def test_whole_pixels_and_slices_are_what_ismrmrd_reads(tmp_path, rng, count):
    axes = (0, 1, 0), (-1, 0, 0), (0, 0, 1)
    geometry = Geometry((3, 4, 5), (2, 1, 1), (1, 2, 3), *axes)
    data = (300 * rng.standard_normal(geometry.matrix)).astype(np.float32)
    chi = Map("chi", data, "ppb", geometry)
    images = [map_to_image(chi, series, stored=count(data)) for series in (1, 2)]
    slices = list(slices_of(images[1]))
    write_images(tmp_path / "images.h5", [images[0], *slices])
    with ismrmrd.Dataset(tmp_path / "images.h5", "dataset", False) as dataset:
        assert dataset.number_of_images("image_2") == 3
        whole = dataset.read_image("image_1", 0)
        read = [dataset.read_image("image_2", i) for i in range(3)]
        np.testing.assert_array_equal(np.concatenate([one.data for one in read], 1), whole.data)
        assert whole.data.dtype == count(data).counts.dtype
        for number, one in enumerate(read):
            slope, intercept = float(one.meta["RescaleSlope"]), float(one.meta["RescaleIntercept"])
            np.testing.assert_allclose(
                slope * one.data[0, 0] + intercept, data[number], atol=0.5001 * slope
            )
            assert (one.slice, one.image_index) == (number, number + 1)
            assert one.data.shape == (1, 1, 4, 5)
            assert tuple(one.position) == (1, 2, 3 + 2 * (number - 1))


def test_a_series_of_different_sizes_is_refused(tmp_path, make_image):
    images = [make_image(np.zeros((1, 1, 2, n), np.float32), image_series_index=4) for n in (3, 4)]
    with pytest.raises(QsmError, match="image_4 has images of different sizes"):
        write_images(tmp_path / "images.h5", images)
