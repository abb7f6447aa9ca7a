"""The pictures of a run: each drawn once, and the file that shows all."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.report.picture import draw, png
from gadgetron_qsm.report.pictures import drawn, save_picture

SHAPE = (8, 20, 16)
MIDDLE = (4, 10, 8)


@pytest.fixture
def maps(make_map):
    rng = np.random.default_rng(4)
    names = ("chi", "mask", "local_field", "total_field", "magnitude")
    made = {name: make_map(name, rng.normal(0, 80, SHAPE).astype(np.float32)) for name in names}
    made["chi"].data[0], made["chi"].data[:, 0], made["chi"].data[:, :, 0] = 0, 0, 0
    return made


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_all_pictures_run_through_the_middle_of_the_susceptibility(maps):
    found = drawn(maps)
    assert list(found) == ["Magnitude and mask", "Fields", "Susceptibility"]
    fields = [maps["total_field"], maps["local_field"]]
    assert found["Fields"] == png(draw(fields, maps["mask"], MIDDLE))
    assert found["Magnitude and mask"] == png(draw([maps["magnitude"]], maps["mask"], MIDDLE))


def test_what_is_not_there_has_no_picture(maps):
    assert list(drawn({"magnitude": maps["magnitude"], "mask": maps["mask"]})) == [
        "Magnitude and mask"
    ]


def test_the_file_shows_the_pictures_one_below_the_other(maps, tmp_path):
    found = drawn(maps)
    save_picture(tmp_path / "picture.png", found)
    whole = pixels((tmp_path / "picture.png").read_bytes())
    np.testing.assert_array_equal(whole, np.concatenate([pixels(p) for p in found.values()]))
    save_picture(tmp_path / "picture.png", {})
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_written_is_one_clear_line(maps, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(QsmError, match="cannot write"):
        save_picture(tmp_path / "taken" / "maps.png", drawn({"chi": maps["chi"]}))
