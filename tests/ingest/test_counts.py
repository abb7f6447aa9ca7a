"""Repetitions and averages: as many as came, and what is said when they are fewer."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest import coil_images
from gadgetron_qsm.mrd.messages import IMAGE_HEADER, Image
from gadgetron_qsm.settings import KSpaceSettings
from tests.raw_scan import (
    COILS,
    ECHOES,
    PHASE,
    READ,
    SLICE,
    assembled,
    assert_same,
    header,
    lines_of,
    oversampled,
    random_complex,
    repetitions,
)

SETTINGS = KSpaceSettings(compression="none")
WARN = KSpaceSettings(compression="none", incomplete="warn")


def repeated(images):
    """Lines of a scan with a repetition for each of images (repetition, echo, coil, z, y, x)."""
    for repetition, volume in enumerate(images):
        for line in lines_of(oversampled(volume)):
            head = line.head.copy()
            head["idx"]["repetition"] = repetition
            yield dataclasses.replace(line, head=head)


def test_each_repetition_is_a_volume_of_its_own():
    images = random_complex(3, ECHOES, COILS, 4, 6, 8)
    results = repetitions(repeated(images), header(repetition=3))
    assert [result.repetition for result in results] == [0, 1, 2]
    for result, volume in zip(results, images, strict=True):
        assert_same(result, volume)


def test_a_repetition_comes_as_soon_as_the_next_begins():
    images = random_complex(2, ECHOES, COILS, 4, 6, 8)
    taken = []

    def counted():
        for line in repeated(images):
            taken.append(line)
            yield line

    next(coil_images(counted(), header(repetition=2), KSpaceSettings(compression="none")))
    assert len(taken) == 49


def test_repetitions_that_alternate_are_refused():
    lines = list(repeated(random_complex(2, ECHOES, COILS, 4, 6, 8)))
    with pytest.raises(QsmError, match="lines of repetition 1 came after those of another"):
        repetitions([*lines, lines[0]], header(repetition=2))


def test_a_cut_short_repetition_does_not_lose_those_before():
    lines = list(repeated(random_complex(2, ECHOES, COILS, 4, 6, 8)))
    results = coil_images(lines[:-1], header(repetition=2), KSpaceSettings(compression="none"))
    assert next(results).repetition == 0
    with pytest.raises(QsmError, match="1 of 48 lines are missing"):
        next(results)


def test_repetitions_that_never_came_are_missed_behind_those_that_did():
    lines = repeated(random_complex(2, ECHOES, COILS, 4, 6, 8))
    results = coil_images(lines, header(repetition=5), SETTINGS)
    assert [next(results).repetition for _ in range(2)] == [0, 1]
    with pytest.raises(QsmError, match=r"^3 of 5 repetitions are missing.*; send it again"):
        next(results)


def test_the_last_repetition_that_came_warns_of_those_that_did_not_where_settings_say_so():
    lines = repeated(random_complex(2, ECHOES, COILS, 4, 6, 8))
    first, last = coil_images(lines, header(repetition=3), WARN)
    assert not [w for w in first.report["warnings"] if "repetitions" in w]
    assert [w for w in last.report["warnings"] if w.startswith("1 of 3 repetitions are missing")]


def image_series(*numbers):
    for repetition in numbers:
        for echo in range(ECHOES):
            head = np.zeros((), IMAGE_HEADER)
            head["read_dir"], head["phase_dir"], head["slice_dir"] = READ, PHASE, SLICE
            head["repetition"], head["contrast"] = repetition, echo
            head["field_of_view"] = 16, 18, 20
            yield Image(head[()], random_complex(1, 4, 6, 8))


def test_images_of_repetitions_that_never_came_are_missed_too(caplog):
    head = header(repetition=3)
    results = coil_images(image_series(0, 1), head, SETTINGS)
    assert [next(results).repetition for _ in range(2)] == [0, 1]
    with pytest.raises(QsmError, match=r"^1 of 3 repetitions are missing"):
        next(results)
    with caplog.at_level(logging.WARNING):
        assert len(list(coil_images(image_series(0, 1), head, WARN))) == 2
    assert "1 of 3 repetitions are missing" in caplog.text


def fewer(result):
    return [text for text in result.report["warnings"] if "came fewer" in text]


def test_lines_that_came_fewer_times_than_announced_are_counted():
    images = random_complex(ECHOES, COILS, 4, 6, 8)
    lines = list(lines_of(oversampled(images)))
    result = assembled([*lines, *lines[:10]], header(average=2))
    assert_same(result, images)
    assert fewer(result) == ["38 of 48 lines came fewer than the 2 times that the header announces"]


@pytest.mark.parametrize("averages", [1, 2])
def test_lines_that_came_as_often_as_announced_or_more_are_not_warned_of(averages):
    images = random_complex(ECHOES, COILS, 4, 6, 8)
    twice = [line for line in lines_of(oversampled(images)) for _ in range(2)]
    result = assembled(twice, header(average=averages))
    assert_same(result, images)
    assert fewer(result) == []
