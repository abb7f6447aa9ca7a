"""Gadgetron's configuration, version 2: which elements it has, and where they may be.

Found in Gadgetron 4.7's apps/gadgetron/connection/config/Config.cpp. What the server does not look
for it passes over without a word, but in a stream, where it stops.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from gadgetron_qsm.check.document import Document, own_text
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.methods import instead
from gadgetron_qsm.site.findings import Finding

GADGET = ("name", "dll", "classname", "property")
PORTS = range(1, 1 << 16)
CHILDREN: Mapping[str, tuple[str, ...]] = {
    "configuration": ("version", "readers", "writers", "stream"),
    "readers": ("reader",),
    "writers": ("writer",),
    "reader": ("slot", "dll", "classname"),
    "writer": ("dll", "classname"),
    "stream": (
        "gadget",
        "external",
        "parallel",
        "distributed",
        "parallelprocess",
        "puredistributed",
    ),
    **dict.fromkeys(("gadget", "branch", "merge", "distributor"), GADGET),
    "parallel": ("branch", "merge", "stream"),
    "distributed": ("readers", "writers", "distributor", "stream"),
    "parallelprocess": ("purestream",),
    "puredistributed": ("readers", "writers", "purestream"),
    "purestream": ("gadget",),
    "external": ("execute", "connect", "configuration", "readers", "writers"),
}
ONCE = ("version", "stream", "execute", "connect", "configuration", "readers", "writers")
LANGUAGES = ("python", "matlab", "julia")
LOADED = ("reader", "writer", "gadget", "branch", "merge", "distributor")  # of a shared library
LEGACY = (
    "it is in the old form (gadgetronStreamConfiguration), in which no external node can be: begin "
    "with <configuration><version>2</version>, put <reader>s in <readers>, <writer>s in <writers>, "
    "gadgets in <stream>, and ours there as <external>; 'gadgetron-qsm install-config' installs "
    "examples"
)


def structure(document: Document) -> Iterator[Finding]:
    """Find what in a configuration is not where, or not what, the server looks for.

    Raises QsmError for what is no configuration at all, or one of the old form.
    """
    root = document.root
    if root.tag == "gadgetronStreamConfiguration":
        raise QsmError(LEGACY)
    if root.tag != "configuration":
        raise QsmError(f"its root is <{root.tag}>; a Gadgetron's is <configuration>")
    version = own_text(root, "version")
    if version != "2":
        given = f"<version> says '{version}'" if version.strip() else "there is no <version>"
        text = f"{given}; write <version>2</version>, without spaces"
        yield document.found("error", root, text)
    if root.find("stream") is None:
        yield document.found("error", root, "there is no <stream>: nothing would be done")
    yield from _within(document, root)


def _within(document: Document, parent: Element) -> Iterator[Finding]:
    allowed = CHILDREN[parent.tag]
    yield from _stray_text(document, parent)
    for child in parent:
        if child.tag not in allowed:
            yield _unknown(document, parent, child)
            continue
        yield from _one(document, parent, child)
        if child.tag in CHILDREN and (parent.tag, child.tag) != ("external", "configuration"):
            yield from _within(document, child)


def _one(document: Document, parent: Element, child: Element) -> Iterator[Finding]:
    """Find what is wrong with an element that is where it may be."""
    first = parent.find(child.tag)
    twice = child.tag in ONCE and parent.tag != "parallel" and first is not child
    if twice:
        yield document.found("error", child, f"<{parent.tag}> has a second <{child.tag}>")
    if child.tag in LOADED:
        yield from _loaded(document, child)
    elif child.tag == "property":
        yield from property_form(document, child)
    elif child.tag == "external":
        yield from _external(document, child)
    elif child.tag == "parallelprocess" and not child.get("workers", "").isdecimal():
        yield document.found("error", child, "<parallelprocess> needs workers=, a number")


def _unknown(document: Document, parent: Element, child: Element) -> Finding:
    stops = parent.tag == "stream"
    does = "stops at" if stops else "passes over"
    known = instead(child.tag, CHILDREN[parent.tag])
    text = f"the server {does} <{child.tag}> in <{parent.tag}>{known}"
    return document.found("error" if stops else "warning", child, text)


def _stray_text(document: Document, parent: Element) -> Iterator[Finding]:
    parts = [parent.text, *(child.tail for child in parent)]
    if parent.tag == "stream" and any((part or "").strip() for part in parts):
        text = "the server stops at text between the elements of <stream>; make it a comment"
        yield document.found("error", parent, text)


def _loaded(document: Document, element: Element) -> Iterator[Finding]:
    """Find what keeps the server from loading a class from its library."""
    for name in ("dll", "classname"):
        text = own_text(element, name)
        if not text.strip():
            yield document.found("error", element, f"<{element.tag}> has no <{name}>")
        elif text != text.strip():
            yield document.found(
                "error", element, f"<{name}> has spaces around '{text.strip()}'; leave them out"
            )
    slot = own_text(element, "slot")
    if slot and not re.fullmatch("[0-9]+", slot):
        yield document.found("error", element, f"<slot> is no number: '{slot}'")


def property_form(document: Document, element: Element) -> Iterator[Finding]:
    """Find what keeps a property from being read: it has name= and value=, or both as children."""
    attributes = {"name", "value"} <= set(element.keys())
    children = all(element.find(part) is not None for part in ("name", "value"))
    if attributes == children:
        text = 'a property is written <property name="..." value="..."/>'
        yield document.found("error", element, f"{text}, once" if attributes else text)
    elif not element.get("name", own_text(element, "name")).strip():
        yield document.found("error", element, "a property has an empty name")


def _external(document: Document, external: Element) -> Iterator[Finding]:
    actions = [child for child in external if child.tag in ("execute", "connect")]
    if len({action.tag for action in actions}) != 1:
        text = "<external> needs either <execute> or <connect>"
        yield document.found("error", external, text)
    for action in actions:
        yield from (_connect if action.tag == "connect" else _execute)(document, action)


def _execute(document: Document, execute: Element) -> Iterator[Finding]:
    if not execute.get("name"):
        yield document.found("error", execute, "<execute> has no name=, the module to be started")
    language = execute.get("type", "")
    if language.lower() not in LANGUAGES:
        text = f"<execute> is of type '{language}'{instead(language.lower(), LANGUAGES)}"
        yield document.found("error", execute, text)
    yield from _attributes(document, execute, ("name", "type", "target"))


def _connect(document: Document, connect: Element) -> Iterator[Finding]:
    port = connect.get("port", "")
    if not (port.isdecimal() and int(port) in PORTS):
        text = f"port '{port}' of <connect> is no number from 1 to 65535"
        yield document.found("error", connect, text)
    yield from _attributes(document, connect, ("address", "port"))


def _attributes(document: Document, element: Element, known: tuple[str, ...]) -> Iterator[Finding]:
    for name in sorted(set(element.keys()) - set(known)):
        text = f"the server passes over {name}= of <{element.tag}>{instead(name, known)}"
        yield document.found("warning", element, text)
