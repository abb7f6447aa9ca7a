"""The command for pipes: a scan on standard input, images on standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.terminal import Set, overrides


def stream(
    config: Annotated[
        str | None,
        typer.Option(help="name or file of a configuration; default the stream's, or qsm"),
    ] = None,
    settings: Set = [],  # noqa: B006 - typer wants a list
    source: Annotated[
        Path | None, typer.Option("--input", "-i", help="a raw file of any kind, instead of stdin")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="a file for the images, instead of stdout"),
    ] = None,
) -> None:
    """Turn a scan on stdin into images on stdout, both MRD streams: stream < raw > images."""
    changed = overrides(settings)
    with _target(output) as target:
        from gadgetron_qsm.piped import piped  # with it come the libraries of a scan

        piped(_source(source), target, config, changed)


def _source(source: Path | None) -> Path | int:
    """Return where the scan comes from: a file, or a descriptor."""
    if source is None and os.isatty(0):
        raise UsageError("the scan comes on standard input: gadgetron-qsm stream < raw > images")
    return source or 0


@contextmanager
def _target(output: Path | None) -> Iterator[Path | BinaryIO]:
    """Give where images go; if that is standard output, what libraries print goes to stderr."""
    if output:
        yield output
        return
    if os.isatty(1):
        raise UsageError("images are no text; send them to a file or a program, or use --output")
    sys.stdout.flush()
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        yield target
    finally:
        sys.stdout.flush()
        os.dup2(target.fileno(), 1)
        with suppress(OSError):  # which has been told
            target.close()
