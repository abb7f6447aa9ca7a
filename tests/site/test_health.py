"""What a monitor is told of a server, whatever is wrong with it."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from io import BytesIO

import pytest

from gadgetron_qsm import __version__, cli, exchange
from gadgetron_qsm.arrays import places
from gadgetron_qsm.mrd.messages import Close, ConfigText, Query, Response, Text
from gadgetron_qsm.mrd.wire import read_message, write_message
from gadgetron_qsm.server.farewell import Farewells
from gadgetron_qsm.site import health

HOST, PATIENCE_S = "127.0.0.1", 10.0


@pytest.fixture
def serving(monkeypatch):
    """The port of a server that has computed nothing yet."""
    monkeypatch.setattr(places, "_used", {})
    with exchange.serving(list) as port:
        yield port


def test_a_server_that_answers_is_well_and_says_where_it_computes(serving):
    finding = health.server(HOST, serving, PATIENCE_S)
    assert finding.level == "ok"
    who = f"gadgetron-qsm {__version__}, process {os.getpid()}, computes on the CPU"
    assert finding.text.endswith(who)


def test_a_question_is_no_error_and_no_line_in_the_log(serving, caplog):
    caplog.set_level("INFO")
    for _ in range(3):
        health.server(HOST, serving, PATIENCE_S)
    assert caplog.records == []


@pytest.mark.usefixtures("device")
def test_a_device_that_computes_no_more_is_an_error(serving, request, monkeypatch):
    if "gpu" in request.node.name:
        pytest.skip("of the stand-in")
    places.Gpu(0)
    assert health.server(HOST, serving, PATIENCE_S).level == "ok"

    def refuses(*_):
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(sys.modules["cupy"], "ones", refuses)
    finding = health.server(HOST, serving, PATIENCE_S)
    assert finding.level == "error"
    assert "does not compute any more: an illegal memory access" in finding.text


def test_gadgetrons_own_query_is_answered_with_its_number_and_a_scan_may_follow(serving, recorded):
    with socket.create_connection((HOST, serving), PATIENCE_S) as sock, sock.makefile("rwb") as io:
        for number, key in ((7, "gadgetron::version"), (8, "gadgetron::nonsense")):
            write_message(io, Query(number, key))
            io.flush()
            answer = read_message(io)
            assert (type(answer), answer.number) == (Response, number)
        assert "nonsense" in answer.text
        io.write(recorded("client_gadgetron"))
        io.flush()
        assert read_message(io) == Close()


def test_a_query_has_gadgetrons_layout():
    """uint16 6, uint64 0, uint64 number, uint64 length; the answer is the same without the 0."""
    stream = BytesIO()
    write_message(stream, Query(3, "a::b"))
    write_message(stream, Response(3, "ä"))
    assert stream.getvalue() == (
        struct.pack("<HQQQ", 6, 0, 3, 4) + b"a::b" + struct.pack("<HQQ", 7, 3, 2) + "ä".encode()
    )
    stream.seek(0)
    assert read_message(stream) == Query(3, "a::b")
    assert read_message(stream) == Response(3, "ä")


@pytest.fixture
def answering():
    """A function that lets the next client of a port have some bytes, and then the end, if any."""
    threads, may_go = [], threading.Event()

    def start(data, ends=True):
        def run():
            with listener.accept()[0] as sock, suppress(OSError):  # it may have gone at once
                sock.sendall(data)
                if ends:
                    sock.shutdown(socket.SHUT_WR)
                may_go.wait()

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return listener.getsockname()[1]

    with socket.create_server((HOST, 0)) as listener:
        yield start
        may_go.set()
        for thread in threads:
            thread.join()


def encoded(*messages):
    stream = BytesIO()
    for message in messages:
        write_message(stream, message)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "ends", "level", "says"),
    [
        (encoded(Text("ERROR   busy: 8 run"), Close()), True, "ok", "takes no scan now: busy"),
        (encoded(Text("ERROR   it was stopped"), Close()), True, "error", "it was stopped"),
        (encoded(Close()), True, "error", "it is no gadgetron-qsm"),
        (encoded(Response(1, "4.7.2"), Close()), True, "error", "not as gadgetron-qsm does"),
        (encoded(Response(1, "[1]"), Close()), True, "error", "not as gadgetron-qsm does"),
        (encoded(ConfigText("x"))[:4], True, "error", "does not speak MRD"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", True, "error", "does not speak MRD"),
        (b"", True, "error", "does not speak MRD"),
        (b"", False, "error", "does not answer within 0.3 s"),
    ],
)
def test_what_answers_otherwise_is_told(answering, data, ends, level, says):
    finding = health.server(HOST, answering(data, ends), 0.3 if not ends else PATIENCE_S)
    assert (finding.level, says in finding.text) == (level, True), finding


@pytest.mark.parametrize("inside_gadgetron", [False, True])
def test_a_server_that_can_start_no_process_is_ill_whoever_its_clients_are(inside_gadgetron):
    with socket.create_server((HOST, 0)) as listener:
        asked = []
        port = listener.getsockname()[1]
        asking = threading.Thread(
            target=lambda: asked.append(health.server(HOST, port, PATIENCE_S))
        )
        asking.start()
        client, _ = listener.accept()
        farewells = Farewells(inside_gadgetron=inside_gadgetron)
        farewells.tell(client, "the server can start no process", read=False)
        asking.join()
        farewells.wait(5)
    (finding,) = asked
    assert (finding.level, "can start no process" in finding.text) == ("error", True)


def test_nobody_there_is_an_error():
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    assert "nobody listens at" in health.server(HOST, port, PATIENCE_S).text


def command(*arguments):
    """Run the command as a shell would; return its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["gadgetron-qsm", "health", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return int(end.value.code or 0)


def site(folder, **properties):
    path = folder / "site.xml"
    lines = "".join(f'<property name="{k}" value="{v}"/>' for k, v in properties.items())
    path.write_text(f"<configuration>{lines}</configuration>")
    return path


def test_the_command_tells_well_from_ill_by_its_status(serving, tmp_path, capsys):
    assert command("--port", serving) == 0
    (tmp_path / "file").write_text("")
    ill = site(tmp_path, **{"deliver.dicom_folder": tmp_path / "file" / "x"})
    assert command("--port", serving, "--config", ill) == 1
    first, *_, last = capsys.readouterr().out.splitlines()[1:]
    assert first.startswith("error: deliver.dicom_folder: ")  # what monitors show is the first line
    assert last.startswith("ok: server: ")


def test_warnings_count_where_they_shall(serving, tmp_path):
    warned = site(tmp_path, **{"spool.folder": tmp_path, "spool.limit_gb": "1e6"})
    assert command("--port", serving, "--config", warned) == 0
    assert command("--port", serving, "--config", warned, "--strict") == 1


def test_a_monitor_loads_no_more_than_it_needs():
    code = "import sys; from gadgetron_qsm.site import health; print(json.dumps([*sys.modules]))"
    out = subprocess.run(
        [sys.executable, "-c", f"import json; {code}"], capture_output=True, check=True
    ).stdout
    assert not {"numba", "scipy", "pydicom", "pydantic"} & set(json.loads(out))
