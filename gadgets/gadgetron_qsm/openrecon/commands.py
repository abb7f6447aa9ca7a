"""The commands around an OpenRecon image: gadgetron-qsm openrecon label | package."""

from __future__ import annotations

import json
import os
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Annotated, get_args

import typer

from gadgetron_qsm.openrecon.maker import NOBODY, Emitter, Maker
from gadgetron_qsm.terminal import print_line

app = typer.Typer(help="Label and package of an OpenRecon image.", no_args_is_help=True)

FORMS = ("base64", "json", "tag")


@app.command()
def label(
    emitter: Annotated[str, typer.Option(help="what the host sends: raw or image")] = "raw",
    vendor: Annotated[str, typer.Option(help="who builds it; letters and digits")] = NOBODY.vendor,
    address: Annotated[str, typer.Option(help="of the vendor")] = NOBODY.address,
    made_in: Annotated[str, typer.Option(help="country, as in DE")] = NOBODY.made_in,
    gpu: Annotated[bool, typer.Option(help="whether the image holds CuPy")] = True,
    form: Annotated[str, typer.Option("--print", metavar="|".join(FORMS))] = FORMS[0],
) -> None:
    """Print the label, as `docker build` takes it or to read, or the tag that the image is to have.

    SOURCE_DATE_EPOCH in the environment takes the place of today's date.
    """
    from gadgetron_qsm.openrecon.label import encoded, make_label, tag  # and all that is behind

    for given, known in ((emitter, get_args(Emitter)), (form, FORMS)):
        if given not in known:
            raise typer.BadParameter(f"'{given}' is not one of {', '.join(known)}")
    maker = Maker(vendor, address, made_in)
    made = make_label("raw" if emitter == "raw" else "image", _today(), maker, gpu=gpu)
    texts = (encoded(made), json.dumps(made, indent=2), tag(made))
    print_line(dict(zip(FORMS, texts, strict=True))[form])


@app.command()
def package(
    archive: Annotated[Path, typer.Argument(metavar="IMAGE.tar", help="from docker save")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the files")],
) -> None:
    """Write the document, and the zip that OpenRecon installs."""
    from gadgetron_qsm.openrecon.package import write_package  # matplotlib takes a while

    files, image = write_package(archive, output)
    for warning in image.warnings:
        print_line(f"warning: {warning}")
    for file in files:
        print_line(f"written: {file}")


def _today() -> date:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(epoch), timezone.utc).date() if epoch else date.today()
