"""How long every method takes, in seconds and in real FFT pairs: a table; then the presets.

Usage: python -m tests.benchmarks.speed [--only PART ...] [--methods NAME ...] [LABELS.nii.gz]

The grid is 160 x 192 x 224 (x, y, z), float32: the brain of the head of 1 mm. Every method runs on
a corner of it first, which compiles what it needs. An FFT pair is timed before and after each
method: other work on the machine slows down both. Behind a preset stands the NRMSE (%) of its map,
from complex echoes with its own mask, on the brain less one voxel and more than 6 mm inside.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from gadgetron_qsm import chain
from gadgetron_qsm.contrast.r2star import weighted_log_fit
from gadgetron_qsm.data import Echoes, Map
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.field.echo_fit import weighted_echo_fit
from gadgetron_qsm.field.romeo import romeo
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.inversion.weight import field_weight
from gadgetron_qsm.methods import bound
from gadgetron_qsm.processors import processors
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.stage.choice import AT_ONCE, TABLES
from tests.benchmarks.heads import Head, head
from tests.benchmarks.scores import deeper_than, filled, nrmse
from tests.benchmarks.timing import fft_pair_seconds

LABELS = Path("../shared/data/phantom/labels_1mm.nii.gz")
MATRIX = (224, 192, 160)  # z, y, x
SMALL = (32, 32, 32)
TARGETS = {
    "ROMEO alone": "10 s",
    "vsharp": "40 pairs",
    "tv": "150 pairs",
    "laplacian": "6 pairs",
    "preset fast": "10 s",
    "preset standard": "45 s",
}

Task = Callable[[], Any]


def main() -> None:
    """Print the table, rows as they are done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", nargs="?", type=Path, default=LABELS)
    parser.add_argument("--only", nargs="+", choices=[*TABLES, "unwrapping", "presets"])
    parser.add_argument("--methods", nargs="+", metavar="NAME")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    whole = on_grid(head(given.labels, voxel_mm=1.0), MATRIX)
    small = on_grid(whole, SMALL)
    print(f"{'x'.join(map(str, MATRIX))} voxels (z, y, x)")
    print(f"{'':52}{'s':>8}{'pairs':>8}{'pair ms':>9}   at most")
    for part, rows in _tasks(whole).items():
        compiling = dict(_tasks(small)[part])
        for name, task in rows:
            if (given.only or [part]).count(part) and name in (given.methods or [name]):
                print(f"{part:26}{name:26}{_row(name, task, compiling[name], whole)}", flush=True)


def on_grid(of: Head, matrix: tuple[int, int, int]) -> Head:
    """Cut a head down to a grid, or put it into a larger one, their middles at one place."""

    def fit(x: np.ndarray) -> np.ndarray:
        for axis, n in enumerate(matrix, start=x.ndim - 3):
            cut = max(x.shape[axis] - n, 0)
            x = x.take(range(cut // 2, x.shape[axis] - cut + cut // 2), axis=axis)
            more = n - x.shape[axis]
            x = np.pad(
                x, [(more // 2, more - more // 2) if a == axis else (0, 0) for a in range(x.ndim)]
            )
        return np.ascontiguousarray(x)

    names = ("chi", "total_field", "local_field", "brain", "labels", "echoes")
    return replace(of, **{name: fit(getattr(of, name)) for name in names})


def _tasks(on: Head) -> dict[str, list[tuple[str, Task]]]:
    """What is timed, by part and name."""
    magnitude = np.abs(on.echoes)
    phase, times = np.angle(on.echoes), on.echo_times_s
    fit = weighted_echo_fit(phase, magnitude, times, on.larmor_hz)
    place = (on.brain, on.voxel_size, on.b0_direction)
    given = {
        "field": (on.echoes, times, on.larmor_hz, on.voxel_size),
        "mask": (magnitude[0], fit.residual, on.voxel_size),
        "background": (on.total_field, *place[:2]),
        "inversion": (on.local_field, *place),
        AT_ONCE: (on.total_field, *place),
        "separation": (on.local_field, weighted_log_fit(magnitude, times), *place),
    }
    offers = {
        "b0_direction": on.b0_direction,
        "weight": field_weight(fit.noise, on.brain, on.voxel_size),
        "magnitude": np.sqrt(np.square(magnitude).sum(axis=0)),
        "radians_per_ppm": 2e-6 * np.pi * on.larmor_hz * sum(times) / len(times),
        "field_strength_t": on.larmor_hz / 42.577478518e6,
        "chi": on.chi,
    }
    parts: dict[str, list[tuple[str, Task]]] = {
        "unwrapping": [("ROMEO alone", lambda: romeo(phase, magnitude, times))]
    }
    for part, arguments in given.items():
        parts[part] = [
            (name, lambda m=method, a=arguments: bound(m, {}, **offers)(*a))  # type: ignore[misc]
            for name, method in TABLES[part].items()
        ]
    parts["presets"] = [(f"preset {name}", _preset(name, on)) for name in _presets()]
    return parts


def _presets() -> Iterable[str]:
    return get_args(Settings.model_fields["preset"].annotation) or ()


def _preset(name: str, on: Head) -> Task:
    """From complex echoes to the map of chi, which comes first."""
    cosine, sine, _ = on.b0_direction
    geometry = Geometry(
        on.brain.shape,
        on.voxel_size,
        (0.0, 0.0, 0.0),
        (1, 0, 0),
        (0, cosine, sine),
        (0, -sine, cosine),
    )
    echoes = Echoes(on.echoes, on.echo_times_s, on.larmor_hz, geometry)
    settings = Settings.from_properties({"preset": name})
    return lambda: next(chain.susceptibility([echoes], settings))


def _row(name: str, task: Task, compiling: Task, truth: Head) -> str:
    with processors():
        with suppress(QsmError, ValueError, ArithmeticError):  # too small for it, maybe
            compiling()
        before = fft_pair_seconds(MATRIX)
        start = time.perf_counter()
        try:
            result = task()
        except (QsmError, ValueError, TypeError, ArithmeticError) as error:
            return f"  {type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        pair = (before + fft_pair_seconds(MATRIX)) / 2
    errors = _errors(result, truth) if isinstance(result, Map) else ""
    return (
        f"{seconds:8.1f}{seconds / pair:8.0f}{1000 * pair:9.0f}   {TARGETS.get(name, ''):8}{errors}"
    )


def _errors(chi: Map, truth: Head) -> str:
    """NRMSE of a chi map on the brain less one voxel, and on its core."""
    held = (chi.data != 0) & truth.brain
    regions = [deeper_than(truth.brain, truth.voxel_size, mm) for mm in (1.01, 6.0)]
    got = filled(chi.data / 1000, held, regions[0])
    return "NRMSE " + " / ".join(f"{nrmse(got, truth.chi, region):.1f}" for region in regions)


if __name__ == "__main__":
    main()
