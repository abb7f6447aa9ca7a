"""The commands of the outbox: `gadgetron-qsm outbox list|retry|export|send`."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.terminal import Set, overrides, print_line, screen

if TYPE_CHECKING:
    from gadgetron_qsm.delivery.letters import Letter, Line
    from gadgetron_qsm.delivery.outbox import Outbox
    from gadgetron_qsm.outgoing_sections import StoreSettings

app = typer.Typer(
    help="DICOM objects that wait for an archive: list, send, try again, take out.",
    no_args_is_help=True,
)

Folder = Annotated[
    Path | None,
    typer.Option("--outbox", metavar="DIR", help="the outbox; default in the user's state folder"),
]
NodeName = Annotated[str | None, typer.Option("--node", metavar="NAME", help="only for this node")]
Config = Annotated[
    str | None, typer.Option(help="configuration whose store.nodes shall replace those kept")
]
MOST_UIDS = 5  # of a series


@app.command("list")
def list_(
    outbox: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """List what waits for which node and why, and each object that a node does not take."""
    from gadgetron_qsm.delivery import letters
    from gadgetron_qsm.delivery.deliver import folder_of
    from gadgetron_qsm.delivery.outbox import Outbox

    folder = folder_of(outbox)
    if not folder.is_dir() and as_json:
        _print_json([], [], {})
        return
    if not folder.is_dir():
        print_line(f"nothing waits: there is no outbox {folder}")
        return
    with Outbox(folder) as opened:
        lines, dead = letters.lines(opened), letters.dead(opened)
        confirmed = letters.confirmed(opened)
    if as_json:
        _print_json(lines, dead, confirmed)
        return
    if lines:
        screen.print(_table(lines))
    for series, uids in _of_series(dead).items():
        screen.print(series, markup=False, highlight=False)
        for uid in uids[:MOST_UIDS]:
            print_line(f"    {uid}")
        if len(uids) > MOST_UIDS:
            print_line(f"    and {len(uids) - MOST_UIDS} more, which --json lists")
    counts = ", ".join(f"{name} {count}" for name, count in confirmed.items())
    print_line(f"{'' if lines else 'nothing waits; '}confirmed: {counts or 'none'}")


@app.command()
def retry(
    node: NodeName = None,
    outbox: Folder = None,
    config: Config = None,
    settings: Set = [],  # noqa: B006 - typer wants a list
) -> None:
    """Send now, in the foreground, everything that waits; what was given up waits again.

    Nodes are reached as the latest settings said, or as --config and --set say.
    """
    from gadgetron_qsm.delivery import letters
    from gadgetron_qsm.delivery.deliver import folder_of
    from gadgetron_qsm.delivery.outbox import Outbox
    from gadgetron_qsm.delivery.sender import Sender

    store = _store(config, settings)
    folder = folder_of(outbox or (store.outbox if store else None))
    with Outbox(_there(folder)) as opened:
        _configure(opened, store)
        letters.revive(opened, node)
    left = Sender(folder).flush(node=node)
    for line in left:
        why = line.error or "the node has not reported yet that it keeps them"
        print_line(f"{line.node}: {line.objects} objects {line.state}: {why}")
    if left:
        raise typer.Exit(1)


@app.command()
def export(
    target: Annotated[Path, typer.Argument(metavar="DIR")],
    node: NodeName = None,
    outbox: Folder = None,
    dead: Annotated[bool, typer.Option("--dead", help="only what a node does not take")] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="and take it out of the outbox: it is not sent")
    ] = False,
) -> None:
    """Write the objects that wait as files, to be brought to an archive by other means."""
    from gadgetron_qsm.delivery import letters
    from gadgetron_qsm.delivery.deliver import folder_of
    from gadgetron_qsm.delivery.outbox import Outbox

    with Outbox(_there(folder_of(outbox))) as opened:
        written = [key for _, key in letters.export(opened, target, node, only_dead=dead)]
        if remove:
            letters.remove(opened, written, node, only_dead=dead)
    print_line(f"{len(written)} objects written to {target}{', and removed' if remove else ''}")


@app.command()
def send(
    outbox: Folder = None,
    config: Config = None,
    settings: Set = [],  # noqa: B006 - typer wants a list
) -> None:
    """Stay and send what is put in the outbox, for sites whose scans are processes that end."""
    from gadgetron_qsm.delivery.deliver import folder_of
    from gadgetron_qsm.delivery.outbox import Outbox
    from gadgetron_qsm.delivery.sender import Sender

    store = _store(config, settings)
    folder = folder_of(outbox or (store.outbox if store else None))
    with Outbox(folder) as opened:
        _configure(opened, store)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    sender = Sender(folder)
    sender.start()
    print_line(f"sending what waits in {folder}")
    ended.wait()
    sender.stop()


def _store(config: str | None, settings: list[str]) -> StoreSettings | None:
    """Return what a configuration and texts say of nodes; None when there are neither."""
    from gadgetron_qsm import configs
    from gadgetron_qsm.mrd.properties import read_properties
    from gadgetron_qsm.settings import Settings

    if config is None and not settings:
        return None
    below = read_properties(configs.read(config)) if config else {}
    store = Settings.from_properties({**below, **overrides(settings)}).store
    if not store.nodes:
        raise UsageError("these settings name no node; set store.nodes to NAME=TITLE@HOST:PORT")
    return store


def _configure(outbox: Outbox, store: StoreSettings | None) -> None:
    from gadgetron_qsm.delivery.deliver import nodes_of, terms_of

    if store is not None:
        outbox.configure(nodes_of(store), terms_of(store))


def _there(folder: Path) -> Path:
    if not folder.is_dir():
        raise QsmError(f"there is no outbox {folder}; name its folder with --outbox")
    return folder


def _table(lines: Iterable[Line]) -> Table:
    """Return a paragraph a line, which fits any screen."""
    table = Table.grid(padding=(0, 2))
    for _ in ("node", "state"):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in lines:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(line.oldest_at))
        count = f"{line.objects} objects, {line.size_bytes / 1e6:.1f} MB, since {since}"
        tried = f"attempts {line.attempts}{_when(line)}"
        why = f": {line.error}" if line.error else ""
        table.add_row(*map(Text, (line.node, line.state, f"{count}\n{tried}{why}")))
    return table


def _of_series(dead: Iterable[Letter]) -> dict[str, list[str]]:
    """Return the instances that a node does not take, by what they have in common, as a line."""
    found: dict[str, list[str]] = {}
    for letter in dead:
        series = f"series {letter.series_number or '?'} '{letter.series_description}'"
        line = f"dead: {letter.node}: {series}: {letter.error}"
        found.setdefault(line, []).append(letter.instance_uid)
    return found


def _when(line: Line) -> str:
    if line.state != "waiting":
        return ""
    seconds = line.next_at - time.time()
    return f", next in {seconds:.0f} s" if seconds > 0 else ", next now"


def _print_json(lines: list[Line], dead: list[Letter], confirmed: dict[str, int]) -> None:
    document = {
        "deliveries": [asdict(line) for line in lines],
        "dead": [asdict(letter) for letter in dead],
        "confirmed": confirmed,
    }
    print_line(json.dumps(document, indent=2))
