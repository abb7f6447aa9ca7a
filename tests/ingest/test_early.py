"""What is filled and transformed while the scan goes on is what the end alone would have made."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest import early, intake
from gadgetron_qsm.ingest.lines import Lines
from gadgetron_qsm.ingest.volume import Volume
from gadgetron_qsm.kspace import sampling
from gadgetron_qsm.kspace.assemble import KY, KZ
from gadgetron_qsm.kspace.lattice import Lattice
from gadgetron_qsm.settings import KSpaceSettings
from tests.ingest.lattices import (
    CAIPI2X2,
    CAIPI3X2,
    CENTRE,
    ECHOES,
    NY,
    NZ,
    R2,
    R2X2,
    calibration_readouts,
    header_of,
    readouts,
    sampled_lines,
    samples,
)
from tests.raw_scan import assembled, repetitions

BESIDE = Lattice((2, 2), (0, 0), (1, 1))
EVERY_PARTITION = (NZ, CENTRE[1])
R2_LINES = sampled_lines(R2, EVERY_PARTITION)


@pytest.fixture(scope="module")
def data():
    return samples()


@pytest.fixture(autouse=True)
def small_bites(monkeypatch):
    monkeypatch.setattr(early, "BITE", 24)
    monkeypatch.setattr(early, "PACE", 64)  # half of so short a scan is over when it may begin
    monkeypatch.setattr(intake, "BATCH_BYTES", 1)


@pytest.fixture
def used(monkeypatch):
    """How many lines were filled early, or None, at each end of a scan."""
    counts = []
    finish = early.Early.finish

    def spied(self, *lines):
        filled = int(self.filled.sum())
        kernels = finish(self, *lines)
        counts.append(None if kernels is None else filled)
        return kernels

    monkeypatch.setattr(early.Early, "finish", spied)
    return counts


def without(monkeypatch, *scan, **settings):
    """The images that the end alone makes."""
    with monkeypatch.context() as patched:
        patched.setattr(Volume, "_early_filling", lambda _: None)
        return assembled(*scan, **settings)


def assert_alike(one, other):
    size = np.abs(other.data).max()
    np.testing.assert_allclose(one.data / size, other.data / size, atol=1e-4)
    for mine, theirs in zip(one.kernels[0], other.kernels[0], strict=True):
        np.testing.assert_allclose(mine.weights, theirs.weights, atol=5e-3)


def check(monkeypatch, lines, head, **settings):
    lines = list(lines)
    result = assembled(lines, head, **settings)
    assert_alike(result, without(monkeypatch, lines, head, **settings))
    return result


SCANS = {
    "r2 partition-inner": (R2_LINES, (1, 2), "partition-inner"),
    "r2x2": (sampled_lines(R2X2), (2, 2), "linear"),
    "r2x2 beside k = 0": (sampled_lines(BESIDE), (2, 2), "linear"),
    "r2x2 partition-inner": (sampled_lines(R2X2), (2, 2), "partition-inner"),
    "caipi2x2": (sampled_lines(CAIPI2X2), (2, 2), "linear"),
    "caipi3x2": (sampled_lines(CAIPI3X2), (2, 3), "linear"),
    "elliptical": (sampled_lines(R2X2, elliptical=True), (2, 2), "linear"),
    "elliptical beside k = 0": (sampled_lines(BESIDE, elliptical=True), (2, 2), "linear"),
    "elliptical caipi": (sampled_lines(CAIPI2X2, elliptical=True), (2, 2), "partition-inner"),
}


@pytest.mark.parametrize("name", SCANS)
def test_what_was_filled_early_is_what_the_end_would_have_made(data, used, monkeypatch, name):
    lines, acceleration, order = SCANS[name]
    check(monkeypatch, readouts(data, lines, order), header_of(acceleration))
    assert used[0] > 100


def test_lines_in_random_order_come_to_the_same(data, monkeypatch):
    lines = readouts(data, sampled_lines(R2X2), "random")
    check(monkeypatch, lines, header_of((2, 2)))


def test_a_calibration_region_that_grows_to_the_end_is_waited_for(data, monkeypatch):
    check(monkeypatch, readouts(data, R2_LINES), header_of((1, 2)))


def test_a_region_larger_than_is_used_does_not(data, used, monkeypatch):
    for module in (sampling, early):
        monkeypatch.setattr(module, "central_window", of_8_lines)
    monkeypatch.setattr(sampling, "CENTRE", 0)
    check(monkeypatch, readouts(data, R2_LINES), header_of((1, 2)))
    assert used[0] > 100


def of_8_lines(region, brightest):
    window = []
    for lines, line in zip(region, brightest, strict=True):
        first = min(max(line - 4, lines.start), max(lines.stop - 8, lines.start))
        window.append(slice(first, min(first + 8, lines.stop)))
    return tuple(window)


@pytest.mark.parametrize("lattice", [R2, R2X2, CAIPI2X2], ids=str)
def test_a_separate_calibration_before_the_image_lets_it_begin_at_once(
    data, used, monkeypatch, lattice
):
    image = readouts(data, sampled_lines(lattice, centre=None))
    lines = [*calibration_readouts(data), *image]
    check(monkeypatch, lines, header_of(lattice.cell, "separate"))
    assert used[0] > 0.8 * (NZ * NY - sampled_lines(lattice, centre=None).sum())


@pytest.mark.parametrize("at", [0.5, 1.0])
def test_a_separate_calibration_that_comes_late_counts_as_well(data, used, monkeypatch, at):
    image = list(readouts(data, sampled_lines(R2X2, centre=None)))
    middle = round(at * len(image))
    lines = [*image[:middle], *calibration_readouts(data), *image[middle:]]
    check(monkeypatch, lines, header_of((2, 2), "separate"))
    assert (used[0] or 0) > 100 or at == 1


def test_more_of_the_calibration_behind_the_image_takes_it_all_back(data, used, monkeypatch):
    apart = list(calibration_readouts(data))
    image = list(readouts(data, sampled_lines(R2X2, centre=None)))
    check(monkeypatch, [*apart, *image, *apart[:7]], header_of((2, 2), "separate"))
    assert used[0] is None


def test_the_centre_may_come_behind_the_lattice(data, monkeypatch):
    on, every = sampled_lines(R2X2, centre=None), sampled_lines(R2X2)
    lines = [*readouts(data, on), *readouts(data, every & ~on)]
    check(monkeypatch, lines, header_of((2, 2)))


def test_a_region_that_turns_out_to_be_another_is_judged_at_the_end(data, used):
    lines = sampled_lines(R2, (3, 9))  # 27, less than the 32 of one column
    with pytest.raises(QsmError, match="1 lines is too small to calibrate"):
        assembled(readouts(data, lines), header_of((1, 2)))
    assert used[0] is None


def test_the_centre_may_come_before_the_lattice(data, used, monkeypatch):
    on, every = sampled_lines(R2X2, centre=None), sampled_lines(R2X2)
    lines = [*readouts(data, every & ~on), *readouts(data, on)]
    check(monkeypatch, lines, header_of((2, 2)))
    assert used[0] > 100


def test_lines_beside_the_lattice_that_come_late_are_themselves(data, used, monkeypatch):
    some = np.zeros((NZ, NY), bool)
    some[1, 1] = some[3, 20] = some[25, 31] = some[30, 5] = True
    lines = [*readouts(data, sampled_lines(R2X2)), *readouts(data, some)]
    check(monkeypatch, lines, header_of((2, 2)))
    assert used[0] > 100


def test_a_line_that_came_in_one_echo_alone_is_not_filled_over(data, used, monkeypatch):
    beside = np.zeros((NZ, NY), bool)
    beside[3, 21] = beside[31, 5] = True
    lines = list(readouts(data, beside))
    lines = [*lines[::2], *readouts(data, sampled_lines(R2X2)), *lines[1::2]]
    check(monkeypatch, lines, header_of((2, 2)))
    assert used[0] > 100


@pytest.mark.parametrize("row", [4, 16, 28])
def test_lines_that_come_again_are_averaged_and_used_as_such(data, used, monkeypatch, row):
    again = sampled_lines(R2X2)
    again[:row] = again[row + 1 :] = False
    lines = [*readouts(data, sampled_lines(R2X2)), *readouts(2 * data, again)]
    check(monkeypatch, lines, header_of((2, 2)))
    assert (used[0] is None) == (row == 16)  # where it calibrates


def test_what_was_filled_outside_of_an_ellipse_is_taken_back_too(data, used, monkeypatch):
    sampled = sampled_lines(BESIDE, elliptical=True)
    again = np.zeros_like(sampled)
    again[NZ // 2, NY // 2] = True
    lines = [*readouts(data, sampled), *readouts(2 * data, again)]
    check(monkeypatch, lines, header_of((2, 2)))
    assert used[0] is None


def test_averages_that_are_announced_are_waited_for(data, used, monkeypatch):
    sampled = sampled_lines(R2X2)
    lines = [*readouts(data, sampled), *readouts(1.5 * data, sampled)]
    check(monkeypatch, lines, header_of((2, 2), average=2))
    assert used[0] > 100


def test_echoes_on_lattices_of_their_own_are_not_taken_for_alike(data, used, monkeypatch):
    lines = list(readouts(data, sampled_lines(R2X2)))
    other = Lattice((2, 2), (0, 0), (0, 1))
    lines += readouts(data[:1], sampled_lines(other) & ~sampled_lines(R2X2))
    check(monkeypatch, lines, header_of((2, 2)), incomplete="warn")
    assert used in ([], [None, None])


def test_echo_after_echo_comes_to_the_same(data, monkeypatch):
    lines = list(readouts(data, sampled_lines(R2X2)))
    lines.sort(key=lambda line: int(line.head["idx"]["contrast"]))
    check(monkeypatch, lines, header_of((2, 2)))


@pytest.mark.parametrize("lost", [(4, 8), (20, 20), (30, 34)])
def test_a_lost_line_is_refused_as_ever(data, lost):
    sampled = sampled_lines(R2X2)
    sampled[lost] = False
    with pytest.raises(QsmError, match="lines are missing"):
        assembled(readouts(data, sampled), header_of((2, 2)))


def test_or_sense_begins_with_what_came_alone(data, monkeypatch):
    sampled = sampled_lines(R2X2)
    sampled[26, 20] = False
    lines, head = list(readouts(data, sampled)), header_of((2, 2))
    result = assembled(lines, head, incomplete="warn")
    plain = without(monkeypatch, lines, head, incomplete="warn")
    size = np.abs(plain.data).max()
    np.testing.assert_allclose(result.data / size, plain.data / size, atol=2e-5)


def test_lines_that_the_header_does_not_announce_are_sources_too(data, monkeypatch):
    head = header_of((2, 2), lines=(0, NY - 7, NY // 2))
    check(monkeypatch, readouts(data, sampled_lines(R2X2), "partition-inner"), head)


@pytest.mark.parametrize("method", ["zero", "pocs"])
def test_partial_fourier_is_filled_where_it_was_announced(data, used, monkeypatch, method):
    first = 9
    sampled = sampled_lines(R2X2)
    sampled[:, :first] = False
    head = header_of((2, 2), lines=(first, NY - 1, NY // 2))
    check(monkeypatch, readouts(data, sampled), head, partial_fourier=method)
    assert used[0] > 100


@pytest.mark.parametrize("setting", [{"kernels": "each_echo"}, {"parallel_imaging": "sense"}])
def test_other_ways_to_fill_wait_for_the_end(data, used, setting):
    assembled(readouts(data, sampled_lines(R2X2)), header_of((2, 2)), **setting)
    assert not any(used)


def test_each_repetition_is_filled_by_itself(data, used):
    lines = list(readouts(data, sampled_lines(R2X2)))
    for line in readouts(3 * data, sampled_lines(R2X2)):
        line.head["idx"]["repetition"] = 1
        lines.append(line)
    one, other = repetitions(lines, header_of((2, 2), repetition=2))
    np.testing.assert_allclose(other.data, 3 * one.data, rtol=1e-3, atol=1e-4)
    assert min(used) > 100


@pytest.mark.parametrize(("order", "axis"), [("linear", KY), ("partition-inner", KZ)])
@pytest.mark.parametrize("lattice", [R2X2, CAIPI2X2], ids=str)
def test_before_the_last_readout_nearly_all_is_filled_and_transformed(data, lattice, order, axis):
    sampled = sampled_lines(lattice)
    *before, _ = readouts(data, sampled, order)
    lines = Lines(header_of((2, 2)), KSpaceSettings(compression="none"))
    for line in before:
        assert not list(lines.add(line))
    volume = lines._intake._volume
    assert (volume._early.filled | sampled).mean() > 0.95
    done = {index for _, index in volume._assembly._done}
    assert volume._assembly._axis == axis
    assert len(volume._assembly._done) == ECHOES * len(done)
    assert (NZ, NY)[axis == KZ] - len(done) <= 8  # the last line is a source of three rows of cells
