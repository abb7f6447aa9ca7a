"""provenance.json: how the maps of one scan were made, without a word about whose they are.

Nothing is copied from the MRD header that the basic profile of PS3.15, Table E.1-1, takes away:
names, IDs, dates and times, weight, sex, the site, the station, serial numbers, UIDs, the name of
the protocol and other texts that an operator types. Neither are time stamps of readouts, which
count from midnight, nor the measurementID, in which converters join serial number, patient and
study. What stays: maker, model, field, coil elements and name of the sequence, which the profile
keeps, and the scanner's number of the measurement, by which the site itself finds the raw data.
Of the settings, only numbers and choices are told: texts and paths can hold names and secrets.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gadgetron_qsm import __version__
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import MAPS
from gadgetron_qsm.dicom.provenance import NOT_CLINICAL, SOFTWARE
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.checklist import SOURCE, checklist
from gadgetron_qsm.report.hardware import coil_names, model, vendor
from gadgetron_qsm.report.sequence import orientation, sequence_name
from gadgetron_qsm.report.told import told
from gadgetron_qsm.settings import Settings

SCHEMA = {"name": "gadgetron-qsm provenance", "version": 1}
PACKAGES = ("numpy", "scipy", "numba", "ismrmrd", "gadgetron", "pydicom", "highdicom")


def provenance(
    header: Header,
    settings: Settings,
    report: Mapping[str, Any],
    maps: Sequence[Map] = (),
) -> dict[str, Any]:
    """Return what provenance.json holds, keys in the order of the schema.

    `report` as Map.report has it; `maps` are some of the scan's, for their geometry. A key more
    keeps the schema's version, a key that goes or changes its meaning raises it.
    """
    geometry = maps[0].geometry if maps else None
    methods = report.get("provenance", {})
    items = checklist(header, report, geometry, settings.deliver.form)
    return {
        "schema": SCHEMA,
        "use": NOT_CLINICAL,
        "software": software(),
        "scanner": _scanner(header),
        "scan": _scan(header, methods.get("scan", {}), geometry),
        "methods": {stage: entry for stage, entry in methods.items() if stage != "scan"},
        "settings": told(settings),
        "unit": MAPS["chi"].unit,
        "reference": report.get("quality", {}).get("reference", {}),
        "warnings": report.get("warnings", []),
        "checklist": {"source": SOURCE, "items": [asdict(item) for item in items]},
    }


def software() -> dict[str, str]:
    """Versions of this program and of what computes and writes in it."""
    cupy = getattr(sys.modules.get("cupy"), "__version__", None)  # loaded, if it has computed
    return {
        SOFTWARE: __version__,
        "python": platform.python_version(),
        **{name: found for name in PACKAGES if (found := _installed(name))},
        **({"cupy": cupy} if cupy else {}),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _scanner(header: Header) -> dict[str, Any]:
    system = header.document.acquisitionSystemInformation
    nominal = system and system.systemFieldStrength_T
    return {
        "vendor": vendor(system),
        "model": model(system),
        "field_strength_t": round(header.field_strength_t, 6),
        "nominal_field_strength_t": float(nominal) if nominal else None,
        "imaging_frequency_hz": header.larmor_hz,
        "receiver_channels": system and system.receiverChannels,
        "coil_elements": coil_names(system),
    }


def _scan(header: Header, source: Mapping[str, Any], geometry: Geometry | None) -> dict[str, Any]:
    parameters = header.document.sequenceParameters
    return {
        "came_as": source.get("method"),
        "measurement_uid": source.get("measurement_uid"),
        "sequence": sequence_name(header),
        "echo_times_s": [round(te, 9) for te in header.echo_times_s],
        "repetition_times_ms": parameters.TR,
        "flip_angles_deg": parameters.flipAngle_deg,
        "repetitions": header.repetitions,
        "averages": header.averages,
        "patient_position": header.patient_position or None,
        "geometry_zyx": _placed(geometry) if geometry else None,
    }


def _placed(geometry: Geometry) -> dict[str, Any]:
    return {
        "matrix": geometry.matrix,
        "voxel_size_mm": geometry.voxel_size,
        "b0_direction": [round(part, 6) for part in geometry.b0_direction],
        "orientation": orientation(geometry),
    }
