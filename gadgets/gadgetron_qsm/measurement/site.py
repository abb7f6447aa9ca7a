"""What a site supplies for the measurements of all its scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gadgetron_qsm.measure.atlas import Atlas, read_atlas
from gadgetron_qsm.measure.controls import Control, read_controls
from gadgetron_qsm.measurement.sections import MeasureSettings


@dataclass(frozen=True, eq=False)
class Site:
    """An atlas and a table of controls, where settings name them."""

    atlas: Atlas | None = None
    controls: Sequence[Control] = ()

    @classmethod
    def read(cls, asked: MeasureSettings) -> Site:
        """Read both. Raises QsmError, one line, for one that cannot be used."""
        atlas = read_atlas(asked.atlas) if asked.atlas else None
        names = {structure.name for structure in atlas.labels.structures} if atlas else None
        return cls(atlas, read_controls(asked.controls, names) if asked.controls else ())
