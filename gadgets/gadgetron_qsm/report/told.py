"""The settings that may be told to anybody."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from gadgetron_qsm.methods import parameters
from gadgetron_qsm.sections import MethodSettings

CLOSED = (int, float, bool, NoneType, Ellipsis)  # the dots are those of tuples


def told(section: BaseModel) -> dict[str, Any]:
    """Return every setting that is a number or one of given choices, sections in sections.

    What takes any text is left out: folders, keys, passwords, hosts, titles, names and rules of
    identity are such, now and in whatever section comes.
    """
    found: dict[str, Any] = {}
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            found[name] = told(value)
        elif isinstance(section, MethodSettings) and name == "method":
            found[name] = value  # one of its table
        elif isinstance(section, MethodSettings) and name == "parameters":
            found[name] = _parameters(section)
        elif _closed(info.annotation):
            found[name] = value
    return found


def _parameters(section: MethodSettings) -> Mapping[str, Any]:
    types = parameters(section.METHODS[section.method])
    return {k: v for k, v in section.complete().items() if _closed(types[k].annotation)}


def _closed(annotation: Any) -> bool:
    """Tell whether a type holds no text but given ones."""
    if annotation in CLOSED or get_origin(annotation) is Literal:
        return True
    parts = get_args(annotation)
    return bool(parts) and all(_closed(part) for part in parts)
