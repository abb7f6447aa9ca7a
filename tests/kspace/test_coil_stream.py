from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.kspace.coil_stream import CoilStream

COILS, NX = 10, 6
BATCH = 8 * COILS * NX * 8  # bytes of 8 lines


@pytest.fixture
def lines(image):
    """80 lines (line, coil, x) of three sources, and a little noise."""
    mixing = image(COILS, 3)
    return mixing @ image(80, 3, NX) + 0.01 * image(80, COILS, NX)


def through(stream, lines, central=0):
    """Batches of 8 lines through a stream; what comes, and when."""
    ready = []
    for number, batch in enumerate(np.split(lines, 10)):
        ready += [(number, *item) for item in stream.add(batch, number, central)]
    return ready + [(10, *item) for item in stream.end()]


def test_without_compression_lines_are_whitened_and_go_on_at_once(lines, image):
    whitening = image(COILS, COILS)
    ready = through(CoilStream(COILS, whitening=whitening), lines)
    assert [(came, tag) for came, _, tag in ready] == [(i, i) for i in range(10)]
    np.testing.assert_allclose(
        np.concatenate([part for _, part, _ in ready]), whitening @ lines, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("method", ["gcc", "svd"])
def test_virtual_coils_hold_what_the_coils_saw_in_the_order_it_came(lines, method):
    ready = through(CoilStream(COILS, method=method, virtual_coils=3), lines)
    assert [tag for _, _, tag in ready] == list(range(10))
    virtual = np.concatenate([part for _, part, _ in ready])
    assert virtual.shape == (80, 3, NX)
    energy = np.linalg.norm(virtual, axis=1) / np.linalg.norm(lines, axis=1)
    np.testing.assert_allclose(energy, 1, atol=0.02)


@pytest.mark.parametrize(
    ("central", "held_bytes", "first"),
    [(0, 10 * BATCH + 1, 10), (0, 4 * BATCH, 3), (8, 10 * BATCH, 4), (0, 1, 0)],
    ids=["nothing told", "budget", "centre", "no budget"],
)
def test_lines_wait_for_the_centre_or_until_the_budget_is_used(lines, central, held_bytes, first):
    stream = CoilStream(COILS, method="svd", virtual_coils=3, held_bytes=held_bytes)
    came = [number for number, _, _ in through(stream, lines, central)]
    assert came == [max(first, number) for number in range(10)]


@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_the_energy_decides_how_many_virtual_coils_there_are_in_any_unit(lines, scale):
    stream = CoilStream(COILS, method="svd", kept_energy=0.99)
    assert through(stream, np.float32(scale) * lines)[0][1].shape[1] == 3
    told = stream.described()
    assert (told["virtual_coils"], told["chosen_by"]) == (3, "0.99 of the energy kept")


def test_the_provenance_tells_where_the_number_of_virtual_coils_was_set(lines):
    stream = CoilStream(COILS, method="svd", virtual_coils=2)
    through(stream, lines)
    told = stream.described()
    assert (told["virtual_coils"], told["chosen_by"]) == (2, "number")


def test_few_coils_are_left_as_they_are(lines):
    ready = through(CoilStream(8, method="gcc", kept_energy=0.9), lines[:, :8])
    assert [(came, part.shape[1]) for came, part, _ in ready] == [(i, 8) for i in range(10)]


def test_not_more_than_half_of_the_coils_are_made_by_energy(image):
    stream = CoilStream(COILS, method="gcc", kept_energy=1.0)
    assert through(stream, image(80, COILS, NX))[0][1].shape[1] == 5
    assert stream.described()["chosen_by"] == "half of the receivers"


def test_noise_of_half_a_readout_is_not_taken_for_that_of_a_whole(image):
    """Two sources, the second of them so weak that the noise of whole readouts would hide it."""
    rng = np.random.default_rng(1)
    sources = image(400, 2, NX) * np.array([[10], [0.15]])
    noise = rng.normal(scale=np.sqrt(0.1 / 2), size=(2, 400, COILS, NX))
    basis = np.linalg.qr(image(COILS, COILS))[0]
    seen = (basis[:, :2] @ sources + noise[0] + 1j * noise[1]).astype(np.complex64)
    number = {}
    for acquired in (0.1, 1.0):
        stream = CoilStream(
            COILS, whitening=np.eye(COILS, dtype=np.complex64), method="svd", kept_energy=0.9999
        )
        list(stream.add(seen, None, 0, acquired))
        list(stream.end())
        number[acquired] = stream.described()["virtual_coils"]
    assert number[0.1] > number[1.0]


def test_matrices_whiten_lines_that_were_compressed(lines, image):
    whitening = image(COILS, COILS)
    got, expected = (
        through(CoilStream(COILS, whitening=w, method="svd", virtual_coils=3), x)
        for w, x in ((whitening, lines), (None, whitening @ lines))
    )
    for (_, one, _), (_, other, _) in zip(got, expected, strict=True):
        np.testing.assert_allclose(np.abs(one), np.abs(other), rtol=2e-3, atol=2e-3)


def test_more_virtual_coils_than_receivers_are_refused():
    with pytest.raises(ValueError, match="11 virtual coils cannot be made of 10 coils"):
        CoilStream(COILS, method="gcc", virtual_coils=11)
