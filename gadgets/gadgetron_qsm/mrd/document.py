"""The MRD header's XML as objects, refused where numbers that arrays are made of make no sense.

xsdata leaves a value that it cannot read as the text it was, and takes any number for one of the
schema's unsigned shorts. What only goes into DICOM or a report is left so: whoever writes it looks.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import ismrmrd

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.limits import require_sane
from gadgetron_qsm.mrd.primitives import LARGEST_XML

LARGEST_NUMBER = 65535  # unsigned short, as the schema has matrices and limits
MOST_ENCODINGS = 64  # of any scan, with room
COUNTED = ("encodedSpace", "reconSpace", "encodingLimits")
PARTS = (*COUNTED, "parallelImaging")


def parsed(text: str) -> Any:
    """Return the header as ismrmrd.xsd.ismrmrdHeader, with at least one encoding.

    Raises QsmError for what is no such header, or no header that a scan can have.
    """
    if len(text) > LARGEST_XML:
        raise QsmError(f"the MRD header has {len(text)} characters, more than {LARGEST_XML}")
    require_sane(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote values, of patients too
            document = ismrmrd.xsd.CreateFromDocument(text.encode())
    except Exception as error:  # xsdata raises whatever the broken text leads it to
        line = str(error).strip().split("\n")[0]
        raise QsmError(f"the MRD header is not valid XML of ISMRMRD: {line}") from error
    if not document.encoding:
        raise QsmError("the MRD header has no <encoding>; convert the raw data again")
    if len(document.encoding) > MOST_ENCODINGS:
        raise QsmError(f"the MRD header has {len(document.encoding)} encodings, far too many")
    for encoding in document.encoding:
        for part in PARTS:
            for name, value in _values(getattr(encoding, part), part):
                _require_sane(name, value, counted=part in COUNTED)
    return document


def _values(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if is_dataclass(value):
        for part in fields(value):
            yield from _values(getattr(value, part.name), f"{name}.{part.name}")
    else:
        yield name, value


def _require_sane(name: str, value: Any, *, counted: bool) -> None:
    """Raise QsmError for what was left as a text, and for an index that no counter can have."""
    if isinstance(value, str):
        raise QsmError(f"the MRD header has a text where a number must be: {name}")
    if counted and isinstance(value, int) and not 0 <= value <= LARGEST_NUMBER:
        raise QsmError(
            f"the MRD header has {value} as {name}, not from 0 to {LARGEST_NUMBER}; correct it"
        )


def quoted_values(text: str) -> int:
    """Count the values that are not what the schema wants: who parses the header is shown them.

    xsdata warns of each, quoting it, and ismrmrd has Python print warnings whatever its options.
    0 for a header that cannot be parsed.
    """
    with warnings.catch_warnings(record=True) as caught, contextlib.suppress(Exception):
        warnings.simplefilter("always")
        ismrmrd.xsd.CreateFromDocument(text.rstrip("\0\r\n ").encode())
    return len(caught)
