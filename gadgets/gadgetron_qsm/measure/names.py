"""Names of structures: the side apart, and the field's words for what atlases call otherwise."""

from __future__ import annotations

import re

from gadgetron_qsm.measure.labels import Side

WORDS: dict[str, Side] = {"left": "left", "lh": "left", "right": "right", "rh": "right"}
LETTERS: dict[str, Side] = {"l": "left", "r": "right"}  # a side only at either end of a name

# As in dicom/regions.py where the structure is there; what atlases write (lower case) to the left.
KNOWN = {
    "caudate": "caudate nucleus",
    "pallidum": "globus pallidus",
    "gp": "globus pallidus",
    "gpe": "globus pallidus externus",
    "globus pallidus externa": "globus pallidus externus",
    "globus pallidus external": "globus pallidus externus",
    "external globus pallidus": "globus pallidus externus",
    "gpi": "globus pallidus internus",
    "globus pallidus interna": "globus pallidus internus",
    "globus pallidus internal": "globus pallidus internus",
    "internal globus pallidus": "globus pallidus internus",
    "thalamus proper": "thalamus",
    "sn": "substantia nigra",
    "snc": "substantia nigra pars compacta",
    "snr": "substantia nigra pars reticulata",
    "rn": "red nucleus",
    "stn": "subthalamic nucleus",
    "dn": "dentate nucleus",
    "dentate": "dentate nucleus",
    "accumbens": "nucleus accumbens",
    "accumbens area": "nucleus accumbens",
    "csf": "CSF",
}


def parsed(name: str) -> tuple[str, Side | None]:
    """Return a name as the field writes it, and its side.

    The side is a word, 'left', 'right', 'lh' or 'rh', or a letter L or R at either end, apart by
    blanks, '-', '_', '.' or brackets: 'L Putamen', 'Left-Putamen', 'putamen_R', 'Putamen (right)'.
    A name that says both is of no side. The rest is in lower case, with blanks, also for control
    characters, which DICOM does not take.
    """
    printable = "".join(c if c.isprintable() else " " for c in name.lower())
    words = [word for word in re.split(r"[\s_.,()\[\]-]+", printable) if word]
    ends = {0, len(words) - 1} if len(words) > 1 else set()
    of_side = {
        at: WORDS.get(word) or (LETTERS.get(word) if at in ends else None)
        for at, word in enumerate(words)
    }
    sides = {side for side in of_side.values() if side}
    if len(sides) != 1 or len(words) == 1:
        return _as_known(words), None
    return _as_known([word for at, word in enumerate(words) if not of_side[at]]), sides.pop()


def _as_known(words: list[str]) -> str:
    name = " ".join(words)
    return KNOWN.get(name, name)
