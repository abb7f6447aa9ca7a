"""Nodes and titles, as people write them in settings."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadgetron_qsm.delivery.nodes import Caller, Node
from gadgetron_qsm.errors import UsageError

TITLE = st.text(string.ascii_uppercase + string.digits + "_ -:", min_size=1, max_size=16)
NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
HOSTS = st.sampled_from(["10.0.0.5", "pacs", "pacs.hospital.example", "::1", "fe80::1%eth0"])


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("PACS@10.0.0.5:11112", Node("PACS", "PACS", "10.0.0.5", 11112)),
        ("archive=PACS@pacs.example:104", Node("archive", "PACS", "pacs.example", 104)),
        ("tls:PACS@pacs:2762", Node("PACS", "PACS", "pacs", 2762, tls=True)),
        ("a=tls:MY PACS@[fd00::5]:2762", Node("a", "MY PACS", "fd00::5", 2762, tls=True)),
        ("  PACS@localhost:1 ", Node("PACS", "PACS", "localhost", 1)),
    ],
)
def test_a_node_is_read_as_it_is_written(text, node):
    assert Node.parse(text) == node


@given(NAME, TITLE.filter(lambda t: t == t.strip()), HOSTS, st.integers(1, 65535), st.booleans())
def test_every_node_comes_back_from_its_text(name, title, host, port, tls):
    node = Node(name, title, host, port, tls)
    if not title.startswith("tls:"):
        assert Node.parse(str(node)) == node


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PACS",
        "PACS@host",
        "PACS@host:",
        "PACS@host:port",
        "PACS@host:0",
        "PACS@host:65536",
        "PACS@host:-1",
        "PACS@host:²",
        "@host:104",
        "PACS@:104",
        "PACS@fd00::5:104",
        "SEVENTEEN_LETTERS@host:104",
        "A\\B@host:104",
        "ÄRCHIV@host:104",
        "=PACS@host:104",
        "../x=PACS@host:104",
        "MY PACS@host:104",  # a title that is no name
        "PACS@ho st:104",
        "ftp:PACS@host:104/x",
    ],
)
def test_what_is_no_node_is_refused_in_one_line(text):
    with pytest.raises(UsageError) as refused:
        Node.parse(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("title", ["", " ", "A" * 17, "A\n", "A\\B", "Ä", " A", "A@B"])
def test_our_own_title_is_checked_too(title):
    with pytest.raises(UsageError, match="title"):
        Caller(title)
