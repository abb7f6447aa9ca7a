"""What a site supplies for the measurements of all its scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.atlas import Atlas, read_atlas
from gadgetron_qsm.measure.controls import Control, read_controls
from gadgetron_qsm.measurement.sections import MeasureSettings
from gadgetron_qsm.site.privacy import line_of

Read = TypeVar("Read")


@dataclass(frozen=True, eq=False)
class Site:
    """An atlas and a table of controls, where settings name them; faults of what cannot be used."""

    atlas: Atlas | None = None
    controls: Sequence[Control] = ()
    faults: Sequence[QsmError] = ()

    @classmethod
    def read(cls, asked: MeasureSettings) -> Site:
        """Read both, each as far as it can be used."""
        faults: list[QsmError] = []
        atlas = _read(read_atlas, asked.atlas, faults)
        names = {structure.name for structure in atlas.labels.structures} if atlas else None
        controls = _read(lambda path: read_controls(path, names), asked.controls, faults)
        return cls(atlas, controls or (), faults)


def _read(reader: Callable[[Path], Read], path: Path | None, faults: list[QsmError]) -> Read | None:
    try:
        return reader(path) if path else None
    except QsmError as error:
        faults.append(error)
    except Exception as error:  # a folder without rights is no fault of the scan's
        faults.append(QsmError(f"cannot read {path}: {line_of(error)}"))
    return None
