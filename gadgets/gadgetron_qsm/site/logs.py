"""The log of every command and gadget: lines of text or JSON on stderr, none about patients.

What takes stderr (the service manager, Docker, Gadgetron's server) also keeps and rotates it; there
is no log file of ours that several processes would have to share.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from gadgetron_qsm.site import scans
from gadgetron_qsm.site.privacy import trace_of

if TYPE_CHECKING:
    from gadgetron_qsm.site_sections import HealthSettings

Form = Literal["text", "json"]

PACKAGE = __name__.partition(".")[0]
GADGETRON_LEVEL = "GADGETRON_EXTERNAL_LOG_LEVEL"  # what a Gadgetron server starts processes with
LONGEST = 4000  # characters of a message
# Others' messages are read by nobody who knows what they quote: pydicom's quote values of patients.
WITHHELD = "a message of {0} at {1}:{2}, withheld as it may quote values"

_CONTROL = {code: "?" for code in (*range(32), 127, *range(128, 160)) if chr(code) not in "\n\t"}


@dataclass(frozen=True)
class Options:
    """How a process logs. `fixed`: the form was asked for, and settings do not change it."""

    level: int = logging.WARNING
    form: Form = "text"
    fixed: bool = False


class _Stderr(logging.Handler):
    """Writes each line in one piece, as other processes write to the same place."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # handleError would print the arguments
            line = f"a line of {record.filename}:{record.lineno} cannot be made"
        with suppress(OSError, ValueError):  # nobody reads any more
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


class _Text(logging.Formatter):
    """time level process scan logger: message; what follows in more lines is indented."""

    def format(self, record: logging.LogRecord) -> str:
        parts = _parts(record)
        lines = [parts["message"], *filter(None, [parts.get("exception")])]
        body = "\n".join(lines).replace("\n", "\n    ")
        scan = parts.get("scan", "-")
        head = f"{parts['time']} {record.levelname} {record.process} {scan} {record.name}"
        return f"{head}: {body}"


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_parts(record), ensure_ascii=False)


_FORMATS: dict[Form, type[logging.Formatter]] = {"text": _Text, "json": _Json}
_handler = _Stderr()
_options = Options()


def set_up(options: Options) -> None:
    """Log as the options say from now on, and nothing otherwise; also what nobody catches."""
    global _options  # noqa: PLW0603 - a process has one log
    _options = options
    _handler.setFormatter(_FORMATS[options.form]())
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler:  # of the gadgetron package
            root.removeHandler(handler)
    if _handler not in root.handlers:
        root.addHandler(_handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(PACKAGE).setLevel(options.level)
    warnings.showwarning = _warned
    sys.excepthook = lambda _kind, error, _trace: _uncaught(error)
    sys.unraisablehook = lambda hooked: _uncaught(hooked.exc_value)
    threading.excepthook = lambda hooked: _uncaught(hooked.exc_value)


def set_up_for_gadgetron() -> None:
    """Log in a process that a Gadgetron has started, at the level that it asks for."""
    name = os.environ.get(GADGETRON_LEVEL, "INFO").upper()
    level = logging.getLevelName(name)
    set_up(Options(level if isinstance(level, int) else logging.INFO))


def adopt(health: HealthSettings) -> None:
    """Log in the form that settings name, unless an option named another."""
    if not _options.fixed:
        set_up(Options(_options.level, health.log_format))


def options() -> Options:
    """Return how this process logs, for `set_up` in those that it starts."""
    return _options


def _parts(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line has, by its key in JSON."""
    parts: dict[str, Any] = {
        "time": _time(record.created),
        "level": record.levelname,
        "process": record.process,
        "logger": record.name,
        "message": _plain(scans.hide(_message(record)))[:LONGEST],
    }
    if scan := scans.current_id():
        parts["scan"] = scan
    if record.exc_info and record.exc_info[1]:
        parts["exception"] = _plain(scans.hide(trace_of(record.exc_info[1])))
    if summary := getattr(record, "summary", None):
        parts["summary"] = asdict(summary)
    return parts


def _message(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] != PACKAGE:
        return WITHHELD.format(record.name, record.filename, record.lineno)
    return record.getMessage()


def _plain(text: str) -> str:
    """Return a text without what would steer a terminal, or look like another line of the log."""
    return text.translate(_CONTROL)


def _time(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def _warned(
    message: Warning | str,  # noqa: ARG001 - the very thing that is withheld
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """Log a warning of a library without its text."""
    place = "/".join(Path(filename).parts[-2:])
    logging.getLogger(PACKAGE).info("%s in %s:%d", category.__name__, place, lineno)


def _uncaught(error: BaseException | None) -> None:
    """Log what ends a thread or the process."""
    if error is not None and not isinstance(error, KeyboardInterrupt):
        logging.getLogger(PACKAGE).critical("an error that nobody caught", exc_info=error)
