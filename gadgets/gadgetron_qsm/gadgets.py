"""What a Gadgetron configuration names: <execute name="gadgetron_qsm.gadgets" target="qsm"/>.

Targets: `qsm` does everything; `combine`, `susceptibility` and `deliver` are the same cut in three.
Each takes the connection that `python -m gadgetron` hands it, and ends with status 1 on failure.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any

from gadgetron_qsm import chain, configs
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.identity_rules import completed
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import map_to_image
from gadgetron_qsm.mrd.kept import spooled
from gadgetron_qsm.mrd.log_lines import warnings_told
from gadgetron_qsm.mrd.messages import ConfigFile, Image, Message, Text
from gadgetron_qsm.mrd.properties import read_properties
from gadgetron_qsm.mrd.slices import images_to_maps
from gadgetron_qsm.mrd.wire import NoClose, PeerGone
from gadgetron_qsm.outgoing import keeps, send_what_waits
from gadgetron_qsm.parameters import read_parameters, to_properties
from gadgetron_qsm.processors import processors
from gadgetron_qsm.rehearsal import rehearse
from gadgetron_qsm.settings import Settings

log = logging.getLogger(__name__)

Sent = chain.Sent
Target = Callable[[Iterable[Message], Header, Settings], Iterator[Sent]]

FOLDERS = ("deliver.dicom_folder", "deliver.report_folder")
OF_THE_SERVER = ("store.", "identity.", "server.", "spool.", "health.")
NONE: Mapping[str, str] = MappingProxyType({})
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


def deliver(connection: Any) -> None:
    """Turn maps into the console's images, and DICOM files where settings say so."""
    _serve_gadgetron(connection, _delivered)


def run(
    connection: Connection,
    target: Target,
    settings: Settings,
    incoming: Iterable[Message] | None = None,
) -> None:
    """Run a target on what comes over a connection and send what it makes.

    `incoming` is what comes, by default spooled as settings say. When the peer is gone before it
    has all, what goes elsewhere is made all the same.
    """
    if incoming is None:
        with spooled(connection, settings.spool) as incoming:
            run(connection, target, settings, incoming)
        return
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

    What comes is spooled as the properties of the process say, else as the chain's do.
    """

    def settings() -> Settings:
        return _for_gadgetron(Settings.from_properties(connection.properties))

    _serve(connection, _of_site(site), settings, lambda incoming: incoming)


def serve_scan(connection: Connection, site: Mapping[str, str] = NONE) -> None:
    """Run the whole chain for a client of our own server, configured by name or by XML.

    `site` are properties of the server's own configuration. Of these, where maps are kept, whose
    they are and where they are sent hold for a client's XML, too, which may not set them: raises
    QsmError for settings that would let a client write to the server's disk, connect it to others,
    or have patients named in images. Parameters that an operator sets (see parameters) come on top;
    a configuration that they name takes the place of the client's. What comes is spooled as the
    site says, else as the configuration does. The client is told what the log warns of.
    """
    kept = _of_site(site)
    with warnings_told(connection):
        _serve(connection, kept, lambda: _settings_of(connection, kept), _to_its_end)


def _serve(
    connection: Connection,
    kept: Mapping[str, str],
    settings_of: Callable[[], Settings],
    whole: Callable[[Iterable[Message]], Iterable[Message]],
) -> None:
    """Spool and run a scan; what is wrong with its settings does not cost its data."""
    spool = Settings.from_properties(kept).spool
    with ExitStack() as stack:
        incoming = stack.enter_context(spooled(connection, spool))
        settings = settings_of()
        if spool.folder is None:
            incoming = stack.enter_context(spooled(connection, settings.spool))
        run(connection, chain.qsm, settings, whole(incoming))


def _settings_of(connection: Connection, kept: Mapping[str, str]) -> Settings:
    """Return the settings of a client's scan; `kept` are those of the site that hold for all."""
    properties = connection.properties
    if isinstance(connection.config, ConfigFile):
        properties = read_properties(configs.load(connection.config.name))
    elif own := [key for key in properties if _of_the_server(key)]:
        raise QsmError(f"clients may not set {own[0]}; name it in a configuration here")
    else:
        properties = {**kept, **properties}
    if (given := _parameters(connection)) is not None:
        configured = given.keys() & {"config", "customconfig"}
        properties = {**(kept if configured else properties), **to_properties(given)}
    return Settings.from_properties(properties)


def _to_its_end(messages: Iterable[Message]) -> Iterator[Message]:
    """Pass messages on; a peer that ends without CLOSE, as some shut down instead, has ended."""
    try:
        yield from messages
    except NoClose as error:
        log.warning("taken as the end of the scan: %s", error)


def _parameters(connection: Connection) -> dict[str, str | bool] | None:
    """Return the parameters that the operator set, if the client sends them in front of data."""
    first = connection.peek()
    return read_parameters(first.text) if isinstance(first, Text) else None


def _of_site(properties: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in properties.items() if _of_the_server(key)}


def _of_the_server(key: str) -> bool:
    return key in FOLDERS or key.startswith(OF_THE_SERVER)


def _serve_gadgetron(gadgetron_connection: Any, target: Target, *, rehearsed: bool = False) -> None:
    """Run a target; what it compiles and loads, if `rehearsed`, is made ready while the first
    readouts wait in the connection's inbox. At the end it sends what waits for archives.
    """
    connection = Connection.adopt(gadgetron_connection)
    settings: Settings | None = None
    try:
        settings = _for_gadgetron(Settings.from_properties(connection.properties))
        if rehearsed:
            rehearse(settings)
        run(connection, target, settings)
    except PeerGone as error:
        log.error("%s", error)
        raise SystemExit(1) from error
    except QsmError as error:
        log.error("%s", error)
        connection.fail_inside_gadgetron(str(error))
        raise SystemExit(1) from error
    except Exception as error:
        log.exception("the chain failed")
        text = " ".join(f"the chain failed: {type(error).__name__}: {error}".split())
        connection.fail_inside_gadgetron(text)
        raise SystemExit(1) from error
    finally:
        connection.close()
        if settings and (waiting := send_what_waits(settings.store, LINGER_S)):
            log.warning("%s", waiting)


def _for_gadgetron(settings: Settings) -> Settings:
    """Return the settings unless they ask for what would end a Gadgetron's stream."""
    if settings.deliver.console != "images":
        raise UsageError("deliver.console: a Gadgetron takes images alone; leave it out")
    return settings


def _all_maps(messages: Iterable[Message], header: Header, settings: Settings) -> Iterator[Image]:
    maps = chain.susceptibility(chain.combine(messages, header, settings), settings)
    for index, volume in enumerate(maps, start=1):
        yield map_to_image(volume, index)


def _delivered(messages: Iterable[Message], header: Header, settings: Settings) -> Iterator[Sent]:
    return chain.deliver(_received_maps(messages), header, settings)


def _received_maps(messages: Iterable[Message]) -> Iterator[Map]:
    return images_to_maps(message for message in messages if isinstance(message, Image))
