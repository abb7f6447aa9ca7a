"""What a scan is called in a dataset, made of what people call it, and of nothing in its data.

The entities of BIDS in a name, folders included, are taken as they are: `sub-`, `ses-`, `acq-` and
`run-`. A name without `sub-` becomes the subject itself, its letters and digits. So the answer for
a scan depends on no other scan, and a cohort that grows renames nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from gadgetron_qsm.errors import UsageError

KEYS = ("sub", "ses", "acq", "run")
OF_RAW_FILES = {".h5", ".mrd", ".bin", ".dat"}
FORM = "sub-<label>[_ses-<label>][_acq-<label>][_run-<number>]"


@dataclass(frozen=True)
class Entities:
    """Labels of letters and digits, and the number of a run, which may begin with zeros."""

    subject: str
    session: str | None = None
    acquisition: str | None = None
    run: str | None = None

    @property
    def folder(self) -> PurePosixPath:
        """Where the scan's data types are, from the dataset's root."""
        session = f"ses-{self.session}" if self.session else ""
        return PurePosixPath(f"sub-{self.subject}", session)

    @property
    def stem(self) -> str:
        """What the names of all of the scan's files begin with."""
        values = (self.subject, self.session, self.acquisition, self.run)
        return "_".join(f"{key}-{value}" for key, value in zip(KEYS, values, strict=True) if value)


def entities(name: str) -> Entities:
    """Return what a scan of that name is called.

    Raises UsageError for a label that BIDS does not take, for two that contradict each other, and
    for a name that no subject can be made of.
    """
    found: dict[str, str] = {}
    others = []
    for token in _without_suffix(name).replace("/", "_").split("_"):
        key, dash, value = token.partition("-")
        if not dash or key not in KEYS:
            others.append(token)
        elif not _is_label(value) or (key == "run" and not value.isdigit()):
            what = "a number" if key == "run" else "letters and digits alone"
            raise UsageError(f"'{token}' in '{name}': BIDS takes {what} behind {key}-; rename it")
        elif found.setdefault(key, value) != value:
            raise UsageError(f"'{name}' is both {key}-{found[key]} and {token}; rename it")
    subject = found.get("sub") or "".join(c for c in "".join(others) if _is_label(c))
    if not subject:
        raise UsageError(f"'{name}' has no letter or digit for a subject; rename it {FORM}")
    return Entities(subject, found.get("ses"), found.get("acq"), found.get("run"))


def labels(name: str) -> tuple[str, str | None]:
    """Return the labels of subject and session of a scan of that name; raises as `entities`."""
    found = entities(name)
    return found.subject, found.session


def require_distinct(names: Iterable[str]) -> None:
    """Raise UsageError for two scans that would have the same files, and as `entities` does.

    Labels that differ in case alone are the same: on some disks their files are.
    """
    taken: dict[tuple[str, ...], str] = {}
    for name in names:
        found = entities(name)
        labelled = (found.subject, found.session or "", found.acquisition or "")
        key = (*(label.casefold() for label in labelled), (found.run or "").lstrip("0"))
        other = taken.setdefault(key, name)
        if other != name:
            raise UsageError(f"'{other}' and '{name}' are both {found.stem}; rename them {FORM}")


def _without_suffix(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix in OF_RAW_FILES else str(path)


def _is_label(value: str) -> bool:
    return value.isascii() and value.isalnum()
