from __future__ import annotations

import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

from gadgetron_qsm.report.picture import draw, png

SHAPE = (8, 20, 16)
MIDDLE = (4, 10, 8)


@pytest.fixture
def chi(make_map):
    """Susceptibility whose non-zero voxels have their middle at MIDDLE."""
    data = np.random.default_rng(4).normal(0, 80, SHAPE).astype(np.float32)
    data[0], data[:, 0], data[:, :, 0] = 0, 0, 0
    return make_map("chi", data)


def test_each_map_is_shown_in_its_axial_coronal_and_sagittal_slice(make_map, chi):
    field = np.random.default_rng(5).normal(0, 20, SHAPE).astype(np.float32)
    axes = draw([make_map("local_field", field), chi]).axes
    z, y, x = MIDDLE
    for row, data in ((0, field), (4, chi.data)):
        axial, coronal, sagittal = (axes[row + i].images[0].get_array() for i in range(3))
        np.testing.assert_array_equal(axial, data[z])
        np.testing.assert_array_equal(coronal, data[::-1, y])
        np.testing.assert_array_equal(sagittal, data[::-1, :, x])


def test_a_voxel_is_as_high_as_it_is(chi):
    figure = draw([chi])
    axial, coronal, sagittal = figure.axes[:3]
    assert (axial.get_aspect(), coronal.get_aspect(), sagittal.get_aspect()) == (0.5, 2, 4)


def test_chi_is_grey_in_its_window_with_a_scale_in_ppb(chi):
    axes = draw([chi]).axes
    assert axes[0].images[0].get_clim() == (-200, 200)
    assert axes[0].images[0].get_cmap().name == "gray"
    assert axes[3].get_ylabel() == "ppb"


def test_a_magnitude_has_no_scale(make_map):
    scale = draw([make_map("magnitude", np.ones(SHAPE, np.float32))]).axes[3]
    assert not scale.axison


def test_edges_are_named_where_they_are(chi):
    coronal = draw([chi]).axes[1]
    places = {text.get_text(): text.get_position() for text in coronal.texts}
    assert places["R"][0] < 0.1 < 0.9 < places["L"][0]
    assert places["F"][1] < 0.1 < 0.9 < places["H"][1]


def test_the_file_shows_the_patients_left_on_the_right(make_map, tmp_path):
    data = np.zeros(SHAPE, np.float32)
    data[:, 2:8, 12:] = 190  # x grows to the patient's left, y to the back
    data[:, 2:8, :4] = -190
    maps = [make_map("chi", data)]
    (tmp_path / "maps.png").write_bytes(png(draw(maps)))
    pixels = matplotlib.image.imread(tmp_path / "maps.png")[::-1, :, 0]
    height, width = pixels.shape
    shown = draw(maps).axes[0].get_position()
    row = pixels[int((shown.y0 + 0.75 * shown.height) * height)]
    at = [int((shown.x0 + part * shown.width) * width) for part in (0.12, 0.5, 0.88)]
    assert row[at] == pytest.approx([0.025, 0.5, 0.975], abs=0.01)


def test_drawing_leaves_pyplot_and_its_global_state_alone():
    program = (
        "import sys, gadgetron_qsm.report.picture; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def outline(figure, row=0):
    """Points (x, y) of the lines on the axial plane of a row."""
    return [
        path.vertices for drawn in figure.axes[4 * row].collections for path in drawn.get_paths()
    ]


def test_the_mask_is_outlined_on_the_magnitude_between_its_voxels_and_others(make_map, chi):
    magnitude = make_map("magnitude", np.ones(SHAPE, np.float32))
    mask = make_map("mask")
    mask.data[4, 5:12, 3:9] = 1
    figure = draw([magnitude, chi], mask)
    (line,) = outline(figure)
    np.testing.assert_allclose(line.min(axis=0), (2.5, 4.5))
    np.testing.assert_allclose(line.max(axis=0), (8.5, 11.5))
    assert not outline(figure, row=1)
    assert figure.axes[0].axis() == (-0.5, 15.5, 19.5, -0.5)


def test_a_mask_that_fills_the_volume_is_outlined_at_its_edge(make_map):
    mask = make_map("mask", np.ones(SHAPE, np.float32))
    (line,) = outline(draw([make_map("magnitude")], mask, MIDDLE))
    np.testing.assert_allclose(line.max(axis=0), (15.5, 19.5))


def test_a_mask_that_is_empty_has_no_outline(make_map):
    assert not outline(draw([make_map("magnitude")], make_map("mask")))


def test_a_millimetre_is_as_long_in_each_plane(chi):
    figure = draw([chi])
    figure.canvas.draw()
    width, height = figure.get_size_inches()
    scales = []
    for ax, (rows_mm, columns_mm) in zip(figure.axes, ((20, 32), (32, 32), (32, 20)), strict=False):
        box = ax.get_position()
        scales += [box.width * width / columns_mm, box.height * height / rows_mm]
    np.testing.assert_allclose(scales, scales[0], rtol=0.01)


def test_the_planes_run_where_they_are_told_to(chi):
    axial = draw([chi], centre=(1, 2, 3)).axes[0].images[0].get_array()
    np.testing.assert_array_equal(axial, chi.data[1])


def test_a_picture_holds_nothing_but_pixels(chi):
    kinds, data = [], png(draw([chi]))
    at = 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kinds.append(data[at + 4 : at + 8])
        at += 12 + length
    assert set(kinds) <= {b"IHDR", b"pHYs", b"IDAT", b"IEND"}
