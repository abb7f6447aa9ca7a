"""What is computed where, and what is done when it does not fit there."""

from __future__ import annotations

import logging
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

from gadgetron_qsm.arrays import on_device, to_numpy
from gadgetron_qsm.arrays.places import Gpu, Host, Place
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.sections import DeviceSettings

log = logging.getLogger(__name__)


def where(section: DeviceSettings) -> Place:
    """Return the place that the settings name, made this thread's.

    Raises QsmError for a device that is asked for and is not there.
    """
    place = _opened(section.use, section.number, section.memory_gb)
    place.enter()
    return place


@cache
def _opened(use: str, number: int, memory_gb: float | None) -> Place:
    """Open a place once: what is missing is said once."""
    if use == "cpu":
        return Host()
    try:
        return Gpu(number, memory_gb)
    except ValueError as error:
        if use == "gpu":
            raise QsmError(f"{error}; set device.use=auto to compute on the CPU then") from error
        log.info("computing on the CPU: %s", error)
        return Host()


def fetched(found: Any) -> Any:
    """Return a dataclass, or an array, with all its arrays in host memory."""
    if not is_dataclass(found) or isinstance(found, type):
        return to_numpy(found) if on_device(found) else found
    values = {part.name: getattr(found, part.name) for part in fields(found) if part.init}
    return replace(found, **{name: fetched(value) for name, value in values.items()})
