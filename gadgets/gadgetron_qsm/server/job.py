"""What workers do: get ready, and serve a scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.server.ledger import Ledger
from gadgetron_qsm.site import logs

AFTER_LAST_S = 30.0  # of silence behind the last readout: a client without CLOSE has said all


class Job(Protocol):
    """What a worker is given; it is pickled."""

    @property
    def inside_gadgetron(self) -> bool:
        """Whether clients are Gadgetrons, which are told of failures in their own way."""

    @property
    def silence_s(self) -> float:
        """How long a client may send, or take, nothing in the scan."""

    @property
    def after_last_s(self) -> float | None:
        """The same behind the last readout of a measurement; None where CLOSE is sure to come."""

    def fail(self, connection: Connection, line: str) -> None:
        """Tell a client why there is no result."""

    def kept(self, process: int, since: float) -> str:
        """Say, in the parent, how to replay the scan of a process that was killed; nothing if it
        kept none. It was given the scan at `since`, as of time.time().
        """

    def prepare(self, ledger: Ledger) -> None:
        """Get ready in a new process, which plans its memory with the ledger."""

    def handle(self, connection: Connection) -> None:
        """Serve a scan; what this raises, the client is told."""


@dataclass(frozen=True)
class Scans:
    """The whole chain for clients of our server, or for a Gadgetron's <connect>.

    `properties` are those of the site's configuration: the scans to come are rehearsed with them.
    `name` is what its clients call that.
    """

    properties: Mapping[str, str] = field(default_factory=dict)
    inside_gadgetron: bool = False
    silence_s: float = 600.0
    log_options: logs.Options = field(default_factory=logs.options)
    name: str = ""

    @property
    def after_last_s(self) -> float | None:
        """Gadgetron says CLOSE, whenever that is."""
        return None if self.inside_gadgetron else min(AFTER_LAST_S, self.silence_s)

    def fail(self, connection: Connection, line: str) -> None:
        """Tell a client why there is no result, a Gadgetron when it has sent all."""
        if self.inside_gadgetron:
            connection.fail_inside_gadgetron(line)
        else:
            connection.fail_as_server(line)

    def kept(self, process: int, since: float) -> str:
        """Find what the spool has of the scan."""
        from gadgetron_qsm.settings import Settings
        from gadgetron_qsm.spool.recovery import left_by

        return left_by(Settings.from_properties(self.properties).spool, process, since)

    def prepare(self, ledger: Ledger) -> None:
        """Set up the log, and make ready what a scan compiles and loads."""
        logs.set_up(self.log_options)
        from gadgetron_qsm.ingest import memory
        from gadgetron_qsm.rehearsal import rehearse
        from gadgetron_qsm.settings import Settings
        from gadgetron_qsm.site.selftest import computes, require

        memory.share(ledger.reserve)
        settings = Settings.from_properties(self.properties)
        require(computes(settings.device))
        rehearse(settings)

    def handle(self, connection: Connection) -> None:
        """Run the chain."""
        from gadgetron_qsm import gadgets

        if self.inside_gadgetron:
            gadgets.serve_resident(connection, self.properties)
        else:
            gadgets.serve_scan(connection, self.properties, self.name)
