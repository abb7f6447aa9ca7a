"""Which file of a dataset each kind of map becomes: one table.

Only the echoes are raw data. "Regardless of how they are obtained, qMRI maps are stored in the
derivatives directory" (BIDS 1.11, appendix on quantitative MRI), and masks and fields with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gadgetron_qsm.mrd.header import Header

ECHOES, ONE_ECHO = "MEGRE", "T2starw"  # multi-echo gradient echo; it is no MEGRE with one
ANAT, FMAP = "anat", "fmap"
ARBITRARY = "arbitrary"
R2STAR = "r2star"  # the stage that looks at magnitudes alone


@dataclass(frozen=True)
class Kind:
    """How one kind of map is written.

    `suffix` and the `entities` in front of it; values of the map times `factor` are in `unit`, as
    BIDS has it, None for a mask. `made_by` is the stage of the chain whose method it is.
    """

    suffix: str
    description: str
    entities: str = ""
    unit: str | None = None
    factor: float = 1.0
    made_by: str = ""
    datatype: str = ANAT


def _weighted(label: str, description: str, made_by: str) -> Kind:
    return Kind(ONE_ECHO, description, f"desc-{label}", ARBITRARY, made_by=made_by)


def _field(which: str, made_by: str) -> Kind:
    words = f"{which.capitalize()} field, relative to B0, as a frequency of protons"
    return Kind("fieldmap", words, f"desc-{which}", "Hz", made_by=made_by, datatype=FMAP)


def _chi(entities: str, description: str, made_by: str) -> Kind:
    return Kind("Chimap", description, entities, "ppm", 1e-3, made_by)


RAW: Mapping[str, Kind] = {
    "magnitude": Kind(ECHOES, "Magnitude of one echo, coils combined", "part-mag", ARBITRARY),
    "phase": Kind(
        ECHOES,
        "Phase of one echo, coils combined, rising with time where the field is above B0",
        "part-phase",
        "rad",
        1e-3,
    ),
}
DERIVED: Mapping[str, Kind] = {
    "r2star": Kind("R2starmap", "R2*", unit="1/s", made_by=R2STAR),
    "t2star": Kind("T2starmap", "T2*, the inverse of R2*", "", "s", 1e-3, R2STAR),
    "mask": Kind("mask", "Where the susceptibility map is valid", "desc-brain", made_by="mask"),
    "csf": Kind("mask", "CSF in the ventricles", "label-CSF", made_by="csf"),
    "chi_positive": _chi(
        "desc-positive", "Positive (paramagnetic) part of the susceptibility", "separation"
    ),
    "chi_negative": _chi(
        "desc-negative", "Negative (diamagnetic) part of the susceptibility", "separation"
    ),
    "noise": _chi("desc-noise", "Standard deviation of the susceptibility from noise", "noise"),
    "swi": _weighted("swi", "Susceptibility-weighted image", "swi"),
    "swi_mip": _weighted("swimip", "Minimum-intensity projection of the SWI", "swi_mip"),
    "tswi": _weighted("tswi", "Magnitude weighted by susceptibility (tSWI)", "tswi"),
    "smwi": _weighted("smwi", "Magnitude weighted by susceptibility (SMWI)", "smwi"),
    "total_field": _field("total", "field"),
    "local_field": _field("local", "background"),
    "chi": _chi("", "Magnetic susceptibility", "inversion"),  # the last file of a scan
}
BESIDE_FIELDS = "magnitude"  # suffix of the image that BIDS wants beside a fieldmap

NEEDED = ("magnitude", "phase", "mask", "chi")
NEEDED_OF_ECHOES = ("r2star", "t2star")


def needed(header: Header) -> tuple[str, ...]:
    """Name the maps that a dataset has of every scan."""
    return NEEDED if len(header.echo_times_s) == 1 else (*NEEDED, *NEEDED_OF_ECHOES)
