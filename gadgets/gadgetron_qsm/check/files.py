"""What a raw file, and a folder of one series, hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gadgetron_qsm.dicom.header_fields import values_of
from gadgetron_qsm.dicom.header_places import PLACES, present
from gadgetron_qsm.dicom.read import read_series
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.ingest.kinds import Kind, kind_of
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Acquisition, Image
from gadgetron_qsm.mrd.raw import Raw, opened
from gadgetron_qsm.mrd.siemens import readable
from gadgetron_qsm.mrd.volumes import repetitions_of_images

LINES = (("partitions", "kspace_encode_step_2"), ("lines", "kspace_encode_step_1"))  # z, y
MOST_FIELDS = 20  # a scanner's user parameters may be hundreds

Pairs = Iterator[tuple[str, str]]  # what, and what was found


def raw_file(subject: Path) -> Pairs:
    """Describe a raw file; raises QsmError for one that no map can come from."""
    with readable(subject) as source, opened(source) as file:
        header, readouts = Header.parse(file.header_text), len(file)
        first = first_of_image(file, header)
        images = [] if readouts else list(file.images())
    if images:
        yield from _images(images, header)
    elif first:
        yield from _readouts(first, readouts, header)
    else:
        raise QsmError(f"{subject.name} has no readout of an image")
    yield from _identity(header)


def first_of_image(file: Raw, header: Header) -> Acquisition | None:
    """Return the first readout of an image, behind those of noise and of calibration."""
    everything = (readout for block in file.blocks() for readout in block)
    return next((r for r in everything if kind_of(r.head, header) is Kind.IMAGE), None)


def _readouts(first: Acquisition, readouts: int, header: Header) -> Pairs:
    yield from _scan(header, header.geometry(first.head, *header.native_volume))
    yield "header says", ", ".join(_announced(header)) or "every line once"
    coils, samples = first.data.shape
    shape = f"{coils} coils x {samples} samples, k = 0 at {first.head['center_sample']}"
    yield "readouts", f"{readouts} of {shape}"


def _images(images: list[Image], header: Header) -> Pairs:
    volumes = list(repetitions_of_images(images, header))
    yield from _scan(header, volumes[0].geometry)
    echoes, channels = volumes[0].data.shape[:2]
    shape = f"{echoes} echoes of {channels} channels"
    yield "images", f"{len(images)}, of {len(volumes)} repetitions of {shape}"


def _scan(header: Header, geometry: Geometry) -> Pairs:
    yield "echo times", ", ".join(f"{te * 1000:g}" for te in header.echo_times_s) + " ms"
    yield "field", f"{header.field_strength_t:.3f} T, {header.larmor_hz / 1e6:.6f} MHz"
    yield "matrix", " x ".join(map(str, geometry.matrix)) + " (slice, phase, read)"
    yield "voxel", " x ".join(f"{size:.3g}" for size in geometry.voxel_size) + " mm"
    yield "B0", np.array2string(np.array(geometry.b0_direction), precision=3) + " in the image"


def _identity(header: Header) -> Pairs:
    """Name what of patient and study the header has, and what settings may make the rest of."""
    there = {name: present(header.document, name) is not None for name in PLACES}
    yield "header names", ", ".join(name for name, has in there.items() if has) or "nobody"
    if all(there.values()):
        return
    fields = [f"{{{name}}}" for name, value in values_of(header.document).items() if value]
    more = f" and {len(fields) - MOST_FIELDS} more" if len(fields) > MOST_FIELDS else ""
    lacking = ", ".join(name for name, has in there.items() if not has)
    made = f" of {' '.join(fields[:MOST_FIELDS])}{more}" if fields else ""
    yield "it lacks", f"{lacking}; identity.* of these names may make them{made} or a text"


def _announced(header: Header) -> Iterator[str]:
    """What of a plain scan is otherwise; whether all lines came, the header does not tell."""
    z, y = header.acceleration
    if (z, y) != (1, 1):
        mode = header.document.encoding[0].parallelImaging.calibrationMode
        yield f"{y} x {z} accelerated, calibration {mode.value if mode else 'unknown'}"
    for axis, (name, counter) in enumerate(LINES):
        limit, lines = header.limit(counter), header.encoded_matrix[axis]
        if (came := limit.maximum - limit.minimum + 1) < lines:
            yield f"{came} of {lines} {name}"
    for name, number in (
        ("slices (2D)", header.slices or 1),
        ("averages", header.averages),
        ("repetitions", header.repetitions),
    ):
        if number > 1:
            yield f"{number} {name}"


def series(subject: Path) -> Pairs:
    """Describe a folder of one DICOM series; raises QsmError for one that is not whole."""
    data, affine = read_series(subject)
    yield "matrix", " x ".join(map(str, data.shape)) + " (slice, row, column)"
    voxel = np.linalg.norm(affine[:3, :3], axis=0)[::-1]
    yield "voxel", " x ".join(f"{size:.3g}" for size in voxel) + " mm"
    yield "values", f"{data.min():.4g} to {data.max():.4g}, standard deviation {data.std():.4g}"
