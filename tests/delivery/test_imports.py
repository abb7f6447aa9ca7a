"""A gadget starts without what delivery alone needs."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["nodes", "store", "commitment", "tls"])
def test_pynetdicom_and_highdicom_are_not_imported_before_they_are_used(module):
    code = f"import sys, gadgetron_qsm.delivery.{module}; "
    code += "assert not {'pynetdicom', 'highdicom'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
