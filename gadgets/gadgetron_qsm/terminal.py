"""What the commands share: the screen, and settings given as --set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

screen = Console()

Set = Annotated[
    list[str], typer.Option("--set", metavar="STAGE.KEY=VALUE", help="change a setting; repeatable")
]


def overrides(settings: Iterable[str]) -> dict[str, str]:
    """Return texts by key; raises BadParameter for one without '='."""
    pairs = [setting.partition("=") for setting in settings]
    if any(not equals for _, equals, _ in pairs):
        raise typer.BadParameter("--set takes STAGE.KEY=VALUE")
    return {key.strip(): value for key, _, value in pairs}


def print_line(text: str) -> None:
    """Print as it is, and in one line, which a program may read."""
    screen.print(text, markup=False, highlight=False, soft_wrap=True)


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Print a table of two columns, the first in bold."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for what, text in pairs:
        table.add_row(Text(what), Text(text))
    screen.print(table)


@contextmanager
def bar(text: str) -> Iterator[Callable[[float], None]]:
    """Show a bar, and give what moves it, to a fraction from 0 to 1."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen) as progress:
        task = progress.add_task(text, total=1.0)
        yield lambda fraction: progress.update(task, completed=fraction)
