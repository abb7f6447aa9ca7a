"""Build an image without a Docker engine, in a Debian root, start it, and send it a scan.

    python -m tests.docker.try_steps openrecon [--argument CUDA=12] [--ca-file FILE]

By hand, as root, with debootstrap installed and the network at hand; it takes minutes and 2 GB,
or 10 with CUDA. Every stage is a folder: what FROM names is copied, then the steps run in it, RUN
in its own name spaces of processes and mounts. What Docker does beyond that (layers, limits, its
network) is not tried. The image starts as its CMD says and gets the recorded stream of
a client, once with an operator's parameters put in. Exit status 1 when it is not healthy, does not
give the maps asked for, or does not end well.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from gadgetron_qsm.openrecon.label import PORT, encoded, make_label
from tests.docker.dockerfile import DOCKER, argument, needed, read
from tests.docker.root import CONTEXT, Root, debian
from tests.docker.scan_sent import send_scan

STREAM = CONTEXT.parent / "shared/data/wire/client_python_ismrmrd_server.bin.gz"
READY_S, STOPPED_S = 600.0, 30.0
MAPS = {"chi", "r2star", "magnitude"}
ASKED = {"config": "fast", "r2star": "False", "magnitude": "False", "phasesign": "configured"}

# A stand-in of the Gadgetron's image: its user, and where its Python and configurations are.
GADGETRON = """apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv
useradd --uid 1000 --create-home vscode && mkdir -p /opt/conda/envs
python3 -m venv /opt/conda/envs/gadgetron
mkdir -p /opt/conda/envs/gadgetron/share/gadgetron/config
chown -R 1000 /opt/conda"""


def build(file: Path, target: str, given: Mapping[str, str], base: Root) -> Root:
    """Make the stages that a target needs, one after the other, in folders beside the base."""
    built: dict[str, Root] = {}
    for stage in needed(read(file, given), target):
        folder = base.folder.with_name(f"stage_{stage.name or 'gadgetron'}")
        shutil.rmtree(folder, ignore_errors=True)
        print(f"FROM {stage.base} AS {stage.name}", flush=True)
        root = built.get(stage.base, base).copy_to(folder)
        if "gadgetron" in stage.base:
            root.run(GADGETRON)
        built[stage.name] = root
        for step in stage.steps:
            print(f"  {step.line:3} {step.word} {step.text[:90]}", flush=True)
            root.do(step, built, given)
    return built[target]


@contextmanager
def started(root: Root) -> Iterator[None]:
    """The image at work, from when it listens; stopped as Docker stops it."""
    words = root.commands["ENTRYPOINT"] + root.commands["CMD"]
    print(shlex.join(words), flush=True)
    start = time.monotonic()
    process = root.start(words, start_new_session=True)
    try:
        while not listens():
            if process.poll() is not None or time.monotonic() - start > READY_S:
                raise SystemExit("it does not listen")
            time.sleep(0.2)
        print(f"listens after {time.monotonic() - start:.1f} s", flush=True)
        check = root.start(root.commands["HEALTHCHECK"])
        if status := check.wait(60):
            raise SystemExit(f"the health check says {status}")
        yield
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop it as Docker does: a signal to the first process, and the end of all after a while."""
    start = time.monotonic()
    first = first_of(process.pid)
    try:
        if first:
            os.kill(first, signal.SIGTERM)
        process.wait(STOPPED_S)
    except subprocess.TimeoutExpired:
        os.kill(first, signal.SIGKILL)  # and with it all in its name space
        process.wait()
        raise SystemExit("it does not stop") from None
    if process.returncode:
        raise SystemExit(f"stopped with status {process.returncode}")
    print(f"stopped after {time.monotonic() - start:.1f} s", flush=True)


def first_of(pid: int) -> int:
    """The process in the root, which is the first in its name space; 0 when it has ended."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return int(children.read_text().split()[0]) if children.exists() else 0


def listens() -> bool:
    """Whether something listens at the port; a client that says nothing is borne."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", PORT)) == 0


def main() -> None:
    """Build, start, send a scan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", help="server, openrecon or gadgetron")
    parser.add_argument("--argument", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--suite", default="bookworm", help="of Debian, as FROM names it")
    parser.add_argument("--ca-file", type=Path, help="authority of a proxy that pip must trust")
    parser.add_argument("--work", type=Path, default=Path("build/docker"))
    parser.add_argument("--stop-after-build", action="store_true")
    options = parser.parse_args()
    if listens():
        raise SystemExit(f"something listens at port {PORT} already")
    given = dict(argument(text) for text in options.argument)
    base = debian(options.work.resolve(), options.ca_file, options.suite)
    if options.target == "gadgetron":
        build(DOCKER / "gadgetron.Dockerfile", "", given, base)
        return
    label = make_label("raw", datetime.now(timezone.utc).date(), gpu="CUDA" in given)
    given = {"OPENRECON_LABEL": encoded(label)} | given
    root = build(DOCKER / "Dockerfile", options.target, given, base)
    if options.stop_after_build:
        return
    with started(root):
        for asked, maps in ((None, MAPS), (ASKED, {"chi"})):
            send_scan(gzip.decompress(STREAM.read_bytes()), PORT, asked, maps)


if __name__ == "__main__":
    main()
