"""The configurations that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

from gadgetron_qsm.errors import QsmError

_HERE = Path(__file__).resolve().parent
_INSTALLED, _CHECKED_OUT = _HERE / "configs", _HERE.parents[1] / "configs"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CHECKED_OUT


def names() -> list[str]:
    """Return the names that `load` takes."""
    return sorted(path.stem for path in FOLDER.glob("*.xml"))


def load(name: str) -> str:
    """Return the text of a configuration; names with and without .xml, no folders.

    Raises QsmError for a name that is not there.
    """
    stem = name.removesuffix(".xml")
    if stem not in names():
        raise QsmError(f"no configuration is named '{stem}'; there are {', '.join(names())}")
    return (FOLDER / f"{stem}.xml").read_text(encoding="utf-8")
