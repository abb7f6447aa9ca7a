"""Who may import what: the rules that keep data going down the list of stages."""

from __future__ import annotations

from pathlib import Path

import pytest

import gadgetron_qsm
from tests.imports import imports

PACKAGE = Path(gadgetron_qsm.__file__).parent
NUMERIC = (
    "conjugate_gradients.py",
    "domain.py",
    "grid.py",
    "arrays",
    "distance.py",
    "kspace",
    "coils",
    "field",
    "mask",
    "background",
    "inversion",
    "contrast",
    "reference.py",
)
ALLOWED = {part.removesuffix(".py") for part in NUMERIC}


def files(part: str) -> list[Path]:
    path = PACKAGE / part
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def test_cupy_is_imported_in_one_folder_only():
    cupy = {"cupy", "cupyx"}
    found = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if cupy & {name.split(".")[0] for name in imports(path)}
    }
    assert found == {"arrays"}


@pytest.mark.parametrize("part", NUMERIC)
def test_numeric_code_knows_nothing_of_messages_settings_or_series(part):
    found = files(part)
    assert found
    for path in found:
        own = [name.split(".") for name in imports(path) if name.startswith("gadgetron_qsm")]
        assert {name[1] for name in own} <= ALLOWED, path.name


def test_messages_know_nothing_of_the_site_or_its_server():
    for path in files("mrd"):
        own = {name.split(".")[1] for name in imports(path) if name.startswith("gadgetron_qsm.")}
        assert not own & {"server", "site", "spool"}, path.name
