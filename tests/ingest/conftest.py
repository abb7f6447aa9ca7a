"""A scan of a random object, two echoes of two coils."""

from __future__ import annotations

import pytest

from tests.raw_scan import COILS, ECHOES, lines_of, oversampled, random_complex


@pytest.fixture
def images():
    return random_complex(ECHOES, COILS, 4, 6, 8)


@pytest.fixture
def lines(images):
    return list(lines_of(oversampled(images)))
