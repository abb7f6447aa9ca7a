"""MRD headers and images without whose they are, for files that go with de-identified objects.

What stays is listed, so that a field nobody thought of goes: patient, study, dates, site, serial
numbers, names of protocols and parameters that a site may have filled with anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import ismrmrd

from gadgetron_qsm.mrd import meta
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import OWN, own_meta
from gadgetron_qsm.mrd.messages import Image

OF_A_SCAN = ("method", "measurement_uid", "table_position_mm")
PARTS = ("version", "experimentalConditions", "encoding", "sequenceParameters")
OF_A_SYSTEM = (
    "systemVendor",
    "systemModel",
    "systemFieldStrength_T",
    "relativeReceiverNoiseBandwidth",
    "receiverChannels",
    "coilLabel",
)


def anonymous_header(header: Header) -> str:
    """Return a scan's header with how it was scanned, by what make of scanner, and how one lay."""
    xsd, document = ismrmrd.xsd, header.document
    kept = _parts(document, PARTS)
    if system := document.acquisitionSystemInformation:
        kept["acquisitionSystemInformation"] = xsd.acquisitionSystemInformationType(
            **_parts(system, OF_A_SYSTEM)
        )
    if measurement := document.measurementInformation:
        kept["measurementInformation"] = xsd.measurementInformationType(
            patientPosition=measurement.patientPosition
        )
    return str(xsd.ToXML(xsd.ismrmrdHeader(**kept)))


def anonymous_image(image: Image) -> Image:
    """Return one of our images less the time of day that it was scanned at."""
    head, own = image.head.copy(), own_meta(image)
    head["acquisition_time_stamp"] = 0
    text = image.meta
    if report := own.get("report"):
        methods = report.get("provenance", {})
        provenance = {**methods, "scan": anonymous_scan(methods.get("scan", {}))}
        report = {**report, "provenance": provenance}
        text = meta.changed(text, {f"{OWN}report": json.dumps(report)})
    return Image(head, image.data, text)


def anonymous_scan(scan: Mapping[str, Any]) -> dict[str, Any]:
    """Return of header.fingerprint what may be told: no time, and nothing made of the samples."""
    return {name: scan[name] for name in OF_A_SCAN if scan.get(name)}


def _parts(whole: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(whole, name) for name in names}
