"""What the chain does with the coils: by which method, how well, and what it tells of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gadgetron_qsm.coils.tiles import Tiles
from gadgetron_qsm.combination import combine_coils
from gadgetron_qsm.data import CoilImages
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.settings import Settings
from tests.sphere_scan import TE_S, header_text

MATRIX = (6, 20, 24)
GEOMETRY = Geometry(MATRIX, (3, 3, 3), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
FIELD_HZ = 12.0


def coil_images(echoes=3, **fields):
    """Two coils, everywhere bright, whose sum is blind along one line in z; field of one value.

    The echoes' phases, beyond that of the coils, are those of the field.
    """
    y, x = (np.linspace(-0.5, 0.5, n) for n in MATRIX[1:])
    sensitivities = np.stack([x[None, :] + 1 + 0 * y[:, None], 1j * y[:, None] - 1 + 0 * x])
    echo = np.exp(2j * np.pi * FIELD_HZ * np.array(TE_S[:echoes]))
    data = (
        echo[:, None, None, None, None]
        * sensitivities[:, None]
        * np.ones(MATRIX[:1])[:, None, None]
    )
    return CoilImages(data.astype(np.complex64), GEOMETRY, **fields)


def combined(images, properties=None):
    header = Header.parse(header_text(echoes=len(images.data)))
    settings = Settings.from_properties({"coils.smoothing_mm": "4"} | (properties or {}))
    return combine_coils(images, header, settings, Journal(images.report))


@pytest.mark.parametrize(
    ("setting", "echoes", "method"),
    [("auto", 2, "MCPC-3D-S"), ("auto", 1, "VRC"), ("vrc", 3, "VRC"), ("mcpc3ds", 2, "MCPC-3D-S")],
)
def test_the_method_is_the_setting_or_chosen_by_the_number_of_echoes(setting, echoes, method):
    echoes = combined(coil_images(echoes), {"coils.method": setting})
    assert echoes.report["provenance"]["coils"] == {
        "method": method,
        "coils": 2,
        "phase_sign": 1,
        "smoothing_mm": 4,
    }


def test_phase_singularities_are_counted_of_the_combined_image_and_of_the_coils_sum():
    residues = combined(coil_images()).report["quality"]["phase_residues"]
    assert residues == {
        "combined": 0,
        "sum_over_coils": MATRIX[0],  # one loop in each plane
        "voxels": np.prod(MATRIX),
        "region": "magnitude above 0.2 of its 99th percentile",
    }


def test_the_other_phase_convention_is_turned_after_all_else():
    usual = combined(coil_images()).data
    turned = combined(coil_images(), {"coils.phase_sign": "-1"}).data
    np.testing.assert_array_equal(turned, usual.conj())


def test_repetition_and_geometry_stay():
    echoes = combined(coil_images(repetition=4))
    assert (echoes.repetition, echoes.geometry) == (4, GEOMETRY)


def test_a_g_factor_that_was_asked_for_and_cannot_be_is_warned_of(caplog):
    echoes = combined(coil_images(), {"deliver.maps": "chi,g_factor"})
    assert echoes.g_factor is None
    (warning,) = echoes.report["warnings"]
    assert "no g-factor map" in warning
    assert warning in caplog.text


def test_nobody_is_warned_of_a_g_factor_that_nobody_asked_for():
    assert combined(coil_images()).report["warnings"] == []


def test_a_g_factor_that_came_with_combined_images_is_handed_on():
    gain = np.full(MATRIX, 1.5, np.float32)
    one = coil_images()
    images = CoilImages(
        one.data[:, :1], GEOMETRY, {"provenance": {"coils": {"method": "theirs"}}}, g_factor=gain
    )
    echoes = combined(images, {"deliver.maps": "g_factor"})
    np.testing.assert_array_equal(echoes.g_factor, gain)
    assert echoes.report["warnings"] == []


def test_combined_images_of_several_channels_are_refused():
    with pytest.raises(QsmError, match="more than one channel"):
        combined(coil_images(report={"provenance": {"coils": {"method": "theirs"}}}))


@pytest.mark.parametrize("echoes", [1, 3])
@pytest.mark.parametrize("phase_sign", ["1", "-1"])
def test_coils_are_combined_where_their_images_are(phase_sign, echoes, device):
    images = coil_images(echoes)
    expected = combined(images, {"coils.phase_sign": phase_sign})
    there, tiles = device(images.data), Tiles(images.data, device)
    for data in (there, tiles):
        found = combined(replace(images, data=data), {"coils.phase_sign": phase_sign})
        assert isinstance(found.data, type(there))
        np.testing.assert_allclose(found.data.get(), expected.data, rtol=0, atol=1e-4)
        for part in ("provenance", "quality"):
            assert found.report[part] == expected.report[part]


def test_images_that_come_combined_stay_where_they_are(device):
    images = coil_images(report={"provenance": {"coils": {"method": "theirs"}}})
    found = combined(replace(images, data=device(images.data[:, :1])))
    np.testing.assert_array_equal(found.data.get(), images.data[:, 0])
    assert found.report["quality"] == {}  # of coils there is none to tell of


def test_of_tiles_no_echo_goes_to_the_device_twice_but_the_second_and_planes_of_the_third():
    images, moved = coil_images(4), []
    tiles = Tiles(images.data, lambda part: moved.append(part.nbytes) or part)
    combined(replace(images, data=tiles), {"coils.method": "mcpc3ds"})
    a_few_planes_of_the_third = images.data[2].nbytes
    assert sum(moved) <= images.data.nbytes + images.data[1].nbytes + a_few_planes_of_the_third
