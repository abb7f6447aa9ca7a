"""What a Gadgetron configuration names: <execute name="gadgetron_qsm.gadgets" target="qsm"/>.

Targets: `qsm` does everything; `combine`, `susceptibility` and `deliver` are the same cut in three,
and `measure` may stand before `deliver`.
Each takes the connection that `python -m gadgetron` hands it, and ends with status 1 on failure.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any

from gadgetron_qsm import chain
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.identity_rules import completed
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.measurement import gadget as measurement
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.document import quoted_values
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import map_to_image
from gadgetron_qsm.mrd.messages import Image, Message
from gadgetron_qsm.mrd.slices import images_to_maps
from gadgetron_qsm.mrd.wire import NoClose, PeerGone
from gadgetron_qsm.outgoing import send_what_waits
from gadgetron_qsm.precedence import (
    operator_parameters,
    resident_properties,
    scan_properties,
)
from gadgetron_qsm.processors import processors
from gadgetron_qsm.rehearsal import rehearse
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site import logs, scans
from gadgetron_qsm.site.log_lines import warnings_told
from gadgetron_qsm.spool.kept import spooled
from gadgetron_qsm.wanted import keeps

log = logging.getLogger(__name__)

Sent = chain.Sent
Target = Callable[[Iterable[Message], Header, Settings], Iterator[Sent]]

NONE: Mapping[str, str] = MappingProxyType({})
QUOTED = (
    "%d values of this scan's header are not what its schema wants: the gadgetron package may have "
    "printed them before gadgetron-qsm was asked; correct the converter, or have Gadgetron connect "
    "to a resident process (configuration qsm_connect)"
)
LINGER_S = 20.0  # that a process of one scan goes on sending


def qsm(connection: Any) -> None:
    """Turn whatever comes (readouts, buckets, buffers, images) into the console's images."""
    _serve_gadgetron(connection, chain.qsm, rehearsed=True)


def combine(connection: Any) -> None:
    """Turn readouts or images into one complex image an echo."""
    _serve_gadgetron(connection, chain.combined_images, rehearsed=True)


def susceptibility(connection: Any) -> None:
    """Turn complex echo images into maps."""
    _serve_gadgetron(connection, _all_maps, rehearsed=True)


def measure(connection: Any) -> None:
    """Pass maps on as they come, and measure them when all have been passed on."""
    _serve_gadgetron(connection, measurement.measure)


def deliver(connection: Any) -> None:
    """Turn maps into the console's images, and DICOM files where settings say so."""
    _serve_gadgetron(connection, _delivered)


def run(
    connection: Connection,
    target: Target,
    settings: Settings,
    incoming: Iterable[Message],
) -> None:
    """Run a target on what comes over a connection and send what it makes.

    When the peer is gone before it has all, what goes elsewhere is made all the same.
    """
    header = completed(Header.parse(connection.header_text), settings.identity)
    messages = target(incoming, header, settings)
    with processors():
        try:
            for message in messages:
                connection.send(message)
        except PeerGone:
            if keeps(settings):
                deque(messages, maxlen=0)
            raise


def serve_resident(connection: Connection, site: Mapping[str, str] = NONE) -> None:
    """Run the whole chain for a Gadgetron that connects to a resident process.

    `site` are the properties of the process's own configuration; see precedence for whose hold.
    What comes is spooled as they say, else as the chain's do.
    """

    def settings() -> Settings:
        properties = resident_properties(connection.properties, site)
        return _for_gadgetron(Settings.from_properties(properties))

    _serve(connection, site, settings, lambda incoming: incoming)


def serve_scan(connection: Connection, site: Mapping[str, str] = NONE, site_name: str = "") -> None:
    """Run the whole chain for a client of our own server.

    `site` are the properties of the server's own configuration, and `site_name` its name; see
    precedence for whose hold. Raises QsmError for settings that are wrong, or that a client may not
    set. What comes is spooled as the site says, else as the configuration does. The client is told
    what the log warns of.
    """

    def settings() -> Settings:
        given = operator_parameters(connection.header_text, connection.peek())
        own = connection.properties
        return Settings.from_properties(
            scan_properties(connection.config, own, given, site, site_name)
        )

    with warnings_told(connection):
        _serve(connection, site, settings, _to_its_end)


