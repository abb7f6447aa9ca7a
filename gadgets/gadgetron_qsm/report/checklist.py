"""What a paper must report of a susceptibility map, filled in as far as the scan tells it.

Items and levels are those of Tables 3 to 5 of the QSM Consensus Organization Committee 2024,
doi:10.1002/mrm.30006, in our words; an item without a level there is "recommended" here. No item
holds patient data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.analysis import analysis
from gadgetron_qsm.report.hardware import hardware
from gadgetron_qsm.report.item import Item
from gadgetron_qsm.report.sampling import sampling
from gadgetron_qsm.report.sequence import sequence

SOURCE = "doi:10.1002/mrm.30006"


def checklist(
    header: Header,
    report: Mapping[str, Any],
    geometry: Geometry | None = None,
    form: str = "classic",
) -> list[Item]:
    """Fill the checklist from a scan's header, what was done to it (Map.report), and its place.

    `form` is that of its DICOM objects, a key of dicom.forms.FORMS.
    """
    return [
        *hardware(header),
        *sequence(header, geometry),
        *sampling(header, report),
        *analysis(report, form),
    ]
