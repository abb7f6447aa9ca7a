"""Noise of chi as it is predicted from one scan, beside that of repeated scans of the same head.

python -m tests.benchmarks.noise [LABELS] [--snr 100] [--repeats 24] [--samples 4]
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

import numpy as np

from gadgetron_qsm.measure.noise import deviation, field_noise, image_noise, noise_samples
from gadgetron_qsm.measure.statistics import standard_error
from gadgetron_qsm.phantom import tissue
from gadgetron_qsm.susceptibility import PPB_PER_PPM
from tests.benchmarks.accuracy import LABELS
from tests.benchmarks.population import Subject, quantified, subject

NOISELESS = 1e9  # SNR


def main() -> None:
    """Print a row for each nucleus: voxels, SD of a voxel, and SD of the mean over the nucleus."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", nargs="?", type=Path, default=LABELS)
    parser.add_argument("--snr", type=float, default=100.0)
    parser.add_argument("--repeats", type=int, default=24)
    parser.add_argument("--samples", type=int, default=4)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    head = subject(given.labels, 0, snr=NOISELESS, still=True)
    _report(head, given.snr, given.repeats, given.samples)


def _report(drawn: Subject, snr: float, repeats: int, samples: int) -> None:
    clean = drawn.head.echoes
    sigma = np.abs(clean[0][drawn.head.labels == tissue.WHITE]).mean() / snr
    rng = np.random.default_rng(31)

    def made(echoes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, found = quantified(drawn.head, drawn.geometry, echoes)
        return found.chi * PPB_PER_PPM, found.mask

    def scanned() -> np.ndarray:
        noise = rng.standard_normal((*clean.shape, 2), np.float32).view(np.complex64)[..., 0]
        return clean + np.float32(sigma) * noise

    scans = [made(scanned()) for _ in range(repeats)]
    mask = np.all([held for _, held in scans], axis=0)
    maps = np.array([chi for chi, _ in scans])
    data = scanned()
    volume, found = quantified(drawn.head, drawn.geometry, data)
    estimated = image_noise(found.fit.residual, volume.magnitude, found.mask)
    start = time.perf_counter()
    drawn_noise = noise_samples(data, estimated, made, samples=samples)
    seconds = time.perf_counter() - start
    size = drawn.geometry.voxel_size
    sd = deviation(drawn_noise, found.mask, size)
    field = field_noise(volume.magnitude, estimated, drawn.head.echo_times_s, drawn.head.larmor_hz)
    print(
        f"SNR {snr:g}; noise of the images is found as {estimated / sigma:.3f} of what it is; "
        f"{samples} samples took {seconds:.0f} s; {repeats} scans"
    )
    print(f"{'':24}{'voxels':>8}  SD of a voxel, ppb{'':12}SD of the mean, ppb")
    heads = ("field", "true", "found", "ratio", "true", "found", "ratio", "of SD map", "ratio")
    print(" " * 32 + "".join(f"{heading:>10}" for heading in heads))
    for structure in drawn.labels.structures:
        region = drawn.labels.mask(structure) & mask
        true = _rms(maps[:, region].std(axis=0, ddof=1))
        mean = maps[:, region].mean(axis=1, dtype=np.float64).std(ddof=1)
        voxel = _rms(sd[region])
        error = standard_error(drawn_noise, region, size)
        modelled = standard_error(sd, region, size)
        row = (_rms(field[region]), true, voxel, voxel / true)
        row = (*row, mean, error, error / mean, modelled, modelled / mean)
        print(f"{structure.label:24}{region.sum():8}" + "".join(f"{v:10.3f}" for v in row))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values.astype(np.float64) ** 2)))


if __name__ == "__main__":
    main()