def serve_pipe(
    connection: Connection, site: Mapping[str, str], site_name: str, changed: Mapping[str, str]
) -> None:
    """Run the whole chain for a client in this process, which passes a stream on, to its CLOSE.

    Settings hold as in serve_scan, but for what the user has `changed`, which holds in any case.
    """

    def settings() -> Settings:
        given = operator_parameters(connection.header_text, connection.peek())
        own = connection.properties
        properties = scan_properties(connection.config, own, given, site, site_name)
        return _for_pipe(Settings.from_properties({**properties, **changed}))

    _serve(connection, site, settings, lambda incoming: incoming)


def _serve(
    connection: Connection,
    site: Mapping[str, str],
    settings_of: Callable[[], Settings],
    whole: Callable[[Iterable[Message]], Iterable[Message]],
) -> None:
    """Spool and run a scan; what is wrong with its settings does not cost its data."""
    spool = Settings.from_properties(site).spool
    with ExitStack() as stack:
        incoming = stack.enter_context(spooled(connection, spool))
        settings = settings_of()
        if spool.folder is None:
            incoming = stack.enter_context(spooled(connection, settings.spool, recovers=True))
        run(connection, chain.qsm, settings, whole(incoming))


def _to_its_end(messages: Iterable[Message]) -> Iterator[Message]:
    """Pass messages on; a peer that ends without CLOSE, as some shut down instead, has ended."""
    try:
        yield from messages
    except NoClose as error:
        log.warning("taken as the end of the scan: %s", error)


def _serve_gadgetron(gadgetron_connection: Any, target: Target, *, rehearsed: bool = False) -> None:
    """Run a target; what it compiles and loads, if `rehearsed`, is made ready while the first
    readouts wait in the connection's inbox. At the end it sends what waits for archives.
    """
    logs.set_up_for_gadgetron()
    connection = Connection.adopt(gadgetron_connection)
    with scans.scanning(connection) as scan:
        if quoted := quoted_values(connection.header_text):
            log.warning(QUOTED, quoted)
        settings: Settings | None = None
        told = ""
        try:
            settings = _for_gadgetron(Settings.from_properties(connection.properties))
            logs.adopt(settings.health)
            if rehearsed:
                rehearse(settings)
            with spooled(connection, settings.spool, recovers=True) as incoming:
                run(connection, target, settings, incoming)
        except Exception as error:
            _tell_gadgetron(connection, error, scan.failed(error))
            told = str(error)
            raise SystemExit(1) from error
        finally:
            connection.close()
            waiting = send_what_waits(settings.store, LINGER_S) if settings else None
            if waiting and waiting != told:
                log.warning("%s", waiting)


def _tell_gadgetron(connection: Connection, error: Exception, line: str) -> None:
    """Log why there is no result, and have the client told in a line."""
    if isinstance(error, PeerGone):  # nobody is there to be told
        log.error("%s", error)
    elif isinstance(error, QsmError):
        log.error("%s", error)
        connection.fail_inside_gadgetron(line)
    else:
        log.error("the chain failed", exc_info=error)
        connection.fail_inside_gadgetron(f"the chain failed: {line}")


def _for_gadgetron(settings: Settings) -> Settings:
    """Return the settings unless they ask for what would end a Gadgetron's stream."""
    if settings.deliver.console != "images":
        raise UsageError("deliver.console: a Gadgetron takes images alone; leave it out")
    return settings


def _for_pipe(settings: Settings) -> Settings:
    """Return the settings unless they ask for what is no part of a stream of images."""
    if settings.deliver.console != "images":
        raise UsageError("deliver.console: a stream has images alone; name deliver.dicom_folder")
    return settings


def _all_maps(messages: Iterable[Message], header: Header, settings: Settings) -> Iterator[Image]:
    maps = chain.susceptibility(chain.combine(messages, header, settings), settings)
    for index, volume in enumerate(maps, start=1):
        scans.see(volume.report, volume.repetition)
        scans.made(volume.name)
        yield map_to_image(volume, index)


def _delivered(messages: Iterable[Message], header: Header, settings: Settings) -> Iterator[Sent]:
    return chain.deliver(_received_maps(messages), header, settings)


def _received_maps(messages: Iterable[Message]) -> Iterator[Map]:
    return images_to_maps(message for message in messages if isinstance(message, Image))
