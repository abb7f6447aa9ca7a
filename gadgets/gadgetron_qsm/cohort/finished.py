"""finished.json: what a scan's results were made of. It is written last: without it, none are."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gadgetron_qsm import __version__
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.outgoing_sections import IdentitySettings
from gadgetron_qsm.report.files import write_json
from gadgetron_qsm.settings import Settings, properties_of

NAME = "finished.json"
SCHEMA = {"name": "gadgetron-qsm finished scan", "version": 1}
OF_THE_MACHINE = {"device", "server", "spool", "health"}  # where a scan is computed, not what
AT_ONCE = 1 << 20  # bytes that are read at once
RESULTS = (  # of a replay; what else lies in its folder is not its own
    "images.h5",
    "picture.png",
    "provenance.json",
    "report.*",
    "dicom/[0-9][0-9][0-9][0-9][0-9]*_*/*.dcm",
    "measurement/**/*",
)


@dataclass(frozen=True)
class Input:
    """A raw file: SHA-256 of its content, its size and when it was last changed."""

    sha256: str
    bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Input:
        """Read a file to its end; raise QsmError when it cannot be read."""
        try:
            before = path.stat()
            digest = _digest(path)
        except FileNotFoundError as error:
            raise QsmError(f"{path.name} does not exist") from error
        except OSError as error:
            raise QsmError(f"cannot read {path.name}: {error.strerror}") from error
        return cls(digest, before.st_size, before.st_mtime_ns)

    def require_unchanged(self, path: Path) -> None:
        """Raise QsmError when the file has another size or time than it had."""
        if not self.looks_like(path):
            raise QsmError(f"{path.name} changed while it was replayed; replay it again")

    def looks_like(self, path: Path) -> bool:
        """Whether the file has the same size and time, without reading it."""
        try:
            now = path.stat()
        except OSError:
            return False
        return (now.st_size, now.st_mtime_ns) == (self.bytes, self.modified_ns)


@dataclass(frozen=True)
class Finished:
    """What finished.json holds.

    `input` is the raw file, `settings` the answer of settings_hash, `software` the version that
    made the maps; `maps` are SHA-256 of their voxels (replay.Replayed.maps), `files` the sizes in
    bytes of all that was written, by their path in the scan's folder; `seconds` by what took them.
    """

    input: Input
    settings: str
    software: str
    maps: Mapping[str, str]
    files: Mapping[str, int]
    seconds: Mapping[str, float]


def settings_hash(
    config: str, overrides: Mapping[str, str], server: tuple[str, int] | None = None
) -> str:
    """Return SHA-256 of all settings as they come out, but for those of the machine.

    Raises as Settings.from_properties.
    """
    settings = Settings.from_properties(properties_of(config, overrides))
    told: dict[str, Any] = settings.model_dump(mode="json", exclude=OF_THE_MACHINE)
    if server:
        told["of"] = server
    if settings.identity.deidentify:  # a dump has stars for the key, and the name of its file
        told["key"] = hmac.digest(_key(settings.identity), b"settings", "sha256").hex()
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _key(rules: IdentitySettings) -> bytes:
    """Return the key of pseudonyms; nothing where its file cannot be read here."""
    if not rules.key_file:
        return rules.key.get_secret_value().encode() if rules.key else b""
    with suppress(OSError):
        return rules.key_file.read_bytes().strip()
    return b""


def write_finished(
    folder: Path,
    source: Input,
    settings: str,
    maps: Mapping[str, str],
    seconds: Mapping[str, float],
) -> Finished:
    """Note that all of a scan's results are in `folder`; raise QsmError when it cannot be."""
    files = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(path for pattern in RESULTS for path in folder.glob(pattern))
        if path.is_file()
    }
    finished = Finished(source, settings, __version__, maps, files, seconds)
    write_json(folder / NAME, {"schema": SCHEMA, **asdict(finished)})
    return finished


def read_finished(folder: Path) -> Finished | None:
    """Return what is noted of a scan; None when its results are not there, or not all."""
    try:
        content = json.loads((folder / NAME).read_bytes())
        if content.pop("schema") != SCHEMA:
            return None
        finished = Finished(**{**content, "input": Input(**content["input"])})
        whole = all((folder / p).stat().st_size == size for p, size in finished.files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return finished if whole else None


def forget(folder: Path) -> None:
    """Have a scan count as not done; raise QsmError when that cannot be written."""
    try:
        (folder / NAME).unlink(missing_ok=True)
    except OSError as error:
        raise QsmError(f"cannot write in {folder}: {error.strerror}") from error


def _digest(path: Path) -> str:
    found, part = hashlib.sha256(), memoryview(bytearray(AT_ONCE))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(part):
            found.update(part[:count])
    return found.hexdigest()
