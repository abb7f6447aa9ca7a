"""What settings want of a scan: its maps, and what goes elsewhere than to the console."""

from __future__ import annotations

from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.settings import Settings

MEASURED = ("chi", "r2star", "magnitude", "mask")  # what a measurement looks at


def wanted(settings: Settings) -> tuple[str, ...]:
    """Name the maps to be made: those to deliver, and those that regions and report need."""
    deliver = settings.deliver
    names: list[str] = [*deliver.maps, *deliver.image_maps]
    if deliver.segmentation or deliver.measurements:
        names += ("csf", "mask") if settings.reference.region == "csf" else ("mask",)
    if deliver.report_folder:
        names += ("chi", "magnitude", "mask")
    if settings.measure.asked:
        names += (*MEASURED, "noise") if settings.measure.noise_samples else MEASURED
    return tuple(dict.fromkeys(names))


def keeps(settings: Settings) -> bool:
    """Whether maps go elsewhere than to the console."""
    deliver = settings.deliver
    folders = deliver.dicom_folder, deliver.report_folder, settings.measure.folder
    return any(folders) or bool(settings.store.nodes)


def require_places(settings: Settings) -> None:
    """Raise UsageError for settings of DICOM objects, or of a measurement, where none leave."""
    deliver, measure = settings.deliver, settings.measure
    objects = deliver.segmentation or deliver.measurements
    leave = deliver.dicom_folder or settings.store.nodes or deliver.console != "images"
    if objects and not leave:
        asked = {
            "deliver.segmentation": deliver.segmentation,
            "deliver.measurements": deliver.measurements,
        }
        named = ", ".join(name for name, given in asked.items() if given)
        raise UsageError(
            f"{named}: they are of DICOM objects, and none leave; name deliver.dicom_folder, "
            "store.nodes or deliver.console=dicom"
        )
    placed = measure.anatomical and leave
    if measure.asked and not (measure.folder or deliver.report_folder or objects or placed):
        raise UsageError(
            "measure: what is measured goes nowhere; name measure.folder, deliver.report_folder or "
            "deliver.measurements"
        )


def require_measurement(settings: Settings) -> None:
    """Raise UsageError when nothing is to be measured, or it would go nowhere."""
    if not settings.measure.asked:
        raise UsageError(
            "measure: nothing is asked for; name measure.atlas, .labels, .lesions, .sources or "
            ".anatomical"
        )
    require_places(settings)
