"""The header of MRD version 2 as XML of version 1: the same elements, named almost alike."""

from __future__ import annotations

import dataclasses
from base64 import b64decode
from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import ismrmrd
from xsdata.models.datatype import XmlDate, XmlTime

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.anonymous import OF_A_SYSTEM, PARTS

if TYPE_CHECKING:
    import mrd


def header_text(header: mrd.Header, name: str) -> str:
    """Return the XML; raise QsmError, with the name of the stream, for values it cannot have."""
    try:
        return str(ismrmrd.xsd.ToXML(_element(ismrmrd.xsd.ismrmrdHeader, header)))
    except (ValueError, TypeError, LookupError) as error:
        raise QsmError(f"the MRD header of {name} makes no sense: {error}") from error


def anonymous(header: mrd.Header) -> mrd.Header:
    """Return what anonymous.anonymous_header leaves of one of version 1."""
    kept, system = type(header)(), header.acquisition_system_information
    for name in vars(header):
        if _plain(name) in map(_plain, PARTS):
            setattr(kept, name, getattr(header, name))
    if system:
        few = type(system)()
        for name in vars(system):
            if _plain(name) in map(_plain, OF_A_SYSTEM):
                setattr(few, name, getattr(system, name))
        kept.acquisition_system_information = few
    if measurement := header.measurement_information:
        kept.measurement_information = type(measurement)(
            patient_position=measurement.patient_position
        )
    return kept


def _element(kind: type, source: Any) -> Any:
    """Return an element of version 1 with all that `source`, the same in version 2, has."""
    given = {_plain(name): value for name, value in vars(source).items()}
    hints = get_type_hints(kind)
    return kind(
        **{
            field.name: _value(hints[field.name], given[_plain(field.name)])
            for field in dataclasses.fields(kind)
            if given[_plain(field.name)] is not None
        }
    )


def _value(hint: Any, value: Any) -> Any:
    kind = next((part for part in get_args(hint) if part is not type(None)), hint)
    if isinstance(value, list):
        return [_value(kind, one) for one in value]
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _element(kind, value)
    if issubclass(kind, Enum):
        (found,) = (member for member in kind if _plain(member.value) == _plain(value.name))
        return found
    if kind is XmlDate:
        return XmlDate.from_date(value if isinstance(value, date) else value.item())
    if kind is XmlTime:
        return XmlTime.from_string(str(value))
    if kind is bytes:
        return b64decode(value)
    return kind(value.name if isinstance(value, Enum) else value)


def _plain(name: str) -> str:
    """Return a name as it is in both versions."""
    return name.replace("_", "").lower()
