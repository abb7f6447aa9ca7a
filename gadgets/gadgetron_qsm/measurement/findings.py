"""Strong sources of a scan as measurement.json has them, and as DICOM outlines them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import pi
from typing import Any

from gadgetron_qsm.dicom.regions import ABNORMAL, LESION, Region
from gadgetron_qsm.measure.labels import LabelMap
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.measure.source import Criteria, Source
from gadgetron_qsm.measure.sources import microbleeds, strong_sources
from gadgetron_qsm.measurement.sections import MeasureSettings

log = logging.getLogger(__name__)

OUTLINED = 100  # sources, at most
OF_TOTAL = ("total_ppm_mm3", "volume_mm3")


def found_sources(
    scan: Scan,
    labels: LabelMap | None,
    asked: MeasureSettings,
    echo_times_s: Sequence[float],
    larmor_hz: float,
) -> list[Source]:
    """Find the strong sources by the criteria that settings give; echoes are those of the scan."""
    criteria = Criteria(
        threshold_ppb=asked.source_ppb,
        smallest_mm=asked.smallest_mm,
        largest_mm=asked.largest_mm,
    )
    first = min(echo_times_s, default=0.0)
    return strong_sources(
        scan,
        labels=labels,
        radians_per_ppm=2 * pi * first * larmor_hz * 1e-6 if first else None,
        criteria=criteria,
    )


def outlined(sources: Sequence[Source], scan: Scan) -> list[Region]:
    """Return the sources as DICOM outlines them, numbered by kind, as they are told.

    Of more than OUTLINED, as motion may leave, the strongest: each takes a volume of memory.
    """
    if len(sources) > OUTLINED:
        text = "%d strong sources were found, of which DICOM objects have the strongest %d"
        log.warning(text, len(sources), OUTLINED)
    numbers: dict[str, int] = {}
    regions = []
    for source in sources[:OUTLINED]:
        numbers[source.kind] = number = numbers.get(source.kind, 0) + 1
        name = f"{source.kind} {number}"
        regions.append(Region(name, source.mask(scan.geometry.matrix), ABNORMAL, LESION))
    return regions


def told(sources: Sequence[Source], *, two_pass: bool = False) -> dict[str, Any]:
    """Return the section `sources` of measurement.json: how many of each kind, and each one.

    A map of two passes holds half of a source's total: there is none told, and no volume.
    """
    kinds = [source.kind for source in sources]
    unknown = OF_TOTAL if two_pass else ()
    return {
        "microbleed_candidates": microbleeds(sources),
        "haematoma_candidates": kinds.count("haematoma candidate"),
        "calcification_candidates": kinds.count("calcification candidate"),
        "found": [source.numbers() | dict.fromkeys(unknown) for source in sources],
    }
