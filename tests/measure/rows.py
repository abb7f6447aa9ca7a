"""Rows of a measurement as tests need them."""

from __future__ import annotations

from gadgetron_qsm.measure.regions import UNITS, Row
from gadgetron_qsm.measure.statistics import Statistics
from gadgetron_qsm.reference import WHOLE_BRAIN


def row(
    region: str,
    side: str | None,
    mean: float,
    *,
    of: str = "chi",
    error: float | None = None,
) -> Row:
    """A region of 100 voxels of 8 mm3 with this mean."""
    found = Statistics(
        mean=mean,
        sd=9.87654321,
        median=mean - 1,
        p05=mean - 16,
        p25=mean - 7,
        p75=mean + 6,
        p95=mean + 15,
        minimum=mean - 30,
        maximum=mean + 33,
        volume_mm3=800.0,
        voxels=100,
        fraction_inside=0.96,
        standard_error=error,
    )
    return Row(region, side, of, UNITS[of], WHOLE_BRAIN if of == "chi" else None, found)
