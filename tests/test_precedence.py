"""The site's settings lie below the client's, which lie below the operator's."""

from __future__ import annotations

import pytest

from gadgetron_qsm import configs
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.mrd.messages import ConfigFile, ConfigText, Text
from gadgetron_qsm.mrd.properties import read_properties
from gadgetron_qsm.parameters import PARAMETERS
from gadgetron_qsm.precedence import (
    operator_parameters,
    resident_properties,
    scan_properties,
)
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.wanted import require_places

OPENRECON = read_properties(configs.load("openrecon"))
ALL = {parameter.id: parameter.default for parameter in PARAMETERS}  # as a console sends them


def settings(config=None, own=(), given=(), site=OPENRECON, site_name=""):
    properties = scan_properties(config, dict(own), dict(given), site, site_name)
    return Settings.from_properties(properties)


@pytest.mark.parametrize("preset", ["fast", "standard", "research"])
def test_the_scanner_gets_its_pixels_whichever_preset_the_operator_chooses(preset):
    chosen = settings(ConfigFile("openrecon"), given=ALL | {"config": preset})
    assert (chosen.preset, chosen.deliver.image_pixels) == (preset, "uint12")


@pytest.mark.parametrize("config", [None, ConfigText("..."), ConfigFile("qsm"), ConfigFile("fast")])
def test_it_gets_them_without_parameters_too(config):
    assert settings(config).deliver.image_pixels == "uint12"


def test_a_client_may_ask_for_other_pixels():
    asked = {"deliver.image_pixels": "float32"}
    assert settings(ConfigText("..."), asked).deliver.image_pixels == "float32"


def test_a_host_may_send_a_name_that_is_not_known_when_the_operator_names_another():
    assert settings(ConfigFile("some_host"), given={"config": "fast"}).preset == "fast"
    with pytest.raises(UsageError, match="no configuration is named 'some_host'"):
        settings(ConfigFile("some_host"), given={"reference": "csf"})


def test_parameters_that_name_no_configuration_go_on_top_of_the_clients():
    chosen = settings(ConfigFile("fast"), given={"reference": "csf"})
    assert (chosen.preset, chosen.reference.region) == ("fast", "csf")
    chosen = settings(ConfigText("..."), {"preset": "fast"}, given={"reference": "csf"})
    assert (chosen.preset, chosen.reference.region) == ("fast", "csf")


def test_what_the_operator_set_may_come_in_the_header_and_behind_it():
    header = """<ismrmrdHeader><userParameters>
    <userParameterString><name>config</name><value>fast</value></userParameterString>
    <userParameterString><name>reference</name><value>csf</value></userParameterString>
    </userParameters></ismrmrdHeader>"""
    text = Text('{"version": "1.1.0", "parameters": {"config": "research"}}')
    assert operator_parameters(header, None) == {"config": "fast", "reference": "csf"}
    assert operator_parameters(header, text) == {"config": "research", "reference": "csf"}
    assert operator_parameters("<ismrmrdHeader/>", Text("INFO hello")) == {}


def test_how_the_site_reconstructs_is_not_imposed():
    site = {"preset": "fast", "mask.two_pass": "true", "store.nodes": "A@b:104"}
    chosen = settings(ConfigText("..."), {"preset": "research"}, site=site)
    assert (chosen.preset, chosen.mask.two_pass) == ("research", False)
    assert chosen.store.nodes == ("A@b:104",)


SITE = {
    "preset": "fast",
    "deliver.maps": "chi",
    "coils.phase_sign": "-1",
    "mask.two_pass": "true",
    "device.use": "cpu",
    "deliver.form": "enhanced",
}
NAMED = [(ConfigFile("openrecon"), {}), (ConfigText("..."), {"config": "standard"})]


