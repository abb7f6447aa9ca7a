"""The configurations that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

from gadgetron_qsm.errors import UsageError

_HERE = Path(__file__).resolve().parent
_INSTALLED, _CHECKED_OUT = _HERE / "configs", _HERE.parents[1] / "configs"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CHECKED_OUT


def names() -> list[str]:
    """Return the names that `load` takes."""
    return sorted(path.stem for path in FOLDER.glob("*.xml"))


def load(name: str) -> str:
    """Return the text of a configuration; names with and without .xml, no folders.

    Raises UsageError for a name that is not there.
    """
    stem = name.removesuffix(".xml")
    if stem not in names():
        raise UsageError(f"no configuration is named '{stem}'; there are {', '.join(names())}")
    return (FOLDER / f"{stem}.xml").read_text(encoding="utf-8")


def read(config: str) -> str:
    """Return the text of a configuration: of a file, or of one of ours by its name.

    Raises UsageError when it is neither, or no text.
    """
    if not Path(config).is_file():
        return load(config)
    try:
        return Path(config).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{config} is neither a configuration nor a raw file") from error
