"""The commands; each is a thin layer over a function."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gadgetron_qsm.cohort.commands import replay
from gadgetron_qsm.delivery.commands import app as outbox
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.measure.commands import compare
from gadgetron_qsm.openrecon.commands import app as openrecon
from gadgetron_qsm.server.commands import gadget, serve
from gadgetron_qsm.site import logs
from gadgetron_qsm.site.commands import check, health
from gadgetron_qsm.stream import stream
from gadgetron_qsm.terminal import bar, print_line, print_pairs

app = typer.Typer(
    help="Quantitative susceptibility mapping, from raw k-space to a series in ppb.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(outbox, name="outbox")
app.add_typer(openrecon, name="openrecon")

Output = Annotated[Path, typer.Option("--output", "-o", help="folder for the results")]


def _list_variants(wanted: bool) -> None:
    if wanted:
        from gadgetron_qsm.phantom.variants import VARIANTS

        print_pairs((name, variant.text) for name, variant in VARIANTS.items())
        raise typer.Exit


def _list_methods(wanted: bool) -> None:
    if wanted:
        from gadgetron_qsm.stage import described

        print_pairs(described())
        raise typer.Exit


@app.callback()
def _main(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="log what happens")] = False,
    log_format: Annotated[
        Literal["text", "json"] | None, typer.Option(help="of a line; default health.log_format")
    ] = None,
) -> None:
    stays = context.invoked_subcommand in ("serve", "gadget")
    level = logging.INFO if stays or verbose else logging.WARNING
    level = logging.DEBUG if stays and verbose else level
    logs.set_up(logs.Options(level, log_format or "text", fixed=log_format is not None))


@app.command()
def demo(output: Output = Path("demo")) -> None:
    """Simulate a scan of a digital head, stream it through the chain, compare with the truth."""
    from gadgetron_qsm.phantom.scan import Scan

    raw = output / "head.h5"
    _simulate(raw, Scan(), None, None)
    replay([raw], output)


@app.command()
def simulate(
    path: Annotated[Path, typer.Argument(metavar="OUT.h5")],
    labels: Annotated[Path | None, typer.Option(help="labelled head, NIfTI")] = None,
    values: Annotated[Path | None, typer.Option(help="table of tissues, CSV")] = None,
    voxel_size: Annotated[tuple[float, float, float], typer.Option(metavar="Z Y X", help="mm")] = (
        2.0,
        2.0,
        2.0,
    ),
    field_strength: Annotated[float, typer.Option(help="T")] = 3.0,
    echo_times: Annotated[str, typer.Option(help="ms, separated by commas")] = (
        "4.5,9.8,15.1,20.4,25.7"
    ),
    tr: Annotated[float, typer.Option(help="ms")] = 32.0,
    coils: int = 8,
    snr: Annotated[float, typer.Option(help="of white matter in the first echo")] = 60.0,
    tilt: Annotated[float, typer.Option(help="of the head about left-right, degrees")] = 20.0,
    variant: Annotated[
        list[str], typer.Option(help="unlike the plain scan, see --variants; repeatable")
    ] = [],  # noqa: B006 - typer wants a list
    variants: Annotated[  # noqa: ARG001 - its callback does it
        bool,
        typer.Option(
            "--variants", help="list the variants", callback=_list_variants, is_eager=True
        ),
    ] = False,
    seed: int = 0,
) -> None:
    """Simulate the raw data of a head; the truth is saved beside it as OUT_truth.npz."""
    from gadgetron_qsm.phantom.scan import Scan
    from gadgetron_qsm.phantom.variants import varied

    try:
        times = tuple(float(te) / 1000 for te in echo_times.split(","))
    except ValueError as error:
        raise typer.BadParameter("echo times are numbers in ms, separated by commas") from error
    scan = Scan(
        voxel_size_mm=voxel_size,
        field_strength_t=field_strength,
        echo_times_s=times,
        tr_s=tr / 1000,
        coils=coils,
        snr=snr,
        tilt_deg=tilt,
        seed=seed,
    )
    _simulate(path, varied(scan, variant), labels, values)


app.command()(replay)
app.command()(serve)
app.command()(gadget)
app.command()(stream)


@app.command()
def stage(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    source: Annotated[Path, typer.Option("--input", "-i", help="folder with NIfTI files")],
    output: Output,
    method: Annotated[
        str | None, typer.Option(metavar="NAME[+NAME]", help="of the steps, see --methods")
    ] = None,
    methods: Annotated[  # noqa: ARG001 - its callback does it
        bool,
        typer.Option(
            "--methods",
            help="list the stages, their steps and methods",
            callback=_list_methods,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Run one stage on NIfTI files, by the QSM-CI contract.

    NAME: field-mapping, bfr, dipole, bfr+dipole, end-to-end or chi-separation. The input folder
    has params.json with TE (s), B0 (T), B0_dir and voxel_size (mm, x y z), the maps that the stage
    needs (phase in rad, magnitude, mask, totalfield, localfield, in ppm; .nii.gz), and config.json
    if parameters of the method shall be other than their defaults.
    """
    from gadgetron_qsm.stage import run_stage

    for line in run_stage(name, source, output, method):
        print_line(line)


app.command()(compare)
app.command()(check)
app.command()(health)


@app.command()
def install_config(
    prefix: Annotated[
        Path,
        typer.Option(envvar="GADGETRON_HOME", help="where the Gadgetron server is installed"),
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="also files that differ from ours")
    ] = False,
) -> None:
    """Put the configurations where a Gadgetron server finds them by name."""
    from gadgetron_qsm import configs

    placed, kept = configs.install(prefix, replace=replace)
    for path in placed:
        print_line(f"installed: {path}")
    for path in kept:
        print_line(f"kept, it differs from ours: {path}; --replace takes ours")


def main() -> None:
    """Run a command: 0 done, 1 the data or the chain failed (one line says why), 2 wrong use."""
    try:
        app()
    except QsmError as error:
        print(f"gadgetron-qsm: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2 if isinstance(error, UsageError) else 1)


def _simulate(path: Path, scan: Any, labels: Path | None, values: Path | None) -> None:
    from gadgetron_qsm.phantom.simulation import simulate as simulate_scan

    with bar(f"simulating {path.name}") as update:
        truth = simulate_scan(path, scan, labels, values, lambda part, _text: update(part))
    print_line(f"written: {path}, {truth}")
