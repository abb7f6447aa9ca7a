"""The package that OpenRecon installs: the image and its document, under their names, in a zip."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.openrecon.document import write_document
from gadgetron_qsm.openrecon.image import SavedImage, read_image
from gadgetron_qsm.openrecon.label import stem
from gadgetron_qsm.report.files import replacing

ENDINGS = ("tar", "pdf", "zip")


def write_package(archive: Path, folder: Path) -> tuple[list[Path], SavedImage]:
    """Write the .tar, .pdf and .zip of an image that `docker save` wrote to `archive`.

    Names, document and version are those of the label that the image itself carries. Returns the
    three files, and the image. Raises QsmError for an image that OpenRecon could not take (see
    `read_image`) and for files that cannot be written.
    """
    image = read_image(archive)
    files = [folder / f"{stem(image.label)}.{ending}" for ending in ENDINGS]
    tar, pdf, package = files
    _place(archive, tar)
    write_document(pdf, image.label)
    with replacing(package) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in (tar, pdf):
            zipped.write(file, file.name)
    return files, image


def _place(archive: Path, tar: Path) -> None:
    """Give the archive its name, without a copy where the disk is the same."""
    if tar.exists() and tar.samefile(archive):
        return
    with replacing(tar) as part:
        try:
            os.link(archive, part)
        except OSError:  # another disk, or one without links
            try:
                shutil.copyfile(archive, part)
            except OSError as error:
                raise QsmError(f"cannot copy {archive}: {error.strerror or error}") from error
