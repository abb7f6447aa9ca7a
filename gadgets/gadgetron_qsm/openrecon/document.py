"""The document that OpenRecon wants beside an image: what it is, its parameters, its limits."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from gadgetron_qsm.openrecon.label import NOT_CLINICAL, tag
from gadgetron_qsm.report.files import replacing

A4_INCHES = (8.27, 11.69)
LEFT, TOP, BOTTOM = 0.1, 0.93, 0.08  # of a page, in parts of it
POINTS = 11.69 * 72  # height of a page
LINE = 1.45  # line spacing, in parts of the size of the letters
COLUMNS = (0.0, 0.37, 0.5)  # of the table, in parts of a page from LEFT
COLUMN_CHARACTERS = (44, 14, 40)  # that fit at size 9
WHOLE = 12  # lines that a row may have to be kept on one page

OF_EMITTER = {
    "raw": """
Takes Cartesian raw data of a gradient echo, 3D or 2D slices, accelerated or not, with or without
noise lines; several slabs, cardiac phases and sets are refused.

Asks the host for raw data and names the injector 'compleximage', as other published images for raw
data do. Whether the host shows real, quantitative images that come back on this way is not known.
""",
    "image": """
Takes magnitude and phase of every echo, or complex images. The sequence must store phase images,
and nothing may have filtered, interpolated or unwrapped them; coils that the host has combined
badly cannot be mended.
""",
}
OF_BOTH = """
Susceptibility is relative to the mean of the reference region. Positive is paramagnetic: look at a
vein, which must be positive, before you trust the sign of a new protocol.

Pixels are whole numbers from 0 to 4095 with rescale slope and intercept. A count is 1 ppb, or as
much more, up to 20, as the largest value needs; what is beyond is clipped, and the comment of the
image says so.

Without a GPU the maps are computed on the processors.

This image was not tried on a scanner.
"""


@dataclass(frozen=True)
class _Line:
    """A line of text; `cells` lie in the columns of the table."""

    cells: tuple[str, ...]
    size: float = 9.5
    bold: bool = False
    before: float = 0.0  # space above, in lines
    together: int = 1  # lines, with this one, that stay on one page


def write_document(path: Path, label: Mapping[str, Any]) -> None:
    """Write the PDF of the image that has this label.

    Raises QsmError when the file cannot be written.
    """
    general = label["general"]
    built = datetime.strptime(
        general["regulatory_information"]["manufacture_date"], "%Y/%m/%d"
    ).replace(tzinfo=timezone.utc)
    about = {
        "Title": f"{general['name']['en']} {general['version']}",
        "Subject": NOT_CLINICAL,
        "CreationDate": built,
    }
    with (
        replacing(path) as part,
        matplotlib.rc_context({"pdf.fonttype": 42}),  # letters that can be searched and copied
        PdfPages(part, metadata=about) as pdf,
    ):
        pages = list(_pages(list(_lines(label))))
        for number, page in enumerate(pages, start=1):
            pdf.savefig(_drawn(page, f"{about['Title']}, page {number} of {len(pages)}"))


def _lines(label: Mapping[str, Any]) -> Iterator[_Line]:
    general, asked = label["general"], label["reconstruction"]
    regulatory = general["regulatory_information"]
    yield _Line((f"{general['name']['en']} {general['version']}",), size=18, bold=True)
    yield _Line((NOT_CLINICAL,), size=11, bold=True, before=0.5)
    yield from _paragraph(general["information"]["en"])
    yield from _paragraph(
        f"Image {tag(label)}, built {regulatory['manufacture_date']}. "
        f"Vendor: {general['vendor']}. Address: {regulatory['manufacturer_address']}."
    )
    yield from _heading("What it asks of the host")
    yield from _paragraph(
        f"Emitter '{asked['emitter']}', injector '{asked['injector']}', port {asked['port']}; "
        f"{asked['min_required_memory']} MB of memory, {asked['min_count_required_cpu_cores']} "
        f"processors; {_gpu(asked)}; no filter along the readout; no compression of channels."
    )
    yield from _heading("Parameters at the console")
    yield from _table(label["parameters"])
    yield from _paragraph(
        "Susceptibility itself is always sent. 'As configured' leaves a setting as the site's "
        "configuration has it, or else as the preset."
    )
    yield from _heading("Limits")
    for text in (OF_EMITTER[asked["emitter"]] + OF_BOTH).strip().split("\n\n"):
        yield from _paragraph("- " + " ".join(text.split()))


def _gpu(asked: Mapping[str, Any]) -> str:
    if not asked["can_use_gpu"]:
        return "no GPU"
    return "a GPU if there is one, of any size"


def _heading(text: str) -> Iterator[_Line]:
    yield _Line((text,), size=12, bold=True, before=1.0, together=4)


def _paragraph(text: str) -> Iterator[_Line]:
    wrapped = textwrap.wrap(text, 92, subsequent_indent="  " if text.startswith("- ") else "")
    for number, line in enumerate(wrapped):
        yield _Line((line,), before=0 if number else 0.4, together=len(wrapped) - number)


def _table(parameters: Sequence[Mapping[str, Any]]) -> Iterator[_Line]:
    yield from _row(("Parameter (id)", "Default", "What it does; choices"), bold=True)
    for parameter in parameters:
        choices = {value["id"]: value["name"]["en"] for value in parameter.get("values", ())}
        default = parameter["default"]
        if isinstance(default, bool):
            default = "on" if default else "off"
        about = [parameter.get("information", {}).get("en", ""), " | ".join(choices.values())]
        name = f"{parameter['label']['en']} ({parameter['id']})"
        yield from _row(
            (name, choices.get(default, default) or "none", ". ".join(filter(None, about)))
        )


def _row(texts: tuple[str, str, str], *, bold: bool = False) -> Iterator[_Line]:
    cells = [
        textwrap.wrap(text, width) or [""]
        for text, width in zip(texts, COLUMN_CHARACTERS, strict=True)
    ]
    high = max(map(len, cells))
    padded = (cell + [""] * (high - len(cell)) for cell in cells)
    for number, line in enumerate(zip(*padded, strict=True)):
        whole = high - number if high <= WHOLE else 1
        yield _Line(line, 9, bold, before=0 if number else 0.3, together=whole)


def _pages(lines: Sequence[_Line]) -> Iterator[list[tuple[float, _Line]]]:
    """Give each page's lines with their heights, in parts of the page."""
    page: list[tuple[float, _Line]] = []
    y = TOP
    for line in lines:
        step = line.size * LINE / POINTS
        if page and y - step * (line.before + line.together) < BOTTOM:
            yield page
            page, y = [], TOP
        y -= step * (1 + (line.before if page else 0))
        page.append((y, line))
    yield page


def _drawn(page: Sequence[tuple[float, _Line]], foot: str) -> Figure:
    figure = Figure(figsize=A4_INCHES)
    for y, line in page:
        for x, text in zip(COLUMNS, line.cells, strict=False):
            weight = "bold" if line.bold else "normal"
            figure.text(LEFT + x, y, text, fontsize=line.size, weight=weight, parse_math=False)
    figure.text(LEFT, BOTTOM / 2, foot, fontsize=8)
    return figure
