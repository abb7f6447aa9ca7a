"""The checklist's sequence: how k-space was read, from the header and from what readouts showed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gadgetron_qsm.ingest.partial_fourier import LINES, SAMPLES
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.item import Item, Level

AXES = {"kspace_encode_step_1": "phase", "kspace_encode_step_2": "slice"}
BIPOLAR = ("bipolar readouts: ", "echoes mix lines read forwards and backwards")
MIRRORED = "look mirrored"  # of a warning


def sampling(header: Header, report: Mapping[str, Any]) -> Iterator[Item]:
    """Give the other items of Table 4 (see checklist)."""

    def item(name: str, level: Level, value: str | None, when: str = "") -> Item:
        return Item("sequence", name, level, value, when)

    provenance, warnings = report.get("provenance", {}), report.get("warnings", [])
    yield item("Monopolar or bipolar readouts", "recommended", _polarity(header, report))
    yield item(
        "Centre frequency, mean and SD over scans",
        "essential",
        f"{header.larmor_hz / 1e6:.6f} MHz in this scan",
        "for studies on several scanners",
    )
    yield item("Flow compensation: echoes and directions", "recommended", None)
    yield item("Acceleration: type and factors", "essential", _acceleration(header, provenance))
    partial = _partial_fourier(header, provenance, warnings)
    yield item("Partial Fourier, best avoided", "essential", partial, "if used")
    asymmetric = _asymmetric_echo(header, provenance, warnings)
    yield item("Asymmetric echo, best avoided", "essential", asymmetric, "if used")
    yield item("Elliptical shutter of k-space", "recommended", _elliptical(provenance))
    yield item("Phase stabilisation", "recommended", None, "if available")


def left_out(header: Header) -> dict[str, float]:
    """Directions of partial Fourier, with the part of k-space that was acquired.

    A direction counts when lines on one side of k = 0 are fewer than on the other, by more than a
    lattice of acceleration has between two lines.
    """
    found = {}
    factors = dict(zip(AXES, reversed(header.acceleration), strict=True))
    for counter, name in AXES.items():
        limit = header.limit(counter)
        lines = limit.maximum - limit.minimum + 1
        whole = 2 * max(limit.center - limit.minimum, limit.maximum + 1 - limit.center)
        if whole - lines > max(factors[counter], 1):
            found[name] = lines / whole
    return found


def _came_as_readouts(provenance: Mapping[str, Any]) -> bool:
    return provenance.get("scan", {}).get("method") == "readouts"


def _polarity(header: Header, report: Mapping[str, Any]) -> str | None:
    provenance, warnings = report.get("provenance", {}), report.get("warnings", [])
    if len(header.echo_times_s) == 1:
        return "one readout"
    if "odd_even_phase" in provenance:
        return "bipolar, phase between odd and even echoes corrected"
    if any(text.startswith(BIPOLAR) for text in warnings):
        return "bipolar"
    mirrored = any(MIRRORED in text for text in warnings)
    unknown = mirrored or not _came_as_readouts(provenance)
    return None if unknown else "monopolar: no readout is marked as read backwards"


def _acceleration(header: Header, provenance: Mapping[str, Any]) -> str:
    z, y = (max(factor, 1) for factor in header.acceleration)
    imaging = header.document.encoding[0].parallelImaging
    told = ["none" if (z, y) == (1, 1) else f"{y} (phase) x {z} (slice)"]
    if (z, y) != (1, 1) and imaging.calibrationMode:
        told.append(f"calibration {imaging.calibrationMode.value}")
    if imaging and imaging.multiband:
        told.append(f"multiband {imaging.multiband.multiband_factor}")
    for stage, name in (("grappa", "GRAPPA"), ("sense", "SENSE")):
        if stage in provenance:
            told.append(f"lines filled by {name}")
    return ", ".join(told)


def _partial_fourier(
    header: Header, provenance: Mapping[str, Any], warnings: list[str]
) -> str | None:
    parts = [f"{name} {100 * part:.0f} %" for name, part in left_out(header).items()]
    if not parts and LINES not in warnings:
        return "none"
    told = ", ".join(parts) or "lines were left out on both sides"
    if LINES in warnings:
        return f"{told}, filled with zeros"
    return f"{told}, filled by POCS" if "partial_fourier" in provenance else told


def _asymmetric_echo(
    header: Header, provenance: Mapping[str, Any], warnings: list[str]
) -> str | None:
    if SAMPLES in warnings:
        return "used, filled with zeros"
    if "partial_fourier" in provenance:  # which tells not of what
        return None if left_out(header) else "used, filled by POCS"
    return "none" if _came_as_readouts(provenance) else None


def _elliptical(provenance: Mapping[str, Any]) -> str | None:
    if provenance.get("kspace", {}).get("elliptical_sampling"):
        return "yes"
    known = _came_as_readouts(provenance) and "sense" not in provenance
    return "no" if known else None
