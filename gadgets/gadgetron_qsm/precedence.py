"""Whose settings hold for a scan of our own server: the site's, the client's, the operator's."""

from __future__ import annotations

from collections.abc import Mapping

from gadgetron_qsm import configs
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import ConfigFile, ConfigText, Message, Text
from gadgetron_qsm.mrd.properties import read_properties
from gadgetron_qsm.parameters import CHOOSES, in_header, read_parameters, to_properties

FOLDERS = ("deliver.dicom_folder", "deliver.report_folder")
OF_THE_SERVER = ("store.", "identity.", "server.", "spool.", "health.")
OF_THE_INJECTOR = ("deliver.image_pixels", "deliver.image_slices", "deliver.console")


def operator_parameters(header_text: str, first: Message | None) -> dict[str, str | bool]:
    """Return what the operator set, from the header and the `first` message behind it.

    Raises UsageError for parameters that there are not.
    """
    told = read_parameters(first.text) if isinstance(first, Text) else None
    return {**in_header(header_text), **(told or {})}


def scan_properties(
    config: ConfigFile | ConfigText | None,
    own: Mapping[str, str],
    given: Mapping[str, str | bool],
    site: Mapping[str, str],
) -> dict[str, str]:
    """Return the properties of a scan.

    At the bottom are those of the `site`, the server's own configuration, that are about its
    machine, its archives and what its scanner takes back. Above them is the configuration: the one
    that the operator's parameters, `given`, name; or else the client's, of a name that the server
    has, or as XML with the properties `own`. At the top are the parameters.

    A name that the operator has replaced need not be known here: hosts send what they like. Raises
    QsmError for XML that sets what is the site's, which would let a client write to the server's
    disk, connect it to others, or have patients named in images; UsageError for an unknown name.
    """
    if not isinstance(config, ConfigFile):
        for key in own:
            if is_of_the_server(key):
                raise QsmError(f"clients may not set {key}; name it in a configuration here")
    below = {key: v for key, v in site.items() if is_of_the_server(key) or key in OF_THE_INJECTOR}
    chosen = to_properties(given)
    if given.get("customconfig") or given.get(CHOOSES):
        return {**below, **chosen}
    if isinstance(config, ConfigFile):
        return {**below, **read_properties(configs.load(config.name)), **chosen}
    return {**below, **own, **chosen}


def is_of_the_server(key: str) -> bool:
    """Whether a setting is about the server's machine, which its clients may not set."""
    return key in FOLDERS or key.startswith(OF_THE_SERVER)
