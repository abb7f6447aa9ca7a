"""The kinds of maps that people read, and how each is named, scaled and coded: one table."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gadgetron_qsm.data import Map

UCUM, DCM = "UCUM", "DCM"

Code = tuple[str, str, str]  # value, scheme, meaning
Window = tuple[float, float]  # centre, width

# UCUM's own code has brackets; CID 7181 is extensible and lists only a bare "ppm".
PPB: Code = ("[ppb]", UCUM, "ppb")
HZ: Code = ("Hz", UCUM, "Hz")
PER_PPB = 1e-9


@dataclass(frozen=True)
class Kind:
    """How one kind of map is written.

    `number` is the offset of its series number (1 to 19, see identity.series_number; 16 and 17
    are the segmentation's and the measurement report's). `flavour` and `image_type` are values 3
    and 4 of ImageType. A stored count is one `unit`, because most viewers show stored counts and
    know nothing of Real World Value Mapping; a unit too coarse for that is stored in `step`s.
    `window` is in the unit, None: from the data.
    """

    description: str
    number: int
    image_type: str
    meaning: str
    unit: str
    unit_code: Code
    quantity: Code | None = None
    window: Window | None = None
    referenced: bool = False
    flavour: str = "OTHER"
    step: float = 1.0


def _weighted(description: str, number: int, image_type: str, meaning: str) -> Kind:
    """Return an entry for a magnitude that something has weighted."""
    unit_code = ("[arb'U]", UCUM, "arbitrary unit")
    return Kind(description, number, image_type, meaning, "a.u.", unit_code)


MAPS = {
    "chi": Kind(
        description="QSM chi",
        number=1,
        image_type="QSM",
        meaning="Magnetic susceptibility",
        unit="ppb",
        unit_code=PPB,
        quantity=("126396", DCM, "Magnetic Susceptibility"),
        window=(0, 400),
        referenced=True,
    ),
    "r2star": Kind(
        description="R2star",
        number=2,
        image_type="R2STAR",
        meaning="R2*",
        unit="1/s",
        unit_code=("/s", UCUM, "/s"),
        quantity=("126395", DCM, "R2*"),
        window=(50, 100),
    ),
    "total_field": Kind(
        description="Total field",
        number=3,
        image_type="FIELD_TOTAL",
        meaning="Total field relative to B0",
        unit="ppb",
        unit_code=PPB,
        window=(0, 1000),
    ),
    "local_field": Kind(
        description="Local field",
        number=4,
        image_type="FIELD_LOCAL",
        meaning="Local field relative to B0",
        unit="ppb",
        unit_code=PPB,
        window=(0, 100),
    ),
    "mask": Kind(
        description="Brain mask",
        number=5,
        image_type="MASK",
        meaning="Mask of the susceptibility map",
        unit="",
        unit_code=("1", UCUM, "no units"),
        window=(0.5, 1),
    ),
    "magnitude": Kind(
        description="Magnitude",
        number=6,
        image_type="MAGNITUDE",
        meaning="Magnitude",
        unit="a.u.",
        unit_code=("[arb'U]", UCUM, "arbitrary unit"),
    ),
    "g_factor": Kind(
        description="g-factor",
        number=7,
        image_type="G_FACTOR",
        meaning="Noise gain of parallel imaging (g-factor)",
        unit="%",
        unit_code=("%", UCUM, "percent"),
        window=(150, 100),
    ),
    "t2star": Kind(
        description="T2star",
        number=8,
        image_type="T2STAR",
        meaning="T2*",
        unit="ms",
        unit_code=("ms", UCUM, "ms"),
        quantity=("113064", DCM, "T2*"),
        window=(50, 100),
    ),
    "chi_positive": Kind(
        description="QSM chi positive",
        number=9,
        image_type="QSM_POSITIVE",
        meaning="Positive (paramagnetic) part of magnetic susceptibility",
        unit="ppb",
        unit_code=PPB,
        window=(75, 150),
    ),
    "chi_negative": Kind(
        description="QSM chi negative",
        number=10,
        image_type="QSM_NEGATIVE",
        meaning="Negative (diamagnetic) part of magnetic susceptibility, 0 or less",
        unit="ppb",
        unit_code=PPB,
        window=(-75, 150),
    ),
    "swi": _weighted("SWI", 11, "SWI", "Susceptibility-weighted image"),
    "swi_mip": _weighted("SWI mIP", 12, "SWI_MIP", "Minimum-intensity projection of SWI"),
    "tswi": _weighted("tSWI", 13, "TSWI", "Magnitude weighted by susceptibility (tSWI)"),
    "smwi": _weighted("SMWI", 14, "SMWI", "Magnitude weighted by susceptibility (SMWI)"),
    "phase": Kind(
        description="Phase",
        number=15,
        image_type="PHASE",
        flavour="PHASE MAP",
        meaning="Phase, rising with time where the field is above B0",
        unit="mrad",
        unit_code=("mrad", UCUM, "mrad"),
        window=(0, 6283),
    ),
    "csf": Kind(
        description="CSF mask",
        number=18,
        image_type="MASK_CSF",
        meaning="Mask of the CSF in the ventricles",
        unit="",
        unit_code=("1", UCUM, "no units"),
        window=(0.5, 1),
    ),
    "noise": Kind(
        description="QSM chi noise",
        number=19,
        image_type="QSM_NOISE",
        meaning="Standard deviation of magnetic susceptibility from the noise of the images",
        unit="ppb",
        unit_code=PPB,
        window=(10, 20),
    ),
}


# A tenth of a Hz is 0.8 ppb at 3 T; the windows are about those in ppb there.
IN_HERTZ = {
    name: replace(MAPS[name], unit="Hz", unit_code=HZ, step=0.1, window=(0, width))
    for name, width in (("total_field", 120), ("local_field", 12))
}

# Made of a map when it has been delivered: nobody chooses it, and its series has chi's number.
ON_ANATOMY = "chi_anatomical"
RESLICED = {ON_ANATOMY: replace(MAPS["chi"], description="QSM chi on anatomical grid")}


def kind_of(volume: Map) -> Kind:
    """Return the entry of MAPS or RESLICED for a map, or of IN_HERTZ for one in Hz.

    Raises ValueError for an unknown name, and for another unit than the tables': a map in ppm
    written as ppb would be wrong a thousandfold without a sign of it.
    """
    kind = MAPS.get(volume.name) or RESLICED.get(volume.name)
    if kind is None:
        raise ValueError(f"no map is named '{volume.name}'; MAPS has {', '.join(MAPS)}")
    if volume.unit == "Hz":
        kind = IN_HERTZ.get(volume.name, kind)
    if volume.unit != kind.unit:
        raise ValueError(f"map '{volume.name}' is in '{volume.unit}'; convert it to '{kind.unit}'")
    return kind


def in_hertz(volume: Map, larmor_hz: float) -> Map:
    """Return a map in ppb of B0, a field's, in Hz of the protons' frequency.

    Positive where the field is above B0, as the phase then rises with time: +2 pi f TE.
    """
    hz_per_ppb = larmor_hz * PER_PPB
    reach = None if volume.reach is None else volume.reach * hz_per_ppb
    return replace(volume, data=volume.data * np.float32(hz_per_ppb), unit="Hz", reach=reach)
