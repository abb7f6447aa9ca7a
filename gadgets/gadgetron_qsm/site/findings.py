"""What was found when something was looked at: a line for people, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """`what` was looked at, and `text`, in one line, is what was found and, unless ok, what to do.

    warning: it will be needed, and may be put right while scans go on. error: no scan can succeed.
    Says nothing of patients.
    """

    level: Level
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.what}: {self.text}"
