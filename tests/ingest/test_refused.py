"""Scans that no image can come from are refused in one line that says what to do."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest import stream
from gadgetron_qsm.mrd.messages import IMAGE_HEADER, Image
from tests.raw_scan import (
    COILS,
    ECHOES,
    assembled,
    changed,
    header,
    lines_of,
    oversampled,
    random_complex,
    readout,
)


@pytest.fixture
def lines():
    return list(lines_of(oversampled(random_complex(ECHOES, COILS, 4, 6, 8))))


@pytest.mark.parametrize("center", [0, 1, 3, 15])
def test_a_centre_that_nobody_filled_in_is_refused(lines, center):
    with pytest.raises(QsmError, match=f"k = 0 is said to be sample {center} of 16"):
        assembled([*lines[:-1], changed(lines[-1], center_sample=center)])


@pytest.mark.parametrize("limits", [(5, 0, 3), (0, 2, 3), (4, 5, 3), (300, 500, 3), (0, 5, 60)])
@pytest.mark.parametrize("partial_fourier", ["zero", "pocs"])
def test_limits_that_do_not_hold_the_centre_are_refused(lines, limits, partial_fourier):
    said = r"kspace_encode_step_1 from \d+ to \d+ about \d+, .*; correct its encodingLimits"
    with pytest.raises(QsmError, match=said):
        assembled(lines, header(lines=limits), partial_fourier=partial_fourier)


def test_too_little_of_k_space_for_pocs_is_refused(lines):
    some = [line for line in lines if line.head["idx"]["kspace_encode_step_1"] < 5]
    with pytest.raises(QsmError, match="centre of 2 lines is too small to give a phase"):
        assembled(some, header(lines=(0, 4, 3)), partial_fourier="pocs")


@pytest.mark.parametrize("position", [(np.nan, 0, 0), (0, 0, np.inf)])
def test_a_scan_that_lies_nowhere_is_refused(lines, position):
    with pytest.raises(QsmError, match="position of a readout is not finite"):
        assembled([changed(line, position=position) for line in lines])


def test_a_readout_without_coils_or_samples_is_refused(lines):
    nobody = changed(lines[0], lines[0].data[:0], active_channels=0)
    with pytest.raises(QsmError, match="a readout has 0 coils"):
        assembled([nobody])
    with pytest.raises(QsmError, match="centre, sample 8, is none of its samples"):
        assembled([*lines, changed(lines[0], lines[0].data[:, :0])])


def test_a_scan_too_short_to_find_virtual_coils_in_is_refused():
    line = readout(random_complex(12, 16))
    with pytest.raises(QsmError, match=r"needs two lines or more; set kspace.compression=none"):
        assembled([line], compression="gcc")


def test_images_count_with_their_meta(monkeypatch):
    monkeypatch.setattr(stream, "FEW_BYTES", 1 << 20)
    head = np.zeros((), IMAGE_HEADER)[()]
    image = Image(head, np.zeros((1, 4, 6, 8), np.complex64), "x" * (1 << 20))
    with pytest.raises(QsmError, match="the images that came need"):
        assembled([image] * 20, memory_gb=0.02)
