"""What came of a measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.regions import Region
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.labels import LabelMap


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured in one repetition.

    `content` are the sections of measurement.json that say what was measured; `regions` are to be
    outlined and measured in DICOM; `on_anatomy` is chi on the grid of an anatomical series, with
    the UID of its frame of reference; `failures` are of parts that could not be measured, logged.
    """

    repetition: int
    labels: LabelMap | None
    content: Mapping[str, Any]
    regions: Sequence[Region] = ()
    on_anatomy: tuple[Map, str] | None = None
    failures: Sequence[QsmError] = ()
