"""The tables of accuracy: every method is in them, and the truth scores best."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm import background, field, inversion
from gadgetron_qsm.stage.run import Case
from tests.analytic import OBLIQUE, ball, distance, sphere_field
from tests.benchmarks.accuracy import SECTIONS
from tests.benchmarks.heads import Head
from tests.benchmarks.trial import Result, Trial

SHAPE, VOXEL_SIZE, TE_S, LARMOR_HZ = (24, 26, 28), (2.0, 1.5, 1.2), (0.004, 0.012), 123e6


@pytest.fixture(scope="module")
def trial():
    """A ball as brain, two small balls in it as nuclei, the larger one of 0.1 ppm, one of 0.05."""
    brain = ball(SHAPE, VOXEL_SIZE, 15)
    chi, local = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    labels = np.where(brain, 8, 15)
    for number, ppm, centre in ((1, 0.1, (4, 0, 0)), (2, 0.05, (-4, 2, 3))):
        inside = distance(SHAPE, VOXEL_SIZE, centre) < 3
        chi[inside], labels[inside] = ppm, number
        local += ppm * sphere_field(SHAPE, VOXEL_SIZE, 3, OBLIQUE, centre)
    total = local + np.linspace(-0.2, 0.2, SHAPE[2], dtype=np.float32)
    turns = np.multiply.outer(TE_S, total * np.float32(LARMOR_HZ * 1e-6))
    echoes = (np.exp(2j * np.pi * turns) * brain).astype(np.complex64)
    head = Head(chi, total, local, brain, labels, echoes, TE_S, LARMOR_HZ, VOXEL_SIZE, OBLIQUE)
    return Trial(head)


def result(trial, **maps):
    return Result(Case(None, {"mask": trial.head.brain, **maps}), 0.0, 0.0, "")


@pytest.mark.parametrize(
    ("section", "tables"),
    [
        ("field", [field.METHODS]),
        ("dipole", [inversion.METHODS]),
        ("background", [background.METHODS]),
        ("total", [background.METHODS, inversion.METHODS, inversion.SINGLE_STEP]),
        ("phase", [field.METHODS, inversion.SINGLE_STEP]),
    ],
)
def test_every_method_has_a_row(section, tables):
    rows = {method for name in SECTIONS[section].names() for method in name.split("+")}
    assert rows >= {method for table in tables for method in table}


def test_the_true_chi_scores_best(trial):
    scores = trial.chi_scores(result(trial, chimap=trial.head.chi + 2))
    best = (0, 1, 0, 0, 1, 0, 1, 0, 1)
    np.testing.assert_allclose(scores, best, atol=2e-3)


def test_a_map_of_half_the_brain_is_scored_on_all_of_it(trial):
    half = trial.head.brain.copy()
    half[: SHAPE[0] // 2] = False
    error, *_, coverage = trial.chi_scores(result(trial, chimap=trial.head.chi, mask=half))
    assert coverage == pytest.approx(0.5, abs=0.05)
    assert 30 < error < 70


def test_the_true_fields_score_best(trial):
    local = trial.local_scores(result(trial, localfield=trial.head.local_field - 1))
    np.testing.assert_allclose(local, (0, 0, 0, 1), atol=1e-3)
    total = trial.total_scores(result(trial, totalfield=trial.head.total_field + 3))
    np.testing.assert_allclose(total, (0, 0, 0), atol=1e-3)


def test_a_wrap_is_told_from_noise(trial):
    brain, total = trial.head.brain, trial.head.total_field.copy()
    wrapped = brain & ball(SHAPE, VOXEL_SIZE, 5)
    total[wrapped] += 1e6 / (LARMOR_HZ * 0.008)
    rms, median, wrong = trial.total_scores(result(trial, totalfield=total))
    assert wrong == pytest.approx(100 * wrapped.sum() / brain.sum())
    assert median < 1e-3 < rms


def test_the_noise_on_the_local_field_is_what_snr_100_gives(trial):
    noise = (trial.noisy_local_field - trial.head.local_field)[trial.head.brain]
    expected_ppm = 1e6 / (2 * np.pi * LARMOR_HZ * 100 * np.sqrt(np.square(TE_S).sum()))
    assert noise.std() == pytest.approx(expected_ppm, rel=0.05)


def test_a_method_is_run_with_its_parameters_told(trial):
    got = trial.run(["inversion"], "tv", localfield=trial.head.local_field)
    nrmse, *_ = trial.chi_scores(got)
    assert nrmse < 60
    assert "iterations=" in got.told
    assert min(got.seconds, got.pairs) > 0
