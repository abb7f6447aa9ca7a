"""The configurations are such as the real Gadgetron server takes (version 2)."""

from __future__ import annotations

import inspect
import re
from xml.etree import ElementTree

import pytest

from gadgetron_qsm import cli, configs, gadgets
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.mrd.properties import read_properties
from gadgetron_qsm.precedence import of_the_machine
from gadgetron_qsm.settings import Settings

# Where which nodes may be; what the server does not know there it ignores or stops at.
NODES = {
    "configuration": {"version", "readers", "writers", "stream"},
    "configuration/readers": {"reader"},
    "configuration/writers": {"writer"},
    "configuration/readers/reader": {"dll", "classname"},
    "configuration/writers/writer": {"dll", "classname"},
    "configuration/stream": {"gadget", "external"},
    "configuration/stream/gadget": {"dll", "classname", "property"},
    "configuration/stream/external": {"execute", "connect", "configuration"},
    "configuration/stream/external/configuration": {"property"},
}
READERS = {
    ("gadgetron_core_readers", "AcquisitionReader"),
    ("gadgetron_core_readers", "WaveformReader"),
}
WRITERS = {("gadgetron_core_writers", "ImageWriter")}
TARGETS = {
    "qsm": [["qsm"]],
    "qsm_split": [["combine"], ["susceptibility"], ["deliver"]],
    "qsm_buffer": [["qsm"]],
    "qsm_grappa": [["qsm"]],
    "qsm_connect": [[]],
    **{name: [["qsm"]] for name in ("fast", "standard", "research", "openrecon")},
}

by_name = pytest.mark.parametrize("name", sorted(TARGETS))


def parse(name):
    return ElementTree.fromstring(configs.load(name).encode())


def test_these_and_no_others_are_there():
    assert configs.names() == sorted(TARGETS)


@by_name
def test_a_client_that_names_one_sets_nothing_about_the_servers_machine(name):
    assert of_the_machine(read_properties(configs.load(name))) == {}


def assert_known(node, path):
    for child in node:
        assert child.tag in NODES.get(path, set()), f"{child.tag} in {path}"
        assert_known(child, f"{path}/{child.tag}")


@by_name
def test_the_nodes_are_those_that_the_server_knows(name):
    root = parse(name)
    assert root.tag == "configuration"
    assert [child.tag for child in root] == ["version", "readers", "writers", "stream"]
    assert root.findtext("version") == "2"
    assert_known(root, "configuration")


@by_name
def test_readouts_and_waveforms_come_in_and_images_go_out(name):
    root = parse(name)
    for part, expected in (("reader", READERS), ("writer", WRITERS)):
        listed = [(n.findtext("dll"), n.findtext("classname")) for n in root.iter(part)]
        assert sorted(listed) == sorted(expected)


@by_name
def test_the_stream_calls_targets_that_exist_with_settings_that_exist(name):
    externals = parse(name).findall("stream/external")
    assert len(externals) == len(TARGETS[name])
    for external, targets in zip(externals, TARGETS[name], strict=True):
        executes = external.findall("execute")
        assert [node.get("target") for node in executes] == targets
        for execute in executes:
            assert (execute.get("name"), execute.get("type")) == (gadgets.__name__, "python")
            function = getattr(gadgets, execute.get("target"))
            assert list(inspect.signature(function).parameters) == ["connection"]
        sent = ElementTree.tostring(external.find("configuration"), encoding="unicode")
        properties = read_properties(sent)
        assert properties
        Settings.from_properties(properties)


def test_a_scanners_injector_gets_12_bits():
    settings = Settings.from_properties(read_properties(configs.load("openrecon")))
    assert settings.deliver.image_pixels == "uint12"
    assert settings.spool.keep == "failed"


def test_the_resident_process_is_where_its_command_listens():
    (connect,) = parse("qsm_connect").iter("connect")
    port = inspect.signature(cli.gadget).parameters["port"].default
    assert connect.attrib == {"address": "localhost", "port": str(port)}


FILTERS = ("KSpaceFilter", "PartialFourierHandling", "ImageArrayScaling")


@pytest.mark.parametrize("name", ["qsm_buffer", "qsm_grappa"])
def test_in_front_of_python_echoes_stay_apart_and_nothing_changes_phase(name):
    gadgets_of = {node.findtext("classname"): node for node in parse(name).iter("gadget")}
    buffer = gadgets_of["BucketToBufferGadget"].findall("property")
    assert {"name": "N_dimension", "value": "contrast"} in [node.attrib for node in buffer]
    assert not [c for c in gadgets_of if any(word in c for word in FILTERS)]


def test_one_coil_map_serves_all_echoes():
    nodes = [n.attrib for n in parse("qsm_grappa").iter("property") if "ref_N" in n.get("name")]
    assert [node["value"] for node in nodes] == ["true", "true"]


@by_name
def test_the_first_comment_says_who_uses_it(name):
    text = configs.load(name)
    assert re.match(r'<\?xml version="1\.0" encoding="UTF-8"\?>\n<!-- For sites ', text)


def test_a_name_may_have_its_ending():
    assert configs.load("qsm.xml") == configs.load("qsm")


@pytest.mark.parametrize("name", ["nix", "../configs/qsm", "", "qsm.xml.xml"])
def test_a_name_that_is_not_there_is_refused_with_those_that_are(name):
    with pytest.raises(QsmError, match="there are fast, openrecon, qsm, qsm_buffer, qsm_c"):
        configs.load(name)


@pytest.fixture
def home(tmp_path):
    (tmp_path / "share" / "gadgetron" / "config").mkdir(parents=True)
    return tmp_path


def test_all_are_installed_where_a_gadgetron_looks_for_them(home):
    placed, kept = configs.install(home)
    assert (len(placed), kept) == (len(configs.names()), [])
    assert {path.parent for path in placed} == {home / "share" / "gadgetron" / "config"}
    assert all(path.read_text() == configs.load(path.stem) for path in placed)
    assert {path.stat().st_mode & 0o777 for path in placed} == {0o644}  # for any server
    assert configs.install(home) == (placed, [])


def test_what_a_site_has_changed_is_kept_unless_asked_for(home):
    changed = home / "share" / "gadgetron" / "config" / "qsm.xml"
    changed.write_text("<!-- ours, of the site -->")
    placed, kept = configs.install(home)
    assert (kept, changed in placed) == ([changed], False)
    assert changed.read_text() == "<!-- ours, of the site -->"
    configs.install(home, replace=True)
    assert changed.read_text() == configs.load("qsm")


def test_a_folder_that_is_no_gadgetrons_is_refused(tmp_path):
    with pytest.raises(UsageError, match="GADGETRON_HOME"):
        configs.install(tmp_path)


def test_the_command_says_what_is_where(home, capsys):
    (home / "share" / "gadgetron" / "config" / "fast.xml").write_text("other")
    cli.install_config(home)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["installed"] * 8 + [
        "kept, it differs from ours"
    ]
