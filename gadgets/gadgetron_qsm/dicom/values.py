"""Values of an MRD header in the forms that DICOM allows."""

from __future__ import annotations

import datetime
import re
from typing import Any

from pydicom.config import IGNORE
from pydicom.uid import UID
from pydicom.valuerep import DSfloat

LONGEST_NAME = 64


def text(value: Any, length: int) -> str:
    """One line of at most `length` characters (LO, SH, ST); "" for None.

    A backslash would separate values and becomes a slash; control characters go.
    """
    if value is None:
        return ""
    printable = "".join(c if c.isprintable() else " " for c in str(value))
    return printable.replace("\\", "/").strip()[:length].strip()


def name(value: Any) -> str:
    """A person's name (PN, PS3.5 6.2.1).

    At most three groups, in letters, ideographs and by sound, each of five components and 64
    characters.
    """
    groups = text(value, 3 * LONGEST_NAME + 2).split("=")[:3]
    return "=".join(_group(group) for group in groups).rstrip("=")


def _group(group: str) -> str:
    parts = group.split("^")
    joined = "^".join([*parts[:4], " ".join(parts[4:])])
    return joined[:LONGEST_NAME].strip().rstrip("^ ")


def decimal(value: float) -> DSfloat:
    """A decimal string (DS) of at most 16 characters."""
    return DSfloat(float(value), auto_format=True)


def date(value: Any) -> str:
    """YYYYMMDD (DA) of a date of the header, or "" for None and for a text that is none."""
    return f"{value.year:04d}{value.month:02d}{value.day:02d}" if hasattr(value, "year") else ""


def date_of(written: str) -> datetime.date | None:
    """Read YYYYMMDD or YYYY-MM-DD, as DICOM and XML write a day; None for anything else."""
    found = re.fullmatch(r"(\d{4})(-?)(\d{2})\2(\d{2})(Z|[+-]\d{2}:\d{2})?", written)
    try:
        return datetime.date(*map(int, found.group(1, 3, 4))) if found else None
    except ValueError:
        return None


def time(value: Any) -> str:
    """HHMMSS.ffffff (TM) of a time of the header, or "" for None."""
    if value is None:
        return ""
    microsecond = value.fractional_second // 1000
    return f"{value.hour:02d}{value.minute:02d}{value.second:02d}.{microsecond:06d}"


def is_uid(value: Any) -> bool:
    """Whether a value of the header may stand where DICOM wants a UID."""
    return bool(value) and bool(UID(str(value), validation_mode=IGNORE).is_valid)
