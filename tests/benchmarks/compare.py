"""How far the maps of two devices are apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.benchmarks.machine import gpu_name
from tests.benchmarks.product import Product
from tests.benchmarks.runs import Source
from tests.benchmarks.scanner import Course

MAPS = ("chi", "total_field", "local_field", "r2star", "magnitude")


def compare(source: Source, settings: Mapping[str, str]) -> None:
    """Send a scan to the CPU and to the GPU, and print what their maps differ by."""
    if gpu_name() is None:
        print("no GPU here: nothing to compare with")
        return
    courses = [_on(device, source, settings) for device in ("cpu", "gpu")]
    for name, value in differences(*courses).items():
        print(f"{name:24}{value:12.2e}")


def differences(one: Course, other: Course) -> dict[str, float]:
    """Norm of the difference of each map in the first's mask, over that of the first's.

    The mask: the part of its voxels that the two do not share.
    """
    masks = [course.map("mask").data > 0 for course in (one, other)]
    held = masks[0]
    apart = {"mask": float(np.count_nonzero(masks[0] ^ masks[1]) / np.count_nonzero(held))}
    for name in MAPS:
        a, b = (course.map(name).data[held].astype(np.float64) for course in (one, other))
        apart[name] = float(np.linalg.norm(a - b) / np.linalg.norm(a))
    return apart


def _on(device: str, source: Source, settings: Mapping[str, str]) -> Course:
    wanted = {"deliver.maps": ",".join((*MAPS, "mask")), "device.use": device}
    with Product() as product:
        return source.send(product, {**settings, **wanted}, None)
