"""The scan that benchmarks send is the one that a scanner would."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.ingest import coil_images
from gadgetron_qsm.ingest.kinds import Kind, kind_of
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.wire import read_message, write_message
from gadgetron_qsm.phantom import acquire, tissue
from gadgetron_qsm.processors import processors
from gadgetron_qsm.settings import KSpaceSettings
from tests.benchmarks import bore as bores
from tests.benchmarks.sizes import SIZES, Size
from tests.benchmarks.stream import Stream, in_order

MATRIX = (20, 26, 24)
FULL = Size(MATRIX, coils=3, echoes=2, acceleration=(1, 1), snr=50.0)
ACCELERATED = Size((36, 40, 24), coils=8, echoes=2, acceleration=(2, 2), snr=1e6)
KEPT = KSpaceSettings(compression="none")


def messages_of(stream):
    sent = BytesIO(b"".join(batch.tobytes() for batch, _ in stream.batches()))
    while sent.tell() < len(sent.getbuffer()):
        yield read_message(sent)


def assembled(stream):
    (images,) = coil_images(messages_of(stream), Header.parse(stream.header_text), KEPT)
    return images


@pytest.fixture(scope="module", autouse=True)
def one_thread_of_blas():
    with processors():
        yield


@pytest.fixture(scope="module")
def full():
    return Stream(FULL)


@pytest.fixture(scope="module")
def accelerated():
    return Stream(ACCELERATED)


def seen_by_coils(stream, echo):
    """The head as each coil sees it (coil, z, y, x), apart from any k-space."""
    everywhere = np.ones(stream.bore.brain.shape, bool)
    maps = bores.sensitivities(stream.bore.weights, everywhere)
    scene = bores.scene_of(stream.scan, FULL.grid)
    return maps.reshape(-1, *MATRIX) * acquire.echo_signal(scene, stream.scan, echo)


def test_messages_are_those_that_the_wire_writes(full):
    batch, together = next(b for b in full.batches() if b[1] > 1)
    assert together == FULL.echoes
    again = BytesIO()
    write_message(again, read_message(BytesIO(batch[0].tobytes())))
    assert again.getvalue() == batch[0].tobytes()


def test_all_lines_come_and_no_more_bytes_than_are_told(full):
    readouts = list(messages_of(full))
    assert sum(readout.data.nbytes for readout in readouts) == full.raw_bytes
    noise = full.scan.noise_lines
    assert len(readouts) == noise + FULL.echoes * MATRIX[0] * MATRIX[1]
    assert full.scan_s == pytest.approx(0.035 * (noise + MATRIX[0] * MATRIX[1]))


def test_the_echoes_of_a_shot_follow_one_another(full):
    readouts = list(messages_of(full))[full.scan.noise_lines :]
    idx = np.array([readout.head["idx"] for readout in readouts[: 2 * FULL.echoes]])
    assert idx["contrast"].tolist() == [0, 1, 0, 1]
    assert idx["kspace_encode_step_1"].tolist() == [0, 0, 1, 1]


def test_the_header_tells_the_scan(full):
    header = Header.parse(full.header_text)
    assert header.encoded_matrix == (20, 26, 48)
    assert header.native_volume[0] == MATRIX
    assert header.echo_times_s == pytest.approx(full.scan.echo_times_s)
    assert header.acceleration == (1, 1)


def test_ingest_gives_the_head_as_the_coils_see_it():
    silent = Stream(replace(FULL, snr=1e6))
    images = assembled(silent)
    whitening = np.linalg.inv(np.linalg.cholesky(silent.bore.covariance))
    for echo in range(2):
        expected = np.einsum("cd,d...->c...", whitening, seen_by_coils(silent, echo))
        got = images.data[echo]
        # the phase of whitened coils is theirs; noise scans of few samples whiten nearly
        power, wanted = ((np.abs(x) ** 2).sum(axis=0) for x in (got, expected))
        np.testing.assert_allclose(power, wanted, atol=0.05 * wanted.max())
        assert np.abs(np.vdot(got, expected)) > 0.999 * np.linalg.norm(got) * np.linalg.norm(
            expected
        )


def test_the_noise_has_the_covariance_that_is_told(full):
    header = Header.parse(full.header_text)
    noise = [m.data for m in messages_of(full) if kind_of(m.head, header) is Kind.NOISE]
    samples = np.concatenate(noise, axis=1)
    covariance = samples @ samples.conj().T / samples.shape[1]
    worst = np.abs(np.diag(full.bore.covariance)).max()
    np.testing.assert_allclose(covariance, full.bore.covariance, atol=0.08 * worst)


def test_white_matter_has_the_snr_that_is_asked_for(full):
    images = assembled(full).data[0]
    scene = bores.scene_of(full.scan, FULL.grid)
    white = scene.labels == tissue.WHITE
    signal = np.linalg.norm(images[:, white], axis=0).mean()  # noise white, variance 1
    assert signal * np.sqrt(2) == pytest.approx(FULL.snr, rel=0.1)


def test_accelerated_lines_lie_on_the_lattice_or_in_the_calibration(accelerated):
    header = Header.parse(accelerated.header_text)
    assert header.acceleration == (2, 2)
    assert not header.calibration_apart
    readouts = [m for m in messages_of(accelerated) if kind_of(m.head, header) is Kind.IMAGE]
    assert len(readouts) == ACCELERATED.echoes * accelerated.lines
    flags = np.array([readout.head["flags"] for readout in readouts])
    idx = np.array([readout.head["idx"] for readout in readouts])
    kz, ky = (
        idx[f"kspace_encode_step_{n}"].astype(int) - ACCELERATED.matrix[axis] // 2
        for axis, n in ((0, 2), (1, 1))
    )
    on = (kz % 2 == 0) & (ky % 2 == 0)
    central = (np.abs(kz + 0.5) < 12) & (np.abs(ky + 0.5) < 12)
    assert (on | central).all()
    assert accelerated.lines == 18 * 20 + 24 * 24 - 12 * 12
    alone, both = (
        flags >> np.uint64(flag - 1) & np.uint64(1) == 1
        for flag in (
            ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,
            ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING,
        )
    )
    np.testing.assert_array_equal(both, on & central)
    np.testing.assert_array_equal(alone, central & ~on)


def test_an_accelerated_scan_is_filled_to_the_head(accelerated):
    images = assembled(accelerated)
    whole = assembled(Stream(replace(ACCELERATED, acceleration=(1, 1))))
    error = np.linalg.norm(images.data - whole.data) / np.linalg.norm(whole.data)
    assert "grappa" in images.report["timing_s"]
    assert error < 0.1


def test_batches_that_are_made_ahead_come_in_order():
    tasks = [lambda n=n: np.full(3, n) for n in range(20)]
    assert [int(made[0]) for made in in_order(tasks, 3)] == list(range(20))


@pytest.mark.parametrize("name", SIZES)
def test_every_size_is_a_protocol_with_all_echoes_in_tr(name):
    size = SIZES[name]
    scan = size.scan()
    assert len(scan.echo_times_s) == size.echoes
    assert scan.echo_times_s[-1] < scan.tr_s == 0.035
