"""Is a Gadgetron's configuration usable: its form, what is around our nodes, their settings."""

from __future__ import annotations

from gadgetron_qsm.check.document import Document
from gadgetron_qsm.check.finding import Finding, Findings
from gadgetron_qsm.check.messages import messages
from gadgetron_qsm.check.nodes import Node, calls, ours
from gadgetron_qsm.check.properties import contradictions, problems, properties_of
from gadgetron_qsm.check.schema import structure
from gadgetron_qsm.check.stream import surroundings
from gadgetron_qsm.delivery.deliver import nodes_of, terms_of
from gadgetron_qsm.delivery.nodes import Later
from gadgetron_qsm.delivery.nodes import Node as Archive
from gadgetron_qsm.delivery.store import echo
from gadgetron_qsm.outgoing_sections import StoreSettings
from gadgetron_qsm.settings import Settings


def configuration(text: str) -> Findings:
    """Find everything that is wrong with a configuration, and tell what it asks for.

    What is right comes first, then what is wrong in the order of lines, then what it reaches.
    Raises QsmError for what is no configuration at all, and for the old form.
    """
    document = Document.parse(text)
    found = list(structure(document))
    nodes = ours(document)
    found += calls(document, nodes)
    found += surroundings(document, nodes)
    found += messages(document, nodes)
    for node in nodes:
        found += properties_of(document, node)
    found += contradictions(document, nodes)
    yield from sorted(found, key=lambda each: (each.level != "ok", each.line))
    yield from _site(nodes)


def _site(nodes: list[Node]) -> Findings:
    """Ask each archive that the nodes name whether it answers."""
    properties = {key: value for node in nodes for key, value in node.properties.items()}
    if any(problems(properties)):
        return
    store = Settings.from_properties(properties).store
    for node in nodes_of(store):
        yield _answer(node, store)


def _answer(node: Archive, store: StoreSettings) -> Finding:
    try:
        echo(node, terms_of(store).caller)
    except Later as error:
        return Finding("error", "archive", str(error))
    return Finding("ok", "archive", f"{node.name}: it answers")
