"""How a scan is written into a dataset, and how that is validated."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gadgetron_qsm.bids.names import entities
from gadgetron_qsm.bids.place import Place
from gadgetron_qsm.bids.scan import write_scan
from tests.bids_scan import SOURCE, header_of, maps_of, settings_of
from tests.missing import missing


@pytest.fixture
def written(tmp_path):
    """A function that writes a scan; it returns the dataset's root."""

    def write(
        name="sub-01", *, maps="chi", root=None, source=SOURCE, path="", repetitions=1, echoes=3
    ):
        header = header_of(repetitions=repetitions, echoes=echoes)
        place = Place(root or tmp_path / "bids", entities(name), source, path)
        write_scan(place, maps_of(header), header, settings_of(maps))
        return place.root

    return write


@pytest.fixture(scope="session")
def issues():
    """A function that has a dataset validated: the issues, as {(code, what): severity}."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    validator = shutil.which("bids-validator-deno", path=beside)

    def validate(root):
        if validator is None:
            missing("bids-validator-deno is not installed; see the extra 'test'")
        command = [validator, "--format", "json", "--recursive", str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        answer = json.loads(done.stdout)
        parts = [answer, *answer.get("derivativesSummary", {}).values()]
        found = [issue for part in parts for issue in part["issues"]["issues"]]
        return {(i["code"], i.get("subCode") or i["location"]): i["severity"] for i in found}

    return validate
