from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from gadgetron_qsm import configs
from gadgetron_qsm.coils import METHODS as COIL_METHODS
from gadgetron_qsm.dicom.kinds import MAPS
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.methods import parameters
from gadgetron_qsm.mrd.properties import read_properties
from gadgetron_qsm.sections import MethodSettings
from gadgetron_qsm.settings import MapName, Settings, keys

UNITS = ("_mm", "_rad", "_s", "_ms", "_hz", "_ppm")
PRESETS = ("fast", "standard", "research")
SECTIONS = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
OF_METHODS = {n: s for n, s in SECTIONS.items() if issubclass(s, MethodSettings)}
FIELDS = {
    f"{name}.{key}": field
    for name, section in SECTIONS.items()
    for key, field in section.model_fields.items()
    if key != "parameters"
}
PARAMETERS = {
    f"{name}.{key}"
    for name, section in OF_METHODS.items()
    for method in section.METHODS.values()
    for key in parameters(method)
}


def refused(**properties):
    with pytest.raises(QsmError) as error:
        Settings.from_properties({key.replace("__", "."): v for key, v in properties.items()})
    return str(error.value)


def test_texts_become_values_of_their_type():
    settings = Settings.from_properties(
        {
            "inversion.iterations": "5",
            "inversion.regularisation": " 2e-3 ",
            "kspace.incomplete": "warn",
            "deliver.dicom_folder": "/tmp/out",
        }
    )
    assert settings.inversion.parameters == {"iterations": 5, "regularisation": 2e-3}
    assert settings.kspace.incomplete == "warn"
    assert settings.deliver.dicom_folder == Path("/tmp/out")


def test_what_is_not_given_keeps_its_default():
    settings = Settings.from_properties({"inversion.iterations": "5"})
    assert settings.inversion.complete() == {**Settings().inversion.complete(), "iterations": 5}
    assert settings.background == Settings().background


def test_the_defaults_are_the_preset_standard():
    assert Settings.from_properties({}) == Settings()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_the_configuration_of_its_name(preset):
    told = read_properties(configs.load(preset))
    assert told["preset"] == preset
    settings = Settings.from_properties({"preset": preset})
    assert settings == Settings.from_properties(told)
    for stage in OF_METHODS:
        if f"{stage}.method" in told:
            assert getattr(settings, stage).method == told[f"{stage}.method"]


def test_presets_differ():
    chosen = [Settings.from_properties({"preset": preset}) for preset in PRESETS]
    assert len({settings.model_dump_json(exclude={"preset"}) for settings in chosen}) == 3


def test_another_method_drops_the_parameters_that_the_preset_gives_to_its_own(monkeypatch):
    text = configs.load("fast").replace(
        "</configuration>\n    </external>",
        '<property name="inversion.padding_mm" value="3"/></configuration></external>',
    )
    monkeypatch.setattr(configs, "load", lambda _: text)
    own = Settings.from_properties({"preset": "fast"}).inversion
    assert own.parameters["padding_mm"] == 3
    other = Settings.from_properties({"preset": "fast", "inversion.method": "tkd"}).inversion
    assert (other.method, other.parameters) == ("tkd", {})


@pytest.mark.parametrize(("text", "sign"), [("1", 1), ("+1", 1), ("-1", -1), (" -1 ", -1)])
def test_the_phase_sign_is_plus_or_minus_one(text, sign):
    assert Settings.from_properties({"coils.phase_sign": text}).coils.phase_sign == sign


def test_maps_are_a_list_separated_by_commas():
    settings = Settings.from_properties({"deliver.maps": "chi, mask,local_field,"})
    assert settings.deliver.maps == ("chi", "mask", "local_field")


def test_nodes_are_a_list_separated_by_commas():
    settings = Settings.from_properties({"store.nodes": "a=PACS@host:104, tls:B@[fd00::5]:2762"})
    assert settings.store.nodes == ("a=PACS@host:104", "tls:B@[fd00::5]:2762")
    assert Settings.from_properties({"store.nodes": ""}).store.nodes == ()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("store.nodes", "PACS", "'PACS' is no DICOM node; write [NAME=]"),
        ("store.nodes", "PACS@a:104,PACS@b:104", "two nodes have the same name"),
        ("store.calling_title", "A_TITLE_THAT_IS_TOO_LONG", "is no application entity title"),
    ],
)
def test_nodes_and_titles_that_are_none_are_refused(key, value, said):
    message = refused(**{key.replace(".", "__"): value})
    assert message.startswith("store: ")
    assert said in message
    assert "\n" not in message


def test_a_key_and_its_file_together_are_refused():
    given = {"identity.key": "a secret of this site", "identity.key_file": "key"}
    with pytest.raises(QsmError, match="both given; leave one out"):
        Settings.from_properties(given)


def test_no_maps_at_all_are_refused():
    assert "'deliver.maps'" in refused(deliver__maps=" , ")


