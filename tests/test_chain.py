"""Sign, scale and orientation of the whole chain: raw data of a sphere whose field is known.

The data is made here with numpy alone; it shares no code with the chain or the digital head.
A ball of uniform tissue is the brain; in it, off the centre, a sphere of chi = 0.3 ppm. Its field
is chi R^3 / (3 r^3) (3 cos^2 - 1) outside, and 0 inside (Lorentz' sphere taken off).
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from gadgetron_qsm import chain
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import image_to_map
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, Acquisition
from gadgetron_qsm.settings import Settings

CHI_PPM, RADIUS_MM, BRAIN_MM = 0.3, 9.0, 38.0
CENTRE_MM = (6.0, -5.0, 8.0)  # of the sphere (z, y, x) from the centre of the field of view
MATRIX, VOXEL_MM = (34, 42, 44), (2.5, 2.0, 2.0)
TE_S = (0.005, 0.010, 0.015)
LARMOR_HZ = 123_200_000
NOISE = 0.01
NOISE_FLAG, NOISE_LINES = 1 << 18, 16

HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<experimentalConditions><H1resonanceFrequency_Hz>{larmor_hz}</H1resonanceFrequency_Hz>
</experimentalConditions><encoding><encodedSpace><matrixSize><x>88</x><y>42</y><z>34</z></matrixSize>
<fieldOfView_mm><x>176</x><y>84</y><z>85</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>44</x><y>42</y><z>34</z></matrixSize>
<fieldOfView_mm><x>88</x><y>84</y><z>85</z></fieldOfView_mm></reconSpace>
<encodingLimits>
<kspace_encoding_step_1><minimum>0</minimum><maximum>41</maximum><center>21</center>
</kspace_encoding_step_1>
<kspace_encoding_step_2><minimum>0</minimum><maximum>33</maximum><center>17</center>
</kspace_encoding_step_2></encodingLimits><trajectory>cartesian</trajectory></encoding>
<sequenceParameters><TE>5</TE><TE>10</TE><TE>15</TE></sequenceParameters></ismrmrdHeader>"""


def turned(about_x_deg, about_y_deg):
    """Rows read, phase, slice in LPS, of a slab turned about x, then about y."""
    a, b = np.deg2rad([about_x_deg, about_y_deg])
    x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    return (np.array(y) @ x).T


SLAB = turned(40, -15)  # B0 is (0.74, 0.62, 0.26) along z, y, x


