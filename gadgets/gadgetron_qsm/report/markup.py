"""HTML as a tree, so that no text gets into a page unescaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, tostring

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

Content = Element | str


def element(tag: str, *content: Content, **attributes: str) -> Element:
    """An element with texts and elements in it; `class_` is the attribute class, `a_b` a-b.

    What cannot be printed becomes a space.
    """
    named = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    made = Element(tag, named)
    for part in content:
        if isinstance(part, Element):
            made.append(part)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + _printable(part)
        else:
            made.text = (made.text or "") + _printable(part)
    return made


def table(headings: Sequence[str], rows: Iterable[Sequence[Content]], **attributes: str) -> Element:
    """A table; a row of headings on top if there are any."""
    parts = [element("tbody", *(_row("td", cells) for cells in rows))]
    if headings:
        parts.insert(0, element("thead", _row("th", headings)))
    return element("table", *parts, **attributes)


def picture(png: bytes, text: str) -> Element:
    """An image that is in the page itself, and what it shows in words."""
    data = base64.b64encode(png).decode("ascii")
    return element("img", src=f"data:image/png;base64,{data}", alt=text)


def document(title: str, style: str, body: Iterable[Element], script: str = "") -> str:
    """A whole page, which loads nothing and runs nothing, whatever is in it, but its one script."""
    run = [element("script", script)] if script else []
    policy = "; ".join([POLICY, *(f"script-src {_hash(part)}" for part in run)])
    head = element(
        "head",
        element("meta", charset="utf-8"),
        Element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        element("title", title),
        element("style", style),
    )
    page = element("html", head, element("body", *body, *run), lang="en")
    return "<!DOCTYPE html>\n" + tostring(page, encoding="unicode", method="html") + "\n"


def _hash(script: Element) -> str:
    digest = hashlib.sha256((script.text or "").encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _row(cell: str, contents: Sequence[Content]) -> Element:
    return element("tr", *(element(cell, content) for content in contents))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)
