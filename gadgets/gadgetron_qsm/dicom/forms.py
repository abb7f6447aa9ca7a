"""The forms in which a map is written as DICOM images: one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pydicom import Dataset

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.classic import classic, rescaled
from gadgetron_qsm.dicom.enhanced import enhanced
from gadgetron_qsm.dicom.parametric import parametric
from gadgetron_qsm.mrd.header import Header

Form = Callable[[Map, Header], Iterator[Dataset]]

FORMS: Mapping[str, Form] = {
    "classic": classic,
    "rescaled": rescaled,
    "enhanced": enhanced,
    "parametric": parametric,
}


def objects(volume: Map, header: Header, form: str = "classic") -> Iterator[Dataset]:
    """Give the objects of a map, one by one: its slices in order, or one of many frames.

    Each has its file's head and shares nothing with the next. The echoes of a map are one
    series, each repetition is another.
    Values that the form cannot hold are clipped and values that are not finite become 0; both are
    counted in the log and in ImageComments.
    Raises ValueError for a form that is not in FORMS, a map that is not in MAPS or not in its unit.
    """
    if form not in FORMS:
        raise ValueError(f"no form is named '{form}'; FORMS has {', '.join(FORMS)}")
    return FORMS[form](volume, header)