def distance(from_mm):
    axes = [
        (np.arange(n) - n // 2) * size - at
        for n, size, at in zip(MATRIX, VOXEL_MM, from_mm, strict=True)
    ]
    return np.meshgrid(*axes, indexing="ij")


def norm(vectors):
    return np.sqrt(sum(component**2 for component in vectors))


@functools.cache
def kspace():
    """(echo, coil, kz, ky, kx) of the scan, with twofold oversampling along x, and noise lines."""
    rng = np.random.default_rng(5)
    from_sphere, brain = distance(CENTRE_MM), norm(distance((0, 0, 0))) < BRAIN_MM
    r = np.maximum(norm(from_sphere), 1e-3)
    b0 = SLAB[::-1, 2]
    cosine = sum(b * component for b, component in zip(b0, from_sphere, strict=True)) / r
    outside = CHI_PPM / 3 * (RADIUS_MM / r) ** 3 * (3 * cosine**2 - 1)
    field_hz = np.where(r < RADIUS_MM, 0, outside) * LARMOR_HZ / 1e6
    coils = [
        np.exp(-norm(distance((0, 0, side * 60))) / 70 + 1j * (0.5 + side * from_sphere[1] / 40))
        for side in (-1, 1)
    ]
    images = np.zeros((len(TE_S), 2, *MATRIX[:2], 2 * MATRIX[2]), complex)
    for echo, te in enumerate(TE_S):
        signal = brain * np.exp(-te / 0.05 + 2j * np.pi * field_hz * te)
        for coil, sensitivity in enumerate(coils):
            images[echo, coil, ..., 22:66] = sensitivity * signal
    axes = (2, 3, 4)
    data = np.fft.ifftshift(images, axes=axes)
    data = np.fft.fftshift(np.fft.fftn(data, axes=axes, norm="ortho"), axes=axes)
    noise = rng.standard_normal((*data.shape, 2)) @ [NOISE, 1j * NOISE]
    lines = rng.standard_normal((NOISE_LINES, 2, data.shape[-1], 2)) @ [NOISE, 1j * NOISE]
    return (data + noise).astype(np.complex64), lines.astype(np.complex64)


def scan(slab=SLAB):
    """The readouts as a scanner sends them: noise first, then echo after echo of each line."""
    head = np.zeros((), ACQUISITION_HEADER)
    head["number_of_samples"], head["center_sample"] = 2 * MATRIX[2], MATRIX[2]
    head["active_channels"] = 2
    head["read_dir"], head["phase_dir"], head["slice_dir"] = slab
    data, noise = kspace()
    for readout in noise:
        head["flags"] = NOISE_FLAG
        yield Acquisition(head.copy()[()], readout)
    head["flags"] = 0
    for kz, ky, echo in np.ndindex(MATRIX[0], MATRIX[1], len(TE_S)):
        head["idx"]["kspace_encode_step_2"], head["idx"]["kspace_encode_step_1"] = kz, ky
        head["idx"]["contrast"] = echo
        yield Acquisition(head.copy()[()], data[echo, :, kz, ky])


def chi_ppm(*, slab=SLAB, larmor_hz=LARMOR_HZ, properties=None):
    header = Header.parse(HEADER.format(larmor_hz=larmor_hz))
    images = chain.qsm(scan(slab), header, Settings.from_properties(properties or {}))
    return image_to_map(next(images)).data / 1000


def contrast(chi):
    """Mean chi in the sphere above that around it, in ppm."""
    r = norm(distance(CENTRE_MM))
    around = (r > 1.3 * RADIUS_MM) & (norm(distance((0, 0, 0))) < 0.6 * BRAIN_MM)
    return chi[r < 0.8 * RADIUS_MM].mean() - chi[around].mean()


def error(chi):
    """Root mean square error where the map holds, of that of a map that is 0 all over."""
    inside = chi != 0
    true = CHI_PPM * (norm(distance(CENTRE_MM)) < RADIUS_MM)[inside]
    true = true - true.mean()
    return np.linalg.norm(chi[inside] - chi[inside].mean() - true) / np.linalg.norm(true)


@pytest.fixture(scope="module")
def chi():
    return chi_ppm()


def test_a_paramagnetic_sphere_is_positive_and_its_value_right(chi):
    assert contrast(chi) == pytest.approx(CHI_PPM, rel=0.25)
    assert error(chi) < 0.6


def test_the_map_is_relative_to_its_mean_over_the_mask(chi):
    assert chi[chi != 0].mean() == pytest.approx(0, abs=1e-6)


def test_data_of_the_other_phase_convention_comes_out_negative_unless_turned(chi):
    turned_data = chi_ppm(properties={"coils.phase_sign": "-1"})
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
    assert error(chi_ppm(slab=slab)) > 1.5 * error(chi)


def run(properties=None, *, settings_header=HEADER, messages=None, target=chain.qsm):
    header = Header.parse(settings_header.format(larmor_hz=LARMOR_HZ))
    settings = Settings.from_properties(properties or {})
    return list(target(scan() if messages is None else messages, header, settings))


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


def test_the_report_of_the_first_map_names_every_stage_before_it():
    (chi_image,) = run({"deliver.maps": "chi", "inversion.iterations": "7"})
    report = image_to_map(chi_image).report
    stages = ["coils", "field", "mask", "background", "inversion", "reference"]
    assert list(report["provenance"]) == ["scan", "kspace", *stages]
    assert list(report["timing_s"]) == ["ingest", *stages]
    assert report["provenance"]["inversion"]["iterations"] == 7
    assert report["quality"]["reference"]["region"] == "whole brain"
    assert report["quality"]["reference"]["sd_ppb"] > 10
    assert report["quality"]["mask_volume_ml"] == pytest.approx(194, rel=0.02)
    assert 0 < report["quality"]["phase_residual_rad"] < 0.1
    assert report["warnings"] == []


def test_a_folder_in_the_settings_gets_every_delivered_map_as_dicom(tmp_path):
    run({"deliver.maps": "chi,r2star", "deliver.dicom_folder": str(tmp_path)})
    assert len(list(tmp_path.glob("*_QSM_chi/*.dcm"))) == MATRIX[0]
    assert len(list(tmp_path.glob("*_R2star/*.dcm"))) == MATRIX[0]


def test_what_a_stage_refuses_is_told_with_its_name():
    dark = (
        dataclasses.replace(r, data=np.zeros_like(r.data)) for r in scan() if not r.head["flags"]
    )
    with pytest.raises(QsmError, match=r"^mask: no brain found"):
        run(messages=dark)


def test_one_echo_is_refused_with_what_it_takes():
    header = HEADER.replace("<TE>10</TE><TE>15</TE>", "")
    first = (readout for readout in scan() if not readout.head["idx"]["contrast"])
    with pytest.raises(QsmError, match="at least two echoes"):
        run(settings_header=header, messages=first)


def test_combined_images_of_several_channels_are_refused():
    doubled = [
        dataclasses.replace(image, data=np.repeat(image.data, 2, axis=0))
        for image in run(target=chain.combined_images)
    ]
    with pytest.raises(QsmError, match="more than one channel"):
        run(messages=doubled)
