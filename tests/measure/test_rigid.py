import os
import subprocess
import sys

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.rigid import register_rigid
from tests.measure.head import grid, motion, points, signal

FIRST = grid((2.5,) * 3)
AXES = {"oblique": (1, 2, 3), "nodding": (1, 0, 0), "shaking": (0.1, -0.2, 1)}
SECONDS = {
    "same": FIRST,
    "oblique": grid((2.0, 2.5, 2.5), turn=(12, -4, 6), position=(3, 8, -5)),
    "left-handed": grid((2.5, 2.5, 2.0), turn=(-5, 3, 8), left_handed=True),
    "slab": grid((3.0, 2.5, 2.5), fov=(90, 200, 160)),
}
NOISE = 0.04


def error(found, true):
    """Angle (degrees) and the mean distance in the head (mm) by which a motion is off."""
    off = np.linalg.inv(true) @ found
    at = points(grid((20.0,) * 3, fov=(100, 140, 120))).reshape(-1, 3)
    away = np.linalg.norm(at @ off[:3, :3].T + off[:3, 3] - at, axis=1)
    return np.rad2deg(np.arccos(np.clip((np.trace(off[:3, :3]) - 1) / 2, -1, 1))), away.mean()


@pytest.mark.parametrize("axis", AXES.values(), ids=list(AXES))
def test_eight_degrees_and_five_millimetres_are_found(axis):
    true = motion(axis, 8, (3, -4, 0))
    found = register_rigid(
        signal(FIRST, noise=NOISE), FIRST, 3 * signal(FIRST, true, NOISE, seed=1), FIRST
    )
    degrees, mm = error(found.matrix, true)
    assert degrees < 0.2
    assert mm < 0.2
    assert found.angle_deg == pytest.approx(8, abs=0.2)
    assert found.shift_mm == pytest.approx(5, abs=0.2)
    assert found.quality > 0.95


@pytest.mark.parametrize("second", SECONDS.values(), ids=list(SECONDS))
def test_any_grid_does(second):
    true = motion((1, -2, 1), 8, (0, 3, 4))
    scan = signal(second, true, NOISE, seed=1)
    degrees, mm = error(
        register_rigid(signal(FIRST, noise=NOISE), FIRST, scan, second).matrix, true
    )
    assert degrees < 0.2
    assert mm < 0.2


def test_a_scan_on_itself_does_not_move():
    scan = signal(FIRST, noise=NOISE)
    found = register_rigid(scan, FIRST, scan, FIRST)
    assert found.angle_deg < 0.05
    assert found.shift_mm < 0.05
    assert found.quality == pytest.approx(1, abs=1e-3)


def test_only_what_the_mask_holds_is_looked_at():
    true = motion((1, 2, 3), 8, (3, -4, 0))
    still, moved = signal(FIRST), signal(FIRST, true)
    across = points(FIRST)[..., 0]
    still[across > 60] += 2.0  # a bright thing beside the head that did not move with it
    head = (signal(FIRST) > 0.1) & (across < 50)
    degrees, mm = error(register_rigid(still, FIRST, moved, FIRST, mask=head).matrix, true)
    assert degrees < 0.2
    assert mm < 0.3


def test_another_head_has_a_poor_quality():
    other = np.random.default_rng(2).random(FIRST.matrix, np.float32)
    assert register_rigid(signal(FIRST), FIRST, other, FIRST).quality < 0.3


def test_an_empty_scan_is_refused_in_a_line():
    with pytest.raises(QsmError, match="second scan is empty"):
        register_rigid(signal(FIRST), FIRST, np.zeros(FIRST.matrix), FIRST)


PRINTED = """
import numpy as np
from gadgetron_qsm.measure.rigid import register_rigid
from tests.measure.head import grid, motion, signal
g = grid((4.0,) * 3)
m = motion((1, 2, 3), 8, (3, -4, 0))
found = register_rigid(signal(g, noise=0.04), g, signal(g, m, 0.04, 1), g)
print(found.matrix.tobytes().hex())
"""


def test_the_bits_do_not_depend_on_how_many_cores_there_are():
    def run(cores):
        own = {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": cores, "OMP_NUM_THREADS": cores}
        told = subprocess.run(
            [sys.executable, "-c", PRINTED],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **own},
            capture_output=True,
            text=True,
            check=True,
        )
        return told.stdout

    assert run("1") == run("2") == run("7")
