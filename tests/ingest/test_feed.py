"""Coil images on a device are those of the host, whatever the way to scan."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.arrays.places import Host
from gadgetron_qsm.ingest import coil_images, early, intake
from gadgetron_qsm.ingest import lines as lines_module
from gadgetron_qsm.ingest.lines import Lines
from gadgetron_qsm.kspace.lattice import Lattice
from gadgetron_qsm.settings import KSpaceSettings
from tests.ingest.lattices import (
    CAIPI2X2,
    NY,
    NZ,
    R2X2,
    calibration_readouts,
    header_of,
    readouts,
    sampled_lines,
    samples,
)
from tests.kspace.feeds import feed_to
from tests.raw_scan import changed, flag, header, lines_of, oversampled, random_complex, readout

NO_LATTICE = Lattice((1, 1))
EVERY_LINE = NO_LATTICE.lines((NZ, NY))


@pytest.fixture(scope="module")
def data():
    return samples()


@pytest.fixture(autouse=True)
def small_bites(monkeypatch):
    monkeypatch.setattr(early, "BITE", 100)
    monkeypatch.setattr(intake, "BATCH_BYTES", 8000)


def noise():
    return [readout(random_complex(6, 8), flag(19)) for _ in range(3)]


def backwards(lines):
    for line in lines:
        if line.head["idx"]["contrast"] % 2:
            turned = line.data[:, ::-1]
            yield changed(line, turned, flags=flag(22), center_sample=turned.shape[1] // 2 - 1)
        else:
            yield line


def slices():
    for number in range(3):
        for line in lines_of(oversampled(random_complex(2, 6, 1, 6, 8))):
            new = changed(line, position=(7.0 * (2 * number % 3), 0, 0))
            new.head["idx"]["slice"] = number
            yield new


SCANS = {
    "full": lambda data: readouts(data, EVERY_LINE),
    "compressed": lambda data: readouts(data, EVERY_LINE),
    "averages": lambda data: [*readouts(data, EVERY_LINE), *readouts(2 * data, EVERY_LINE)],
    "noise scan": lambda data: [*noise(), *readouts(data, EVERY_LINE)],
    "bipolar": lambda data: backwards(readouts(data, EVERY_LINE)),
    "asymmetric": lambda data: [
        changed(line, line.data[:, 2:], center_sample=2) for line in readouts(data, EVERY_LINE)
    ],
    "r2x2": lambda data: readouts(data, sampled_lines(R2X2)),
    "random order": lambda data: readouts(data, sampled_lines(R2X2), "random"),
    "elliptical": lambda data: readouts(data, sampled_lines(R2X2, elliptical=True)),
    "sense": lambda data: readouts(data, sampled_lines(R2X2)),
    "caipi2x2 apart": lambda data: [
        *calibration_readouts(data),
        *readouts(data, sampled_lines(CAIPI2X2, centre=None)),
    ],
    "slices": lambda _: slices(),
}
SETTINGS = {
    "sense": {"parallel_imaging": "sense"},
    "asymmetric": {"partial_fourier": "pocs"},
    "compressed": {"compression": "gcc", "virtual_coils": 4},
}
ACCELERATION = {"r2x2", "random order", "elliptical", "sense", "caipi2x2 apart"}


class Fed(Host):
    """A place that some feed takes readouts to."""

    def __init__(self, feed):
        self.feed = lambda: feed


def images_of(name, data, place):
    head = header_of((2, 2) if name in ACCELERATION else (1, 1))
    if "apart" in name:
        head = header_of((2, 2), "separate")
    elif name == "slices":
        head = header(1, 6, 8, slice=3)
    settings = KSpaceSettings(**{"compression": "none", **SETTINGS.get(name, {})})
    (images,) = coil_images(SCANS[name](data), head, settings, place)
    return images


@pytest.mark.parametrize("name", SCANS)
def test_a_device_makes_the_images_that_the_host_makes(device, data, name):
    here, there = (images_of(name, data, place) for place in (None, Fed(feed_to(device))))
    assert not isinstance(there.data, np.ndarray)
    size = np.abs(here.data).max()
    np.testing.assert_allclose(to_numpy(there.data) / size, here.data / size, atol=2e-4)
    assert there.report["warnings"] == here.report["warnings"]
    assert there.geometry == here.geometry


@pytest.mark.parametrize(
    ("head", "lines"), [(header(1, 6, 8, slice=3), 3 * 6), (header(4, 6, 8), 4 * 6)]
)
def test_the_room_that_is_asked_for_is_that_of_all_partitions_or_slices(monkeypatch, head, lines):
    asked = []
    monkeypatch.setattr(lines_module, "needed_on_device", lambda shape: asked.append(shape) or 0)
    Lines(head, KSpaceSettings())._feed(2)
    ((_, coils, nz, ny, _),) = asked
    assert (coils, nz * ny) == (2, lines)
