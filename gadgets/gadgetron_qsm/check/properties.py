"""The properties of our nodes against the settings: every one that is wrong, not only the first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gadgetron_qsm.check.document import Document
from gadgetron_qsm.check.nodes import MEASURE, Node, given_properties
from gadgetron_qsm.check.schema import property_form
from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site.findings import Finding
from gadgetron_qsm.wanted import require_measurement, require_places

SECRET = ("identity.",)  # may name patients, or be the key of pseudonyms


def settings_of(properties: Mapping[str, str]) -> Settings:
    """Return what properties set; raises UsageError, which names a setting, as a scan would."""
    settings = Settings.from_properties(properties)
    require_places(settings)
    return settings


def problems(properties: Mapping[str, str]) -> Iterator[tuple[str | None, str]]:
    """Give each property that cannot be used, by its name, and what is wrong with it.

    What is found is taken out, and the rest is looked at again, since one wrong value keeps others
    from being looked at. None for what no single property is to blame for.
    """
    left = dict(properties)
    while (problem := _problem(left)) is not None:
        key = _culprit(left, problem)
        yield key, problem
        if key is None:
            return
        stage, _, name = key.rpartition(".")
        gone = {key}
        if name == "method":  # its parameters would be taken for another one's
            gone |= {each for each in left if each.startswith(f"{stage}.")}
        left = {each: value for each, value in left.items() if each not in gone}


def properties_of(document: Document, node: Node) -> Iterator[Finding]:
    """Find every property of a node that is not written as one, or that cannot be used."""
    configuration = node.element.find("configuration")
    for element in () if configuration is None else configuration:
        if element.tag == "property":
            yield from property_form(document, element)
        else:
            text = f"<{element.tag}> is no <property>; it is passed over"
            yield document.found("warning", element, text)
    yield from _given_twice(document, node)
    wrong = list(problems(node.properties))
    for key, text in wrong:
        yield document.found("error", node.elements.get(key or "", node.element), text)
    if node.target == MEASURE and not wrong:
        try:
            require_measurement(settings_of(node.properties))
        except UsageError as error:
            yield document.found("error", node.element, str(error))
    if node.properties.get("deliver.console", "images").strip() != "images":
        text = "deliver.console is of 'gadgetron-qsm serve': a Gadgetron takes images alone"
        yield document.found("warning", node.elements["deliver.console"], text)
    yield changed(node.properties)


def contradictions(document: Document, nodes: list[Node]) -> Iterator[Finding]:
    """Find properties that have one value in one node and another in the next.

    A Gadgetron hands each node its own; replay and serve take the file as a whole, and refuse it.
    """
    first: dict[str, Node] = {}
    for node in nodes:
        for key, value in node.properties.items():
            before = first.setdefault(key, node)
            if before.properties[key] != value:
                line = document.lines[before.elements[key]]
                text = f"property '{key}' has another value than in line {line}; only a Gadgetron"
                text += " takes that: replay and serve refuse it"
                yield document.found("warning", node.elements[key], text)


def changed(properties: Mapping[str, str]) -> Finding:
    """Tell what is set, less what may name a patient."""
    told = [f"{k} = {'(given)' if k.startswith(SECRET) else v}" for k, v in properties.items()]
    return Finding("ok", "settings", "; ".join(told) or "all default")


def _problem(properties: Mapping[str, str]) -> str | None:
    try:
        settings_of(properties)
    except UsageError as error:
        return str(error)
    return None


def _culprit(properties: Mapping[str, str], problem: str) -> str | None:
    """Return the property without which there is another problem, or none.

    Those that the problem names come first, then those of the stage that it names: without a
    method, say, another one's parameters are looked at, and the problem would change as well.
    """
    words = set(re.findall(r"\w+", problem))
    named = [key for key in properties if key.rpartition(".")[2] in words]
    staged = [key for key in properties if key.partition(".")[0] in words]
    for key in dict.fromkeys([*named, *staged, *properties]):
        if _problem({k: v for k, v in properties.items() if k != key}) != problem:
            return key
    return None


def _given_twice(document: Document, node: Node) -> Iterator[Finding]:
    values: dict[str, str] = {}
    for key, value, element in given_properties(node.element):
        if values.setdefault(key, value) != value:
            text = f"property '{key}' is given a second value; leave one out"
            yield document.found("error", element, text)
