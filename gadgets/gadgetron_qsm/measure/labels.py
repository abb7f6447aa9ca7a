"""Structures of an anatomy, and where they are on a grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")


@dataclass(frozen=True)
class Structure:
    """A structure of a label map: its number there, its name without a side, and its side.

    `side` is the patient's; None for what lies in the middle or on both sides.
    """

    value: int
    name: str
    side: Side | None = None

    @property
    def label(self) -> str:
        """The name with its side."""
        return f"{self.side} {self.name}" if self.side else self.name


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Numbers of structures (z, y, x), 0 outside all of them, and the structures that they name.

    Raises ValueError when two structures have the same number, or the same name and side, or one
    has the number 0.
    """

    values: NDArray[np.integer]
    structures: tuple[Structure, ...]

    def __post_init__(self) -> None:
        numbers = [structure.value for structure in self.structures]
        labels = [structure.label for structure in self.structures]
        for what, given in (("number", numbers), ("name", labels)):
            if len(set(given)) < len(given):
                raise ValueError(f"two structures have the same {what}: {given}")
        if 0 in numbers:
            raise ValueError("0 is no structure: it is what lies outside all of them")

    def mask(self, structure: Structure) -> NDArray[np.bool_]:
        """Return where a structure is, (z, y, x) bool."""
        return self.values == structure.value

    def pairs(self) -> Iterator[tuple[Structure, Structure]]:
        """Give the structures that there are on both sides, the left one first."""
        sided = {(s.name, s.side): s for s in self.structures}
        for (name, side), left in sided.items():
            right = sided.get((name, "right"))
            if side == "left" and right:
                yield left, right
