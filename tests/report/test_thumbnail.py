"""The stamp of a scan: what it shows, and how little it takes."""

from __future__ import annotations

import matplotlib.image
import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.report.thumbnail import save_thumbnail
from tests.report.conftest import SHAPE


@pytest.fixture
def stamp(make_map, tmp_path):
    """A function that returns the picture (row, column), 0 to 255, of a volume (z, y, x)."""

    def made(data):
        path = tmp_path / "thumbnail.png"
        save_thumbnail(path, make_map("chi", data.astype(np.float32)))
        assert path.stat().st_size < 15_000
        return 255 * matplotlib.image.imread(path)[..., 0]

    return made


def test_three_planes_stand_side_by_side_a_millimetre_as_long_in_each(stamp):
    high, wide = stamp(np.ones(SHAPE)).shape  # 32 mm along z, 20 along y, 32 along x
    assert (high, wide) == (13, 13 + 13 + 8)


def test_grey_goes_from_minus_to_plus_100_ppb(stamp):
    data = np.full(SHAPE, 100.0)
    data[:, :10], data[:, 10] = -150, 0.001
    axial = stamp(data)[:8, :13]
    assert axial.min() <= 8
    assert axial.max() >= 247
    assert np.abs(stamp(np.full(SHAPE, 1e-6)) - 128).min() <= 8


def test_it_is_cut_to_where_the_map_holds(stamp):
    data = np.zeros(SHAPE)
    data[2:7, 3:18, 4:14] = 50  # 20 x 15 x 20 mm
    assert stamp(data).shape == (8, 8 + 8 + 6)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_map_of_nothing_has_a_stamp_all_the_same(stamp, value):
    assert stamp(np.full(SHAPE, value)).shape == (13, 34)


def test_a_whole_head_of_noise_takes_little(make_map, tmp_path):
    data = np.random.default_rng(0).normal(0, 60, (160, 240, 192)).astype(np.float32)
    chi = make_map("chi")
    object.__setattr__(chi, "data", data)
    save_thumbnail(tmp_path / "t.png", chi)
    assert (tmp_path / "t.png").stat().st_size < 20_000


def test_a_folder_that_cannot_be_written_is_one_clear_line(make_map, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(QsmError, match="cannot write"):
        save_thumbnail(tmp_path / "taken" / "t.png", make_map("chi"))
