"""The same data, settings and version give the same bits, however they come and are computed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Acquisition
from tests.measurement.labelled import write_labels
from tests.sphere_scan import HALF_THE_LINES, MATRIX, NOISE_FLAG, header_text, scan, write_raw

COILS, ECHOES = 12, 2  # many enough to be compressed
CENTRE = 12  # lines along ky that are all there
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
# Where the processor has them, kernels that round the rows of a product by how many there are
KERNELS = {"OPENBLAS_CORETYPE": "Haswell"}


def many_coils(readouts):
    """Readouts of twice as many lines as are sent, by coils that each see a mixture of all."""
    rng = np.random.default_rng(1)
    mixing = rng.standard_normal((COILS, 2, 2)) @ [1, 1j]
    for readout in readouts:
        head = readout.head.copy()
        ky = int(head["idx"]["kspace_encode_step_1"]) - MATRIX[1] // 2
        noise = int(head["flags"]) & NOISE_FLAG
        if not noise and (head["idx"]["contrast"] >= ECHOES or (ky % 2 and abs(ky) > CENTRE)):
            continue
        white = rng.standard_normal((COILS, readout.data.shape[1], 2)) @ [0.02, 0.02j]
        head["active_channels"] = COILS
        yield Acquisition(head, (mixing @ readout.data + white).astype(np.complex64))


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Two raw files, plain and accelerated, and a label map of both."""
    folder = tmp_path_factory.mktemp("scans")
    text = header_text(echoes=ECHOES)
    short = [r for r in scan() if r.head["idx"]["contrast"] < ECHOES]
    write_raw(folder / "plain.h5", short, text)
    accelerated = header_text(echoes=ECHOES, imaging=HALF_THE_LINES)
    write_raw(folder / "accelerated.h5", list(many_coils(scan())), accelerated)
    head = next(r.head for r in scan() if not int(r.head["flags"]) & NOISE_FLAG)
    matrix, fov_mm = Header.parse(text).native_volume
    write_labels(folder, Header.parse(text).geometry(head, matrix, fov_mm))
    return folder


def replayed(scans, folder, *names, **environment):
    raws = [scans / f"{name}.h5" for name in names]
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [
            sys.executable,
            *("-m", "tests.end_to_end.replaying", folder, scans / "labels.nii.gz", *raws),
        ],
        env={**os.environ, **path, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def result(process):
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return json.loads(out)


def test_maps_have_the_same_bits_with_any_threads_pace_hash_seed_and_scan_before(scans, tmp_path):
    many = {**dict.fromkeys(THREADS, "2"), **KERNELS, "PYTHONHASHSEED": "0"}
    one = {**dict.fromkeys(THREADS, "1"), **KERNELS, "PYTHONHASHSEED": "9", "PACE": "1"}
    both = [
        replayed(scans, tmp_path / "many", "accelerated", **many),
        replayed(scans, tmp_path / "one", "plain", "accelerated", **one),
    ]
    first, second = (result(process)["accelerated"] for process in both)
    assert {"chi 1", "noise 1", "magnitude 1 2", "regions.csv"} <= set(first)
    assert first == second
