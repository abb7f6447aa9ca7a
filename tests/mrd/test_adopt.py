"""Inside Gadgetron: what `python -m gadgetron` hands a target, and how it ends."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from gadgetron.external.connection import Connection as PackageConnection

from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.wire import PeerGone

CLOSE = struct.pack("<H", 4)
TARGET = """
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.connection import Connection

def target(package_connection):
    connection = Connection.adopt(package_connection)
    print("adopted", flush=True)
    try:
        count = sum(1 for _ in connection)
        if connection.properties.get("fail"):
            raise QsmError("asked to fail")
        print(count, flush=True)
    except QsmError as error:
        connection.fail_inside_gadgetron(str(error))
"""


def before_data(stream):
    """Length of configuration and header."""
    end = 0
    for _ in range(2):
        end += 6 + struct.unpack_from("<HI", stream, end)[1]
    return end


@pytest.fixture
def handed(sockets, recorded):
    """What the package hands a target in front of a recorded stream, and the server's socket."""
    ours, peer = sockets
    stream = recorded("server_acquisitions_r2")
    peer.sendall(stream[: before_data(stream)])
    return PackageConnection(ours), peer


def test_what_the_package_has_read_is_taken_over(handed, recorded):
    package, peer = handed
    stream = recorded("server_acquisitions_r2")
    connection = Connection.adopt(package)
    sender = threading.Thread(target=peer.sendall, args=[stream[before_data(stream) :]])
    sender.start()
    assert connection.properties == {"preset": "standard"}
    assert connection.header_text.startswith('<?xml version="1.0"?>\n<ismrmrdHeader')
    assert sum(1 for _ in connection) == 1172
    sender.join()
    connection.close()


def test_the_close_of_the_package_says_close_once(handed):
    package, peer = handed
    with package:
        connection = Connection.adopt(package)
        peer.sendall(CLOSE)
        assert list(connection) == []
        connection.close()
    assert peer.recv(100) == CLOSE
    assert peer.recv(100) == b""


def test_the_close_of_the_package_ends_a_connection_left_open(handed):
    package, peer = handed
    with package:
        Connection.adopt(package)
        peer.sendall(CLOSE)
    assert peer.recv(100) == CLOSE
    assert peer.recv(100) == b""


def test_a_dead_server_ends_the_adopted_connection_within_a_second(handed, recorded):
    package, peer = handed
    stream = recorded("server_acquisitions_r2")
    start, computed = time.monotonic(), time.process_time()
    with package:
        connection = Connection.adopt(package)
        peer.sendall(stream[before_data(stream) : 100_000])
        peer.close()
        with pytest.raises(PeerGone):
            list(connection)
        connection.fail_inside_gadgetron("the scan is not whole")
    assert time.monotonic() - start < 5
    assert time.process_time() - computed < 0.5


class Server:
    """The server's side of an external node: starts `python -m gadgetron` as Gadgetron does."""

    def __init__(self, folder: Path):
        (folder / "gadget_under_test.py").write_text(TARGET)
        with socket.create_server(("localhost", 0)) as listener:
            listener.settimeout(30)
            command = [sys.executable, "-m", "gadgetron", str(listener.getsockname()[1])]
            paths = os.pathsep.join([str(folder), *filter(None, sys.path)])
            self.gadget = subprocess.Popen(
                [*command, "gadget_under_test", "target"],
                env=os.environ | {"PYTHONPATH": paths},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            self.socket, _ = listener.accept()
        self.socket.settimeout(10)

    def answer(self) -> bytes:
        parts = []
        while part := self.socket.recv(1 << 16):
            parts.append(part)
        return b"".join(parts)


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path)
    yield server
    server.socket.close()
    server.gadget.kill()
    server.gadget.communicate()


def test_a_gadget_reads_what_a_real_server_wrote(server, recorded):
    server.socket.sendall(recorded("server_acquisitions_r2"))
    assert server.answer() == CLOSE
    out, error = server.gadget.communicate(timeout=10)
    assert out.split() == ["adopted", "1172"], error
    assert server.gadget.returncode == 0


def test_a_gadget_that_fails_reports_after_the_servers_close(server, recorded):
    stream = recorded("server_acquisitions_r2").replace(b'name="preset"', b'name="fail"  ')
    server.socket.sendall(stream)
    assert server.answer() == struct.pack("<HQ", 8, 13) + b"asked to fail" + CLOSE


def test_a_gadget_ends_within_a_second_of_its_server(server, recorded):
    stream = recorded("server_acquisitions_r2")
    server.socket.sendall(stream[: len(stream) // 2])
    assert server.gadget.stdout.readline() == "adopted\n"
    time.sleep(0.2)  # it has taken what was sent, and waits
    assert server.gadget.poll() is None
    server.socket.close()
    start = time.monotonic()
    server.gadget.wait(timeout=10)
    assert time.monotonic() - start < 4  # the second, and the end of an interpreter under load
