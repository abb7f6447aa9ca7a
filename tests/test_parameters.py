"""Parameters of the console: typed, checked, and such as a label may name."""

from __future__ import annotations

import json
import re

import pytest

from gadgetron_qsm import configs
from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.parameters import (
    CONFIGURED,
    PARAMETERS,
    in_header,
    read_parameters,
    to_properties,
)
from gadgetron_qsm.precedence import scan_properties
from gadgetron_qsm.settings import Settings


def document(**parameters):
    return json.dumps({"version": "1.1.0", "parameters": parameters})


def test_they_are_such_as_the_schema_allows():
    ids = [parameter.id for parameter in PARAMETERS]
    assert len(set(ids)) == len(ids) <= 14
    assert all(re.fullmatch("[A-Za-z0-9]+", name) for name in ids)
    assert ids[0] == "config"


def test_defaults_are_those_of_the_settings():
    given = read_parameters(document(**{p.id: p.default for p in PARAMETERS}))
    assert Settings.from_properties(to_properties(given)) == Settings()


@pytest.mark.parametrize("value", [True, "True", "true", "1"])
def test_values_may_be_texts(value):
    properties = to_properties(read_parameters(document(mask=value)))
    maps = Settings.from_properties(properties).deliver.maps
    assert maps == ("chi", "r2star", "magnitude", "mask")


def test_what_the_operator_leaves_alone_is_as_the_sites_configuration_says(tmp_path, monkeypatch):
    (tmp_path / "standard.xml").write_text(configs.load("standard"))
    (tmp_path / "ours.xml").write_text(
        '<configuration><property name="coils.phase_sign" value="-1"/>'
        '<property name="mask.two_pass" value="true"/></configuration>'
    )
    monkeypatch.setattr(configs, "FOLDER", tmp_path)
    given = {p.id: p.default for p in PARAMETERS} | {"customconfig": "ours"}
    properties = scan_properties(None, {}, read_parameters(document(**given)), {})
    assert (properties["coils.phase_sign"], properties["mask.two_pass"]) == ("-1", "true")
    changed = read_parameters(document(**given | {"phasesign": "1"}))
    properties = scan_properties(None, {}, changed, {})
    assert (properties["coils.phase_sign"], properties["mask.two_pass"]) == ("1", "true")


def test_a_parameter_of_a_setting_can_leave_it_as_configured():
    assert all(CONFIGURED in p.choices for p in PARAMETERS if p.key)


def test_every_choice_is_one_of_its_setting():
    for parameter in PARAMETERS:
        for choice in parameter.choices or ():
            Settings.from_properties(to_properties({parameter.id: choice}))


def test_maps_are_those_left_on_and_chi():
    properties = to_properties(read_parameters(document(r2star="False", fields=True)))
    maps = Settings.from_properties(properties).deliver.maps
    assert maps == ("chi", "magnitude", "total_field", "local_field")


def test_maps_stay_those_of_the_configuration_when_none_is_named():
    assert "deliver.maps" not in to_properties(read_parameters(document(reference="csf")))


def header(**parameters):
    entries = "".join(
        f"<userParameter{'Long' if value.isdigit() else 'String'}><name>{name}</name>"
        f"<value>{value}</value></userParameter{'Long' if value.isdigit() else 'String'}>"
        for name, value in parameters.items()
    )
    return f"""<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><userParameters>{entries}
    </userParameters></ismrmrdHeader>"""


def test_they_may_be_in_the_header_with_those_of_others():
    text = header(config="fast", swi="1", reference="csf", MeasuredBy="x")
    assert in_header(text + "\0\r\n ") == {"config": "fast", "swi": True, "reference": "csf"}
    assert in_header(header(mask="17", reference="liver")) == {}  # a sequence's own
    assert in_header("<ismrmrdHeader/>") == {}


def test_a_wrong_one_in_the_header_is_refused():
    with pytest.raises(UsageError, match="'reference' is one of"):
        in_header(header(config="fast", reference="liver"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (document(refrence="csf"), "unknown parameter 'refrence'; did you mean 'reference'"),
        (document(nothing=1), "unknown parameter 'nothing'; there are config, customconfig"),
        (document(reference="liver"), "'reference' is one of configured, brain, csf"),
        (document(mask="perhaps"), "'mask' is true or false"),
        (document(customconfig=3), "'customconfig' is a text"),
        ("{", "no valid JSON"),
        ('{"a":' * 100_000, "no valid JSON"),
        ('{"parameters": 3}', '"parameters": {...}'),
        ("{}", '"parameters": {...}'),
    ],
)
def test_what_is_wrong_is_named(text, says):
    with pytest.raises(UsageError, match=re.escape(says)):
        read_parameters(text)


def test_a_custom_configuration_cannot_be_reached_by_a_path():
    with pytest.raises(UsageError, match="no configuration is named"):
        scan_properties(None, {}, {"customconfig": "../../etc/passwd"}, {})
