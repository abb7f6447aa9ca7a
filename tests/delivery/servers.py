"""DICOM servers on free ports of this machine: DCMTK's storescp, and Orthanc.

Each keeps its port and folder, so that it can be killed and started again; all end with `with`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from gadgetron_qsm.delivery.nodes import Node
from tests.delivery.certificates import Certificate
from tests.missing import missing

HOST = "127.0.0.1"
PATIENCE_S = 20.0  # to start, on a busy machine


class Server:
    """A program that listens, from the start of `with` to its end, whatever happens between."""

    def __init__(self, name: str, folder: Path, *, title: str, tls: bool = False) -> None:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
        if found is None:
            missing(f"{name} is not installed; see 'make debian-programs'")
        self.program = str(found)
        self.folder = folder
        self.port = free_port()
        self.node = Node(name.lower(), title, HOST, self.port, tls=tls)
        self.environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def arguments(self) -> list[str]:
        """What the program is started with."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.program, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )
        end = time.monotonic() + PATIENCE_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"{self.program} does not start:\n{self.log()}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once (SIGKILL), and wait until it has."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop it without ending it: connections stay open and nothing answers; kill() ends it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def log(self) -> str:
        """Return what it has printed."""
        return (self.folder / "log").read_text(errors="replace")

    def __enter__(self) -> Any:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _listens(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return False
        return True


class StoreScp(Server):
    """storescp: a file for each object in `received`; takes any title.

    `certificate` turns TLS on, and `clients` (PEM) lets only clients in that it vouches for.
    `options` are the program's own.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        certificate: Certificate | None = None,
        clients: Path | None = None,
    ) -> None:
        super().__init__("storescp", folder, title="STORESCP", tls=certificate is not None)
        self.received = folder / "received"
        self.received.mkdir(exist_ok=True)
        self.options = [*options, "-od", str(self.received)]
        if certificate:
            self.options += ["+tls", str(certificate.key), str(certificate.certificate)]
            self.options += ["+cf", str(clients), "-rc"] if clients else ["-ic"]

    @property
    def arguments(self) -> list[str]:
        return [*self.options, str(self.port)]

    def instances(self) -> list[str]:
        """SOP Instance UIDs of what it has received, sorted; storescp writes each in one go."""
        return sorted(path.name.split(".", 1)[1] for path in self.received.iterdir())


class Orthanc(Server):
    """Orthanc: checks the called title, and knows us for queries and storage commitment.

    `reports_to` is the port where it reports commitments. `settings` are Orthanc's own.
    `certificate` and `clients` as for storescp.
    """

    def __init__(
        self,
        folder: Path,
        *,
        certificate: Certificate | None = None,
        clients: Path | None = None,
        reports_to: int = 1,
        caller: str = "GADGETRON_QSM",
        **settings: Any,
    ) -> None:
        super().__init__("Orthanc", folder, title="ORTHANC", tls=certificate is not None)
        self.http = free_port()
        self.settings = {
            "StorageDirectory": str(folder / "database"),
            "HttpPort": self.http,
            "HttpServerEnabled": True,
            "AuthenticationEnabled": False,
            "RemoteAccessAllowed": False,
            "DicomPort": self.port,
            "DicomAet": self.node.title,
            "DicomCheckCalledAet": True,
            "DicomModalities": {"us": [caller, HOST, reports_to]},
            "Plugins": [],
        }
        if certificate:
            self.settings |= {
                "DicomTlsEnabled": True,
                "DicomTlsCertificate": str(certificate.certificate),
                "DicomTlsPrivateKey": str(certificate.key),
                "DicomTlsTrustedCertificates": str(clients or certificate.certificate),
                "DicomTlsRemoteCertificateRequired": clients is not None,
            }
        self.settings |= settings

    @property
    def arguments(self) -> list[str]:
        path = self.folder / "orthanc.json"
        path.write_text(json.dumps(self.settings))
        return [str(path)]

    def count(self) -> int:
        """Return how many instances it has, by its REST interface."""
        return int(self.get("statistics")["CountInstances"])

    def get(self, path: str) -> Any:
        """Return what its REST interface says of a path."""
        with urllib.request.urlopen(f"http://{HOST}:{self.http}/{path}", timeout=10) as answer:
            return json.load(answer)

    def _listens(self) -> bool:
        try:
            self.get("system")
        except OSError:
            return False
        return super()._listens()


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
