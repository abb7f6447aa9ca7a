from __future__ import annotations

import inspect
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from gadgetron_qsm import background, coils, inversion
from gadgetron_qsm.dicom.kinds import MAPS
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mask.brain import brain_mask
from gadgetron_qsm.settings import MapName, Settings, keys

UNITS = ("_mm", "_rad", "_s", "_ms", "_hz", "_ppm")
SECTIONS = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
FIELDS = {
    f"{name}.{key}": field
    for name, section in SECTIONS.items()
    for key, field in section.model_fields.items()
}
METHODS = {
    "coils": {"auto": None, **coils.METHODS},
    "background": background.METHODS,
    "inversion": inversion.METHODS,
}
FED = [
    *(("coils", method) for method in coils.METHODS.values()),
    ("mask", brain_mask),
    *(("background", method) for method in background.METHODS.values()),
    *(("inversion", method) for method in inversion.METHODS.values()),
]


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
    assert settings.inversion.iterations == 5
    assert settings.inversion.regularisation == 2e-3
    assert settings.kspace.incomplete == "warn"
    assert settings.deliver.dicom_folder == Path("/tmp/out")


def test_what_is_not_given_keeps_its_default():
    settings = Settings.from_properties({"inversion.iterations": "5"})
    assert settings.model_dump(exclude_defaults=True) == {"inversion": {"iterations": 5}}


@pytest.mark.parametrize(("text", "sign"), [("1", 1), ("+1", 1), ("-1", -1), (" -1 ", -1)])
def test_the_phase_sign_is_plus_or_minus_one(text, sign):
    assert Settings.from_properties({"coils.phase_sign": text}).coils.phase_sign == sign


def test_maps_are_a_list_separated_by_commas():
    settings = Settings.from_properties({"deliver.maps": "chi, mask,local_field,"})
    assert settings.deliver.maps == ("chi", "mask", "local_field")


def test_no_maps_at_all_are_refused():
    assert "'deliver.maps'" in refused(deliver__maps=" , ")


def test_an_empty_folder_is_no_folder_and_not_the_current_one():
    assert Settings.from_properties({"deliver.dicom_folder": ""}).deliver.dicom_folder is None


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("inversion.iteration", "inversion.iterations"),
        ("inversion.regularization", "inversion.regularisation"),
        ("background.radius_mm", "background.largest_radius_mm"),
        ("maps", "deliver.maps"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_right_one(wrong, right):
    expected = f"unknown setting '{wrong}'; did you mean '{right}'?"
    with pytest.raises(QsmError) as error:
        Settings.from_properties({wrong: "1"})
    assert str(error.value) == expected


def test_a_key_unlike_any_of_its_stage_is_refused_with_those_there_are():
    assert "there are mask.opening_mm, mask.closing_mm" in refused(**{"mask.fractional": "0.5"})


def test_a_key_like_no_other_is_refused_with_where_to_look():
    assert refused(xyzzy="1").endswith("'gadgetron-qsm check' lists them")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("inversion.iterations", "ten", "valid integer"),
        ("inversion.iterations", "0", "greater than or equal to 1"),
        ("mask.opening_mm", "wide", "valid number"),
        ("mask.opening_mm", "0", "greater than 0"),
        ("mask.opening_mm", "31", "less than or equal to 30"),
        ("mask.closing_mm", "nan", ""),
        ("background.threshold", "1", "less than 1"),
        ("coils.phase_sign", "2", "1 or -1"),
        ("kspace.incomplete", "ignore", "'refuse' or 'warn'"),
        ("inversion.method", "magic", "'tv'"),
        ("preset", "fast", "'standard'"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_it(key, value, said):
    message = refused(**{key.replace(".", "__"): value})
    assert message.startswith(f"setting '{key}' = '{value}': ")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize("unknown", [{"x": 1}, {"coils": {"x": 1}}])
def test_unknown_keys_of_a_nested_document_are_refused_too(unknown):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Settings.model_validate(unknown)


def test_a_wrong_name_in_a_list_is_named():
    message = refused(deliver__maps="chi,swi")
    assert message.startswith("setting 'deliver.maps' = 'swi': ")
    assert "'r2star'" in message


def test_keys_are_all_settings_and_no_sections():
    assert set(keys()) == {"preset", *FIELDS}
    assert {"inversion.iterations", "coils.phase_sign"} <= set(keys())


@pytest.mark.parametrize(("section", "function"), FED, ids=lambda x: getattr(x, "__name__", x))
def test_defaults_are_those_of_the_function_that_the_section_feeds(section, function):
    fields = SECTIONS[section].model_fields
    parameters = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name != "weight"
    }
    fed = {name: fields[name].default for name in fields if name not in {"method", "phase_sign"}}
    assert fed == parameters


@pytest.mark.parametrize("section", METHODS)
def test_the_methods_to_choose_from_are_those_of_the_package(section):
    choices = get_args(SECTIONS[section].model_fields["method"].annotation)
    assert set(choices) == set(METHODS[section])


def test_the_maps_to_choose_from_are_those_that_can_be_delivered():
    assert set(get_args(MapName)) == set(MAPS)


@pytest.mark.parametrize(("key", "field"), FIELDS.items(), ids=list(FIELDS))
def test_every_setting_explains_itself(key, field):
    choice = get_origin(field.annotation) is Literal and key.endswith(".method")
    assert choice or field.description or key.endswith(UNITS)


@pytest.mark.parametrize(
    "key", [key for key, field in FIELDS.items() if field.annotation in (int, float)]
)
def test_every_number_has_a_range(key):
    assert {type(bound).__name__.lower() for bound in FIELDS[key].metadata} & {"le", "lt"}
    assert {type(bound).__name__.lower() for bound in FIELDS[key].metadata} & {"ge", "gt"}
