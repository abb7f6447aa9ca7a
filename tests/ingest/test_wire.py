"""The same scan in every form that a real Gadgetron sends gives the same echoes."""

from __future__ import annotations

import gzip
from functools import cache

import numpy as np
import pytest

from gadgetron_qsm.chain import combine
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Close, HeaderText
from gadgetron_qsm.mrd.wire import read_message
from gadgetron_qsm.settings import Settings

SETTINGS = Settings.from_properties({"kspace.compression": "none"})


@pytest.fixture
def echoes(shared_data):
    """Return a function: name of a recorded stream to its combined echoes (echo, z, y, x)."""

    @cache
    def echoes(name):
        with gzip.open(shared_data / "wire" / f"{name}.bin.gz") as stream:
            header = None
            while header is None:
                message = read_message(stream)
                header = Header.parse(message.text) if isinstance(message, HeaderText) else None
            messages = iter(lambda: read_message(stream), Close())
            (scan,) = combine(messages, header, SETTINGS)
        return scan.data

    return echoes


@pytest.fixture
def bright(shared_data):
    with np.load(shared_data / "wire" / "truth.npz") as truth:
        return truth["brain"].astype(bool)


def difference(one, other, where):
    """Root mean square difference inside, relative; a common factor left out."""
    one, other = one[:, where].ravel(), other[:, where].ravel()
    factor = np.vdot(one, other) / np.vdot(one, one)
    return np.linalg.norm(factor * one - other) / np.linalg.norm(other), factor


@pytest.mark.parametrize("form", ["server_bucket_r2", "server_recondata_r2"])
def test_buckets_and_buffers_are_the_acquisitions_in_them(echoes, bright, form):
    off, factor = difference(echoes("server_acquisitions_whitened_r2"), echoes(form), bright)
    assert off < 1e-5
    assert abs(factor - 1) < 1e-5


def test_acquisitions_that_we_whiten_are_those_that_gadgetron_whitened(echoes, bright):
    ours, theirs = echoes("server_acquisitions_r2"), echoes("server_acquisitions_whitened_r2")
    off, factor = difference(ours, theirs, bright)
    assert off < 1e-3
    assert abs(np.angle(factor)) < 1e-3


@pytest.mark.parametrize("form", ["client_gadgetron", "client_python_ismrmrd_server"])
def test_clients_send_what_the_server_sends(echoes, bright, form):
    off, factor = difference(echoes("server_acquisitions_r2"), echoes(form), bright)
    assert off < 1e-5
    assert abs(factor - 1) < 1e-5


def test_half_of_the_lines_give_what_all_of_them_do(echoes, bright):
    """Noise: 1.3 in 90 of the full scan, and 2 of every second line, whose g is 1.17."""
    off, factor = difference(echoes("server_recondata_r2"), echoes("server_recondata_full"), bright)
    assert off < 0.04
    assert abs(factor - 1) < 0.01


def test_gadgetrons_own_images_are_ours_but_for_noise_and_scale(echoes, bright):
    full, theirs = echoes("server_recondata_full"), echoes("server_imagearray_r2")
    off, factor = difference(theirs, full, bright)
    assert off < 0.06  # more than ours: the chain of Gadgetron has coarser weights
    assert abs(np.angle(factor)) < 0.01
    np.testing.assert_array_equal(theirs, echoes("server_images_r2"))
