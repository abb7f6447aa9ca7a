"""The whole chain: sign, scale and orientation of a sphere's map, and what is told beside it."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm import chain
from gadgetron_qsm.mrd.images import image_to_map
from gadgetron_qsm.sections import BackgroundSettings, InversionSettings
from tests.analytic import sphere_field
from tests.sphere_map import chi_ppm, contrast, error, run
from tests.sphere_scan import (
    BRAIN_MM,
    CENTRE_MM,
    CHI_PPM,
    HALF_THE_LINES,
    LARMOR_HZ,
    MATRIX,
    RADIUS_MM,
    SLAB,
    TE_S,
    VOXEL_MM,
    distance,
    norm,
    scan,
    turned,
)

TWO_STEPS = {"inversion.method": "tv", "background.method": "vsharp"}


@pytest.fixture(scope="module")
def chi():
    return chi_ppm()


def test_a_paramagnetic_sphere_is_positive_and_its_value_right(chi):
    assert contrast(chi) == pytest.approx(CHI_PPM, rel=0.25)
    assert error(chi) < 0.6


def test_the_map_is_relative_to_its_mean_over_the_mask(chi):
    assert chi[chi != 0].mean() == pytest.approx(0, abs=1e-6)


def test_data_of_the_other_phase_convention_comes_out_negative_unless_turned(chi):
    turned_data = chi_ppm({"coils.phase_sign": "-1"})
    assert contrast(turned_data) == pytest.approx(-contrast(chi), rel=1e-3)


def test_the_scale_follows_the_frequency_in_the_header(chi):
    halved = chi_ppm(larmor_hz=LARMOR_HZ // 2)
    assert contrast(halved) == pytest.approx(2 * contrast(chi), rel=0.05)


@pytest.mark.parametrize(
    "slab",
    [turned(0, 0), turned(-40, -15), turned(40, 15), turned(15, -40), SLAB[[1, 0, 2]]],
    ids=["straight", "turned back about x", "back about y", "about the wrong axes", "transposed"],
)
def test_a_wrong_orientation_in_the_header_spoils_the_map(chi, slab):
    assert error(chi_ppm(messages=scan(slab))) > 1.5 * error(chi)


def test_maps_are_delivered_as_chosen_with_a_series_each():
    images = run({"deliver.maps": "mask,chi,magnitude"})
    maps = [image_to_map(image) for image in images]
    assert [volume.name for volume in maps] == [
        "chi",
        "mask",
        "magnitude",
        "magnitude",
        "magnitude",
    ]
    assert [int(image.head["image_series_index"]) for image in images] == [1, 2, 3, 3, 3]
    assert "<name>SeriesDescription</name><value>QSM chi</value>" in images[0].meta
    assert "<name>WindowWidth</name><value>400</value>" in images[0].meta
    assert [volume.echo_time_s for volume in maps[2:]] == list(TE_S)
    np.testing.assert_array_equal(maps[0].data != 0, maps[1].data > 0)


def test_the_maps_are_on_the_scale_of_their_unit():
    maps = {v.name: v.data for v in map(image_to_map, run({"deliver.maps": "r2star,magnitude"}))}
    middle = norm(distance((0, 0, 0))) < BRAIN_MM / 2
    assert np.median(maps["r2star"][middle]) == pytest.approx(1 / 0.05, rel=0.02)
    echoes = [v.data for v in map(image_to_map, run({"deliver.maps": "magnitude"}))]
    assert np.max(echoes) == pytest.approx(4095)
    decay = np.exp(-(TE_S[1] - TE_S[0]) / 0.05)
    assert np.median(echoes[1][middle] / echoes[0][middle]) == pytest.approx(decay, rel=0.01)


def test_cut_in_two_the_chain_turns_the_phase_once(chi):
    turn = {"coils.phase_sign": "-1"}
    echoes = run(turn, target=chain.combined_images)
    cut = image_to_map(run(turn, messages=echoes)[0])
    np.testing.assert_allclose(cut.data / 1000, -chi, atol=1e-5)
    assert cut.report["provenance"]["coils"]["coils"] == 2


def test_what_was_warned_of_before_a_cut_is_told_with_the_maps():
    quiet = [readout for readout in scan() if not readout.head["flags"]]
    echoes = run(messages=quiet, target=chain.combined_images)
    (warning,) = image_to_map(run(messages=echoes)[0]).report["warnings"]
    assert "no noise readouts" in warning


def test_the_report_of_the_first_map_names_every_stage_before_it():
    (chi_image,) = run({"deliver.maps": "chi", **TWO_STEPS, "inversion.iterations": "7"})
    report = image_to_map(chi_image).report
    stages = ["coils", "field", "mask", "background", "inversion", "reference"]
    assert list(report["provenance"]) == ["scan", "kspace", *stages, "device", "preset", "identity"]
    assert list(report["timing_s"]) == ["ingest", *stages]
    assert report["provenance"]["inversion"]["iterations"] == 7
    assert report["provenance"]["background"]["threshold"] > 0  # a default, told all the same
    assert report["quality"]["reference"]["region"] == "whole brain"
    assert report["quality"]["reference"]["sd_ppb"] > 10
    held = np.count_nonzero(image_to_map(chi_image).data)
    assert report["quality"]["mask_volume_ml"] == pytest.approx(held * np.prod(VOXEL_MM) / 1000)
    assert 0 < report["quality"]["phase_residual_rad"] < 0.1
    assert 0 <= report["quality"]["ghosting_percent"] < 3
    assert 0.2 < report["quality"]["streaking_ratio"] < 1.5
    assert report["warnings"] == []


@pytest.mark.parametrize(
    "setting",
    [
        {"coils.smoothing_mm": "1"},
        {"mask.largest_residual_rad": "0.01"},
        {"inversion.regularisation": "0.01"},
        {"inversion.padding_mm": "0"},
        {"inversion.largest_radius_mm": "8"},
    ],
    ids=str,
)
def test_settings_change_the_map(chi, setting):
    assert np.abs(chi_ppm(setting) - chi).max() > 1e-4


@pytest.mark.parametrize("setting", ["background.largest_radius_mm=5", "background.threshold=0.3"])
def test_settings_of_the_background_change_the_map_of_two_steps(setting):
    changed = chi_ppm({**TWO_STEPS, **dict([setting.split("=")])})
    assert np.abs(changed - chi_ppm(TWO_STEPS)).max() > 1e-4


def test_two_steps_give_the_sphere_too(chi):
    two = chi_ppm(TWO_STEPS)
    assert contrast(two) == pytest.approx(CHI_PPM, rel=0.25)
    assert error(two) < 1.5 * error(chi)


def test_a_single_step_has_no_background_stage_and_its_local_field_is_that_of_chi():
    maps = {v.name: v for v in map(image_to_map, run({"deliver.maps": "chi,local_field"}))}
    assert "background" not in maps["chi"].report["provenance"]
    field, r = maps["local_field"].data / 1000, norm(distance(CENTRE_MM))
    truth = CHI_PPM * sphere_field(MATRIX, VOXEL_MM, RADIUS_MM, SLAB[::-1, 2], CENTRE_MM)
    near = (r > 1.2 * RADIUS_MM) & (r < 2 * RADIUS_MM) & (field != 0)
    slope = (field * truth)[near].sum() / (truth**2)[near].sum()
    assert slope == pytest.approx(1, abs=0.25)


def test_the_methods_get_the_geometry_and_the_trust_in_the_field(monkeypatch):
    told = {}

    def remove(field, mask, voxel_size, **_):
        told["background"] = voxel_size
        return field, mask

    def invert(field, mask, voxel_size, b0_direction, *, weight, **_):
        told["inversion"] = voxel_size
        told["b0"], told["weight"], told["mask"] = b0_direction, weight, mask
        return np.where(mask, field, 0)

    monkeypatch.setitem(BackgroundSettings.METHODS, "vsharp", remove)
    monkeypatch.setitem(InversionSettings.METHODS, "tv", invert)
    run(TWO_STEPS)
    assert told["background"] == told["inversion"] == VOXEL_MM
    np.testing.assert_allclose(told["b0"], SLAB[::-1, 2], atol=1e-6)
    assert not told["weight"][~told["mask"]].any()
    assert np.ptp(told["weight"][told["mask"]]) > 0.5


def test_a_folder_in_the_settings_gets_every_delivered_map_as_dicom(tmp_path):
    run({"deliver.maps": "chi,r2star", "deliver.dicom_folder": str(tmp_path)})
    assert len(list(tmp_path.glob("*/*_QSM_chi/*.dcm"))) == MATRIX[0]
    assert len(list(tmp_path.glob("*/*_R2star/*.dcm"))) == MATRIX[0]


def half_the_lines():
    """The scan without every second line, but for those at the centre."""
    for readout in scan():
        ky = int(readout.head["idx"]["kspace_encode_step_1"])
        if readout.head["flags"] or ky % 2 == 1 or abs(ky - MATRIX[1] // 2) < 8:
            yield readout


@pytest.mark.parametrize("cut", [False, True])
def test_a_g_factor_is_made_on_request_and_survives_a_cut_of_the_chain(cut):
    asked = {"deliver.maps": "g_factor,mask"}
    messages = half_the_lines()
    if cut:
        accelerated = {"imaging": HALF_THE_LINES}
        messages = run(asked, messages=messages, target=chain.combined_images, **accelerated)
    maps = [image_to_map(i) for i in run(asked, messages=messages, imaging=HALF_THE_LINES)]
    mask, gain = maps
    assert (gain.name, gain.unit) == ("g_factor", "%")
    inside = gain.data[mask.data > 0]
    assert 100 <= np.median(inside) < 1000
    assert gain.report["provenance"]["g_factor"]["method"].startswith("from the GRAPPA kernels")
    assert "g_factor" not in mask.report["provenance"]
