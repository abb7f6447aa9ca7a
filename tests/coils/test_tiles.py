"""Coil images that stay on the host are combined as those that lie on the device."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from gadgetron_qsm.coils import METHODS
from gadgetron_qsm.coils.roemer import roemer
from gadgetron_qsm.coils.tiles import Tiles
from tests.coils.loops import VOXEL, coil_images, loops

TIMES_S = (5e-3, 11e-3, 17e-3, 23e-3)
COILS = 6


class Moving:
    """Moves arrays to a device, and counts how much of what was moved is there."""

    def __init__(self, device):
        self.device, self.moved, self.now, self.most = device, [], 0, 0

    def __call__(self, array):
        there = self.device(array)
        self.moved.append(array.shape)
        self.now += array.nbytes
        self.most = max(self.most, self.now)
        weakref.finalize(there, self._left, array.nbytes)
        return there

    def _left(self, nbytes):
        self.now -= nbytes


@pytest.fixture(scope="module")
def images():
    return coil_images(loops(COILS), TIMES_S, noise=0.003)


@pytest.fixture
def moving(device):
    return Moving(device)


def test_tiles_have_the_shape_of_an_array_and_its_echoes(images, moving):
    tiles = Tiles(images, moving)
    assert (tiles.shape, tiles.dtype, tiles.ndim) == (images.shape, images.dtype, images.ndim)
    assert len(tiles) == len(images)
    for echo, expected in zip(tiles, images, strict=True):
        np.testing.assert_array_equal(echo.get(), expected)


@pytest.mark.parametrize(
    "index",
    [0, -1, np.int64(2), (1, 3), (3, 2, slice(4, 9)), (2, slice(None), slice(0, 30, 7)), slice(2)],
    ids=str,
)
@pytest.mark.parametrize("held", [False, True], ids=["moved", "held"])
def test_any_index_gives_what_it_gives_of_an_array(index, held, images, moving):
    tiles = Tiles(images, moving)
    kept = [tiles[echo] for echo in range(len(tiles))] if held else []
    np.testing.assert_array_equal(tiles[index].get(), images[index])
    del kept


def test_there_are_no_more_tiles_than_echoes(images, moving):
    with pytest.raises(IndexError):
        Tiles(images, moving)[len(images)]


def test_only_what_is_indexed_is_moved(images, moving):
    tiles = Tiles(images, moving)
    assert not moving.moved
    _ = tiles[1, 2, 3:5]
    assert moving.moved == [(2, *images.shape[3:])]


def test_an_echo_is_moved_once_as_long_as_somebody_holds_it(images, moving):
    tiles = Tiles(images, moving)
    held = tiles[0]
    _ = [tiles[0], tiles[-len(images)], tiles[0, 1], tiles[0, :, ::2]]
    assert moving.moved == [images.shape[1:]]
    del held, _
    assert moving.now == 0
    _ = tiles[0, 1]
    assert moving.moved[1:] == [images.shape[2:]]


@pytest.mark.parametrize("method", METHODS)
def test_they_are_combined_as_an_array_is(method, images, device):
    whole, tiles = device(images), Tiles(images, device)
    sensitivities = METHODS[method](tiles, TIMES_S, VOXEL)
    expected = METHODS[method](whole, TIMES_S, VOXEL)
    np.testing.assert_array_equal(sensitivities.get(), expected.get())
    combined = roemer(tiles, sensitivities)
    np.testing.assert_array_equal(combined.get(), roemer(whole, sensitivities).get())


@pytest.mark.parametrize("method", METHODS)
def test_an_echo_and_two_coils_are_on_the_device_at_most(method, images, moving):
    tiles = Tiles(images, moving)
    roemer(tiles, METHODS[method](tiles, TIMES_S, VOXEL))
    assert moving.now == 0
    assert moving.most <= images[0].nbytes + 2 * images[0, 0].nbytes
