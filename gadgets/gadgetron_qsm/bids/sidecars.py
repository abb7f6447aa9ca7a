"""The JSON beside each image: what BIDS has a name for, and a block `QSM` for the rest.

It tells what provenance.json tells, and nothing of the patient (see report.provenance), nor the
scanner's number of the measurement.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gadgetron_qsm.bids.kinds import Kind
from gadgetron_qsm.contrast import R2STAR, SEPARATION, SWI
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.provenance import NOT_CLINICAL
from gadgetron_qsm.dicom.values import text
from gadgetron_qsm.inversion import METHODS, SINGLE_STEP
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.analysis import FOR_VIEWERS, STEPS
from gadgetron_qsm.report.sampling import left_out

OF_IMAGES = {stage for _, stages in STEPS[:2] for stage in stages}  # before there is a map
TABLES: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "inversion": {**METHODS, **SINGLE_STEP},
    "r2star": R2STAR,
    "separation": SEPARATION,
    "swi": SWI,
}
TECHNIQUES = {"grappa": "GRAPPA", "sense": "SENSE"}
DIRECTIONS = {"phase": "PHASE", "slice": "SLICE_SELECT"}  # of DICOM, (0018,9036)

LONGEST = 64

Provenance = Mapping[str, Any]


def of_echo(volume: Map, kind: Kind, header: Header, provenance: Provenance) -> dict[str, Any]:
    """Return the sidecar of the magnitude or the phase of an echo.

    `provenance` is what report.provenance returns of the map's repetition.
    """
    methods = provenance["methods"]
    return {
        "Description": kind.description,
        "Units": kind.unit,
        "EchoTime": volume.echo_time_s,
        **_acquisition(volume, header, provenance),
        "QSM": {
            "Use": NOT_CLINICAL,
            "Software": provenance["software"],
            "Methods": {stage: methods[stage] for stage in methods if stage in OF_IMAGES},
        },
    }


def of_map(
    volume: Map, kind: Kind, header: Header, provenance: Provenance, sources: Sequence[str]
) -> dict[str, Any]:
    """Return the sidecar of what was made of the echoes, `sources` (URIs of BIDS)."""
    tes = list(header.echo_times_s)
    method = provenance["methods"].get(kind.made_by, {}).get("method")
    given = {
        "Description": kind.description,
        "Units": kind.unit,
        "Sources": list(sources),
        "EstimationAlgorithm": method,
        "EstimationReference": _references(kind.made_by, method),
        "EchoTime": tes if len(tes) > 1 else tes[0],
    }
    block = {key: provenance[key] for key in ("software", "methods", "reference", "warnings")}
    if volume.name == "chi":
        told = provenance["checklist"]
        items = [item for item in told["items"] if item["text"] != FOR_VIEWERS]
        block["checklist"] = {**told, "items": items}
    return {
        **{key: value for key, value in given.items() if value is not None},
        **_acquisition(volume, header, provenance),
        "QSM": {"Use": NOT_CLINICAL, **{key.capitalize(): block[key] for key in block}},
    }


def _acquisition(volume: Map, header: Header, provenance: Provenance) -> dict[str, Any]:
    """Return the scanner and the sequence, as far as the header tells them."""
    scan = provenance["scan"]
    repetition_time_s = _only([tr / 1000 for tr in scan["repetition_times_ms"] or ()])
    matrix, extent_mm = header.native_volume
    details = header.document.sequenceParameters.sequence_type
    three, echoes = header.slices is None, len(header.echo_times_s)
    found = {
        **_hardware(provenance["scanner"]),
        "MRAcquisitionType": "3D" if three else "2D",
        "PulseSequenceType": f"{'Multi-echo g' if echoes > 1 else 'G'}radient echo",
        "ScanningSequence": "GR",
        "PulseSequenceDetails": text(details, LONGEST) or None,
        "SequenceName": scan["sequence"],
        "RepetitionTimeExcitation": repetition_time_s,
        "RepetitionTime": repetition_time_s,  # its name in most programs
        "FlipAngle": _only(scan["flip_angles_deg"] or ()),
        "AcquisitionVoxelSize": [e / n for e, n in zip(extent_mm, matrix, strict=True)][::-1],
        **_sampling(header, provenance["methods"]),
        "NonlinearGradientCorrection": False if scan["came_as"] == "readouts" else None,
        "B0_dir": [round(part, 6) for part in volume.geometry.b0_direction[::-1]],  # i, j, k
    }
    return {key: value for key, value in found.items() if value is not None}


def _hardware(scanner: Mapping[str, Any]) -> dict[str, Any]:
    elements = scanner["coil_elements"]
    return {
        "Manufacturer": scanner["vendor"],
        "ManufacturersModelName": scanner["model"],
        "MagneticFieldStrength": scanner["nominal_field_strength_t"]
        or round(scanner["field_strength_t"], 3),
        "ImagingFrequency": scanner["imaging_frequency_hz"] / 1e6,  # MHz, as in DICOM
        "ReceiveCoilName": _coil(elements),
        "ReceiveCoilActiveElements": ";".join(elements) or None,
        "NumberReceiveCoilActiveElements": scanner["receiver_channels"] or len(elements) or None,
    }


def _coil(elements: Sequence[str]) -> str | None:
    """Name the coils, which siemens_to_ismrmrd writes before a colon in front of each element."""
    if not elements or not all(":" in element for element in elements):
        return None
    return ";".join(dict.fromkeys(element.split(":")[0] for element in elements))


def _sampling(header: Header, methods: Mapping[str, Any]) -> dict[str, Any]:
    along_z, along_y = header.acceleration
    imaging = header.document.encoding[0].parallelImaging
    multiband = imaging and imaging.multiband
    filled = [name for stage, name in TECHNIQUES.items() if stage in methods]
    accelerated = along_y > 1 or along_z > 1
    partial = left_out(header)
    directions = [DIRECTIONS[name] for name in partial]
    return {
        "ParallelReductionFactorInPlane": along_y,
        "ParallelReductionFactorOutOfPlane": along_z,
        "ParallelAcquisitionTechnique": filled[0] if accelerated and filled else None,
        "MultibandAccelerationFactor": multiband.multiband_factor if multiband else None,
        "PartialFourier": math.prod(partial.values()) if partial else None,
        "PartialFourierDirection": (directions[0] if len(directions) == 1 else "COMBINATION")
        if partial
        else None,
        "CoilCombinationMethod": methods.get("coils", {}).get("method"),
    }


def _only(values: Sequence[float]) -> float | None:
    """Return the value that there is one of, and that can be one: a sequence may have several."""
    return values[0] if len(set(values)) == 1 and values[0] > 0 else None


def _references(stage: str, method: str | None) -> str | None:
    """Name the papers that the method's own docstring names."""
    run = TABLES.get(stage, {}).get(method or "")
    found = re.findall(r"doi:[^\s;,()]+", (run and run.__doc__) or "")
    return "; ".join(doi.rstrip(".") for doi in found) or None
