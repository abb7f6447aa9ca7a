"""What a check finds, and how bad that is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, and what was found, with what to do where it is not well.

    "ok": as it should be, or only told; "warning": works, but worse than it could; "error": does
    not work. `line` is that of the file looked at, from 1; 0 for what stands in no line.
    """

    level: Level
    what: str
    text: str
    line: int = 0

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


Findings = Iterator[Finding]


def told(pairs: Iterable[tuple[str, str]]) -> Findings:
    """Give pairs, of what and what was found, as findings with which nothing is wrong."""
    return (Finding("ok", what, text) for what, text in pairs)
