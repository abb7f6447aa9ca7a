"""The checklist's sequence: contrast, times and geometry, from the MRD header."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from gadgetron_qsm.dicom.protocol import slice_thickness_mm
from gadgetron_qsm.dicom.values import text
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.item import Item, Level

NORMALS = ("sagittal", "coronal", "axial")  # plane whose normal is x, y, z of LPS
PURE_DEG = 0.1  # of tilt, that converters' rounding of direction cosines may make
EVEN_S = 2.5e-5  # by which spacings may differ and be the same, as headers round to 0.01 ms
LONGEST_NAME = 64


def sequence(header: Header, geometry: Geometry | None) -> Iterator[Item]:
    """Give the first items of Table 4 (see checklist); geometry is that of the maps."""
    parameters = header.document.sequenceParameters

    def item(name: str, level: Level, value: str | None, when: str = "") -> Item:
        return Item("sequence", name, level, value, when)

    yield item("Type: 2D or 3D, GRE or EPI", "essential", _type(header))
    yield item("Commercial name", "recommended", sequence_name(header))
    yield item("Trajectory of k-space", "essential", "Cartesian", "if not Cartesian")
    yield item("Orientation", "recommended", orientation(geometry) if geometry else None)
    yield item("Number of echoes, TE1:dTE:TEmax", "essential", echo_times(header.echo_times_s))
    yield item("TR", "essential", _listed(parameters.TR, "ms"))
    yield item("Flip angle", "recommended", _listed(parameters.flipAngle_deg, "degrees"))
    yield item("Pixel bandwidth", "recommended", None)
    yield item("Field of view and acquisition matrix", "essential", _matrix(header))
    yield item("Voxel size", "essential", voxel_size(geometry, header) if geometry else None)


def orientation(geometry: Geometry) -> str:
    """Name the plane, and how far it is turned out of it."""
    normal = np.abs(geometry.slice_dir)
    axis = int(normal.argmax())
    aside = np.delete(normal, axis)
    tilt = math.degrees(math.hypot(*aside) and math.atan2(math.hypot(*aside), normal[axis]))
    if tilt < PURE_DEG:
        return f"pure {NORMALS[axis]}"
    double = np.degrees(np.arctan2(aside, normal[axis])).min() >= PURE_DEG
    return f"{'double ' if double else ''}oblique, {tilt:.1f} degrees from {NORMALS[axis]}"


def echo_times(times_s: Sequence[float]) -> str:
    """Number of echoes with first, spacing and last in ms; every time where they are not even."""
    ms = [f"{1000 * te:.4g}" for te in times_s]
    if len(ms) == 1:
        return f"1 echo, TE {ms[0]} ms"
    spacing = np.diff(times_s)
    if np.ptp(spacing) > EVEN_S:
        return f"{len(ms)} echoes, TE {', '.join(ms)} ms (not evenly spaced)"
    return f"{len(ms)} echoes, {ms[0]}:{1000 * spacing.mean():.4g}:{ms[-1]} ms"


def voxel_size(geometry: Geometry, header: Header) -> str:
    """Voxel of the maps, which are not interpolated; thickness and spacing of slices."""
    z, y, x = geometry.voxel_size
    size = f"{_times(x, y, z)} mm (read, phase, slice)"
    if header.slices is None:
        return size
    return f"{size}, slices {slice_thickness_mm(geometry, header):.4g} mm thick"


def sequence_name(header: Header) -> str | None:
    """Name of the sequence without the folders that some scanners put before it."""
    measurement = header.document.measurementInformation
    name = text(measurement and measurement.sequenceName, LONGEST_NAME)
    return name.rsplit("/", 1)[-1] or None


def _type(header: Header) -> str:
    """Return 2D or 3D; MRD has another trajectory for EPI, and QSM needs gradient echoes."""
    dimensions = "3D" if header.slices is None else "2D"
    given = text(header.document.sequenceParameters.sequence_type, LONGEST_NAME)
    return f"{dimensions} GRE" + (f" ({given})" if given else "")


def _listed(values: Sequence[float], unit: str) -> str | None:
    return f"{', '.join(f'{value:.4g}' for value in values)} {unit}" if values else None


def _matrix(header: Header) -> str:
    """Return what was acquired, without oversampling, and the oversampling beyond readouts'."""
    (nz, ny, nx), (z, y, x) = header.native_volume
    told = f"{_times(x, y, z)} mm, {_times(nx, ny, nz)} (read, phase, slice)"
    encoded = zip(("slice", "phase"), header.encoded_matrix, (nz, ny), strict=False)
    more = [
        f"{name} oversampling {100 * (n / kept - 1):.0f} %" for name, n, kept in encoded if n > kept
    ]
    return "; ".join([told, *more])


def _times(*values: float) -> str:
    return " x ".join(f"{value:.4g}" for value in values)
