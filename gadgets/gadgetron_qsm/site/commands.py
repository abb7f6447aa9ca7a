"""The commands that look at what is installed, at files, and at a server that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.terminal import print_line, print_pairs

if TYPE_CHECKING:
    from gadgetron_qsm.site.findings import Finding


def check(
    subject: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG|RAW|DIR]", show_default=False)
    ] = None,
) -> None:
    """Tell whether a configuration, a raw file, a series or the installation is usable."""
    from gadgetron_qsm.check import check as check_subject

    found = list(check_subject(subject))
    print_pairs(_shown(finding) for finding in found)
    if errors := sum(f.level == "error" for f in found):
        raise QsmError(f"{subject or 'this installation'} is not usable, errors: {errors}")


def health(
    host: Annotated[str, typer.Option(help="where it listens")] = "127.0.0.1",
    port: int = 9002,
    config: Annotated[
        str | None, typer.Option(help="its configuration, to look at disks and outbox too")
    ] = None,
    timeout: Annotated[float, typer.Option(help="s; a process may have to be started")] = 30.0,
    strict: Annotated[bool, typer.Option("--strict", help="warnings count as well")] = False,
) -> None:
    """Tell whether a `serve` or `gadget` that runs is well: status 0, or else 1; for monitors."""
    from gadgetron_qsm.site.health import health as look

    found = look(host, port, timeout, config)
    for finding in found:
        print_line(f"{finding.level}: {finding}")
    if {finding.level for finding in found} & {"error", *(["warning"] if strict else [])}:
        raise typer.Exit(1)


def _shown(finding: Finding) -> tuple[str, str]:
    """Return what stands in front, and the text; of what is wrong, how bad it is."""
    if finding.level == "ok":
        return finding.what, finding.text
    place = f"line {finding.line}" if finding.line else finding.what
    return finding.level, f"{place}: {finding.text}"
