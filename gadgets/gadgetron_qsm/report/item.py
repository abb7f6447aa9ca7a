"""One item of the reporting checklist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["essential", "mandatory", "recommended"]


@dataclass(frozen=True)
class Item:
    """What to report, how much it matters, and what it is.

    `section` is hardware, sequence, or reconstruction and analysis; value None: neither header nor
    chain know it, and whoever reports the scan has to add it; `when` narrows the level, as in
    "if used".
    """

    section: str
    text: str
    level: Level
    value: str | None
    when: str = ""
