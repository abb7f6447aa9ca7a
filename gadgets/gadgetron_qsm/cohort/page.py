"""cohort.html: all scans of a cohort in one table, which runs alone, in any browser or on paper.

It holds no patient data but what the names of the scans tell. Thumbnails are in it, reports beside
it; it needs no network. Sorting and filtering need its one script, reading does not.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote
from xml.etree.ElementTree import Element

from gadgetron_qsm.cohort.figures import PAGE, Row
from gadgetron_qsm.cohort.outliers import FEWEST, MOST, outliers
from gadgetron_qsm.cohort.table import scan_table
from gadgetron_qsm.cohort.tools import tools
from gadgetron_qsm.dicom.provenance import NOT_CLINICAL
from gadgetron_qsm.report.files import replacing
from gadgetron_qsm.report.markup import document, element, table
from gadgetron_qsm.report.style import STYLE

NAME = "cohort.html"
TITLE = "Susceptibility maps of a cohort"
ABOUT_THUMBNAILS = (
    "Susceptibility in axial, coronal and sagittal planes, from -100 ppb (black) to 100 (white)."
)
ABOUT_OUTLIERS = (
    f"Marked figures are further than {MOST:g} robust standard deviations from the cohort's median "
    f"(modified z by the median absolute deviation) on a side that is worse; none is marked of "
    f"fewer than {FEWEST} scans. A mark says that a scan is unlike the others, not that it is bad."
)
OF_COHORTS = """
body { max-width: none; }
.scans { width: auto; font-size: .9em; }
.scans caption { text-align: left; }
.scans th, .scans td { padding-right: 1.2em; overflow-wrap: normal; word-wrap: normal; }
.scans thead th { position: sticky; top: 0; background: #fff; vertical-align: bottom; }
.scans .number { max-width: 8em; text-align: right; }
.scans td.number { white-space: nowrap; }
.scans img { width: auto; }
.scans th[scope=row] { min-width: 7em; border-bottom: 1px solid #ddd; overflow-wrap: anywhere; }
.scans tfoot th, .scans tfoot td { border-bottom: 0; font-weight: bold; }
.scans tfoot tr:first-child > * { border-top: 1px solid #666; }
.scans td.outlier { font-weight: bold; color: #8a1f11; }
.scans td.failed { font-weight: bold; color: #8a1f11; }
.mark { display: block; font-size: .85em; }
.reason { display: block; max-width: 24em; overflow-wrap: anywhere; }
.scans details { text-align: left; max-width: 20em; white-space: normal; margin-left: auto; }
.scans summary { text-align: right; }
.scans button { font: inherit; font-weight: bold; text-align: inherit; padding: 0; border: 0;
  background: none; color: inherit; cursor: pointer; text-decoration: underline dotted; }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
.filter { display: flex; flex-wrap: wrap; gap: .4em 1.2em; align-items: center; margin: 1em 0; }
.filter[hidden] { display: none; }
.filter input[type=number] { width: 6em; }
:focus-visible { outline: 3px solid #1a5fb4; outline-offset: 2px; }
@page { size: A4 landscape; }
@media print {
  .filter, .shown { display: none; }
  .scans { font-size: 8pt; }
  .scans thead { break-inside: avoid; }
  .scans thead th { position: static; }
  .scans tfoot { display: table-row-group; }
  .scans thead button { display: none; }  /* Chromium repeats text on every sheet, not buttons */
  .scans th:has(button)::before { content: attr(data-sorts); }
  .scans details::details-content { content-visibility: visible; }
  .scans img { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""


def write_cohort(
    folder: Path, rows: Sequence[Row], *, title: str = TITLE, about: Mapping[str, str] | None = None
) -> Path:
    """Write cohort.html into a folder, with a row for each scan; return its path.

    Reports are linked by their place relative to `folder`. `about` is what the cohort was made
    with, as software and settings: names and values for a table at the end.
    Raises QsmError when the file cannot be written.
    """
    path = folder / NAME
    script = Path(__file__).with_name("table.js").read_text(encoding="utf-8")
    text = document(title, STYLE + OF_COHORTS, _body(folder, rows, title, about or {}), script)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", errors="replace")  # names of files are of bytes
    return path


def _body(
    folder: Path, rows: Sequence[Row], title: str, about: Mapping[str, str]
) -> Iterator[Element]:
    unlike = outliers(rows)
    yield element("h1", title)
    yield element("p", NOT_CLINICAL, class_="use")
    yield element("p", _summary(rows, unlike))
    yield from _failures(rows)
    yield element("p", f"{ABOUT_THUMBNAILS} {ABOUT_OUTLIERS}", class_="note")
    yield tools()
    yield element("p", class_="shown", role="status")
    yield scan_table(rows, unlike, [_link(folder, row) for row in rows])
    if about:
        yield element("h2", "Made with")
        yield table((), list(about.items()))


def _summary(rows: Sequence[Row], unlike: Sequence[Mapping[str, float]]) -> str:
    states = Counter(row.state for row in rows)
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    marked = sum(map(bool, unlike))
    scans = "1 scan" if len(rows) == 1 else f"{len(rows)} scans"
    return f"{scans}: {told or 'none'}; {marked or 'none'} with outliers."


def _failures(rows: Sequence[Row]) -> Iterator[Element]:
    failed = [row for row in rows if row.state == "failed"]
    if failed:
        heading = "1 scan failed" if len(failed) == 1 else f"{len(failed)} scans failed"
        listed = (element("li", f"{row.name}: {row.reason}") for row in failed)
        yield element("div", element("h2", heading), element("ul", *listed), class_="warnings")


def _link(folder: Path, row: Row) -> str | None:
    """Address of the report of a scan that is done, relative to the cohort's page."""
    if row.state != "done":
        return None
    return quote(os.fsencode(os.path.relpath(row.folder / PAGE, folder)))
