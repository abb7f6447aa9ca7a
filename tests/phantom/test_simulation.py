from __future__ import annotations

import math

import h5py
import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.phantom import Scan, simulate, tissue

SMALL = {"voxel_size_mm": (5.0, 5.0, 5.0), "coils": 3, "echo_times_s": (0.004, 0.010)}
NO_FIELD = "8,mark,0,1,0\n14,air,0,0,0\n15,dim,0,0.01,0\n"
SPHERE_PPM, SPHERE_RADIUS = 2.0, 10


@pytest.fixture(scope="module")
def noisy(scanned):
    return scanned(**SMALL)


@pytest.fixture(scope="module")
def silent(scanned):
    return scanned(**SMALL, snr=math.inf)


def sphere_labels():
    axis = np.arange(48) - 24
    r = np.linalg.norm(np.meshgrid(axis, axis, axis), axis=0)
    labels = np.where(r <= SPHERE_RADIUS, tissue.PALLIDUS, tissue.SOFT)
    labels[0] = labels[:, 0] = labels[..., 0] = tissue.AIR
    return labels.astype(np.uint8)


@pytest.mark.parametrize("tilts", [(0.0, 0.0), (35.0, 20.0)])
def test_phase_rises_along_b0_beside_a_paramagnetic_sphere(scanned, label_file, value_table, tilts):
    values = value_table(f"2,s,{SPHERE_PPM},1,0\n14,a,0,0,0\n15,t,0,1,0\n")
    protocol = {"tilt_deg": tilts[0], "second_tilt_deg": tilts[1], "echo_times_s": (0.002, 0.004)}
    scan = scanned(
        label_file(sphere_labels()),
        values,
        coils=1,
        snr=math.inf,
        voxel_size_mm=(2.0,) * 3,
        **protocol,
    )
    images, truth = scan.images()[:, 0], scan.truth
    hz = np.angle(images[1] * images[0].conj()) / (2 * math.pi * 0.002)
    ppm = hz / (42.577478518 * 3) - truth["shim_ppm"]
    axes = [(np.arange(n) - n // 2) * 2.0 for n in ppm.shape]
    r = np.stack(np.meshgrid(*axes, indexing="ij"))
    distance = np.linalg.norm(r, axis=0)
    b0 = [scan.heads[name][0, 2] for name in ("slice_dir", "phase_dir", "read_dir")]
    cosine = np.tensordot(b0, r, 1) / np.maximum(distance, 1)
    dipole = SPHERE_PPM / 3 * (SPHERE_RADIUS / np.maximum(distance, 1)) ** 3 * (3 * cosine**2 - 1)
    near = (distance > 1.4 * SPHERE_RADIUS) & (distance < 1.9 * SPHERE_RADIUS)
    assert dipole[near].max() > 0.4
    assert np.abs(ppm - dipole)[near].max() < 0.05


@pytest.mark.parametrize("matrix", [(16, 18, 20), (17, 19, 21), (16, 17, 18)])
@pytest.mark.parametrize("fine", [2, 3])
def test_a_point_lies_in_the_same_voxel_in_image_truth_and_head(
    scanned, label_file, value_table, matrix, fine
):
    labels = np.full((24, 24, 26), tissue.AIR, np.uint8)
    labels[0:24:23, 0:24:23, 1:25:23] = tissue.SOFT  # corners, which set the middle
    voxel = np.array([3, -4, 2])  # from the middle, to the head, back, left
    # label 12 of 24, counted to the head, the back and the left, is the middle
    right, anterior, superior = 11 - 2 * voxel[2], 11 - 2 * voxel[1], 13 + 2 * voxel[0]
    labels[right, anterior, superior] = tissue.WHITE
    scan = scanned(
        label_file(labels),
        value_table(NO_FIELD),
        coils=1,
        snr=math.inf,
        matrix=matrix,
        voxel_size_mm=(2.0,) * 3,
        fine_per_voxel=fine,
    )
    magnitude = np.abs(scan.images()[0, 0])
    expected = tuple(np.array(matrix) // 2 + voxel)
    assert np.unravel_index(magnitude.argmax(), matrix) == expected
    assert np.unravel_index(scan.truth["m0"].argmax(), matrix) == expected


def test_noise_lines_have_the_covariance_of_the_noise_in_the_image_lines(noisy, silent):
    samples = np.moveaxis(noisy.kspace - silent.kspace, 1, 0).reshape(3, -1)
    in_lines = samples @ samples.conj().T / samples.shape[1]
    samples = noisy.noise.reshape(3, -1)
    in_noise = samples @ samples.conj().T / samples.shape[1]
    error = np.abs(in_noise - in_lines).max() / np.abs(in_lines).max()
    assert error < 5 / math.sqrt(samples.shape[1])
    assert np.abs(in_lines - np.diag(np.diag(in_lines))).max() > 0.05 * np.abs(in_lines).max()


def test_the_optimally_combined_image_has_the_snr_asked_for(noisy, silent):
    """Of voxels that are white matter throughout, whose signal no neighbour changes."""
    noise = noisy.noise.reshape(3, -1)
    covariance = noise @ noise.conj().T / noise.shape[1]
    samples = math.prod(noisy.kspace.shape[2:])
    image = silent.images()[0].reshape(3, -1)
    whitened = np.linalg.solve(np.linalg.cholesky(covariance / samples), image)
    snr = np.linalg.norm(whitened, axis=0) * math.sqrt(2)
    white = np.isclose(silent.truth["r2star"], tissue.TISSUES[tissue.WHITE].r2star_hz)
    assert white.sum() > 100
    assert snr[white.ravel()].mean() == pytest.approx(60, rel=0.05)


def test_the_phase_of_the_image_is_the_field_of_the_truth(silent):
    images, truth = silent.images(), silent.truth
    turn = np.angle((images[1] * images[0].conj()).sum(axis=0))
    ppm = truth["field_ppm"] + truth["shim_ppm"]
    expected = 2 * math.pi * 0.006 * 42.577478518 * 3 * ppm
    error = np.angle(np.exp(1j * (turn - expected)))[truth["brain"]]
    assert np.median(np.abs(error)) < 0.05


def test_truth_is_of_brain_alone(silent):
    truth = silent.truth
    chi = truth["chi_ppm"]
    assert -0.07 < chi.min() < -0.03  # bone has -2.1, and truncation overshoots
    assert 0.1 < chi.max() < 0.22  # air has 9.2
    assert 1000 < np.count_nonzero(truth["brain"]) * 0.125 < 1800  # ml
    assert np.isin(truth["labels"][truth["brain"]], (*tissue.BRAIN, *range(13, 16))).all()
    names = dict(zip(truth["label_numbers"].tolist(), truth["label_names"], strict=True))
    assert names[4] == "red nucleus"
    np.testing.assert_allclose(truth["b0_direction"], Scan().b0_direction)


def test_true_susceptibility_is_that_of_the_tissues_when_nothing_is_cut_off(tmp_path):
    scan = Scan(**{**SMALL, "fine_per_voxel": 1, "coils": 1})
    with np.load(simulate(tmp_path / "raw.h5", scan)) as truth:
        brain, labels, chi = truth["brain"], truth["labels"], truth["chi_ppm"]
    expected = tissue.lookup(tissue.TISSUES, "chi_ppm")[labels]
    np.testing.assert_allclose(chi, np.where(brain, expected, 0), atol=1e-5)


def test_ismrmrd_reads_every_line_once_with_the_header_that_describes_it(tmp_path):
    scan = Scan(**{**SMALL, "matrix": (6, 9, 8), "noise_lines": 5})
    simulate(tmp_path / "raw.h5", scan)
    with ismrmrd.Dataset(tmp_path / "raw.h5", create_if_needed=False) as dataset:
        header = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
        lines = [dataset.read_acquisition(i) for i in range(dataset.number_of_acquisitions())]
    encoding = header.encoding[0]
    sizes = encoding.encodedSpace.matrixSize
    assert (sizes.x, sizes.y, sizes.z) == (16, 9, 6)
    assert encoding.encodedSpace.fieldOfView_mm.x == 2 * encoding.reconSpace.fieldOfView_mm.x == 80
    assert (encoding.reconSpace.matrixSize.x, encoding.reconSpace.fieldOfView_mm.z) == (8, 30)
    limits = encoding.encodingLimits
    assert (limits.kspace_encoding_step_1.maximum, limits.kspace_encoding_step_1.center) == (8, 4)
    assert (limits.kspace_encoding_step_2.maximum, limits.kspace_encoding_step_2.center) == (5, 3)
    assert limits.contrast.maximum == 1
    assert header.sequenceParameters.TE == [4, 10]
    assert header.experimentalConditions.H1resonanceFrequency_Hz == 127732436
    assert header.measurementInformation.patientPosition.value == "HFS"
    assert [line.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT) for line in lines] == (
        [True] * 5 + [False] * 6 * 9 * 2
    )
    order = [
        (a.idx.kspace_encode_step_2, a.idx.kspace_encode_step_1, a.idx.contrast) for a in lines
    ]
    assert order[5:] == list(np.ndindex(6, 9, 2))
    last = [line.is_flag_set(ismrmrd.ACQ_LAST_IN_MEASUREMENT) for line in lines]
    assert last == [False] * (len(lines) - 1) + [True]
    assert all(line.data.shape == (3, 16) for line in lines)
    assert {line.center_sample for line in lines[5:]} == {8}
    assert [line.scan_counter for line in lines] == list(range(len(lines)))
    assert {line.sample_time_us for line in lines} == {8.0}
    np.testing.assert_allclose(lines[-1].position, scan.position_mm)
    np.testing.assert_allclose(lines[-1].phase_dir, scan.directions[1], atol=1e-6)


def test_a_seed_decides_the_scan(tmp_path):
    def samples(name, seed):
        simulate(tmp_path / name, Scan(**SMALL, seed=seed, matrix=(8, 8, 8)))
        with h5py.File(tmp_path / name) as file:
            return np.concatenate(file["dataset/data"]["data"])

    first, again, other = samples("a.h5", 4), samples("b.h5", 4), samples("c.h5", 5)
    np.testing.assert_array_equal(first, again)
    assert np.isclose(first, other).mean() < 0.01


def test_progress_rises_from_0_to_1(tmp_path):
    seen = []
    simulate(
        tmp_path / "a.h5", Scan(**SMALL), progress=lambda part, text: seen.append((part, text))
    )
    parts = [part for part, _ in seen]
    assert (parts[0], parts[-1]) == (0, 1)
    assert parts == sorted(parts)
    assert len(parts) > 6


def test_a_label_without_values_is_named(label_file, tmp_path):
    labels = np.full((8, 8, 8), 77, np.uint8)
    with pytest.raises(QsmError, match=r"labels \[77\] have no values"):
        simulate(tmp_path / "a.h5", Scan(**SMALL), label_file(labels))


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(QsmError, match="cannot write"):
        simulate(tmp_path / "file" / "raw.h5", Scan(**SMALL))


def test_nothing_is_left_of_a_scan_that_ends_early(tmp_path):
    def stop(part, _text):
        if part > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "raw.h5", Scan(**SMALL), progress=stop)
    assert not list(tmp_path.glob("raw.h5*"))


def test_the_shared_head_has_its_nuclei_where_its_labels_are(scanned, shared_data):
    path = shared_data / "phantom" / "labels_1mm.nii.gz"
    scan = scanned(path, voxel_size_mm=(4.0,) * 3, coils=1, echo_times_s=(0.005,), fine_per_voxel=2)
    voxels = {label: np.count_nonzero(scan.truth["labels"] == label) for label in range(1, 8)}
    assert voxels[tissue.THALAMUS] * 0.064 == pytest.approx(17.1, rel=0.1)  # ml
    assert all(voxels.values())
    chi = scan.truth["chi_ppm"][scan.truth["labels"] == tissue.DENTATE]
    assert 0.08 < chi.mean() < 0.152
