"""Whose settings hold for a scan: the site's, the client's, the operator's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gadgetron_qsm import configs
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measurement.sections import FILES
from gadgetron_qsm.mrd.messages import ConfigFile, ConfigText, Message, Text
from gadgetron_qsm.mrd.properties import read_properties
from gadgetron_qsm.parameters import chosen, in_header, read_parameters, to_properties
from gadgetron_qsm.settings import layered

OF_MEASURE = tuple(f"measure.{name}" for name in FILES)
PATHS = ("deliver.dicom_folder", "deliver.report_folder", *OF_MEASURE)
FOLDERS = ("measure.folder", "deliver.report_folder")  # of what is measured, or as objects
OBJECTS = ("deliver.segmentation", "deliver.measurements")
YES = ("true", "1", "yes", "on", "t", "y")
OF_THE_SERVER = ("store.", "identity.", "server.", "spool.", "health.", "device.")
OF_ITS_MEMORY = "kspace.memory_gb"
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
    site_name: str = "",
) -> dict[str, str]:
    """Return the properties of a scan of our own server.

    At the bottom are those of the `site`, the server's own configuration. Above them is the
    configuration that the operator's parameters, `given`, name, or else the client; by `site_name`
    it is the site's own. Where the client sends XML instead, with the properties `own`, of the
    site's those alone are below that are about its machine, its archives and what its scanner takes
    back. At the top are the parameters.

    A name that the operator has replaced need not be known here: hosts send what they like. Raises
    QsmError for XML that sets what is the site's, which would let a client write to the server's
    disk, connect it to others, or have patients named in images; UsageError for an unknown name.
    """
    if not isinstance(config, ConfigFile):
        refuse_of_the_machine(own)
    named = chosen(given) or (config.name if isinstance(config, ConfigFile) else None)
    if named is not None and named.removesuffix(".xml") != site_name:
        below = layered(site, read_properties(configs.load(named)))
    elif isinstance(config, ConfigText) and named is None:
        injectors = {key: value for key, value in site.items() if key in OF_THE_INJECTOR}
        below = _with_a_place({**of_the_machine(site), **injectors, **own})
    else:
        below = dict(site)
    return {**below, **to_properties(given)}


def _with_a_place(properties: Mapping[str, str]) -> dict[str, str]:
    """Leave out what a site measures where a client asks for none of the objects it would leave as.

    Its scan would be refused for what it has not asked for.
    """
    folders = any(properties.get(key, "").strip() for key in FOLDERS)
    if folders or any(properties.get(key, "").strip().lower() in YES for key in OBJECTS):
        return dict(properties)
    return {key: value for key, value in properties.items() if key not in OF_MEASURE}


def resident_properties(chain: Mapping[str, str], site: Mapping[str, str]) -> dict[str, str]:
    """Return the properties of a scan of a Gadgetron that connects to a resident process.

    Those of the `chain` are above those of the `site`, the process's own configuration, but for
    what this says of its machine. What it leaves out the chain may set: both are the site's.
    """
    return {**layered(site, chain), **of_the_machine(site)}


def of_the_machine(properties: Mapping[str, str]) -> dict[str, str]:
    """Return those properties about the server's machine, which its clients may not set."""
    return {key: value for key, value in properties.items() if _is_of_the_machine(key)}


def refuse_of_the_machine(keys: Iterable[str]) -> None:
    """Raise QsmError when a client sets what is about the server's machine."""
    for key in keys:
        if _is_of_the_machine(key):
            raise QsmError(f"clients may not set {key}; name it in a configuration here")


def _is_of_the_machine(key: str) -> bool:
    return key in PATHS or key == OF_ITS_MEMORY or key.startswith(OF_THE_SERVER)
