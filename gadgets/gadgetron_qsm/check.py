"""Is this usable: the installation, a configuration, a raw file, a series."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import h5py
import numpy as np

from gadgetron_qsm import __version__, configs, gadgets
from gadgetron_qsm.arrays.places import Gpu
from gadgetron_qsm.delivery.deliver import nodes_of, terms_of
from gadgetron_qsm.delivery.nodes import Caller, Later, Node
from gadgetron_qsm.delivery.store import echo
from gadgetron_qsm.dicom.read import read_series
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.ingest.kinds import Kind, kind_of
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Acquisition, Image
from gadgetron_qsm.mrd.properties import read_properties
from gadgetron_qsm.mrd.safe_xml import local_name, parse_xml
from gadgetron_qsm.mrd.volumes import repetitions_of_images
from gadgetron_qsm.outgoing_sections import StoreSettings
from gadgetron_qsm.settings import Settings

PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "h5py",
    "ismrmrd",
    "gadgetron",
    "pydicom",
    "highdicom",
    "pynetdicom",
)
LINES = (("partitions", "kspace_encode_step_2"), ("lines", "kspace_encode_step_1"))  # z, y
TARGETS = ("qsm", "combine", "susceptibility", "deliver")

Findings = Iterator[tuple[str, str]]  # what, and what was found


def check(subject: Path | None) -> Findings:
    """Look at a configuration (.xml or a name), a raw file (.h5), a folder of one series, or,
    without a subject, at the installation. Raises QsmError for what cannot be used.
    """
    if subject is None:
        return _installation()
    if subject.is_dir():
        return _series(subject)
    if subject.is_file() and h5py.is_hdf5(subject):
        return _raw(subject)
    return _configuration(subject)


def _installation() -> Findings:
    yield "gadgetron-qsm", __version__
    yield "Python", platform.python_version()
    for package in PACKAGES:
        yield package, importlib.metadata.version(package)
    yield "computes on", _place()
    yield "gadgetron server", shutil.which("gadgetron") or "not installed: serve and replay work"
    yield "configurations", ", ".join(configs.names())
    yield "settings", "changed by --set STAGE.KEY=VALUE or <property name= value=>:"
    yield from Settings.described()


def _place() -> str:
    try:
        place = Gpu(0)
    except ValueError as error:
        return f"the CPU; {error}"
    return f"{place.name}, of whose memory {place.free_bytes() / 1e9:.1f} GB are free"


def _configuration(subject: Path) -> Findings:
    text = configs.read(str(subject))
    root = parse_xml(text, "the configuration")
    if local_name(root) != "configuration" or root.findtext("version", "").strip() != "2":
        raise QsmError("it is no Gadgetron configuration of version 2")
    externals = [e for e in root.iter() if local_name(e) == "external"]
    if not externals:
        raise QsmError("no external node: nothing in it calls gadgetron-qsm")
    ours = [found for external in externals if (found := _external(external))]
    if not ours:
        raise QsmError(f"no external node connects or executes {gadgets.__name__}")
    yield from ours
    settings = Settings.from_properties(read_properties(text))
    changed = settings.model_dump(exclude_defaults=True)
    yield "settings", str(changed) if changed else "all default"
    yield from _archives(settings.store)


def _archives(store: StoreSettings) -> Findings:
    """Ask each archive whether it answers."""
    for node in nodes_of(store):
        yield "archive", _answer(node, terms_of(store).caller)


def _answer(node: Node, caller: Caller) -> str:
    try:
        echo(node, caller)
    except Later as error:
        return str(error)
    return f"{node.name}: it answers"


def _external(external: Element) -> tuple[str, str] | None:
    """What a node of the chain calls; None for somebody else's."""
    execute, connect = external.find("execute"), external.find("connect")
    if (execute is None) == (connect is None):
        raise QsmError("an external node needs either <execute> or <connect>")
    if connect is not None:
        return "resident process", f"{connect.get('address', 'localhost')}:{connect.get('port')}"
    if execute is None or execute.get("name") != gadgets.__name__:
        return None
    target = execute.get("target", "")
    if target not in TARGETS:
        raise QsmError(f"target '{target}' is unknown; there are {', '.join(TARGETS)}")
    return "target", target


def _raw(subject: Path) -> Findings:
    with RawFile(subject) as file:
        header, readouts = Header.parse(file.header_text), len(file)
        everything = (readout for block in file.blocks() for readout in block)
        first = next((r for r in everything if kind_of(r.head, header) is Kind.IMAGE), None)
        images = [] if readouts else list(file.images())
    if images:
        return _images(images, header)
    if first is None:
        raise QsmError(f"{subject.name} has no readout of an image")
    return _readouts(first, readouts, header)


def _readouts(first: Acquisition, readouts: int, header: Header) -> Findings:
    yield from _scan(header, header.geometry(first.head, *header.native_volume))
    yield "header says", ", ".join(_announced(header)) or "every line once"
    coils, samples = first.data.shape
    shape = f"{coils} coils x {samples} samples, k = 0 at {first.head['center_sample']}"
    yield "readouts", f"{readouts} of {shape}"


def _images(images: list[Image], header: Header) -> Findings:
    volumes = list(repetitions_of_images(images, header))
    yield from _scan(header, volumes[0].geometry)
    echoes, channels = volumes[0].data.shape[:2]
    shape = f"{echoes} echoes of {channels} channels"
    yield "images", f"{len(images)}, of {len(volumes)} repetitions of {shape}"


def _scan(header: Header, geometry: Geometry) -> Findings:
    yield "echo times", ", ".join(f"{te * 1000:g}" for te in header.echo_times_s) + " ms"
    yield "field", f"{header.field_strength_t:.3f} T, {header.larmor_hz / 1e6:.6f} MHz"
    yield "matrix", " x ".join(map(str, geometry.matrix)) + " (slice, phase, read)"
    yield "voxel", " x ".join(f"{size:.3g}" for size in geometry.voxel_size) + " mm"
    yield "B0", np.array2string(np.array(geometry.b0_direction), precision=3) + " in the image"


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


def _series(subject: Path) -> Findings:
    data, affine = read_series(subject)
    yield "matrix", " x ".join(map(str, data.shape)) + " (slice, row, column)"
    voxel = np.linalg.norm(affine[:3, :3], axis=0)[::-1]
    yield "voxel", " x ".join(f"{size:.3g}" for size in voxel) + " mm"
    yield "values", f"{data.min():.4g} to {data.max():.4g}, standard deviation {data.std():.4g}"
