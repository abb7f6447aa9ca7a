"""A scan's maps as they are when none was made for a dataset alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gadgetron_qsm.contrasts import NEED_ECHOES
from gadgetron_qsm.data import Map

STAGE = "r2star"  # the one that maps of a dataset add to a chain that nobody asked for them


def apart(maps: Iterable[Map], asked: Collection[str]) -> Iterator[Map]:
    """Give those of the names `asked`, with no word of R2* where nothing before needed it.

    So a scan has the same DICOM objects, UIDs included, with a dataset and without one. Maps come
    in the order of the chain, chi as the first of a repetition.
    """
    decayed = False
    for volume in maps:
        stages: Mapping[str, Any] = volume.report.get("provenance", {})
        if volume.name == "chi":
            decayed = STAGE in stages
        if volume.name not in asked:
            continue
        decayed |= volume.name in NEED_ECHOES
        if not decayed:
            others = {name: stage for name, stage in stages.items() if name != STAGE}
            yield replace(volume, report={**volume.report, "provenance": others})
        else:
            yield volume
