"""Stream a scan through the product: ingest rate, latency by stage, memory; one table and JSON.

Usage: python -m tests.benchmarks.latency [--size tiny|small|clinical|large] [--preset NAME ...]
    [--pace FACTOR] [--device auto|cpu|gpu] [--set stage.key=value] [--repeats N] [--json FILE]
    [--compare]

On a machine with a GPU, offline or not (README.md beside says what must be installed there):
    PYTHONPATH=gadgets python -m tests.benchmarks.latency --size clinical --device gpu \
        --preset fast standard --repeats 3 --json latency.json

The product is a process of its own, `gadgetron-qsm gadget`, on loopback; this one is scanner and
console. Readouts go as fast as the product takes them, or with --pace 1 as a scanner sends them,
one TR of 35 ms after the other. Latency counts from the last readout handed to the socket to the
chi map and to the last image. At full speed up to 256 MB of readouts still wait in the product
then, at the scanner's pace none. Of the latency, 'end of ingest' comes before the coil images:
readouts that waited, the last transforms, GRAPPA; 'between stages' is what no stage is timed for.
The stage 'ingest' begins with the stream; 'rate to coil images' is over all of it.
The first scan of a process finds kernels not loaded yet (cold); of the others the one with the
least latency is told (warm). Scans below 1 GB are made beforehand; of larger ones readouts are
made when they are sent, by the processors that the product has, too; 'limited by generator' says
that the product waited for them. The correlation is that of the map with the truth: the time of a
wrong map is worth nothing.
--compare sends the scan to either device and tells how far their maps are apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import machine
from tests.benchmarks.compare import compare
from tests.benchmarks.runs import Source, repeated
from tests.benchmarks.sizes import SIZES

REPEATS = {"tiny": 2, "small": 2, "clinical": 1, "large": 1}
ROWS = {
    "raw data, GB": "raw_gb",
    "stream, s": "stream_s",
    "rate, MB/s": "mb_per_s",
    "rate to coil images, MB/s": "mb_per_s_to_images",
    "limited by": "limited_by",
    "  waited for generator, s": "making_s",
    "  waited for product, s": "sending_s",
    "latency to chi, s": "chi_latency_s",
    "latency to last image, s": "latency_s",
    "  end of ingest, s": "end_of_ingest_s",
    "  between stages, s": "between_stages_s",
    "peak host, GB": "peak_host_gb",
    "peak device, GB": "peak_device_gb",
    "planned, GB": "planned_gb",
    "correlation with truth": "correlation",
    "load before": "load",
}
STAGES_BEHIND = "  between stages, s"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the JSON."""
    takes = parser(__doc__ or "")
    takes.add_argument("--pace", type=float, metavar="FACTOR", help="of a scanner's, TR 35 ms")
    takes.add_argument("--repeats", type=int, metavar="N")
    takes.add_argument("--compare", action="store_true", help="maps of cpu and gpu")
    given = takes.parse_args(arguments)
    settings = chosen(given)
    if given.compare:
        compare(Source.of(given.size), settings)
        return
    source = Source.of(given.size)
    told: dict[str, Any] = {**machine.described(), "size": _size(given.size), "pace": given.pace}
    told |= {"device": given.device, "settings": settings, "presets": {}}
    for preset in given.preset:
        repeats = given.repeats or REPEATS[given.size]
        told["presets"][preset] = repeated(
            source, {**settings, "preset": preset}, repeats, given.pace
        )
    show(told)
    if given.json:
        given.json.write_text(json.dumps(told, indent=1) + "\n")


def show(told: Mapping[str, Any]) -> None:
    """Print the table: a column for the cold run of each preset, and for the best warm one."""
    columns = _columns(told["presets"])
    size = told["size"]
    table = Table(
        title=f"{size['name']}: {' x '.join(map(str, size['matrix_xyz']))} voxels, "
        f"{size['coils']} coils, {size['echoes']} echoes, R = {size['acceleration']}, "
        f"device {told['device']}; pace {told['pace'] or 'as fast as taken'}",
        caption=f"{told['date']}, {told['processors']} x {told['cpu']}, GPU {told['gpu']}",
    )
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for label, key in ROWS.items():
        table.add_row(label, *(_text(run[key]) for run in columns.values()))
        if label == STAGES_BEHIND:
            _add_stages(table, list(columns.values()))
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    for warning in dict.fromkeys(text for run in columns.values() for text in run["warnings"]):
        print(f"warning: {warning}")


def _columns(presets: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Mapping[str, Any]]:
    columns = {}
    for preset, (cold, *others) in presets.items():
        columns[f"{preset}, cold"] = cold
        if others:
            columns[f"{preset}, warm"] = min(others, key=lambda run: run["chi_latency_s"])
    return columns


def _add_stages(table: Table, runs: Sequence[Mapping[str, Any]]) -> None:
    for name in dict.fromkeys(name for run in runs for name in run["stages_s"]):
        table.add_row(f"  stage {name}, s", *(_text(run["stages_s"].get(name)) for run in runs))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.3g}"


def _size(name: str) -> dict[str, Any]:
    size = SIZES[name]
    factors = " x ".join(str(factor) for factor in reversed(size.acceleration))
    matrix = list(reversed(size.matrix))
    told = {"name": name, "matrix_xyz": matrix, "coils": size.coils, "echoes": size.echoes}
    return {**told, "acceleration": factors}


def parser(text: str) -> argparse.ArgumentParser:
    """Take what all benchmarks of whole scans take."""
    takes = argparse.ArgumentParser(description=text.splitlines()[0])
    takes.add_argument("--size", choices=SIZES, default="small")
    takes.add_argument("--preset", nargs="+", default=["standard"], metavar="NAME")
    takes.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto")
    takes.add_argument("--set", action="append", default=[], type=_pair, metavar="STAGE.KEY=VALUE")
    takes.add_argument("--json", type=Path, metavar="FILE")
    return takes


def chosen(given: argparse.Namespace) -> dict[str, str]:
    """Return the settings that were given."""
    settings = dict(given.set)
    return settings if given.device == "auto" else {**settings, "device.use": given.device}


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("takes STAGE.KEY=VALUE")
    return key.strip(), value


if __name__ == "__main__":
    main()
