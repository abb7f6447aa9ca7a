"""What an image says of itself, read from what `docker save` writes."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.openrecon.label import KEY, decoded, tag

LARGEST_BYTES = 16 << 20  # of the image's own description
PLATFORM = ("linux", "amd64")


@dataclass(frozen=True)
class SavedImage:
    """The label of an image, and what may keep a host from taking it."""

    label: dict[str, Any]
    warnings: tuple[str, ...]


def read_image(path: Path) -> SavedImage:
    """Return what the image in an archive of `docker save` says of itself.

    Raises QsmError for another file, an image without our label, and one that the host cannot run
    or would not know by the label's name.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            names = set(archive.getnames())
            (entry,) = _json(archive, "manifest.json")
            config = _json(archive, entry["Config"])
        labels = config["config"].get("Labels") or {}
        platform = (config["os"], config["architecture"])
        tags = entry["RepoTags"] or []
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise QsmError(
            f"{path} is not the archive of one image; write it with 'docker save -o FILE IMAGE'"
        ) from error
    if KEY not in labels:
        raise QsmError(f"the image in {path} has no OpenRecon label; build the target 'openrecon'")
    label = decoded(labels[KEY])
    if platform != PLATFORM:
        raise QsmError(
            f"the image is for {'/'.join(platform)}; build it with --platform linux/amd64"
        )
    if tag(label) not in tags:
        raise QsmError(f"the image is not tagged {tag(label)}; tag it so and save that")
    return SavedImage(label, tuple(_warnings(names, path.stat().st_size)))


def _json(archive: tarfile.TarFile, name: str) -> Any:
    member = archive.getmember(name)
    stream = archive.extractfile(member)
    if stream is None or member.size > LARGEST_BYTES:
        raise ValueError(name)
    return json.load(stream)


def _warnings(names: set[str], size: int) -> list[str]:
    told = []
    if "oci-layout" in names:
        told.append(
            "the archive has the layout of Docker 25 and later; hosts with an older Docker may "
            "refuse it: save it with Docker 24"
        )
    if size >= 1 << 32:
        told.append("the archive has 4 GiB or more, which not every program that unpacks zip takes")
    return told
