"""What a stream asks for, if it is sure: whether it begins a scan, and the maps it is to give."""

from __future__ import annotations

from io import BytesIO

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import ConfigFile, ConfigText, HeaderText, Message, Text
from gadgetron_qsm.mrd.wire import read_message
from tests.faults import small_scan

# What clients ask for: the quick way, DICOM too, incomplete scans too, every map, a whole preset.
CONFIGURATIONS: dict[str, dict[str, str]] = {
    "quick": {},
    "dicom": {"deliver.console": "both"},
    "incomplete": {"kspace.incomplete": "warn"},
    "every map": {
        "deliver.maps": "chi,r2star,total_field,local_field,mask,swi,swi_mip,magnitude,phase"
    },
    "slices": {"deliver.image_slices": "true", "deliver.image_pixels": "int16"},
    "preset": {"inversion.method": "ss_tv", "inversion.smallest_radius_mm": "4"},
}
BY_DEFAULT = "chi,r2star,magnitude"


def maps_asked(stream: bytes, messages: list[Message]) -> set[str]:
    """Names of maps that a stream of these messages asks for; none when that cannot be told.

    That is when its configuration is none of those above, or parameters may have changed it.
    """
    if any(isinstance(message, Text) for message in messages):
        return set()
    for properties in CONFIGURATIONS.values():
        if stream.startswith(small_scan.config_text(properties)):
            return set(properties.get("deliver.maps", BY_DEFAULT).split(","))
    return set()


def begins_a_scan(stream: bytes) -> bool:
    """Tell whether the server knows that a scan comes, which it waits for longer than for one."""
    incoming = BytesIO(stream)
    try:
        message = read_message(incoming)
        if isinstance(message, ConfigFile | ConfigText):
            message = read_message(incoming)
    except QsmError:
        return False
    return isinstance(message, HeaderText)
