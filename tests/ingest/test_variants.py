"""Every named way to scan gives the echoes of the full scan, and the field of the head itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.kspace.fourier import centred_fft, centred_ifft
from gadgetron_qsm.phantom import VARIANTS, Scan, varied
from tests.benchmarks.variants import (
    NEEDED,
    VRC,
    Result,
    combined,
    error,
    expected_noise,
    field_error_ppb,
    free_of_noise,
    fully_sampled,
)

PLAIN = Scan(voxel_size_mm=(8.0,) * 3, coils=6, echo_times_s=(0.0045, 0.0098, 0.0151))
CALIBRATION = (12, 16)  # lines at most along (kz, ky): large voxels have few, and some are left out
REFUSED = {"r2-uncalibrated"}
MOVED = {"moved", "restless"}
STILL = set(VARIANTS) - REFUSED - MOVED
FILLED = {name for name in VARIANTS if name.startswith(("r2", "r3", "r4", "caipi"))} - REFUSED
CUT = {"elliptical", "partial-fourier", "partial-fourier-both", "asymmetric"}
WHITE = 1.15  # times the noise in theory: lines that came, a few lines filled
BIPOLAR = 1.3  # the phase between directions, of ten thousand voxels, is not quite a plane
KERNELS = 2.0  # of six coils and some thousand equations
BLUR = 2.2  # what the full scan lacks when its combined image, and not its coils', is cut
FIELD_PPB = 9.0  # as the fields inside a voxel of 8 mm differ; a turned sign makes it 17 to 77
NO_CALIBRATION = "centre of 26 partitions x 1 lines is too small to calibrate GRAPPA"
HOLES = "lines are missing, the first in echo 1, partition"
LINES = "partial Fourier: lines that were not acquired are zero"
SAMPLES = "asymmetric echoes: samples that were not acquired are zero"
WARNINGS = {
    "holes": [HOLES, "SENSE filled them"],
    "partial-fourier": [LINES],
    "partial-fourier-both": [LINES],
    "asymmetric": [SAMPLES],
    "no-noise": ["no noise readouts before the image: all coils' noise was taken as equal, white"],
}


def scan_of(name: str) -> Scan:
    """A variant of the small scan."""
    scan = varied(PLAIN, [name])
    size = tuple(np.minimum(scan.sampling.calibration_size, CALIBRATION).tolist())
    if scan.sampling.acceleration[0] == 1 and not scan.sampling.caipi_shift:
        size = (scan.sampling.calibration_size[0], size[1])  # every partition
    return replace(scan, sampling=replace(scan.sampling, calibration_size=size))


def result_of(scan: Scan, *settings: dict[str, str]) -> Result:
    return combined(scan, None, *settings)


def noise_of(full: Result) -> float:
    """Error that white noise makes of combined voxels, where that of each is 1."""
    echoes = full.echoes.data[:, full.brain]
    return float(np.sqrt(echoes.size) / np.linalg.norm(echoes))


def with_data(result: Result, data: np.ndarray) -> Result:
    return replace(result, scans=(replace(result.echoes, data=data),))


def head_itself(result: Result) -> Result:
    """Echoes of what the phantom's maps tell."""
    maps, of = result.maps, result.echoes
    times = np.array(of.echo_times_s)[:, None, None, None]
    turns = times * of.larmor_hz * 1e-6 * (maps["field_ppm"] + maps["shim_ppm"])
    return with_data(result, maps["m0"] * np.exp(2j * np.pi * turns - times * maps["r2star"]))


def cut(name: str, full: Result) -> Result:
    """The full scan without the part of k-space that a variant leaves out."""
    nz, ny, nx = full.echoes.data.shape[1:]
    kz, ky, kx = np.ogrid[:nz, :ny, :nx]
    came = {
        "elliptical": np.hypot(kz - nz // 2, (ky - ny // 2) * nz / ny) <= nz / 2,
        "partial-fourier": ky >= ny // 4,
        "partial-fourier-both": (kz >= nz // 8) & (ky >= ny // 4),
        "asymmetric": kx - nx // 2 >= -nx / 4,
    }[name]
    kspace = centred_fft(full.echoes.data.copy(), axes=[1, 2, 3]) * came
    return with_data(full, centred_ifft(kspace, axes=[1, 2, 3]))


def bound(name: str) -> float:
    """Times the theory's noise that is still right."""
    if name in FILLED:
        return KERNELS
    return BLUR if name in CUT else BIPOLAR if name.startswith("bipolar") else WHITE


@pytest.mark.parametrize("name", sorted(STILL - {"no-noise"}))
def test_echoes_are_those_without_noise_of_all_lines_but_for_the_noise_in_theory(name):
    scan, settings = scan_of(name), NEEDED.get(name, {})
    result = result_of(scan, settings, VRC)
    whole = fully_sampled(scan)
    full, true = (result_of(one, VRC) for one in (whole, free_of_noise(whole)))
    if name in CUT:
        true = cut(name, true)
    noise = noise_of(full) * expected_noise(scan, result, len(full.lines), settings)
    assert error(result, true) < bound(name) * noise


@pytest.mark.parametrize("name", sorted(STILL - FILLED - CUT))
def test_field_is_that_of_the_head(name):
    result = result_of(scan_of(name), NEEDED.get(name, {}))
    assert field_error_ppb(result, head_itself(result)) < FIELD_PPB


@pytest.mark.parametrize("name", sorted(STILL))
def test_what_was_left_out_is_said_and_nothing_else(name):
    result = result_of(scan_of(name), NEEDED.get(name, {}), VRC)
    warnings = result.echoes.report["warnings"]
    warnings = [text for text in warnings if not text.startswith("no g-factor map")]
    expected = WARNINGS.get(name, [])
    assert len(warnings) == len(expected)
    assert all(one in text for one, text in zip(expected, warnings, strict=True))


@pytest.mark.parametrize(
    ("name", "line"),
    [("r2-uncalibrated", NO_CALIBRATION), ("holes", f"{HOLES}.*set kspace.incomplete=warn")],
)
def test_what_cannot_be_filled_is_refused(name, line):
    with pytest.raises(QsmError, match=line):
        result_of(scan_of(name))
