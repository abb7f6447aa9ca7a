from __future__ import annotations

import numpy as np
import scipy.fft

from gadgetron_qsm.background.edge import peeled
from gadgetron_qsm.background.ismv import ismv
from gadgetron_qsm.background.sphere import fits, sphere
from gadgetron_qsm.distance import depth
from tests.analytic import ball, coordinates

SHAPE, VOXEL_SIZE = (26, 31, 33), (1.7, 1.2, 1.1)
MASK = ball(SHAPE, VOXEL_SIZE, 16)
NOISE = np.where(MASK, np.random.default_rng(0).standard_normal(SHAPE), 0).astype(np.float32)
INSIDE = fits(depth(MASK, VOXEL_SIZE), 4.0)


def mean_over_spheres(field):
    weights = sphere(4.0, VOXEL_SIZE)
    kernel = np.zeros(SHAPE)
    kernel[tuple(slice(n) for n in weights.shape)] = weights
    kernel = np.roll(kernel, [-(n // 2) for n in weights.shape], (0, 1, 2))
    return scipy.fft.ifftn(scipy.fft.fftn(kernel) * scipy.fft.fftn(field)).real


def test_the_background_is_what_means_over_spheres_no_longer_change():
    local, inside = ismv(
        NOISE, MASK, VOXEL_SIZE, radius_mm=4.0, tolerance=1e-6, iterations=500, keep_edge=False
    )
    background = NOISE - local
    np.testing.assert_array_equal(inside, INSIDE)
    np.testing.assert_array_equal(background[~inside], NOISE[~inside])
    again = mean_over_spheres(background)
    np.testing.assert_allclose(background[inside], again[inside], atol=1e-4)


def test_it_is_where_repeated_means_lead():
    local, inside = ismv(NOISE, MASK, VOXEL_SIZE, radius_mm=4.0, tolerance=1e-6, keep_edge=False)
    background = NOISE
    for _ in range(300):
        background = np.where(inside, mean_over_spheres(background), NOISE)
    np.testing.assert_allclose(NOISE - background, local, atol=1e-3)


def test_the_edge_is_kept_down_to_three_layers():
    linear = coordinates(SHAPE, VOXEL_SIZE)[1].astype(np.float32)
    _, inside = ismv(linear, MASK, VOXEL_SIZE, radius_mm=6.0)
    np.testing.assert_array_equal(inside, peeled(MASK, 3) | fits(depth(MASK, VOXEL_SIZE), 6.0))


def test_keeping_the_edge_changes_nothing_further_inside():
    kept, cut = (
        ismv(NOISE, MASK, VOXEL_SIZE, keep_edge=k, radius_mm=4.0)[0] for k in (True, False)
    )
    np.testing.assert_array_equal(kept[INSIDE], cut[INSIDE])
