"""The command that replays raw files: one, or a cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gadgetron_qsm.terminal import Set, overrides, print_line


def replay(
    raw: Annotated[list[Path], typer.Argument(metavar="RAW|FOLDER...")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the results")],
    config: Annotated[str, typer.Option(help="name or file of a configuration")] = "qsm",
    settings: Set = [],  # noqa: B006 - typer wants a list
    server: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="an MRD server that computes")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            max=64,
            help="scans at once; default one a GPU or, without, one a processor",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT|slurm|local", help="a scheduler of Dask, whose workers replay"
        ),
    ] = None,
    bids: Annotated[
        Path | None, typer.Option(metavar="DIR", help="put the maps into a BIDS dataset as well")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="keep scans that are done with the same raw data, settings and version; without "
            "it all are replayed, and take the place of what is there",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what would be done, and change nothing")
    ] = False,
) -> None:
    """Send raw files through the chain, several and those in folders at once.

    The results of one file are in the output folder itself. Those of several, and of the files in
    folders (.h5, .hdf5, .mrd, .dat), have a folder each there, by the files' paths without suffix,
    and cohort.json and cohort.html tell of all. A scan that fails does not end the others: it is
    listed at the end, with the command to try again, and the exit status is 1.
    """
    from gadgetron_qsm.cohort.asked import Asked
    from gadgetron_qsm.cohort.cohort import Interrupted, replay_cohort, show_plan

    asked = Asked(
        sources=raw,
        output=output,
        config=config,
        overrides=overrides(settings),
        server=_address(server),
        bids=bids,
        scheduler=scheduler,
        jobs=jobs,
        resume=resume,
    )
    if dry_run:
        show_plan(asked)
        return
    if asked.one:
        from gadgetron_qsm.cohort.alone import replay_alone

        replay_alone(asked)
        return
    try:
        replay_cohort(asked)
    except Interrupted as interrupted:
        print_line(f"interrupted; to go on: {asked.command()}")
        raise typer.Exit(128 + interrupted.number) from interrupted


def _address(server: str | None) -> tuple[str, int] | None:
    if server is None:
        return None
    host, _, port = server.rpartition(":")
    if not host or not port.isdigit():
        raise typer.BadParameter("--server takes HOST:PORT")
    return host, int(port)
