"""The configurations that come with the package, by name, and their place in a Gadgetron."""

from __future__ import annotations

import reprlib
from pathlib import Path

from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.report.files import replacing

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
        named = reprlib.repr(stem)  # a client's may be long, or have control characters
        raise UsageError(f"no configuration is named {named}; there are {', '.join(names())}")
    return (FOLDER / f"{stem}.xml").read_text(encoding="utf-8")


def read(config: str) -> str:
    """Return the text of a configuration: of a file, or of one of ours by its name.

    Raises UsageError when it is neither, cannot be read, or is no text.
    """
    try:
        if not Path(config).is_file():
            return load(config)
        return Path(config).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{config} cannot be read: {error.strerror}; see to its rights") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{config} is neither a configuration nor a raw file") from error


def install(prefix: Path, *, replace: bool = False) -> tuple[list[Path], list[Path]]:
    """Copy the configurations to where the Gadgetron whose home is `prefix` looks for them.

    Returns the files that are in place now, and those that differ from ours and were kept, because
    a site may have changed them; `replace` leaves none of these. Raises UsageError for a folder
    that is no Gadgetron's, QsmError for one that cannot be written.
    """
    folder = prefix / "share" / "gadgetron" / "config"
    if not folder.is_dir():
        raise UsageError(
            f"{prefix} is no home of a Gadgetron: it has no share/gadgetron/config; give "
            "the prefix that the server was installed with (its GADGETRON_HOME)"
        )
    placed, kept = [], []
    for name in names():
        target, text = folder / f"{name}.xml", load(name)
        if target.exists() and not replace and target.read_bytes() != text.encode():
            kept.append(target)
            continue
        with replacing(target, mode=0o644) as part:  # the server may run as anybody
            part.write_text(text, encoding="utf-8")
        placed.append(target)
    return placed, kept
