"""The configuration that the documents print is one that works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gadgetron_qsm.check import check
from gadgetron_qsm.mrd.properties import read_properties
from gadgetron_qsm.settings import Settings, keys

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS = ("deliver", "store", "identity", "spool", "health", "server")


@pytest.fixture
def example(tmp_path):
    """The site's configuration, in folders of this machine, with an archive that is not there."""
    (text,) = re.findall(r"```xml\n(.*?)```", (DOCS / "site.md").read_text(), re.DOTALL)
    text = text.replace("pacs.hospital.example:2762", "127.0.0.1:1")
    for name in ("hospital-ca.pem", "qsm.crt", "qsm.key"):
        (tmp_path / name).touch()
    text = re.sub("/srv/qsm|/etc/gadgetron-qsm", str(tmp_path), text)
    (tmp_path / "site.xml").write_text(text)
    return tmp_path / "site.xml"


def test_the_sites_configuration_is_well_but_for_the_archive_that_is_not_there(example):
    wrong = [f"{each.what}: {each.text}" for each in check(example) if each.level == "error"]
    assert len(wrong) == 1
    assert wrong[0].startswith("archive: pacs: ")


def test_it_shows_every_section_of_a_site(example):
    shown = {key.partition(".")[0] for key in read_properties(example.read_text())}
    assert shown == {"preset", *SECTIONS}
    assert Settings.from_properties(read_properties(example.read_text())).server.connections == 2


@pytest.mark.parametrize("name", sorted(path.name for path in DOCS.glob("*.md")))
def test_settings_that_documents_name_exist(name):
    sections = {key.partition(".")[0] for key in keys() if "." in key}
    text = (DOCS / name).read_text()
    named = {n for n in re.findall(r"`(\w+\.\w+)(?:=[^`]*)?`", text) if n.split(".")[0] in sections}
    assert named <= set(keys())


@pytest.mark.parametrize("name", sorted(path.name for path in DOCS.glob("*.md")))
def test_documents_that_are_referred_to_exist(name):
    links = set(re.findall(r"\]\(([\w.]+\.md)\)", (DOCS / name).read_text()))
    assert [link for link in links if not (DOCS / link).exists()] == []
