"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.report.plain import plain

OF_A_PATIENT = 0o640  # owner and group: who brings series on may run as another of the group


@contextlib.contextmanager
def replacing(path: Path, mode: int = OF_A_PATIENT) -> Iterator[Path]:
    """Give a temporary file beside `path`, empty; it becomes `path` when the block ends well.

    Makes the folder. `mode` is who may read, as far as the process's umask allows; what the block
    opens to write keeps it. Raises QsmError when the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)  # it may be of another mode
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT, mode))
        yield part
        part.replace(path)
    except OSError as error:
        raise QsmError(
            f"cannot write {path}: {error.strerror or error}; choose a folder with room and rights"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write JSON in one piece, keys in their order; return the content in the form of `plain`.

    Raises QsmError when the file cannot be written, TypeError for a value without a form in JSON.
    """
    converted: dict[str, Any] = plain(content)
    text = json.dumps(converted, indent=2, allow_nan=False, ensure_ascii=False)
    with replacing(path) as part:
        # what is no character of its own, as in names of files, becomes an escape of JSON
        part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    return converted
