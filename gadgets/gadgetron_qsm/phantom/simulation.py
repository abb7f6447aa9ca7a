"""A simulated scan from beginning to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.phantom import acquire, coils, head, labels, offsets, tissue, truth
from gadgetron_qsm.phantom.field import head_field
from gadgetron_qsm.phantom.raw import RawFile
from gadgetron_qsm.phantom.receiver import Receiver
from gadgetron_qsm.phantom.sampling import Grid, Volume, plan_grid
from gadgetron_qsm.phantom.scan import Scan

Progress = Callable[[float, str], None]

FIELD_SHARE, SCENE_SHARE = 0.05, 0.15  # of the time, after which the field and the scene are begun


def simulate(
    path: Path,
    scan: Scan,
    labels_path: Path | None = None,
    values_path: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Scan a digital head into an ISMRMRD file; return the path of the truth beside it.

    The head is procedural, or that of a labelled NIfTI file; `values_path` is a table of tissues
    (see `tissue.load_tissues`). `progress` is called with a fraction from 0 to 1 and what is
    being done. The contents of the truth are those of `truth.truth_maps`.
    Raises QsmError for unusable arguments and files.
    """
    report = progress or (lambda _fraction, _text: None)
    report(0.0, "drawing the head")
    tissues = tissue.load_tissues(values_path)
    grid, drawn = _place_head(scan, labels_path)
    _check_labels(drawn, tissues)
    report(FIELD_SHARE, "computing the field")
    scene = _scan_room(scan, grid, drawn, tissues, truth.truth_path(path))
    part = path.with_name(path.name + ".part")
    try:
        with h5py.File(part, "w") as file:
            _acquire(RawFile(file, scan, grid), scene, scan, report)
        part.replace(path)
    except OSError as error:
        raise QsmError(f"cannot write {path}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    report(1.0, "done")
    return truth.truth_path(path)


def _place_head(scan: Scan, labels_path: Path | None) -> tuple[Grid, NDArray[np.uint8]]:
    if labels_path is None:
        grid = plan_grid(scan, head.HEAD_MM)
        return grid, head.head_labels(grid.fine_matrix, grid.fine_voxel_size, scan.seed)
    labelled = labels.read_labels(labels_path)
    grid = plan_grid(scan, labelled.fov_mm, labelled.voxel_size)
    return grid, labels.embed(labelled, grid)


def _check_labels(drawn: NDArray[np.uint8], tissues: Mapping[int, tissue.Tissue]) -> None:
    unknown = set(np.flatnonzero(np.bincount(drawn.ravel())).tolist()) - set(tissues)
    if unknown:
        raise QsmError(
            f"labels {sorted(unknown)} have no values; add rows for them to a value table"
        )


def _scan_room(
    scan: Scan,
    grid: Grid,
    drawn: NDArray[np.uint8],
    tissues: Mapping[int, tissue.Tissue],
    truth_path: Path,
) -> acquire.Scene:
    """Put the head into the scanner, and save what is true of it."""
    chi = tissue.lookup(tissues, "chi_ppm")[drawn]
    air_ppm = tissues[tissue.AIR].chi_ppm
    field_ppm = head_field(chi, air_ppm, grid.fine_voxel_size, scan.b0_direction)
    del chi
    rng = np.random.default_rng([scan.seed, 1])
    hz_per_ppm = np.float32(scan.larmor_hz * 1e-6)
    frequency = field_ppm * hz_per_ppm
    shim = offsets.shim(frequency, np.isin(drawn, tissue.BRAIN), grid.fov_mm, rng)
    frequency += shim.on(grid.fine_matrix)
    phase, loops = offsets.transmit_phase(rng), coils.loop_coils(scan.coils, grid.fov_mm, rng)
    scene = acquire.Scene(grid, drawn, tissues, frequency, phase, loops)
    _save(truth_path, scene, scan, field_ppm, shim.on(grid.matrix) / hz_per_ppm)
    return scene


def _save(
    path: Path, scene: acquire.Scene, scan: Scan, field_ppm: Volume, shim_ppm: Volume
) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        maps: Mapping[str, Any] = truth.truth_maps(scene, scan, field_ppm, shim_ppm)
        np.savez_compressed(path, **maps)
    except OSError as error:
        raise QsmError(f"cannot write {path}: {error}") from error


def _acquire(file: RawFile, scene: acquire.Scene, scan: Scan, report: Progress) -> None:
    total = scan.coils + scan.extras.idle_channels
    covariance = coils.noise_covariance(total, np.random.default_rng([scan.seed, 2]))
    covariance = acquire.kspace_noise_covariance(scene, scan, covariance)
    receiver = Receiver(file, scan, scene.grid, covariance)
    receiver.read_noise()
    readouts = scan.coils * len(scan.echo_times_s)
    for echo in range(len(scan.echo_times_s)):

        def coil_done(coil: int, echo: int = echo) -> None:
            share = (echo * scan.coils + coil + 1) / readouts
            report(SCENE_SHARE + (1 - SCENE_SHARE) * share, f"scanning echo {echo + 1}")

        receiver.read_echo(echo, acquire.echo_kspace(scene, scan, echo, coil_done))
    receiver.read_extras()
