"""Our own nodes in a stream: what they call, and whether that goes together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from gadgetron_qsm import gadgets
from gadgetron_qsm.check.document import Document
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.methods import instead
from gadgetron_qsm.mrd.properties import name_and_value
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site.findings import Finding

RESIDENT = "qsm"  # what a resident process runs
MEASURE = "measure"  # may be left out
SPLIT = ("combine", "susceptibility", MEASURE, "deliver")  # in the order in which data pass them
TARGETS = (RESIDENT, *SPLIT)
MODULE = gadgets.__name__


@dataclass(frozen=True)
class Node:
    """An external node of ours: what it runs, and its properties by name, with their elements."""

    element: Element
    target: str
    properties: Mapping[str, str]
    elements: Mapping[str, Element]


def ours(document: Document) -> list[Node]:
    """Return the nodes that call gadgetron-qsm, as far as can be told of those that connect."""
    found = []
    for external in document.root.iter("external"):
        given = {key: (value, element) for key, value, element in given_properties(external)}
        properties = {key: value for key, (value, _) in given.items()}
        elements = {key: element for key, (_, element) in given.items()}
        execute = external.find("execute")
        if execute is None:
            if external.find("connect") is not None and _speaks_to_us(properties):
                found.append(Node(external, RESIDENT, properties, elements))
        elif execute.get("name") == MODULE:
            found.append(Node(external, execute.get("target", ""), properties, elements))
    return found


def given_properties(external: Element) -> Iterator[tuple[str, str, Element]]:
    """Give name, value and element of each property of a node that has a name."""
    for element in external.findall("configuration/property"):
        with suppress(QsmError):  # what is wrong with its form is told elsewhere
            yield *name_and_value(element), element


def calls(document: Document, nodes: list[Node]) -> Iterator[Finding]:
    """Tell what is called, and find what cannot be called or does not go together."""
    if not nodes:
        text = f"nothing in it calls gadgetron-qsm: no <external> connects, or executes {MODULE}"
        yield document.found("error", document.root, text)
    for node in nodes:
        yield _call(document, node)
    yield from _order(document, nodes)


def _call(document: Document, node: Node) -> Finding:
    connect = node.element.find("connect")
    if node.element.find("execute") is None and connect is not None:
        place = f"{connect.get('address') or 'localhost'}:{connect.get('port')}"
        return Finding("ok", "resident process", place)
    if node.target not in TARGETS:
        text = f"target '{node.target}' is unknown{instead(node.target, TARGETS)}"
        return document.found("error", node.element, text)
    return Finding("ok", "target", node.target)


def _speaks_to_us(properties: Mapping[str, str]) -> bool:
    """Tell whether a node's properties, if any, could be ours; a connection says no more."""
    sections = {key.partition(".")[0] for key in properties}
    return not sections or bool(sections & set(Settings.model_fields))


def _order(document: Document, nodes: list[Node]) -> Iterator[Finding]:
    """Find targets that do not hand one another what they need, or hand nothing to the console."""
    targets = [node.target for node in nodes]
    if not targets or targets == [RESIDENT] or set(targets) - set(TARGETS):
        return
    split = [target for target in SPLIT if target != MEASURE or target in targets]
    first = split.index(targets[0]) if targets[0] in split else 0
    if targets != split[first : first + len(targets)]:
        text = (
            f"the targets {', '.join(targets)}: there is qsm alone, or {', '.join(SPLIT)} in turn"
            f" ({MEASURE} may be left out)"
        )
        yield document.found("error", nodes[0].element, text)
    elif targets[-1] != split[-1]:
        missing = ", ".join(split[split.index(targets[-1]) + 1 :])
        text = f"{targets[-1]} is the last of our targets: without {missing} no map is delivered"
        yield document.found("error", nodes[-1].element, text)
