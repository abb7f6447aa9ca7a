"""The server as a command: until a signal."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gadgetron_qsm.delivery.deliver import opened
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.server.child import TO_THE_PARENT
from gadgetron_qsm.server.dispatcher import Dispatcher
from gadgetron_qsm.server.job import Job, Scans
from gadgetron_qsm.server.serving import listen
from gadgetron_qsm.settings import Settings, properties_of
from gadgetron_qsm.site.watch import watching
from gadgetron_qsm.site_sections import ServerSettings, SpoolSettings
from gadgetron_qsm.spool.recovery import recover

if TYPE_CHECKING:
    from gadgetron_qsm.site.metrics import Metrics

log = logging.getLogger(__name__)

Ready = Callable[[int], None]


def serve(
    host: str,
    port: int,
    config: str,
    changed: Mapping[str, str],
    *,
    inside_gadgetron: bool = False,
    ready: Ready,
) -> None:
    """Serve scans with the properties of a configuration (name or file), and changes to them.

    What waits for its archives since the last process is sent from now on. See `run`.
    Raises UsageError for wrong settings.
    """
    properties = properties_of(config, changed)
    site = Settings.from_properties(properties)
    with watching(site, device=False) as metrics:
        opened(site.store)
        _recover(site.spool)
        name = Path(config).name.removesuffix(".xml")
        job = Scans(properties, inside_gadgetron, site.server.silence_s, name=name)
        run(host, port, job, site.server, ready=ready, metrics=metrics)


def _recover(spool: SpoolSettings) -> None:
    try:
        recover(spool)
    except QsmError as error:  # scans succeed without it
        log.warning("%s", error)


def run(
    host: str,
    port: int,
    job: Job,
    settings: ServerSettings,
    *,
    ready: Ready,
    metrics: Metrics | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT: scans that run then have server.grace_s to end.

    A second signal ends them. `ready` is told the port when the first scan can be taken. To be
    called by the main thread. Raises QsmError when the port is not free or nothing can be started.
    """
    with listen(host, port) as listener:
        bound = listener.getsockname()[1]
        dispatcher = Dispatcher(listener, job, settings, ready=lambda: ready(bound))
        if metrics:
            metrics.running.set_function(lambda: dispatcher.running)
            metrics.workers.set_function(lambda: dispatcher.workers)
        with _signals_to(dispatcher.stop):
            dispatcher.run()


@contextmanager
def _signals_to(stop: Callable[[], None]) -> Iterator[None]:
    before = {number: signal.signal(number, lambda *_: stop()) for number in TO_THE_PARENT}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