@pytest.mark.parametrize(("config", "given"), NAMED)
def test_below_a_configuration_that_is_named_is_all_that_the_site_says(config, given):
    chosen = settings(config, given=given, site=SITE)
    assert chosen.preset == "standard"
    assert chosen.deliver.maps == ("chi",)
    assert (chosen.coils.phase_sign, chosen.mask.two_pass) == (-1, True)
    assert (chosen.device.use, chosen.deliver.form) == ("cpu", "enhanced")


def test_what_the_operator_leaves_as_configured_is_as_the_site_has_it():
    chosen = settings(ConfigFile("openrecon"), given=ALL, site=SITE)
    assert (chosen.coils.phase_sign, chosen.mask.two_pass) == (-1, True)


def test_a_client_that_says_nothing_gets_what_the_site_says():
    assert settings(site=SITE) == Settings.from_properties(SITE)


@pytest.mark.parametrize("name", ["site", "site.xml"])
def test_the_sites_own_configuration_is_had_by_its_name(name):
    own = Settings.from_properties(SITE)
    assert settings(ConfigFile(name), site=SITE, site_name="site") == own
    assert settings(ConfigFile("x"), (), {"customconfig": name}, SITE, "site") == own


def test_another_method_does_not_get_the_parameters_of_the_sites():
    site = {"inversion.method": "tkd", "inversion.threshold": "0.2", "mask.two_pass": "true"}
    chosen = settings(ConfigFile("qsm"), given={"config": "fast"}, site=site)
    assert (chosen.inversion.method, "threshold" in chosen.inversion.parameters) == ("ss_tv", False)
    assert chosen.mask.two_pass
    assert settings(ConfigFile("qsm"), site=site).inversion.parameters == {"threshold": 0.2}


def test_parameters_of_the_same_method_stay_the_sites():
    site = {"preset": "fast", "inversion.iterations": "7"}
    assert settings(ConfigFile("standard"), site=site).inversion.parameters["iterations"] == 7


def test_a_resident_process_has_the_last_word_on_its_machine_alone():
    site = {
        "preset": "fast",
        "coils.phase_sign": "-1",
        "spool.folder": "/ours",
        "device.use": "cpu",
    }
    asked = {"preset": "standard", "spool.folder": "/its", "spool.keep": "all", "device.use": "gpu"}
    chosen = Settings.from_properties(resident_properties(asked, site))
    assert (chosen.preset, chosen.coils.phase_sign, chosen.device.use) == ("standard", -1, "cpu")
    assert (str(chosen.spool.folder), chosen.spool.keep) == ("/ours", "all")


OF_THE_MACHINE = [
    "deliver.dicom_folder",
    "measure.atlas",
    "measure.labels",
    "measure.lesions",
    "measure.controls",
    "measure.anatomical",
    "measure.folder",
    "store.nodes",
    "spool.folder",
    "server.x",
    "device.use",
    "kspace.memory_gb",
]


@pytest.mark.parametrize("key", OF_THE_MACHINE)
def test_what_is_the_sites_no_client_sets_even_if_the_operator_names_another(key):
    for given in ({}, {"config": "fast"}):
        with pytest.raises(QsmError, match=f"clients may not set {key}"):
            settings(ConfigText("..."), {key: "x"}, given)


@pytest.mark.parametrize(
    ("own", "measured"),
    [
        ({"measure.noise_samples": "2"}, False),
        ({"deliver.measurements": "false"}, False),
        ({"deliver.measurements": "true"}, True),
    ],
)
def test_what_a_site_measures_costs_no_client_its_map(own, measured):
    site = {"measure.atlas": "/atlas", "deliver.measurements": "true", "store.nodes": "A@b:104"}
    chosen = settings(ConfigText("..."), own, site=site)
    require_places(chosen)
    assert chosen.measure.asked == measured


def test_what_a_site_keeps_in_a_folder_is_measured_whatever_a_client_asks_for():
    site = {"measure.atlas": "/atlas", "measure.folder": "/measured"}
    assert settings(ConfigText("..."), {"preset": "fast"}, site=site).measure.asked
