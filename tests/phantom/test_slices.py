"""Two-dimensional slices: what they see, where they are, in which order they come."""

from __future__ import annotations

import math

import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.phantom import Scan, Slices, tissue
from gadgetron_qsm.phantom.slices import slice_numbers, slots

SMALL = {
    "voxel_size_mm": (8.0, 10.0, 8.0),
    "coils": 2,
    "echo_times_s": (0.004, 0.010),
    "tr_s": 0.5,
    "snr": math.inf,
}
NO_FIELD = "8,mark,0,1,0\n14,air,0,0,0\n15,dim,0,0,0\n"


def images_of(rows):
    """(echo, place, y, x) of the first coil by a centred inverse FFT in the plane."""
    idx = rows.heads["idx"]
    space = rows.header.encoding[0].encodedSpace.matrixSize
    kspace = np.zeros((2, idx["slice"].max() + 1, space.y, space.x), complex)
    for number in rows.image:
        i = idx[number]
        kspace[i["contrast"], i["slice"], i["kspace_encode_step_1"]] = rows.samples[number][0]
    shifted = np.fft.ifftshift(kspace, axes=(2, 3))
    images = np.fft.fftshift(np.fft.ifftn(shifted, axes=(2, 3)), axes=(2, 3))
    places = np.argsort(along(rows, rows.heads["slice_dir"][0]))
    n = rows.header.encoding[0].reconSpace.matrixSize.x
    return images[:, places, :, n - n // 2 : 2 * n - n // 2]


def along(rows, direction):
    """Position of each idx.slice along a direction, mm."""
    heads = rows.heads[rows.image]
    first = np.unique(heads["idx"]["slice"], return_index=True)[1]
    return heads["position"][first] @ direction


@pytest.fixture(scope="module")
def small(read_out):
    return read_out(**SMALL, matrix=(6, 16, 18), slices=Slices(gap_mm=2.0))


def test_each_slice_is_encoded_in_its_plane_alone(small):
    encoding = small.header.encoding[0]
    for space in (encoding.encodedSpace, encoding.reconSpace):
        assert (space.matrixSize.y, space.matrixSize.z) == (16, 1)
        assert space.fieldOfView_mm.z == 8
    limits = encoding.encodingLimits
    assert (limits.slice.maximum, limits.kspace_encoding_step_2.maximum) == (5, 0)
    assert not small.heads["idx"]["kspace_encode_step_2"].any()
    assert len(small.image) == 6 * 16 * 2


def test_slices_lie_a_thickness_and_a_gap_apart_around_the_scans_position(small):
    direction = small.heads["slice_dir"][0]
    steps = np.sort(along(small, direction)) - np.dot(Scan().position_mm, direction)
    np.testing.assert_allclose(steps, (np.arange(6) - 3) * 10.0, atol=1e-4)
    in_plane = small.heads["position"] - Scan().position_mm
    for name in ("read_dir", "phase_dir"):
        np.testing.assert_allclose(in_plane @ small.heads[name][0], 0, atol=1e-4)
    assert small.truth["voxel_size"].tolist() == [10.0, 10.0, 8.0]


def test_slots_of_an_interleaved_scan_count_every_second_slice_first(small):
    order = np.argsort(along(small, small.heads["slice_dir"][0]))
    assert order.tolist() == [3, 0, 4, 1, 5, 2]
    np.testing.assert_array_equal(small.heads["idx"]["slice"][:12:2], np.arange(6))


def test_all_slices_share_one_repetition_time(small):
    first = small.heads[small.heads["idx"]["contrast"] == 0]
    same = first["acquisition_time_stamp"][first["idx"]["slice"] == 3].astype(float)
    np.testing.assert_allclose(np.diff(same) * 0.0025, 0.5, atol=0.003)
    np.testing.assert_allclose(np.ptp(first["acquisition_time_stamp"][:6]), 167, atol=1)


def test_slices_can_be_numbered_by_place(read_out):
    rows = read_out(**SMALL, matrix=(5, 4, 8), slices=Slices(numbered="place"))
    assert (np.diff(along(rows, rows.heads["slice_dir"][0])) > 0).all()
    assert rows.heads["idx"]["slice"][:10:2].tolist() == [0, 2, 4, 1, 3]


@pytest.mark.parametrize("count", [4, 7])
@pytest.mark.parametrize("order", ["interleaved", "ascending"])
def test_neighbours_are_never_excited_in_turn_unless_ascending(count, order):
    slices = Slices(order=order)
    places = slots(slices, count)
    assert sorted(places) == list(range(count))
    assert (np.diff(places) == 1).all() == (order == "ascending")
    np.testing.assert_array_equal(slice_numbers(slices, count)[places], np.arange(count))


def test_each_slice_says_which_of_its_lines_are_first_and_last(small):
    idx = small.heads["idx"]
    for flag, line, echo in (
        (ismrmrd.ACQ_FIRST_IN_SLICE, 0, 0),
        (ismrmrd.ACQ_LAST_IN_SLICE, 15, 1),
    ):
        flagged = idx[small.flagged(flag)]
        assert sorted(flagged["slice"]) == list(range(6))
        assert set(flagged["kspace_encode_step_1"]) == {line}
        assert set(flagged["contrast"]) == {echo}


@pytest.mark.parametrize(("plane", "share"), [(0, 1 / 4), (1, 1 / 4), (-2, 1 / 8), (3, 0)])
def test_a_slice_sees_its_thickness_and_nothing_of_the_gap(
    read_out, label_file, value_table, plane, share
):
    """Slices of 4 mm with gaps of 2 mm, of fine planes of 1 mm: those 2 mm off count half."""
    labels = np.full((24, 24, 30), tissue.AIR, np.uint8)
    labels[0:24:23, 0:24:23, 3:27:23] = tissue.SOFT  # corners, which set the middle
    seen = []
    for planes in (slice(15 + plane, 16 + plane), slice(3, 27)):
        labels[5:19, 5:19, planes] = tissue.WHITE
        rows = read_out(
            labels=label_file(labels),
            values=value_table(NO_FIELD),
            **{**SMALL, "voxel_size_mm": (4.0, 2.0, 2.0)},
            matrix=(4, 16, 16),
            tilt_deg=0.0,
            slices=Slices(gap_mm=2.0),
        )
        seen.append(np.abs(images_of(rows))[0, :, 5:11, 5:11].mean(axis=(1, 2)))
    shares = seen[0] / seen[1]
    assert shares[2] == pytest.approx(share, abs=0.01)
    np.testing.assert_allclose(np.delete(shares, 2), 0, atol=1e-3)
    assert rows.truth["m0"][2, 8, 8] == 1  # whatever the gap holds


def test_the_outermost_slices_are_excited_like_the_others(small):
    size = np.abs(images_of(small))[0].sum(axis=(1, 2))
    assert size[0] > 0.6 * size[1]
    assert size[-1] > 0.6 * size[-2]


def test_signal_that_dephases_within_a_slice_is_lost(read_out):
    """Thick slices lose more of the second echo than thin ones, where the field is steep."""
    thin, thick = (
        read_out(
            **{**SMALL, "voxel_size_mm": (z, 8.0, 8.0), "echo_times_s": (0.005, 0.030)},
            matrix=(n, 24, 22),
            slices=Slices(),
        )
        for z, n in ((3.0, 24), (12.0, 6))
    )
    lost = []
    for rows in (thin, thick):
        size = np.abs(images_of(rows)).sum(axis=(2, 3))
        lost.append(1 - size[1].sum() / size[0].sum())
    assert lost[1] > 1.1 * lost[0]


def test_the_snr_is_that_of_the_slices_image(read_out):
    protocol = {**SMALL, "coils": 1, "matrix": (6, 22, 24), "slices": Slices()}
    noisy, silent = (read_out(**{**protocol, "snr": snr}) for snr in (40.0, math.inf))
    noise = images_of(noisy)[0] - images_of(silent)[0]
    truth = silent.truth
    white = (truth["labels"] == tissue.WHITE) & truth["brain"]
    signal = np.abs(images_of(silent)[0])[white].mean()
    assert signal / noise.real.std() == pytest.approx(40, rel=0.2)
