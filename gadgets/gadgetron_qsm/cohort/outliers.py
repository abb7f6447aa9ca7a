"""Scans of a cohort that are unlike the others."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from gadgetron_qsm.cohort.figures import FIGURES, Figure, Row

FEWEST = 8  # scans with a figure, below which none is unlike the others
MOST = 3.5  # modified z
OF_MAD, OF_MEAN = 0.6745, 0.7979  # of a normal distribution's standard deviation


def outliers(rows: Sequence[Row]) -> list[dict[str, float]]:
    """Return, for each row, the modified z of those of its figures that are outliers."""
    found: list[dict[str, float]] = [{} for _ in rows]
    for name, figure in FIGURES.items():
        places = [place for place, row in enumerate(rows) if name in row.figures]
        values = [rows[place].figures[name] for place in places]
        for place, z in zip(places, modified_z(values), strict=True):
            value = rows[place].figures[name]
            if _bad(z, figure) and abs(value - statistics.median(values)) >= figure.least:
                found[place][name] = z
    return found


def modified_z(values: Sequence[float]) -> list[float]:
    """How far each value is from the median, in robust standard deviations; signed.

    By the median absolute deviation (MAD), or by the mean absolute deviation where more than half
    of the values are the same and the MAD is 0. All are 0 where all values are the same, or fewer
    than 8.
    Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers, ASQC Quality Press.
    """
    if len(values) < FEWEST:
        return [0.0] * len(values)
    median = statistics.median(values)
    away = [value - median for value in values]
    sizes = [abs(distance) for distance in away]
    deviation = statistics.median(sizes) / OF_MAD or statistics.fmean(sizes) / OF_MEAN
    return [distance / deviation if deviation else 0.0 for distance in away]


def _bad(z: float, figure: Figure) -> bool:
    return (z > MOST and figure.bad != "low") or (z < -MOST and figure.bad != "high")
