"""The whole chain in this process, from a stream to a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from gadgetron_qsm.delivery.deliver import opened
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.exchange import linked
from gadgetron_qsm.gadgets import serve_pipe
from gadgetron_qsm.mrd.anonymous import anonymous_image
from gadgetron_qsm.mrd.client import converse, messages_of
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.messages import HeaderText, Image, Message
from gadgetron_qsm.mrd.pipe import Coming, Source
from gadgetron_qsm.mrd.raw import opened as opened_raw
from gadgetron_qsm.mrd.siemens import readable
from gadgetron_qsm.mrd.wire import PeerGone
from gadgetron_qsm.outgoing import send_what_waits
from gadgetron_qsm.report.files import replacing
from gadgetron_qsm.settings import Settings, properties_of

STDIN = "standard input"
LONGEST_S = 3600.0  # that archives may take
_BUFFER = 1 << 20


def piped(
    source: Path | int, target: BinaryIO | Path, config: str | None, changed: Mapping[str, str]
) -> None:
    """Run the chain on a scan while it comes, and write the images as they come.

    source: a raw file of any kind, or the descriptor of an MRD stream, which ends with CLOSE. A
    configuration in it holds as it does of a client of `serve`, unless `config` is given; the
    settings `changed` hold in any case. The images are in the version of MRD that the scan is in,
    behind its header; without CLOSE at their end they are not all. Raises QsmError, also when
    nothing comes of the scan; UsageError for wrong settings.
    """
    named = config or "qsm"
    site = properties_of(named, changed)
    settings = Settings.from_properties(site)
    opened(settings.store)  # it may not be there to be used
    failures: list[QsmError] = []

    def handle(connection: Connection) -> None:
        try:
            serve_pipe(connection, site, Path(named).name.removesuffix(".xml"), changed)
        except QsmError as error:
            failures.append(error)
            raise

    with ExitStack() as stack:
        scan, give_up = stack.enter_context(_coming(source))
        sock = stack.enter_context(linked(handle))
        first: list[Message] = [HeaderText(scan.header_text)]
        if scan.config and config is None:
            first.insert(0, scan.config)
        answers = stack.enter_context(closing(converse(sock, first, scan.messages, give_up)))
        try:
            with _opened(target) as file:
                _write(answers, scan, file, hidden=settings.identity.deidentify)
        except QsmError as error:
            raise next((f for f in failures if not isinstance(f, PeerGone)), error) from error
    if waiting := send_what_waits(settings.store, LONGEST_S):
        raise QsmError(f"the images were sent, but {waiting}; see 'gadgetron-qsm outbox list'")


@contextmanager
def _coming(source: Path | int) -> Iterator[tuple[Coming, Callable[[], None] | None]]:
    """Give the scan, and what ends whoever waits for more of it."""
    if isinstance(source, int):
        raw_bytes = Source(source)
        with BufferedReader(raw_bytes, _BUFFER) as stream:
            yield Coming.over(stream, STDIN), raw_bytes.stop
        return
    with readable(source) as path, opened_raw(path) as raw:
        if isinstance(raw, RawFile):
            yield Coming(raw.header_text, messages_of(raw)), None
        else:
            with path.open("rb") as file:
                yield Coming.over(file, source.name), None


@contextmanager
def _opened(target: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(target, Path):
        yield target
        return
    with replacing(target) as part, part.open("wb") as file:
        yield file


def _write(answers: Iterable[Message], scan: Coming, target: BinaryIO, *, hidden: bool) -> None:
    """Write the images among what comes back; nothing when there is none."""
    answer = None
    try:
        for message in answers:
            if isinstance(message, Image):
                answer = answer or scan.answer(target, hidden=hidden)
                answer.write(anonymous_image(message) if hidden else message)
        if answer is None:
            raise QsmError("no image came of the scan; see the log")
        answer.close()
    except BrokenPipeError as error:
        raise QsmError("whoever was to read the images has gone") from error
    except OSError as error:
        raise QsmError(f"the images cannot be written: {error.strerror or error}") from error
