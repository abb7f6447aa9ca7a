"""Data sets leave their files as they are, or in the other syntax."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gadgetron_qsm.delivery.encoding import data_set, encoded_as
from tests.delivery.objects import objects

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_data_set_of_a_file_is_what_stands_in_it(syntax):
    (item,) = objects(1, syntax=syntax)
    implicit = syntax == ImplicitVRLittleEndian
    assert read_dataset(BytesIO(data_set(item.file)), implicit, True) == item.dataset
    assert item.file.endswith(data_set(item.file))


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("wanted", SYNTAXES)
def test_every_value_survives_another_encoding(syntax, wanted):
    (item,) = objects(1, syntax=syntax)
    back = read_dataset(
        BytesIO(encoded_as(item.file, wanted)), wanted == ImplicitVRLittleEndian, True
    )
    assert back == dcmread(BytesIO(item.file))


@pytest.mark.parametrize("file", [b"", b"DICM", b"x" * 200, bytes(128) + b"DICM\x02\x00\x10\x00UI"])
def test_what_is_no_dicom_file_is_refused(file):
    for read in (data_set, lambda file: encoded_as(file, ImplicitVRLittleEndian)):
        with pytest.raises(ValueError, match="not a DICOM file"):
            read(file)
