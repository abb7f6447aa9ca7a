from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from pydicom import Dataset

from gadgetron_qsm.dicom.common import number
from gadgetron_qsm.dicom.files import copies, encoded, save
from gadgetron_qsm.errors import QsmError


@pytest.fixture
def dataset() -> Dataset:
    """A small object, in a sequence of which there is another."""
    dataset, item = Dataset(), Dataset()
    item.Manufacturer = "Maker"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "山田^太郎"
    dataset.SeriesInstanceUID = "1.2.3"
    dataset.SeriesNumber = 7016
    dataset.SeriesDescription = "Brain mask rep2 [a.u.] RESEARCH"
    dataset.ContributingEquipmentSequence = [item]
    number(dataset, pydicom.uid.RawDataStorage, 12)
    return dataset


def test_a_file_is_named_after_series_and_instance_without_unit_and_use(dataset, tmp_path):
    assert save(dataset, tmp_path) == tmp_path / "7016_Brain_mask_rep2" / "0012.dcm"


def test_a_series_without_description_is_named_by_its_number(dataset, tmp_path):
    del dataset.SeriesDescription
    assert save(dataset, tmp_path).parent.name == "7016"


def test_a_file_has_the_bytes_of_the_encoded_object(dataset, tmp_path):
    assert save(dataset, tmp_path).read_bytes() == encoded(dataset)


def test_an_encoded_object_is_a_whole_file(dataset):
    read = pydicom.dcmread(BytesIO(encoded(dataset)))
    assert read == dataset
    assert read.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID


def test_a_file_that_cannot_be_written_leaves_nothing(dataset, tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Dataset, "save_as", full)
    with pytest.raises(QsmError, match="No space left on device"):
        save(dataset, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_copies_are_equal_and_share_nothing(dataset):
    first, second = copies(dataset, 2)
    assert first == second == dataset
    first.ContributingEquipmentSequence[0].Manufacturer = "Nobody"
    first.PatientName = "Nobody"
    assert second == dataset
