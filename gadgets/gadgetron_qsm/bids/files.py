"""The images of one repetition with their sidecars, by their path in a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.bids.kinds import (
    BESIDE_FIELDS,
    DERIVED,
    ECHOES,
    FMAP,
    ONE_ECHO,
    R2STAR,
    RAW,
    Kind,
)
from gadgetron_qsm.bids.names import Entities
from gadgetron_qsm.bids.place import DERIVATIVES, IMAGE, SOURCE
from gadgetron_qsm.bids.sidecars import of_echo, of_map
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import IN_HERTZ, in_hertz
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.nifti import FAST, STORED


@dataclass(frozen=True)
class File:
    """An image (z, y, x) and its sidecar, by their path without suffix; `level` is gzip's."""

    path: Path
    volume: Map
    data: NDArray[Any]
    sidecar: Mapping[str, Any]
    level: int = FAST


def files_of(
    entities: Entities, maps: Sequence[Map], header: Header, made: Mapping[str, Any]
) -> Iterator[File]:
    """Give the files of one repetition, the echoes first."""
    sources = []
    for volume in (volume for volume in maps if volume.name in RAW):
        kind, path = RAW[volume.name], _of_echo(entities, volume, header)
        sources.append(f"{SOURCE}{path.as_posix()}{IMAGE}")
        data = _values(volume, kind, header)
        yield File(path, volume, data, of_echo(volume, kind, header, made), STORED)
    named = {volume.name: volume for volume in maps if volume.name in DERIVED}
    for name in (name for name in DERIVED if name in named):
        volume, kind = named[name], DERIVED[name]
        data = _values(volume, kind, header)
        used = [uri for uri in sources if kind.made_by != R2STAR or "_part-mag_" in uri]
        sidecar = {**of_map(volume, kind, header, made, used), **_extent(data, kind, named)}
        if kind.unit is None:
            sidecar["SpatialReference"] = sources[0]
        yield File(_path(entities, kind), volume, data, sidecar)
        if kind.datatype == FMAP:
            yield _beside(entities, kind, maps, header, made)


def _of_echo(entities: Entities, volume: Map, header: Header) -> Path:
    several = len(header.echo_times_s) > 1
    echo = f"echo-{(volume.echo or 0) + 1}_" if several else ""
    suffix = ECHOES if several else ONE_ECHO
    name = f"{entities.stem}_{echo}{RAW[volume.name].entities}_{suffix}"
    return Path(entities.folder, RAW[volume.name].datatype, name)


def _path(entities: Entities, kind: Kind) -> Path:
    name = "_".join(part for part in (entities.stem, kind.entities, kind.suffix) if part)
    return Path(DERIVATIVES, entities.folder, kind.datatype, name)


def _beside(
    entities: Entities, kind: Kind, maps: Sequence[Map], header: Header, made: Mapping[str, Any]
) -> File:
    """Return the first echo's magnitude, which BIDS wants beside a fieldmap, under its name."""
    volume = next(volume for volume in maps if volume.name == "magnitude")
    sidecar = of_echo(volume, RAW["magnitude"], header, made)
    path = _path(entities, replace(kind, suffix=BESIDE_FIELDS))
    return File(path, volume, volume.data, {**sidecar, "SkullStripped": False}, STORED)


def _values(volume: Map, kind: Kind, header: Header) -> NDArray[Any]:
    """Return the values (z, y, x) in the unit of the file: float32, or bool of a mask."""
    if kind.unit is None:
        return volume.data > 0
    if volume.name in IN_HERTZ and volume.unit != "Hz":
        volume = in_hertz(volume, header.larmor_hz)
    scaled: NDArray[np.float32] = volume.data * np.float32(kind.factor)
    return scaled


def _extent(data: NDArray[Any], kind: Kind, maps: Mapping[str, Map]) -> dict[str, Any]:
    """Tell what a derivative must of where it has values."""
    if kind.unit is None:
        return {"Type": "Brain" if kind.entities == DERIVED["mask"].entities else "ROI"}
    return {"SkullStripped": "mask" in maps and not data[maps["mask"].data == 0].any()}
