"""What a Gadgetron configuration names: <execute name="gadgetron_qsm.gadgets" target="qsm"/>.

Targets: `qsm` does everything; `combine`, `susceptibility` and `deliver` are the same cut in three.
Each takes the connection that `python -m gadgetron` hands it, and ends with status 1 on failure.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from gadgetron_qsm import chain, configs
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.identity_rules import completed
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import map_to_image
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
    connection: Connection, target: Target, settings: Settings, *, close_expected: bool = True
) -> None:
    """Run a target on a connection and send what it makes.

    When the peer is gone before it has all, what goes elsewhere is made all the same. Without
    `close_expected` a peer that ends behind a message has ended the scan: whether all has come is
    then for the target to tell.
    """
    header = completed(Header.parse(connection.header_text), settings.identity)
    # SPOOL: what comes is to be spooled here, in front of everything that may fail.
    incoming: Iterable[Message] = connection
    if not close_expected:
        incoming = _to_its_end(incoming)
    messages = target(incoming, header, settings)
    with processors():
        try:
            for message in messages:
                connection.send(message)
        except PeerGone:
            if keeps(settings):
                deque(messages, maxlen=0)
            raise


def serve_resident(connection: Connection) -> None:
    """Run the whole chain for a Gadgetron that connects to a resident process."""
    run(connection, chain.qsm, _for_gadgetron(Settings.from_properties(connection.properties)))


def serve_scan(connection: Connection, site: Mapping[str, str] = MappingProxyType({})) -> None:
    """Run the whole chain for a client of our own server, configured by name or by XML.

    `site` are properties of the server's own configuration. Of these, where maps are kept, whose
    they are and where they are sent hold for a client's XML, too, which may not set them: raises
    QsmError for settings that would let a client write to the server's disk, connect it to others,
    or have patients named in images. Parameters that an operator sets (see parameters) come on top;
    a configuration that they name takes the place of the client's.
    """
    properties = connection.properties
    kept = {key: value for key, value in site.items() if _of_the_server(key)}
    if isinstance(connection.config, ConfigFile):
        properties = read_properties(configs.load(connection.config.name))
    elif own := [key for key in properties if _of_the_server(key)]:
        raise QsmError(f"clients may not set {own[0]}; name it in a configuration here")
    else:
        properties = {**kept, **properties}
    if (given := _parameters(connection)) is not None:
        configured = given.keys() & {"config", "customconfig"}
        properties = {**(kept if configured else properties), **to_properties(given)}
    with warnings_told(connection):
        settings = Settings.from_properties(properties)
        run(connection, chain.qsm, settings, close_expected=False)


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
