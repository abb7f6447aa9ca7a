"""The commands that serve scans until a signal; see `command`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from gadgetron_qsm import __version__
from gadgetron_qsm.terminal import Set, overrides, print_line

Host = Annotated[str, typer.Option(help="address to listen on; MRD has no passwords")]
Rehearsed = Annotated[
    str, typer.Option(help="the site's own configuration, made ready for its scans: name or file")
]


def serve(
    host: Host = "127.0.0.1",
    port: int = 9002,
    config: Rehearsed = "qsm",
    settings: Set = [],  # noqa: B006 - typer wants a list
) -> None:
    """Serve MRD clients: Gadgetron's, FIRE's and OpenRecon's."""
    from gadgetron_qsm.server.command import serve as serve_scans

    serve_scans(host, port, config, overrides(settings), ready=_tell(host))


def gadget(
    host: Host = "127.0.0.1",
    port: int = 18000,
    config: Rehearsed = "qsm",
    settings: Set = [],  # noqa: B006 - typer wants a list
) -> None:
    """Stay resident for a Gadgetron chain's <connect>, scan after scan."""
    from gadgetron_qsm.server.command import serve as serve_scans

    changed = overrides(settings)
    serve_scans(host, port, config, changed, inside_gadgetron=True, ready=_tell(host))


def _tell(host: str) -> Callable[[int], None]:
    return lambda port: print_line(f"gadgetron-qsm {__version__} listens on {host}:{port}")
