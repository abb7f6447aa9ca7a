"""The peers of the package's processes: Gadgetron in front of a gadget, clients of a server."""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from gadgetron_qsm.data import Map
from gadgetron_qsm.mrd.images import image_to_map
from gadgetron_qsm.mrd.messages import Close, Error, Image, Message, Text
from gadgetron_qsm.mrd.wire import read_message

START_S, SCAN_S = 30, 60
LISTENS_S = 120  # until a server has rehearsed
END_S = 20  # longer than its workers take to end, and clients to be told
IDLE_S = 0.5
COMMAND = "from gadgetron_qsm.cli import main; main()"


@dataclass
class Answer:
    """What came back, to CLOSE: the messages, and their bytes without CLOSE."""

    messages: list[Message] = field(default_factory=list)
    raw: bytes = b""

    @property
    def maps(self) -> list[Map]:
        return [image_to_map(message) for message in self.messages if isinstance(message, Image)]

    def map(self, name: str) -> Map:
        return next(volume for volume in self.maps if volume.name == name)

    @property
    def refusals(self) -> list[str]:
        texts = [m.text for m in self.messages if isinstance(m, Error | Text)]
        return [text for text in texts if not text.startswith("WARNING ")]

    @property
    def warnings(self) -> list[str]:
        texts = [m.text for m in self.messages if isinstance(m, Text)]
        return [text for text in texts if text.startswith("WARNING ")]


class Peer:
    """The other end of a socket: sends bytes from a thread, as a scanner does, and reads."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.socket.settimeout(SCAN_S)
        self._sending: list[threading.Thread] = []

    def send(self, stream: bytes) -> None:
        def run() -> None:
            with contextlib.suppress(OSError):
                self.socket.sendall(stream)

        self._sending.append(threading.Thread(target=run))
        self._sending[-1].start()

    def sent(self) -> None:
        """Wait until all bytes are with the kernel."""
        for thread in self._sending:
            thread.join(SCAN_S)

    def answer(self) -> Answer:
        """Read until CLOSE; fails when the stream ends without it."""
        answer = Answer()
        with self.socket.makefile("rb") as incoming:
            received = _Copy(incoming)
            while not isinstance(message := read_message(received), Close):
                answer.messages.append(message)
                answer.raw = received.copy.getvalue()
        return answer

    def silent_for(self, seconds: float) -> bool:
        """Tell whether nothing comes for some time."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(SCAN_S)
        return False

    def die(self) -> None:
        """Break the connection as the kernel does for a killed process with unread bytes: RST."""
        self.sent()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()
        self.sent()


class _Copy:
    """A stream that keeps what was read from it."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.copy = stream, BytesIO()

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        self.copy.write(data)
        return data


class Gadget(Peer):
    """A gadget's process as Gadgetron starts it, and the server's end of its connection."""

    def __init__(
        self,
        target: str,
        folder: Path,
        port: int | None = None,
        module: str = "gadgetron_qsm.gadgets",
    ) -> None:
        self._log = folder / f"{target}_{time.monotonic_ns()}.log"
        with socket.create_server(("localhost", 0)) as listener:
            listener.settimeout(START_S)
            address = listener.getsockname()[1] if port is None else port
            command = ["-m", "gadgetron", str(address), module, target]
            with self._log.open("wb") as log:
                self.process = subprocess.Popen(
                    [sys.executable, *command],
                    stdout=log,
                    stderr=log,
                    cwd=folder,
                    env=os.environ | _as_gadgetron_sets(folder),
                )
            if port is None:
                super().__init__(listener.accept()[0])

    @property
    def log(self) -> str:
        return self._log.read_text()

    def status(self, within_s: float) -> int:
        """Wait for the end of the process; fails when it takes longer."""
        return self.process.wait(within_s)

    def cpu_s(self) -> float:
        """Processor time that the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def becomes_idle(self) -> bool:
        """Wait until it computes nothing for half a second; tell whether it did in time."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            before = self.cpu_s()
            time.sleep(IDLE_S)
            if self.cpu_s() - before < IDLE_S / 10:
                return True
        return False

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if hasattr(self, "socket"):
            self.close()


def _as_gadgetron_sets(home: Path) -> dict[str, str]:
    path = f"{os.environ.get('PYTHONPATH', '')}:{home}/share/gadgetron/python"
    return {"PYTHONPATH": path, "GADGETRON_STORAGE_ADDRESS": "http://localhost:9112"}


class Server:
    """A process of `gadgetron-qsm serve`, or of another command that listens."""

    def __init__(
        self, command: str, folder: Path, *options: str, general: Sequence[str] = ()
    ) -> None:
        """`general` are options of all commands, in front of its name."""
        self._log = folder / f"{command}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, *general, command, "--port", "0", *options],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
            )
        listens = re.search(r"listens on 127\.0\.0\.1:(\d+)$", self._first_line())
        if not listens:
            self.end()
        assert listens, self.log
        self.port = int(listens[1])

    @property
    def log(self) -> str:
        return self._log.read_text()

    @contextlib.contextmanager
    def client(self) -> Iterator[Peer]:
        peer = Peer(socket.create_connection(("127.0.0.1", self.port), START_S))
        try:
            yield peer
        finally:
            peer.close()

    def workers(self) -> list[int]:
        """Return the numbers of the processes that serve scans, or get ready for one."""
        return [
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if self._parent_of(folder) == self.process.pid
        ]

    def with_a_scan(self) -> list[int]:
        """Return those of the workers that have a client's socket."""
        rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:])
        ours = {f"socket:[{row[9]}]" for row in rows if int(row[1].split(":")[1], 16) == self.port}
        return [process for process in self.workers() if ours & self._opened_by(process)]

    @staticmethod
    def _opened_by(process: int) -> set[str]:
        """Return what a process has open; nothing when it has just ended."""
        try:
            return {str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()}
        except OSError:
            return set()

    @staticmethod
    def _parent_of(folder: Path) -> int | None:
        """Return the parent of a worker's process; None for any other's."""
        try:
            stat, command = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
        except OSError:  # it has just ended
            return None
        return int(stat.rpartition(")")[2].split()[1]) if b"spawn_main" in command else None

    def _first_line(self) -> str:
        """What it prints first; nothing when that takes too long."""
        assert self.process.stdout
        printed, _, _ = select.select([self.process.stdout], [], [], LISTENS_S)
        return self.process.stdout.readline() if printed else ""

    def end(self) -> None:
        """Stop it, and again if it goes on, which ends its scans; fail if that does not end it."""
        assert self.process.stdout
        for _ in range(2):
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.communicate(timeout=END_S)
                return
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        raise AssertionError(f"it did not end; its log: {self.log}")
