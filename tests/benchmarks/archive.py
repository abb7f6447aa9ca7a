"""Orthanc with an archive of its own in a folder, as far as its REST interface is asked."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np

from tests.dicom.readers import AbsentError, Reader

HOST, START_S = "127.0.0.1", 20.0


@contextmanager
def orthanc(folder: Path) -> Iterator[str]:
    """Give the URL of an Orthanc that runs as long as the block; AbsentError when there is none."""
    program = shutil.which("Orthanc", path="/usr/bin:/usr/local/bin:/usr/sbin")
    if program is None:
        raise AbsentError("Orthanc")
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    settings = {
        "StorageDirectory": str(folder),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    command = [program, str(folder / "orthanc.json")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://{HOST}:{port}"
    try:
        _wait(f"{url}/system", process)
        yield url
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("Orthanc does not start")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def of_orthanc(url: str, *, rescale: bool) -> Reader:
    """Return the reader that its export for numpy is, with or without the modality LUT."""

    def read(files: list[Path], _: np.ndarray) -> np.ndarray:
        shown = []
        for file in files:
            with urllib.request.urlopen(f"{url}/instances", file.read_bytes()) as answer:
                number = json.load(answer)["ID"]
            path = f"{url}/instances/{number}/numpy?rescale={str(rescale).lower()}"
            with urllib.request.urlopen(path) as answer:
                shown.append(np.load(BytesIO(answer.read()))[..., 0])
        return np.concatenate(shown)

    return read
