"""Regions of a map: where they are and what DICOM calls them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.dicom.kinds import Code
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.reference import WHOLE_BRAIN

log = logging.getLogger(__name__)

SCT, FMA = "SCT", "FMA"

# Categories of PS3.16 CID 7150.
STRUCTURE: Code = ("91723000", SCT, "Anatomical Structure")
SUBSTANCE: Code = ("91720002", SCT, "Body Substance")
ABNORMAL: Code = ("49755003", SCT, "Morphologically Abnormal Structure")
# Both category and type of what has no code of its own.
TISSUE: Code = ("85756007", SCT, "Tissue")

PALLIDUS: Code = ("14738005", SCT, "Globus Pallidus")
NIGRA: Code = ("70007007", SCT, "Substantia nigra")
LESION: Code = ("52988006", SCT, "Lesion")  # of CID 7159
BRAIN: Code = ("12738006", SCT, "Brain")

# Types of CID 7153, or of FMA for nuclei that it leaves out. The dentate nucleus is in neither
# under a code that could be verified, so that its name alone tells what it is.
KNOWN: dict[str, tuple[Code, Code]] = {
    WHOLE_BRAIN: (STRUCTURE, BRAIN),
    "CSF": (SUBSTANCE, ("65216001", SCT, "Cerebrospinal Fluid")),
    "lateral ventricle": (STRUCTURE, ("66720007", SCT, "Lateral Ventricle")),
    "caudate nucleus": (STRUCTURE, ("11000004", SCT, "Caudate Nucleus")),
    "putamen": (STRUCTURE, ("89278009", SCT, "Putamen")),
    "globus pallidus": (STRUCTURE, PALLIDUS),
    "globus pallidus externus": (STRUCTURE, PALLIDUS),
    "globus pallidus internus": (STRUCTURE, PALLIDUS),
    "thalamus": (STRUCTURE, ("42695009", SCT, "Thalamus")),
    "substantia nigra": (STRUCTURE, NIGRA),
    "substantia nigra pars compacta": (STRUCTURE, NIGRA),
    "substantia nigra pars reticulata": (STRUCTURE, NIGRA),
    "nucleus accumbens": (STRUCTURE, ("427667007", SCT, "Nucleus Accumbens")),
    "red nucleus": (STRUCTURE, ("62407", FMA, "Red nucleus")),
    "subthalamic nucleus": (STRUCTURE, ("62035", FMA, "Subthalamic nucleus")),
}

Laterality = Literal["left", "right", "bilateral"]
LATERALITIES: dict[str, Code] = {  # CID 244
    "left": ("7771000", SCT, "Left"),
    "right": ("24028007", SCT, "Right"),
    "bilateral": ("51440002", SCT, "Bilateral"),
}


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a volume.

    mask (z, y, x) bool in the order of the map; `category` and `type` are codes of PS3.16
    CID 7150 and 7151. Regions may overlap; of those given together no two have one `label`.
    """

    name: str
    mask: NDArray[np.bool_]
    category: Code = TISSUE
    type: Code = TISSUE
    laterality: Laterality | None = None

    @property
    def label(self) -> str:
        """The name with its side."""
        return f"{self.laterality} {self.name}" if self.laterality else self.name


def coded_region(name: str, mask: NDArray, laterality: Laterality | None = None) -> Region:
    """Return a region with the codes of KNOWN, or the general ones for any other name."""
    category, of_type = KNOWN.get(name, (TISSUE, TISSUE))
    return Region(name, np.asarray(mask, dtype=bool), category, of_type, laterality)


def regions_of(brain: NDArray, csf: NDArray | None = None) -> list[Region]:
    """Return the whole brain and, where it was found, CSF; masks (z, y, x), in it where > 0."""
    regions = [coded_region(WHOLE_BRAIN, brain > 0)]
    return regions if csf is None else [*regions, coded_region("CSF", csf > 0)]


def whole_brain(regions: Sequence[Region]) -> Region:
    """Return the region that is the whole brain. Raises ValueError when none is."""
    for region in regions:
        if region.type == BRAIN:
            return region
    raise ValueError("no region is the whole brain, to which others can be compared")


def occupied(regions: Sequence[Region], within: NDArray[np.bool_] | None = None) -> list[Region]:
    """Return the regions that have a voxel, `within` a mask if one is given.

    A warning in the log names the others.
    Raises QsmError when none is left, ValueError when two have the same label.
    """
    labels = [region.label for region in regions]
    if len(set(labels)) < len(labels):
        raise ValueError(f"two regions have the same label: {', '.join(sorted(labels))}")
    held = True if within is None else within
    kept = [region for region in regions if (region.mask & held).any()]
    empty = [region.label for region in regions if region not in kept]
    if not kept:
        raise QsmError(
            "no region has a voxel: there is nothing to outline or measure; look at the mask"
        )
    if empty:
        log.warning("regions without a voxel were left out: %s", ", ".join(empty))
    return kept
