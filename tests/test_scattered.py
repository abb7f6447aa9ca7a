"""The head with scattered spheres: where they are, what they dim, and the phase they make."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gadgetron_qsm.phantom import tissue
from tests.analytic import OBLIQUE, ball, distance, sphere_field
from tests.benchmarks.heads import Head
from tests.benchmarks.scattered import (
    APART_MM,
    BLEED,
    COUNTS,
    DIAMETERS_MM,
    MADE_OF,
    Sphere,
    placed,
    with_spheres,
)

SHAPE, SIZE = (46, 50, 48), (1.2, 1.0, 1.0)
LARMOR_HZ = 123.2e6
AT = (23.3, 24.6, 24.0)  # voxels (z, y, x)
SPHERE = Sphere(BLEED, AT, 5.0, 900.0)


def seen(echo_times_s=(1e-9, 0.004)):
    """A block of white matter that gives a signal of 1, with a rim of soft tissue."""
    labels = np.full(SHAPE, tissue.SOFT, np.uint8)
    labels[3:-3, 3:-3, 3:-3] = tissue.WHITE
    zero = np.zeros(SHAPE, np.float32)
    return Head(
        chi=np.full(SHAPE, -0.03, np.float32),
        total_field=zero,
        local_field=zero,
        brain=labels == tissue.WHITE,
        labels=labels,
        echoes=np.ones((len(echo_times_s), *SHAPE), np.complex64),
        echo_times_s=echo_times_s,
        larmor_hz=LARMOR_HZ,
        voxel_size=SIZE,
        b0_direction=OBLIQUE,
    )


def test_spheres_lie_in_tissue_apart_from_each_other_and_are_as_many_as_asked_for():
    spheres = placed(seen(), np.random.default_rng(4), 1.0)
    assert {sign: sum(s.sign == sign for s in spheres) for sign in COUNTS} == COUNTS
    centres = np.array([s.centre for s in spheres]) * SIZE
    away = np.linalg.norm(centres[:, None] - centres, axis=-1) + 99 * np.eye(len(spheres))
    assert away.min() >= APART_MM
    for sphere in spheres:
        at = (np.array(sphere.centre) - np.array(SHAPE) // 2) * SIZE
        assert DIAMETERS_MM[0] <= sphere.diameter_mm <= DIAMETERS_MM[1]
        assert seen().brain[ball(SHAPE, SIZE, sphere.diameter_mm / 2, at)].all()
        contrast = 1000 * (MADE_OF[sphere.sign].chi_ppm + 0.03)
        assert sphere.contrast_ppb == pytest.approx(contrast)


def test_before_any_decay_a_sphere_dims_what_it_fills():
    signal = with_spheres(seen(), (SPHERE,), faster=1.0)[0]
    lost = (1 - np.abs(signal)).sum() * np.prod(SIZE)
    expected = (1 - MADE_OF[BLEED].proton_density) * SPHERE.volume_mm3
    assert lost == pytest.approx(expected, rel=0.02)


def test_far_from_a_sphere_the_phase_is_that_of_its_field():
    te = 0.004
    signal = with_spheres(seen(), (SPHERE,), faster=1.0)[1]
    at = (np.array(AT) - np.array(SHAPE) // 2) * SIZE
    field = 0.9 * sphere_field(SHAPE, SIZE, 2.5, OBLIQUE, at)
    far = distance(SHAPE, SIZE, at) > 9.0
    expected = 2 * np.pi * LARMOR_HZ * 1e-6 * te * field
    np.testing.assert_allclose(np.angle(signal)[far], expected[far], atol=2e-4)


def test_a_sphere_dims_more_than_it_fills_the_later_the_more():
    scene = seen((0.004, 0.012, 0.028))
    at = (np.array(AT) - np.array(SHAPE) // 2) * SIZE
    beside = (away := distance(SHAPE, SIZE, at)) > 3.2
    lost = 1 - np.abs(with_spheres(scene, (SPHERE,), faster=1.0))
    early, middle, late = (lost[echo][beside & (away < 6)].sum() for echo in range(3))
    assert 0 < early < middle < late
    weaker = replace(SPHERE, contrast_ppb=90.0)
    assert (1 - np.abs(with_spheres(scene, (weaker,), 1.0)))[2][beside].sum() < late / 10
