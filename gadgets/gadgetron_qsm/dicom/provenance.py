"""How the map was made, in words that travel inside the image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom import Dataset
from pydicom.sequence import Sequence

from gadgetron_qsm import __version__
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.codes import coded
from gadgetron_qsm.dicom.kinds import DCM, kind_of
from gadgetron_qsm.dicom.pixels import Counts
from gadgetron_qsm.dicom.values import text

SOFTWARE = "gadgetron-qsm"
LONGEST_ST, LONGEST_LT = 1024, 10240
NOT_CLINICAL = "Research use; not for clinical use."


def add_provenance(dataset: Dataset, volume: Map, stored: Counts) -> None:
    """Record methods, software, unit, reference region, and every loss and warning."""
    dataset.ContentQualification = "RESEARCH"
    dataset.DerivationDescription = derivation(volume.report.get("provenance", {}))
    dataset.ImageComments = comments(volume, stored)
    dataset.ContributingEquipmentSequence = Sequence([_software()])


def derivation(provenance: Mapping[str, Mapping[str, Any]]) -> str:
    """Stages, methods and parameters in at most 1024 characters; too long: without parameters."""
    for with_parameters in (True, False):
        stages = [
            f"{stage}: {_method(entry, with_parameters)}" for stage, entry in provenance.items()
        ]
        line = "; ".join([f"{SOFTWARE} {__version__}", *stages])
        if len(line) <= LONGEST_ST:
            break
    return text(line, LONGEST_ST)


def comments(volume: Map, stored: Counts) -> str:
    """What the numbers are, relative to what, and what is wrong with them."""
    kind = kind_of(volume)
    unit = f" in {kind.unit}" if kind.unit else ""
    relative = f", relative to {_reference_region(volume)}" if kind.referenced else ""
    lines = [f"{kind.meaning}{unit}{relative}.".replace("..", "."), NOT_CLINICAL]
    if stored.clipped:
        lines.append(f"{stored.clipped} voxels beyond the {stored.bits}-bit range were clipped.")
    if stored.not_finite:
        lines.append(f"{stored.not_finite} voxels without a finite value were set to 0.")
    lines += [f"Warning: {warning}." for warning in volume.report.get("warnings", ())]
    return text(" ".join(lines), LONGEST_LT)


def _reference_region(volume: Map) -> str:
    reference = volume.report.get("provenance", {}).get("reference", {})
    return str(reference.get("region", "a region that was not recorded"))


def _method(entry: Mapping[str, Any], with_parameters: bool) -> str:
    parameters = {k: v for k, v in entry.items() if k not in ("method", "source") and v is not None}
    method = str(entry.get("method", "done"))
    if not parameters or not with_parameters:
        return method
    return f"{method} ({', '.join(f'{k}={v}' for k, v in parameters.items())})"


def _software() -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = coded(("109102", DCM, "Processing Equipment"))
    item.Manufacturer = SOFTWARE
    item.ManufacturerModelName = SOFTWARE
    item.SoftwareVersions = __version__
    item.ContributionDescription = "Quantitative susceptibility mapping"
    return item
