"""What was found when something was looked at: a line for people, and how bad it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """`what` was looked at, and `text`, in one line, is what was found and, unless ok, what to do.

    warning: it will be needed, and may be put right while scans go on. error: no scan can succeed.
    `line` is that of the file looked at, from 1; 0 for what stands in no line.
    Says nothing of patients.
    """

    level: Level
    what: str
    text: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.what}: {self.text}"


def told(pairs: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Give pairs, of what was looked at and what was found, as findings that are well."""
    return (Finding("ok", what, text) for what, text in pairs)
