"""Settings in a configuration: <property name= value=>, or <property><name/><value/></property>."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.safe_xml import local_name, parse_xml

DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


def read_properties(configuration: str) -> dict[str, str]:
    """Return the properties of an external node, by name.

    `configuration` is what Gadgetron hands an external node, or a whole Gadgetron configuration,
    of which the external nodes count. Of a node without <configuration> the server sends the XML
    declaration alone. Raises QsmError for broken XML and contradicting values.
    """
    if not DECLARATION.sub("", configuration).strip():
        return {}
    root = parse_xml(configuration, "the configuration")
    properties: dict[str, str] = {}
    for node in _external_configurations(root):
        for element in _children(node, "property"):
            name, value = name_and_value(element)
            if properties.setdefault(name, value) != value:
                raise QsmError(f"the configuration gives property '{name}' two values")
    return properties


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if local_name(child) == name)


def _external_configurations(root: Element) -> list[Element]:
    whole = any(local_name(element) == "stream" for element in root)
    if not whole:
        return [root]
    externals = (element for element in root.iter() if local_name(element) == "external")
    return [node for external in externals for node in _children(external, "configuration")]


def name_and_value(element: Element) -> tuple[str, str]:
    """Return what a <property> says; raises QsmError for one without a name."""
    legacy = {local_name(child): (child.text or "").strip() for child in element}
    name = element.get("name", legacy.get("name", ""))
    if not name:
        raise QsmError("a property of the configuration has no name")
    return name, element.get("value", legacy.get("value", ""))
