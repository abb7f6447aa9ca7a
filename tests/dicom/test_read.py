from __future__ import annotations

import pytest

from gadgetron_qsm.dicom.read import read_series
from gadgetron_qsm.errors import QsmError
from tests.written import write_series


def test_a_missing_slice_is_named(make_map, header, tmp_path):
    files = write_series(make_map(), header, tmp_path)
    files[2].unlink()
    with pytest.raises(QsmError, match="a slice before number 4"):
        read_series(files[0].parent)


def test_two_series_in_one_folder_are_refused(make_map, header, tmp_path):
    files = write_series(make_map("chi"), header, tmp_path)
    other = write_series(make_map("r2star"), header, tmp_path)
    other[0].rename(files[0].with_name("9999.dcm"))
    with pytest.raises(QsmError, match="several series"):
        read_series(files[0].parent)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(QsmError, match=r"no \.dcm file"):
        read_series(tmp_path)
