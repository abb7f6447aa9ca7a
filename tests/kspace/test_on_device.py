"""Every function on arrays of a device gives what it gives on the host."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.arrays import array_module, to_numpy
from gadgetron_qsm.coils.espirit import espirit
from gadgetron_qsm.kspace.assemble import Assembly
from gadgetron_qsm.kspace.bipolar import mirrored_echoes, odd_even_phase, remove_odd_even
from gadgetron_qsm.kspace.coil_stream import CoilStream
from gadgetron_qsm.kspace.compress import CoilCovariance, compress, compression_matrices
from gadgetron_qsm.kspace.fourier import centred_fft, centred_ifft, crop_centre
from gadgetron_qsm.kspace.g_factor import g_factor
from gadgetron_qsm.kspace.grappa import grappa
from gadgetron_qsm.kspace.lattice import Lattice
from gadgetron_qsm.kspace.pocs import pocs
from gadgetron_qsm.kspace.prewhiten import noise_covariance, silent_receivers, whitening_matrix
from gadgetron_qsm.kspace.readout import HOST, transform_readouts
from gadgetron_qsm.kspace.sampling import central
from gadgetron_qsm.kspace.sense import sense
from tests.kspace.feeds import feed_to
from tests.kspace.hybrid import block, head, pattern

LATTICE = Lattice((2, 2), (0, 1))
FULL = head((24, 28, 6), coils=5, echoes=2)
SAMPLED = pattern(LATTICE, (24, 28), (12, 12))
CALIBRATION = FULL[(slice(None), slice(None), *block((24, 28), (12, 12)))]
IMAGES = centred_ifft(FULL, axes=[2, 3])
BACKWARDS = [False, True]


def noise(*shape, seed=0):
    values = np.random.default_rng(seed).standard_normal((*shape, 2))
    return values.astype(np.float32).view(np.complex64)[..., 0]


LINES = noise(60, 12, 8) * np.linspace(1, 5, 12, dtype=np.float32)[:, None]


def covariance(move):
    found = CoilCovariance(8, 12, like=move(LINES[:1]))
    for part in (LINES[:33], LINES[33:]):
        found.add(move(part))
    return found


def matrices(move, method):
    return compression_matrices(covariance(move), method=method, coils=4, whitening=move(WHITENING))


WHITENING = np.eye(12, dtype=np.complex64) + 0.1 * noise(12, 12)


def streamed(move, method):
    stream = CoilStream(12, whitening=WHITENING, method=method, virtual_coils=4)
    ready = []
    for part in np.split(LINES, 6):
        ready += [lines for lines, _ in stream.add(move(part), None, 10)]
    return array_module(ready[0]).concatenate(ready)


def assembled(move, awaited):
    assembly = Assembly((2, 12, 3, 5, 8), awaited=awaited, like=move(LINES[:1]))
    place = tuple(np.random.default_rng(0).integers(n, size=60) for n in (2, 3, 5))
    for part in np.split(np.arange(60), [7, 31]):
        assembly.add(move(LINES[part]), tuple(index[part] for index in place))
    return assembly.images((2, 4))


def filled(move, **options):
    hybrid = move(FULL * SAMPLED[:, :, None])
    kernels = grappa(hybrid, SAMPLED, np.ones_like(SAMPLED), (2, 2), **options)
    return hybrid, [part.weights for part in kernels]


def amplified(move):
    hybrid = move(FULL * SAMPLED[:, :, None])
    kernels = grappa(hybrid, SAMPLED, np.ones_like(SAMPLED), (2, 2))[0]
    return g_factor(kernels, move(IMAGES[0][:, 2:-2]))


def by_sense(move):
    hybrid = move(FULL * SAMPLED[:, :, None])
    maps = espirit(move(CALIBRATION[0]), (24, 28))
    sense(hybrid, SAMPLED, maps, wanted=np.ones_like(SAMPLED), iterations=5)
    return hybrid


def by_pocs(move, **options):
    volume = move(FULL[0, :2] + 0.1 * noise(2, 24, 28, 6))
    pocs(volume, ((4, 24), (0, 25), (0, 6)), **options)
    return volume


def odd_even(move, times):
    turns = np.exp(1j * np.array([0, 0.5, 0])).reshape(-1, 1, 1, 1, 1)
    images = move((turns * np.concatenate([IMAGES, IMAGES[:1]])).astype(np.complex64))
    found = odd_even_phase(images, times, [False, True, False])
    remove_odd_even(images, found, [False, True, False])
    assert np.isfinite(found.residual_rad)
    return images


def whitened(move):
    covariance = noise_covariance(move(LINES[:, :5].transpose(1, 0, 2).reshape(5, -1)))
    assert silent_receivers(covariance) == []
    return covariance, whitening_matrix(covariance)


def read(**options):
    lines = [
        transform_readouts(list(LINES[part]), 10, 6, center_sample=4, **options)
        for part in (slice(20), slice(20, 40), slice(40, 60))
    ]
    return array_module(lines[0]).concatenate(lines)


TABLE = {
    "centred_fft": lambda move: centred_fft(move(FULL), axes=[2, 3]),
    "centred_ifft": lambda move: centred_ifft(move(FULL), axes=[3], overwrite=True),
    "crop_centre": lambda move: crop_centre(move(FULL), 9, 3),
    "covariance": lambda move: covariance(move).sums,
    "gcc": lambda move: compress(move(LINES), matrices(move, "gcc")),
    "svd": lambda move: compress(move(LINES), matrices(move, "svd")),
    "coil stream": lambda move: streamed(move, "none"),
    "coil stream, gcc": lambda move: streamed(move, "gcc"),
    "assembly": lambda move: assembled(move, None),
    "assembly, streamed": lambda move: assembled(move, np.ones((3, 5), int)),
    "grappa": filled,
    "grappa, apart": lambda move: filled(move, calibration=CALIBRATION),
    "grappa, each echo": lambda move: filled(move, per_echo=True),
    "g-factor": amplified,
    "espirit": lambda move: espirit(move(CALIBRATION[0]), (24, 28)),
    "sense": by_sense,
    "pocs": by_pocs,
    "pocs everywhere": lambda move: by_pocs(move, iterations=2, everywhere=True),
    "bipolar": lambda move: odd_even(move, [1.0, 2.0, 3.0]),
    "bipolar, unequal": lambda move: odd_even(move, [1.0, 2.2, 3.0]),
    "noise": whitened,
    "central lines": lambda move: central(move(np.tile(FULL, (1, 1, 3, 2, 1)))),
}


def arrays(result):
    if isinstance(result, list | tuple):
        return [array for part in result for array in arrays(part)]
    return [result]


@pytest.mark.parametrize("name", TABLE)
def test_the_device_gives_what_the_host_gives(device, name):
    there, here = (arrays(TABLE[name](move)) for move in (device, np.array))
    assert len(there) == len(here)
    for one, other in zip(there, here, strict=True):
        assert not isinstance(one, np.ndarray)
        assert one.dtype == other.dtype
        np.testing.assert_allclose(to_numpy(one), other, atol=1e-3 * np.abs(other).max())


@pytest.mark.parametrize("reverse", [False, True])
def test_readouts_are_transformed_where_the_feed_takes_them(device, reverse):
    there = read(reverse=reverse, feed=feed_to(device))
    assert not isinstance(there, np.ndarray)
    np.testing.assert_allclose(to_numpy(there), read(reverse=reverse, feed=HOST), atol=1e-5)


def test_mirrored_echoes_are_found_on_a_device(device):
    images = IMAGES.copy()
    images[1] = images[0][..., ::-1]
    images[..., 0] = 0
    assert mirrored_echoes(device(images)) == mirrored_echoes(images)
