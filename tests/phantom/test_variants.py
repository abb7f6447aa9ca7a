"""Every named variant: what must hold of all, and what makes each the one it is."""

from __future__ import annotations

import itertools
import math

import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.phantom import VARIANTS, Sampling, Scan, varied
from gadgetron_qsm.phantom.sampling import plan_grid

SAME_SAMPLES = [  # as the plain scan has, of lines that lie at the same place
    "r2", "r3", "r4", "r2-separate", "r2-uncalibrated", "r2x2", "r2x2-offset", "r3x2", "r4x3",
    "caipi1x2", "caipi2x2", "caipi2x2-z", "caipi2x2-separate", "caipi3x2", "elliptical", "holes",
    "partial-fourier", "partial-fourier-both", "averages", "repetitions", "duplicates",
    "partition-inner", "centre-out", "random-order", "extra-lines", "no-last-flag",
]  # fmt: skip
EVERY_LINE = {"averages", "repetitions", "duplicates", "extra-lines", "no-last-flag"} | {
    "partition-inner", "centre-out", "random-order",
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_counters_channels_and_samples_fit_the_header(variant, name):
    rows = variant(name)
    heads, encoding = rows.heads, rows.header.encoding[0]
    limits = encoding.encodingLimits
    for counter, limit in (
        ("kspace_encode_step_1", limits.kspace_encoding_step_1),
        ("kspace_encode_step_2", limits.kspace_encoding_step_2),
        ("slice", limits.slice),
        ("contrast", limits.contrast),
        ("average", limits.average),
        ("repetition", limits.repetition),
    ):
        largest = limit.maximum if limit else 0
        assert heads["idx"][counter].max() <= largest, counter
        assert limit is None or limit.minimum == 0
    sizes = encoding.encodedSpace.matrixSize
    for places, size in zip(rows.places[rows.image].T, (sizes.z, sizes.y), strict=True):
        assert places.min() >= 0
        assert places.max() < size
        assert size // 2 in places
    shapes = [(h["active_channels"], h["number_of_samples"]) for h in heads]
    assert [line.shape for line in rows.samples] == shapes
    assert len(rows.header.sequenceParameters.TE) == limits.contrast.maximum + 1
    assert (heads["scan_counter"] == np.arange(len(heads))).all()
    assert (np.diff(heads["acquisition_time_stamp"].astype(int)) >= 0).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_one_line_is_the_last_and_it_is_of_the_image(variant, name):
    rows = variant(name)
    last = np.flatnonzero(rows.flagged(ismrmrd.ACQ_LAST_IN_MEASUREMENT))
    assert last.tolist() == ([] if name == "no-last-flag" else [rows.image[-1]])


@pytest.mark.parametrize("name", ["full", "averages", "repetitions"])
def test_only_counters_that_count_have_limits(variant, name):
    limits = variant(name).header.encoding[0].encodingLimits
    assert (limits.average is not None) == (name == "averages")
    assert (limits.repetition is not None) == (name == "repetitions")


@pytest.mark.parametrize("name", SAME_SAMPLES)
def test_the_lines_that_came_are_those_of_the_plain_scan(read_out, silent, plain, name):
    rows = read_out(name, **silent)
    came = np.zeros((28, 30), bool)
    for number in rows.image:
        kz, ky = rows.places[number]
        echo = rows.heads["idx"]["contrast"][number]
        np.testing.assert_array_equal(rows.samples[number], plain.kspace[echo, :, kz, ky])
        came[kz, ky] = True
    assert came.all() == (name in EVERY_LINE)


@pytest.mark.parametrize(
    ("name", "limits"),
    [("partial-fourier", ((28, 14), (23, 8))), ("partial-fourier-both", ((25, 11), (23, 8)))],
)
def test_counters_of_partial_fourier_begin_with_the_first_line_acquired(variant, name, limits):
    encoding = variant(name).header.encoding[0]
    assert encoding.encodedSpace.matrixSize.y == encoding.reconSpace.matrixSize.y == 30
    announced = encoding.encodingLimits
    for limit, (count, centre) in zip(
        (announced.kspace_encoding_step_2, announced.kspace_encoding_step_1), limits, strict=True
    ):
        assert (limit.minimum, limit.maximum, limit.center) == (0, count - 1, centre)


@pytest.mark.parametrize(
    ("name", "counter"), [("averages", "average"), ("repetitions", "repetition")]
)
def test_every_average_and_repetition_has_noise_of_its_own(variant, name, counter):
    rows = variant(name)
    image = rows.image
    sets = [
        np.array([rows.samples[i] for i in image[rows.heads["idx"][counter][image] == number]])
        for number in range(rows.heads["idx"][counter].max() + 1)
    ]
    noise = np.array([rows.samples[i] for i in range(4)])
    assert len({len(lines) for lines in sets}) == 1
    for a, b in itertools.pairwise(sets):
        assert (a - b).std() == pytest.approx(math.sqrt(2) * noise.std(), rel=0.1)


def test_each_repetition_says_where_it_begins_and_ends(variant):
    rows = variant("repetitions")
    third = len(rows.image) // 3
    first, last = (
        np.flatnonzero(rows.flagged(flag)[rows.image])
        for flag in (ismrmrd.ACQ_FIRST_IN_REPETITION, ismrmrd.ACQ_LAST_IN_REPETITION)
    )
    assert first.tolist() == [0, third, 2 * third]
    assert last.tolist() == [third - 1, 2 * third - 1, 3 * third - 1]


def test_oversampling_takes_samples_between_those_of_the_plain_scan(read_out, silent, plain):
    rows = read_out(**silent, sampling=Sampling(oversampling=(2.0, 3.0)))
    encoding = rows.header.encoding[0]
    encoded, shown = encoding.encodedSpace, encoding.reconSpace
    assert (encoded.matrixSize.y, encoded.matrixSize.z) == (90, 56)
    assert (encoded.fieldOfView_mm.y, encoded.fieldOfView_mm.z) == (540, 336)
    assert (shown.matrixSize.y, shown.fieldOfView_mm.y, shown.fieldOfView_mm.z) == (30, 180, 168)
    compared = 0
    for number in rows.image:
        steps = rows.places[number] - (28, 45)
        if not (steps % (2, 3)).any():
            kz, ky = steps // (2, 3) + (14, 15)
            echo = rows.heads["idx"]["contrast"][number]
            expected = plain.kspace[echo, :, kz, ky]
            np.testing.assert_allclose(rows.samples[number], expected, rtol=1e-3, atol=0.05)
            compared += 1
    assert compared == 28 * 30 * 2


def test_an_odd_matrix_is_odd_along_every_side():
    scan = varied(Scan(voxel_size_mm=(10.0,) * 3), ["odd-matrix"])
    assert plan_grid(scan, (200.0, 180.0, 160.0)).matrix == (21, 19, 17)


def test_variants_combine():
    scan = varied(Scan(coils=3), ["caipi2x2", "bipolar", "partial-fourier", "single-echo"])
    assert scan.sampling.acceleration == (2, 2)
    assert scan.sampling.partial_fourier == (1.0, 0.75)
    assert scan.readout.bipolar
    assert (scan.coils, len(scan.echo_times_s)) == (3, 1)


def test_a_variant_leaves_nothing_of_another_lattice():
    assert varied(Scan(), ["caipi2x2-z", "r2"]) == varied(Scan(), ["r2"])


def test_scans_that_differ_have_identifiers_that_differ(read_out, silent):
    tiny = {**silent, "matrix": (4, 4, 8)}
    uids = {
        read_out(name, **tiny).header.studyInformation.studyInstanceUID
        for name in ("full", "bipolar", "bipolar-unflagged", "slices")
    }
    assert len(uids) == 4


def test_slices_cannot_be_accelerated_across():
    with pytest.raises(QsmError, match="along z"):
        varied(Scan(), ["slices", "r2x2"])


def test_a_wrong_name_is_answered_with_the_right_ones():
    with pytest.raises(UsageError, match="no variant 'r9'; there are full, r2"):
        varied(Scan(), ["r9"])
