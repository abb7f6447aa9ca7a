"""Nothing that tells whose a scan is leaves in a log.

Our own lines name none of it. Behind that stand two nets, for texts that others make: what the
scan's header says of the patient is cut out of every line while the scan runs, and an exception is
told without its text where it comes from code that handles such values.
"""

from __future__ import annotations

import html
import re
import traceback
from collections.abc import Callable, Iterator
from itertools import islice, permutations
from unicodedata import normalize

from gadgetron_qsm.errors import QsmError

HIDDEN = "[hidden]"
TRACEBACK = "Traceback (most recent call last):"  # as people and programs look for it
NAMES = ("patientName", "referringPhysicianName")
DATES = ("patientBirthdate",)
IDENTIFIERS = (
    "patientID",
    "studyID",
    "accessionNumber",
    "studyDescription",
    "studyInstanceUID",
    "measurementID",
    "seriesInstanceUIDRoot",
    "frameOfReferenceUID",
    "referencedSOPInstanceUID",
)
MOST_VALUES, MOST_FORMS = 500, 5000  # of one header, of which real ones have some ten and fifty
LONGEST = 256  # characters; a longer value is hidden word by word
SHORTEST_NAME, SHORTEST = 2, 3  # what is shorter would hide half of any line

# No parser: what is to be hidden may stand in a text that is no XML, or only a part of it. Bounded,
# as a header may be made to be searched for ever.
_ELEMENT = re.compile(
    rf"<(?:[\w.-]{{1,64}}:)?(?P<tag>{'|'.join((*NAMES, *DATES, *IDENTIFIERS))})\b[^<>]*>"
    r"\s*(?:<!\[CDATA\[)?(?P<value>[^<]*)"
)
_USER = re.compile(  # parameters in which converters keep what the schema has no place for
    r"<(?:[\w.-]{1,64}:)?name>[^<]{0,64}(?:patient|subject|birth|accession|physician|study)"
    r"[^<]{0,64}</[^<>]{0,64}>\s{0,64}<(?:[\w.-]{1,64}:)?value>\s*(?:<!\[CDATA\[)?(?P<value>[^<]*)",
    re.IGNORECASE,
)
_DATE = re.compile(r"(\d{4})\D?(\d\d)\D?(\d\d)")

# Code whose exceptions may quote values of headers and objects.
HANDLES = re.compile(
    r"(pydicom|pynetdicom|highdicom|xsdata|ismrmrd|xml|json"
    r"|gadgetron_qsm\.(dicom|delivery|report|mrd\.(header|anonymous|meta|properties)))(\.|$)"
)


def hider(header_text: str) -> Callable[[str], str]:
    """Return what cuts out of a line all that an MRD header, whole or broken, says of a patient."""
    parts = sorted(set(islice(_patterns(header_text), MOST_FORMS)), key=len, reverse=True)
    if not parts:
        return str
    pattern = re.compile(rf"(?<![^\W_])(?:{'|'.join(parts)})(?![^\W_])", re.IGNORECASE)
    return lambda line: pattern.sub(HIDDEN, line)


def line_of(error: BaseException) -> str:
    """Return an exception in one line; without its text where that might quote a patient's values.

    The text of a QsmError is ours, and for people.
    """
    if isinstance(error, QsmError):
        return " ".join(str(error).split())
    name = type(error).__name__
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if any(HANDLES.match(str(frame.f_globals.get("__name__"))) for frame in frames):
        code = frames[-1].f_code
        return f"{name} in {code.co_name} (its text may quote the scan and is left out)"
    return " ".join(f"{name}: {error}".split())


def trace_of(error: BaseException) -> str:
    """Return the traceback of an exception and of what caused it, each in the words of `line_of`.

    It has lines of code, and no values.
    """
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{trace_of(cause)}\nwhich led to\n" if cause else ""
    lines = "".join(traceback.format_tb(error.__traceback__))
    return f"{before}{TRACEBACK}\n{lines}{line_of(error)}"


def _patterns(header_text: str) -> Iterator[str]:
    texts = dict.fromkeys((header_text, _without_comments(header_text)))
    found = [
        *((each["tag"], each["value"]) for text in texts for each in _ELEMENT.finditer(text)),
        *(("", each["value"]) for text in texts for each in _USER.finditer(text)),
    ]
    for tag, value in list(dict.fromkeys(found))[:MOST_VALUES]:
        text = normalize("NFC", html.unescape(value).removesuffix("]]>").strip())
        if date := _DATE.fullmatch(text) if tag in DATES else None:
            year, month, day = (part.lstrip("0") for part in date.groups())
            for first, second, third in permutations((year, f"0?{month}", f"0?{day}")):
                yield rf"{first}\D{{0,3}}{second}\D{{0,3}}{third}"
        if tag in NAMES or len(text) > LONGEST:
            words = re.findall(r"[^\W_]+", text)[:MOST_VALUES]
            yield from (form for word in words for form in _forms(word, SHORTEST_NAME))
        if len(text) <= LONGEST:
            yield from _forms(text, SHORTEST)


def _without_comments(text: str) -> str:
    first, *others = text.split("<!--")
    return "".join((first, *(part.partition("-->")[2] or part for part in others)))


def _forms(text: str, shortest: int) -> Iterator[str]:
    """Give a text, and with accents apart from letters: as it is, as Python, JSON and XML do."""
    if len(text) >= shortest:
        for form in dict.fromkeys((text, normalize("NFD", text))):
            escaped = form.encode("unicode_escape").decode("ascii")
            yield from map(re.escape, (form, escaped, ascii(form)[1:-1], html.escape(form)))
