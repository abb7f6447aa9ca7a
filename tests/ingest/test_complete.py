"""What was left out on purpose comes back; what was lost is refused, or filled with a warning."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from tests.raw_scan import (
    ECHOES,
    assembled,
    assert_same,
    changed,
    flag,
    header,
    lines_of,
    oversampled,
    random_complex,
    to_kspace,
)

NZ, NY, NX = 6, 24, 8
GOOD = 0.12  # error that is left of some 0.6 without the lines
CENTRE = range(NY // 2 - 5, NY // 2 + 5)  # lines that calibrate
IMAGING = (
    "<parallelImaging><accelerationFactor><kspace_encoding_step_1>2</kspace_encoding_step_1>"
    "<kspace_encoding_step_2>1</kspace_encoding_step_2></accelerationFactor>"
    "<calibrationMode>{}</calibrationMode></parallelImaging>"
)


@pytest.fixture
def images():
    """Random images that the second coil sees with a phase of one turn along y.

    Its k-space is that of the first coil a line further on: each coil tells the other's lines.
    """
    kspace = to_kspace(random_complex(ECHOES, 1, NZ, NY, NX))
    kspace[:, :, :, [0, 1, -2, -1]] = 0  # nothing goes over the edge
    kspace = np.concatenate([kspace, np.roll(kspace, 1, axis=3)], axis=1)
    shifted = np.fft.ifftshift(kspace, axes=(2, 3, 4))
    return np.fft.fftshift(np.fft.ifftn(shifted, axes=(2, 3, 4), norm="ortho"), axes=(2, 3, 4))


def ky(line):
    return int(line.head["idx"]["kspace_encode_step_1"])


def every_second(images, *, with_centre=True, alternate=False):
    """Every second line, of every second echo the others where they `alternate`."""
    for line in lines_of(oversampled(images)):
        first = line.head["idx"]["contrast"] % 2 if alternate else 0
        if ky(line) % 2 == first or (with_centre and ky(line) in CENTRE):
            yield line


def accelerated(mode="embedded"):
    return header(NZ, NY, NX, imaging=IMAGING.format(mode))


def own_space(images, x=2 * NX):
    """Header and lines of a calibration scan of `x` samples in an encoding space of its own."""
    head = accelerated()
    own = head.text.split("<encoding>")[1].split("</encoding>")[0]
    own = own.replace(f"<y>{NY}</y>", f"<y>{len(CENTRE)}</y>")
    own = own.replace(f"<matrixSize><x>{2 * NX}</x>", f"<matrixSize><x>{x}</x>")
    text = head.text.replace("</encoding>", f"</encoding><encoding>{own}</encoding>")
    calibration = []
    for line in lines_of(oversampled(images)):
        if ky(line) in CENTRE:
            other = changed(line, flags=flag(20), encoding_space_ref=1)
            other.head["idx"]["kspace_encode_step_1"] -= CENTRE[0]
            calibration.append(other)
    return type(head).parse(text), calibration


def off(result, images):
    """Error relative to the images."""
    return np.linalg.norm(result.data - images) / np.linalg.norm(images)


@pytest.mark.parametrize("alternate", [False, True])
@pytest.mark.parametrize("kernels", ["all_echoes", "each_echo"])
def test_lines_left_out_come_back_by_grappa(images, alternate, kernels):
    lines = every_second(images, alternate=alternate)
    result = assembled(lines, accelerated(), kernels=kernels)
    assert off(result, images) < GOOD
    assert result.report["provenance"]["grappa"]["acceleration_zy"] == (1, 2)
    assert len(result.kernels) == 1


@pytest.mark.parametrize("behind", [False, True])
def test_a_separate_calibration_scan_does_it_as_well_wherever_it_comes(images, behind):
    calibration = [
        changed(line, flags=flag(20))
        for line in lines_of(oversampled(images))
        if ky(line) in CENTRE
    ]
    lines = list(every_second(images, with_centre=False))
    sent = [*lines, *calibration] if behind else [*calibration, *lines]
    assert off(assembled(sent, accelerated("separate")), images) < GOOD


def test_a_calibration_scan_alone_is_no_scan(images):
    calibration = [changed(line, flags=flag(20)) for line in lines_of(oversampled(images))]
    with pytest.raises(QsmError, match="ended without a readout or image of the scan"):
        assembled(calibration, accelerated("separate"))


def test_a_calibration_scan_in_an_encoding_space_of_its_own_does_it_as_well(images):
    head, calibration = own_space(images)
    lines = every_second(images, with_centre=False)
    assert off(assembled([*calibration, *lines], head), images) < GOOD


def test_slices_come_back_one_by_one(images):
    lines = []
    for line in every_second(images.swapaxes(0, 0)[:, :, :1]):
        for number in range(2):
            new = changed(line, position=(0, 0, 7.0 * number))
            new.head["slice_dir"], new.head["read_dir"] = (0, 0, 1), (0, 1, 0)
            new.head["phase_dir"], new.head["idx"]["slice"] = (1, 0, 0), number
            lines.append(new)
    head = header(1, NY, NX, slice=2, imaging=IMAGING.format("embedded"))
    result = assembled(lines, head)
    single = images[:, :, :1]
    assert off(result, np.concatenate([single, single], axis=2)) < GOOD
    assert len(result.kernels) == 2


def test_a_calibration_scan_of_its_own_may_have_fewer_samples(images):
    head, calibration = own_space(images, x=NX)
    calibration = [changed(line, line.data[:, 4:12], center_sample=4) for line in calibration]
    lines = every_second(images, with_centre=False)
    assert off(assembled([*calibration, *lines], head), images) < GOOD


def test_a_calibration_scan_of_another_field_of_view_is_refused(images):
    head, calibration = own_space(images)
    ours, theirs = head.text.split("</encoding><encoding>")
    theirs = theirs.replace(f"<y>{3 * NY}</y>", f"<y>{4 * NY}</y>")
    other = f"{ours}</encoding><encoding>{theirs}"
    with pytest.raises(QsmError, match=r"calibration scan has a field of view .*scan both with"):
        assembled([*calibration, *every_second(images)], type(head).parse(other))


@pytest.mark.parametrize(("factor", "said"), [(-2, "-2 x 1"), (500, "500 x 1")])
def test_accelerations_that_cannot_be_are_refused(images, factor, said):
    text = accelerated().text.replace("_1>2</kspace", f"_1>{factor}</kspace")
    with pytest.raises(QsmError, match=f"acceleration of {said}; correct it"):
        assembled(every_second(images), type(accelerated()).parse(text))


def test_an_acceleration_of_0_is_none(images):
    text = accelerated().text.replace("_2>1</kspace", "_2>0</kspace")
    head = type(accelerated()).parse(text)
    assert off(assembled(every_second(images), head), images) < GOOD


def test_half_of_the_lines_without_an_acceleration_in_the_header_are_refused(images):
    with pytest.raises(QsmError, match=r"144 of 288 lines.*the header lacks its acceleration"):
        assembled(every_second(images, with_centre=False), header(NZ, NY, NX))


def test_without_calibration_lines_nothing_can_be_filled(images):
    with pytest.raises(QsmError, match=r"too small to calibrate|not sampled"):
        assembled(every_second(images, with_centre=False), accelerated())


def test_a_cut_short_accelerated_scan_is_refused(images):
    lines = list(every_second(images))
    with pytest.raises(QsmError, match=r"lines are missing.*cut short; send it again"):
        assembled(lines[:-30], accelerated())


def test_lines_on_no_lattice_are_refused_unless_sense_is_asked_for(images):
    rng = np.random.default_rng(0)
    keep = rng.random((NZ, NY)) < 0.55
    keep[:, CENTRE] = True
    lines = [
        line
        for line in lines_of(oversampled(images))
        if keep[line.head["idx"]["kspace_encode_step_2"], ky(line)]
    ]
    with pytest.raises(QsmError, match=r"on no lattice of 2 x 1; .*parallel_imaging=sense"):
        assembled(lines, accelerated())
    result = assembled(lines, accelerated(), parallel_imaging="sense")
    assert result.report["provenance"]["sense"]["method"] == "CG-SENSE, ESPIRiT"
    lost = np.linalg.norm(to_kspace(images)[:, :, ~keep]) / np.linalg.norm(images)
    assert off(result, images) < 0.85 * lost


def test_sense_takes_no_lattice_that_was_cut_short(images):
    lines = list(every_second(images))
    assert off(assembled(lines, accelerated(), parallel_imaging="sense"), images) < GOOD
    with pytest.raises(QsmError, match=r"lines are missing.*cut short; send it again"):
        assembled(lines[:-30], accelerated(), parallel_imaging="sense")


def test_what_sense_cannot_calibrate_is_refused_unless_the_settings_say_otherwise(images):
    lines = list(every_second(images, with_centre=False))
    with pytest.raises(QsmError, match=r"^sense: "):
        assembled(lines, accelerated(), parallel_imaging="sense")
    result = assembled(lines, accelerated(), parallel_imaging="sense", incomplete="warn")
    assert any("what was not sampled is zero" in text for text in result.report["warnings"])


def test_holes_are_filled_and_warned_of_where_the_settings_say_so(images):
    lines = [
        line
        for line in lines_of(oversampled(images))
        if (line.head["idx"]["kspace_encode_step_2"], ky(line)) not in {(0, 4), (2, 19), (5, 3)}
    ]
    result = assembled(lines, header(NZ, NY, NX), incomplete="warn")
    assert any(text.startswith("6 of 288 lines are missing") for text in result.report["warnings"])
    assert off(result, images) < 0.1


def test_holes_stay_zero_and_are_warned_of_where_the_centre_is_too_small():
    images = random_complex(ECHOES, 2, 4, 6, 8)
    lines = [x for x in lines_of(oversampled(images)) if ky(x) != 3]
    result = assembled(lines, incomplete="warn")
    assert any("what was not sampled is zero" in text for text in result.report["warnings"])
    kspace = oversampled(images)
    kspace[:, :, :, 3] = 0
    assert_same(result, assembled(lines_of(kspace)).data)


def test_an_ellipse_is_no_scan_that_was_cut_short():
    images = random_complex(ECHOES, 2, 16, 20, 8)
    kz, ky_ = np.ogrid[-8:8, -10:10]
    inside = (kz / 8) ** 2 + (ky_ / 10) ** 2 <= 1
    kspace = np.where(inside[..., None], oversampled(images), 0)
    lines = [
        line
        for line in lines_of(kspace)
        if inside[line.head["idx"]["kspace_encode_step_2"], ky(line)]
    ]
    result = assembled(lines, header(16, 20, 8))
    assert result.report["provenance"]["kspace"]["elliptical_sampling"]
    assert_same(result, assembled(lines_of(kspace), header(16, 20, 8)).data)
