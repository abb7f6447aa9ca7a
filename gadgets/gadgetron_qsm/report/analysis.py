"""The checklist's reconstruction and analysis, from what was done to the scan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gadgetron_qsm import __version__
from gadgetron_qsm.dicom.kinds import MAPS
from gadgetron_qsm.dicom.pixels import HIGHEST, LOWEST
from gadgetron_qsm.reference import WHOLE_BRAIN
from gadgetron_qsm.report.item import Item, Level

STEPS = (
    ("Reconstruction of phase images", ("kspace", "grappa", "sense", "partial_fourier")),
    ("Combination of coils", ("coils", "odd_even_phase")),
    ("Unwrapping and combination of echoes", ("field",)),
    ("Masking", ("mask", "two_pass")),
    ("Background field removal", ("background",)),
    ("Dipole inversion", ("inversion", "csf")),
)
ROUNDED = f"values rounded to whole {{unit}} of 16 bits ({LOWEST} to {HIGHEST}, clipped beyond)"
STORED = {
    "classic": ROUNDED,
    "enhanced": ROUNDED,
    "rescaled": "values rounded to 12 bits: whole {unit}, or 2 to 20 {unit} where they are large",
    "parametric": "values as 32-bit floats, not rounded",
}
FOR_VIEWERS = "Processing for PACS and viewers"  # of DICOM objects alone
ALSO_DEFAULTS = "at least what is not default"


def analysis(report: Mapping[str, Any], form: str) -> Iterator[Item]:
    """Give the items of Table 5 (see checklist); `form` is that of the DICOM objects."""
    provenance = report.get("provenance", {})
    reference = report.get("quality", {}).get("reference", {})

    def item(name: str, level: Level, value: str | None, when: str = "") -> Item:
        return Item("reconstruction and analysis", name, level, value, when)

    yield item("Toolbox and version", "mandatory", f"gadgetron-qsm {__version__}")
    for name, stages in STEPS:
        yield item(name, "mandatory", _step(stages, provenance), ALSO_DEFAULTS)
    yield item(FOR_VIEWERS, "mandatory", _for_viewers(form), "if done")
    yield item("Unit of susceptibility", "mandatory", MAPS["chi"].unit)
    yield item("Reference region", "mandatory", reference.get("region"))
    yield item(
        "Mean and SD of the reference region relative to the whole brain",
        "mandatory",
        _spread(reference),
        f"if it is not the {WHOLE_BRAIN}",
    )
    yield item("Criteria of inclusion, exclusion and artefacts", "recommended", None)


def in_words(stage: Mapping[str, Any]) -> tuple[str, str]:
    """Return the method of an entry of the provenance, and its parameters as `name = value`."""
    parameters = {k: v for k, v in stage.items() if k != "method" and v is not None}
    told = ", ".join(f"{name} = {_plainly(value)}" for name, value in parameters.items())
    return str(stage.get("method", "done")), told


def _plainly(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " ".join(_plainly(part) for part in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _step(stages: tuple[str, ...], provenance: Mapping[str, Any]) -> str | None:
    told = []
    for stage in stages:
        if stage in provenance:
            method, parameters = in_words(provenance[stage])
            method = method if "method" in provenance[stage] else stage.replace("_", " ")
            told.append(f"{method} ({parameters})" if parameters else method)
    if not told and stages == ("background",) and "inversion" in provenance:
        return "in one step with the inversion, which takes the total field"
    return "; ".join(told) or None


def _for_viewers(form: str) -> str:
    chi = MAPS["chi"]
    shown = ""
    if chi.window:
        centre, width = chi.window
        shown = f"; window from {centre - width / 2:g} to {centre + width / 2:g} {chi.unit}"
    stored = STORED[form].format(unit=chi.unit)
    return f"{stored}{shown}; neither interpolated nor turned; header written anew"


def _spread(reference: Mapping[str, Any]) -> str | None:
    if not {"mean_ppb", "sd_ppb"} <= reference.keys():
        return None
    told = f"mean {reference['mean_ppb']:.1f} ppb, SD {reference['sd_ppb']:.1f} ppb"
    volume_ml = reference.get("volume_ml")
    return f"{told}, {volume_ml:.1f} ml" if volume_ml is not None else told
