"""What one side of the brain has more than the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gadgetron_qsm.measure.labels import Side
from gadgetron_qsm.measure.regions import Row


@dataclass(frozen=True)
class Asymmetry:
    """The means of a map in a region of both sides, in the map's unit.

    Standard errors are those of noise, None when it is not known; `lesion_side` is None when there
    is none, or nobody said where.
    """

    region: str
    map: str
    unit: str
    left: float
    right: float
    left_error: float | None = None
    right_error: float | None = None
    lesion_side: Side | None = None

    @property
    def difference(self) -> float:
        """Left minus right."""
        return self.left - self.right

    @property
    def difference_error(self) -> float | None:
        """Standard error of the difference; the sides' noise is independent."""
        if self.left_error is None or self.right_error is None:
            return None
        return math.hypot(self.left_error, self.right_error)

    @property
    def index_percent(self) -> float | None:
        """Asymmetry index: left minus right over the mean of both, in percent.

        None where the sides have different signs, which makes it say nothing. Of chi it depends on
        the reference region, as the mean does; the difference does not.
        What an index of this form leaves open: doi:10.1016/0925-4927(95)02618-8.
        """
        if not self.left * self.right > 0:
            return None
        return 200 * self.difference / abs(self.left + self.right)

    @property
    def index_error(self) -> float | None:
        """Standard error of the index, to first order."""
        if self.index_percent is None or self.left_error is None or self.right_error is None:
            return None
        of_left, of_right = self.right * self.left_error, self.left * self.right_error
        return 400 * math.hypot(of_left, of_right) / (self.left + self.right) ** 2

    @property
    def ipsilateral(self) -> float | None:
        """Mean on the side of the lesion."""
        sides = {"left": self.left, "right": self.right}
        return sides[self.lesion_side] if self.lesion_side else None

    @property
    def contralateral(self) -> float | None:
        """Mean on the other side."""
        sides = {"left": self.right, "right": self.left}
        return sides[self.lesion_side] if self.lesion_side else None

    @property
    def ipsilateral_excess(self) -> float | None:
        """Ipsilateral minus contralateral; its standard error is that of the difference."""
        if self.lesion_side is None:
            return None
        return self.difference if self.lesion_side == "left" else -self.difference


def asymmetries(rows: Sequence[Row], lesion_side: Side | None = None) -> list[Asymmetry]:
    """Compare the sides of every region that was measured on both, map by map, in their order."""
    right = {(row.map, row.region): row.found for row in rows if row.side == "right"}
    return [
        Asymmetry(
            region=row.region,
            map=row.map,
            unit=row.unit,
            left=row.found.mean,
            right=other.mean,
            left_error=row.found.standard_error,
            right_error=other.standard_error,
            lesion_side=lesion_side,
        )
        for row in rows
        if row.side == "left" and (other := right.get((row.map, row.region)))
    ]
