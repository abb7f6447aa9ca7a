from __future__ import annotations

from pathlib import Path

import gadgetron_qsm
from tests.imports import imports

PACKAGE = Path(gadgetron_qsm.__file__).parent
COMMANDS = {"cli", "commands"}  # they offer the phantom, and reconstruct nothing themselves


def imported(path: Path) -> set[str]:
    return {name for name in imports(path) if name.startswith("gadgetron_qsm")}


def test_phantom_imports_nothing_else_of_the_package_but_its_exception():
    allowed = ("gadgetron_qsm.phantom", "gadgetron_qsm.errors")
    files = sorted((PACKAGE / "phantom").glob("*.py"))
    assert len(files) > 10
    for path in files:
        foreign = {name for name in imported(path) if not name.startswith(allowed)}
        assert not foreign, path.name


def test_the_reconstruction_does_not_import_the_phantom():
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part not in {"phantom", *COMMANDS}:
            known = {name for name in imported(path) if name.startswith("gadgetron_qsm.phantom")}
            assert not known, path
