"""How k-space was read, as the checklist tells it of scans that were read so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gadgetron_qsm import chain
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.phantom import Scan, simulate, varied
from gadgetron_qsm.report.sampling import left_out, sampling
from gadgetron_qsm.settings import Settings
from tests.raw_scan import assembled, changed, flag, header, lines_of, oversampled, random_complex

PARTIAL, ASYMMETRIC = "Partial Fourier, best avoided", "Asymmetric echo, best avoided"
POLARITY, ELLIPTICAL = "Monopolar or bipolar readouts", "Elliptical shutter of k-space"
ACCELERATION = "Acceleration: type and factors"
MONOPOLAR = "monopolar: no readout is marked as read backwards"
POCS = {"partial_fourier": "pocs"}
SMALL = Scan(
    voxel_size_mm=(8.0,) * 3, coils=4, echo_times_s=(0.005, 0.010, 0.015), fine_per_voxel=1
)


HEAD = header(4, 24, 16)
PART = header(4, 24, 16, lines=(0, 17, 6))  # 18 lines, with k = 0 in the seventh


@pytest.fixture
def kspace():
    return oversampled(random_complex(2, 2, 4, 24, 16))


def values(lines, head=None, **settings):
    head = head or HEAD
    report = assembled(lines, head, **settings).report
    return {item.text: item.value for item in sampling(head, report)}


def cut(line):
    """Begin a readout late, as asymmetric echoes do."""
    return changed(line, line.data[:, 8:], center_sample=8)


@pytest.fixture
def of_variant(tmp_path):
    def values_of(name, calibration=(12, 16)):
        scan = varied(SMALL, [name])
        scan = replace(scan, sampling=replace(scan.sampling, calibration_size=calibration))
        simulate(tmp_path / "scan.h5", scan)
        with RawFile(tmp_path / "scan.h5") as file:
            head = Header.parse(file.header_text)
            messages = (readout for block in file.blocks() for readout in block)
            echoes = next(chain.combine(messages, head, Settings()))
        return {item.text: item.value for item in sampling(head, echoes.report)}

    return values_of


def test_a_plain_scan_is_told_as_such(kspace):
    found = values(lines_of(kspace))
    assert found[POLARITY] == MONOPOLAR
    assert found[ACCELERATION] == found[PARTIAL] == found[ASYMMETRIC] == "none"
    assert found[ELLIPTICAL] == "no"


@pytest.mark.parametrize(("settings", "how"), [({}, "filled with zeros"), (POCS, "filled by POCS")])
def test_partial_fourier_is_told_with_its_part_of_k_space(kspace, settings, how):
    lines = lines_of(kspace[:, :, :, 6:])
    assert values(lines, PART, **settings)[PARTIAL] == f"phase 75 %, {how}"


@pytest.mark.parametrize(("settings", "how"), [({}, "filled with zeros"), (POCS, "filled by POCS")])
def test_asymmetric_echoes_are_told(kspace, settings, how):
    short = [cut(line) for line in lines_of(kspace)]
    found = values(short, **settings)
    assert found[ASYMMETRIC] == f"used, {how}"
    assert found[PARTIAL] == "none"


def test_of_both_with_pocs_only_the_lines_are_known(kspace):
    short = [cut(line) for line in lines_of(kspace[:, :, :, 6:])]
    found = values(short, PART, **POCS)
    assert found[PARTIAL] == "phase 75 %, filled by POCS"
    assert found[ASYMMETRIC] is None


def test_bipolar_readouts_that_cannot_be_corrected_are_told(kspace):
    backwards = [
        changed(line, line.data[:, ::-1], flags=flag(22), center_sample=15)
        if line.head["idx"]["contrast"]
        else line
        for line in lines_of(kspace)
    ]
    assert values(backwards)[POLARITY] == "bipolar"
    assert values(backwards, odd_even="leave")[POLARITY] == "bipolar"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bipolar", {POLARITY: "bipolar, phase between odd and even echoes corrected"}),
        ("bipolar-unflagged", {POLARITY: None}),
        ("elliptical", {ELLIPTICAL: "yes", PARTIAL: "none"}),
        (
            "r2x2",
            {
                ACCELERATION: "2 (phase) x 2 (slice), calibration embedded, lines filled by GRAPPA",
                PARTIAL: "none",
                ELLIPTICAL: "no",
            },
        ),
    ],
)
def test_variants_of_a_scan_are_told(of_variant, name, expected):
    assert expected.items() <= of_variant(name).items()


LATTICE = """<parallelImaging><accelerationFactor>
<kspace_encoding_step_1>{y}</kspace_encoding_step_1><kspace_encoding_step_2>{z}</kspace_encoding_step_2>
</accelerationFactor></parallelImaging>"""


@pytest.mark.parametrize(("factors", "expected"), [((1, 3), {}), ((3, 1), {"phase": 22 / 24})])
def test_the_end_of_a_lattice_is_no_partial_fourier(factors, expected):
    z, y = factors
    imaging = LATTICE.format(z=z, y=y)
    assert left_out(header(4, 24, 16, lines=(0, 21, 12), imaging=imaging)) == expected


def test_images_do_not_tell_how_they_were_read():
    head = header()
    report = {"provenance": {"scan": {"method": "images"}}}
    found = {item.text: item.value for item in sampling(head, report)}
    assert found[POLARITY] is found[ASYMMETRIC] is found[ELLIPTICAL] is None
    assert found[PARTIAL] == "none"
