"""How far each stage is from what the machine could do: floor, measured, ratio.

Usage: python -m tests.benchmarks.floor [--size NAME] [--preset NAME] [--device auto|cpu|gpu]
    [--set stage.key=value] [--json FILE]

The floor of a stage is the time of the fewest bytes that it has to move (`least`) at the bandwidth
of a copy, or of its operations at the rate of a large matrix product, whichever is longer. The
stage 'ingest' lasts as long as readouts come.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from gadgetron_qsm.data import Map
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.inversion.ss_tv import FEWEST, GROWTH
from tests.benchmarks import bandwidth, machine
from tests.benchmarks.latency import chosen, parser
from tests.benchmarks.least import Shapes, least
from tests.benchmarks.product import Product
from tests.benchmarks.runs import Source
from tests.benchmarks.scanner import Course


def main(arguments: Sequence[str] | None = None) -> None:
    """Send a scan twice, and print the table of the second."""
    given = parser(__doc__ or "").parse_args(arguments)
    source = Source.of(given.size)
    on_host = given.device == "cpu" or machine.gpu_name() is None
    rates = bandwidth.host() if on_host else bandwidth.device()
    assert rates
    for preset in given.preset:
        with Product() as product:
            for _ in range(2):
                course = source.send(product, {**chosen(given), "preset": preset}, None)
        rows = table_rows(course, source, rates)
        _show(rows, rates, f"{given.size}, preset {preset}, load {machine.load()}")
    if given.json:
        told = {**machine.described(), **asdict(rates), "size": given.size, "stages": rows}
        given.json.write_text(json.dumps(told, indent=1) + "\n")


def table_rows(course: Course, source: Source, rates: bandwidth.Rates) -> list[dict[str, Any]]:
    """Return stage, least bytes and operations, floor, measured (s) and ratio of each stage."""
    report = course.maps[-1][1].report
    needs = least(shapes(course.map("chi"), source))
    rows = []
    for name, measured_s in report["timing_s"].items():
        if name not in needs:
            continue
        need = needs[name]
        floor_s = rates.least_s(need.moved, need.operations)
        rows.append(
            {
                "stage": name,
                "gb": need.moved / 1e9,
                "gflop": need.operations / 1e9,
                "floor_s": floor_s,
                "measured_s": measured_s,
                "ratio": measured_s / floor_s,
                "what": need.what,
            }
        )
    return rows


def shapes(chi: Map, source: Source) -> Shapes:
    """Return what decides the least work of a scan, from its chi map."""
    provenance, stream = chi.report["provenance"], source.stream
    inversion = provenance.get("inversion", {})
    if inversion.get("method") != "ss_tv":
        raise SystemExit("the floor is known of the inversion ss_tv alone")
    size = chi.geometry.voxel_size
    domain = Domain.around(chi.data != 0, size, inversion["padding_mm"])
    return Shapes(
        echoes=stream.echoes,
        coils=stream.scan.coils,
        virtual=provenance["kspace"].get("virtual_coils", stream.scan.coils),
        matrix=chi.geometry.matrix,
        lines=stream.lines,
        samples=stream.samples,
        work=math.prod(domain.shape),
        radii=_radii(inversion, FEWEST * max(size)),
        iterations=inversion["iterations"],
    )


def _radii(inversion: Mapping[str, Any], least_mm: float) -> int:
    """How many radii `ss_tv` takes."""
    smallest, largest = (
        max(inversion[f"{which}_radius_mm"], least_mm) for which in ("smallest", "largest")
    )
    return int(np.ceil(np.log(largest / smallest) / np.log(GROWTH))) + 1


def _show(rows: Sequence[Mapping[str, Any]], rates: bandwidth.Rates, title: str) -> None:
    told = f"{rates.bytes_per_s / 1e9:.1f} GB/s copied, {rates.flops / 1e9:.0f} GFLOP/s"
    table = Table(title=f"{title}; {told}")
    for heading in ("stage", "GB", "GFLOP", "floor, s", "measured, s", "ratio", "least"):
        table.add_column(heading, justify="left" if heading in ("stage", "least") else "right")
    for row in rows:
        figures = (row[key] for key in ("gb", "gflop", "floor_s", "measured_s", "ratio"))
        table.add_row(row["stage"], *(f"{value:.3g}" for value in figures), row["what"])
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
