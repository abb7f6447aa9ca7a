"""XML that came over a network: parsed without document types and entities."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from gadgetron_qsm.errors import QsmError


def parse_xml(text: str, what: str) -> ET.Element:
    """Return the root of `text`; raise QsmError when it is broken or defines entities."""
    refuse_entities(text, what)
    try:
        return ET.fromstring(text.encode())  # noqa: S314
    except (ET.ParseError, ValueError) as error:
        raise QsmError(f"{what} is not valid XML: {error}") from error


def refuse_entities(text: str, what: str) -> None:
    """Raise QsmError for a text that a parser could make far larger, or read other files for."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise QsmError(f"{what} has a document type or entities, which are not accepted")


def local_name(element: ET.Element) -> str:
    """Return the tag without its namespace."""
    return element.tag.rpartition("}")[2]