def test_an_empty_folder_is_no_folder_and_not_the_current_one():
    assert Settings.from_properties({"deliver.dicom_folder": ""}).deliver.dicom_folder is None


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("inversion.iteration", "inversion.iterations"),
        ("inversion.regularization", "inversion.regularisation"),
        ("background.radios_mm", "background.radius_mm"),
        ("maps", "deliver.maps"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_right_one(wrong, right):
    expected = f"unknown setting '{wrong}'; did you mean '{right}'?"
    with pytest.raises(QsmError) as error:
        Settings.from_properties({wrong: "1"})
    assert str(error.value) == expected


def test_a_key_unlike_any_of_its_stage_is_refused_with_those_there_are():
    assert "there are mask.method, mask.two_pass" in refused(**{"mask.xyzzy": "0.5"})


def test_a_key_like_no_other_is_refused_with_where_to_look():
    assert refused(xyzzy="1").endswith("'gadgetron-qsm check' lists them")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("coils.smoothing_mm", "wide", "valid number"),
        ("coils.smoothing_mm", "0", "greater than 0"),
        ("coils.smoothing_mm", "51", "less than or equal to 50"),
        ("coils.smoothing_mm", "nan", ""),
        ("coils.phase_sign", "2", "1 or -1"),
        ("kspace.incomplete", "ignore", "'refuse' or 'warn'"),
        ("mask.two_pass", "perhaps", "valid boolean"),
        ("reference.region", "liver", "'csf'"),
        ("preset", "slow", "'standard'"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_it(key, value, said):
    message = refused(**{key.replace(".", "__"): value})
    assert message.startswith(f"setting '{key}' = '{value}': ")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "inversion.iterations",
            "ten",
            "setting 'inversion.iterations' = 'ten': input should be a valid",
        ),
        (
            "inversion.iterations",
            "0",
            "setting 'inversion.iterations' = '0': it must be from 1 to 10000",
        ),
        ("inversion.regularisation", "nan", "setting 'inversion.regularisation' = 'nan': "),
        ("inversion.method", "magic", "inversion: there is no method 'magic'; there are tv, "),
        (
            "mask.opening_mm",
            "wide",
            "setting 'mask.opening_mm' = 'wide': input should be a valid number",
        ),
    ],
)
def test_what_a_method_does_not_take_is_refused_with_its_stage(key, value, said):
    message = refused(**{key.replace(".", "__"): value})
    assert message.startswith(said)
    assert "\n" not in message


def test_a_parameter_of_another_method_than_the_chosen_one_is_refused():
    message = refused(background__method="vsharp", background__peel="1")
    assert message.startswith("background: vsharp has no parameter 'peel'")


@pytest.mark.parametrize("unknown", [{"x": 1}, {"coils": {"x": 1}}])
def test_unknown_keys_of_a_nested_document_are_refused_too(unknown):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Settings.model_validate(unknown)


def test_a_wrong_name_in_a_list_is_named():
    message = refused(deliver__maps="chi,iron")
    assert message.startswith("setting 'deliver.maps' = 'iron': ")
    assert "'r2star'" in message


def test_keys_are_all_settings_and_no_sections():
    assert set(keys()) == {"preset", *FIELDS, *PARAMETERS}
    assert {"inversion.iterations", "coils.phase_sign"} <= set(keys())


def test_every_key_is_described_once():
    assert len(keys()) == len(set(keys()))


def test_a_parameter_is_described_by_the_methods_that_take_it():
    told = dict(Settings.described())["inversion.threshold"]
    assert told.startswith("of tkd 0.")


def test_coil_combinations_to_choose_from_are_those_of_the_package():
    choices = get_args(SECTIONS["coils"].model_fields["method"].annotation)
    assert set(choices) == {"auto", *COIL_METHODS}


def test_the_maps_to_choose_from_are_those_that_can_be_delivered():
    assert set(get_args(MapName)) == set(MAPS)


@pytest.mark.parametrize(("key", "field"), FIELDS.items(), ids=list(FIELDS))
def test_every_setting_explains_itself(key, field):
    assert key.endswith(".method") or field.description or key.endswith(UNITS)


@pytest.mark.parametrize(
    "key", [key for key, field in FIELDS.items() if field.annotation in (int, float)]
)
def test_every_number_has_a_range(key):
    assert {type(bound).__name__.lower() for bound in FIELDS[key].metadata} & {"le", "lt"}
    assert {type(bound).__name__.lower() for bound in FIELDS[key].metadata} & {"ge", "gt"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"patient_id": "{protocl}"},
            "identity: patient_id names {protocl}, which is no field; did you mean 'protocol'?",
        ),
        ({"study_key": "exam"}, "identity: study_key has no {field}: all patients would share"),
        ({"deidentify": "yes"}, "identity: deidentify needs identity.key, a secret of 16"),
        ({"deidentify": "yes", "key": "too short"}, "identity: deidentify needs identity.key"),
        (
            {"deidentify": "yes", "key": "k" * 16, "patient_id": "{patient_id}"},
            "identity: patient_id names {patient_id}, which deidentify must not keep",
        ),
    ],
)
def test_rules_of_identity_that_cannot_hold_are_refused(settings, said):
    assert refused(**{f"identity__{key}": value for key, value in settings.items()}).startswith(
        said
    )


def test_a_position_may_be_written_in_small_letters():
    settings = Settings.from_properties({"identity.patient_position": "ffdl"})
    assert settings.identity.patient_position == "FFDL"


@pytest.mark.parametrize("wrong", [{}, {"identity.missing": "x"}, {"identity.study_key": "x"}])
def test_a_key_is_quoted_nowhere(wrong):
    given = {"identity.key": "of-nobody-else-16", **wrong}
    try:
        said = (
            repr(Settings.from_properties(given))
            + Settings.from_properties(given).model_dump_json()
        )
    except QsmError as error:
        said = f"{error} {error.__cause__}"
    assert "nobody" not in said
