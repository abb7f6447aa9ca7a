"""The checklist's hardware, from the MRD header."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gadgetron_qsm.dicom.values import text
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.item import Item, Level

LONGEST = 64


def hardware(header: Header) -> Iterator[Item]:
    """Give the items of Table 3 (see checklist)."""
    system = header.document.acquisitionSystemInformation

    def item(name: str, level: Level, value: str | None) -> Item:
        return Item("hardware", name, level, value)

    yield item("Field strength", "essential", _field_strength(header))
    yield item("Vendor", "essential", vendor(system))
    yield item("Model", "recommended", model(system))
    yield item("Software release of the scanner", "recommended", None)
    yield item("Receive coil and channels", "recommended", _coil(system))
    yield item("Gradient system: amplitude and slew rate", "recommended", None)


def vendor(system: Any) -> str | None:
    """Name of the scanner's maker; None without one."""
    return text(system and system.systemVendor, LONGEST) or None


def model(system: Any) -> str | None:
    """Name of the scanner's model; None without one."""
    return text(system and system.systemModel, LONGEST) or None


def coil_names(system: Any) -> list[str]:
    """Names of the receive elements as the header has them."""
    return [text(label.coilName, LONGEST) for label in (system.coilLabel if system else [])]


def _field_strength(header: Header) -> str:
    """Return the field of the imaging frequency, as a "3 T" system may have 2.9 T."""
    system = header.document.acquisitionSystemInformation
    nominal = system and system.systemFieldStrength_T
    told = f"{header.field_strength_t:.4g} T by the imaging frequency"
    return f"{told}, {float(nominal):.4g} T by name" if nominal else told


def _coil(system: Any) -> str | None:
    names = coil_names(system)
    channels = (system and system.receiverChannels) or len(names)
    if not channels:
        return None
    told = f"{channels} channels" if channels > 1 else "1 channel"
    return f"{told}, elements {names[0]} to {names[-1]}" if names else told
