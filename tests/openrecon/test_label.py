"""The labels of both images are such as OpenRecon's schema takes, which refuses others."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from datetime import date
from pathlib import Path

import jsonschema
import pytest

from gadgetron_qsm import __version__
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.openrecon.label import decoded, encoded, make_label, stem, tag
from gadgetron_qsm.openrecon.maker import Maker
from gadgetron_qsm.parameters import PARAMETERS

SCHEMA = json.loads(Path(__file__).with_name("label.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
BUILT = date(2026, 3, 9)
RAW, IMAGE = make_label("raw", BUILT), make_label("image", BUILT)

both = pytest.mark.parametrize("label", [RAW, IMAGE], ids=["raw", "image"])


def faults(label):
    return [error.json_path for error in VALIDATOR.iter_errors(label)]


def test_the_schema_itself_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@both
def test_the_schema_takes_it(label):
    assert faults(label) == []


def test_an_image_without_cupy_says_that_it_uses_no_gpu():
    label = make_label("raw", BUILT, gpu=False)
    assert faults(label) == []
    assert label["reconstruction"]["can_use_gpu"] is False


@both
def test_it_is_for_research_takes_unfiltered_lines_and_can_do_without_a_gpu(label):
    reconstruction = label["reconstruction"]
    assert reconstruction["content_qualification_type"] == "RESEARCH"
    assert reconstruction["require_readout_filter_off"] is True
    assert (reconstruction["can_use_gpu"], reconstruction["min_count_required_gpus"]) == (True, 0)
    assert reconstruction["min_required_gpu_memory"] == 0  # a smaller GPU keeps no host from it
    assert reconstruction["port"] == 9002


def test_each_emitter_has_its_injector():
    found = [
        (one["reconstruction"]["emitter"], one["reconstruction"]["injector"])
        for one in (RAW, IMAGE)
    ]
    assert found == [("raw", "compleximage"), ("image", "image")]


def test_memory_is_what_is_planned_for_sixteen_virtual_coils_and_for_images():
    # 8 bytes x (6 x 16 + 5 + 8) x 160 x 240 x 192 + 1.5 GB
    assert RAW["reconstruction"]["min_required_memory"] == 8000
    assert IMAGE["reconstruction"]["min_required_memory"] == 2700


@both
def test_parameters_are_those_that_the_server_reads_in_their_order(label):
    assert [entry["id"] for entry in label["parameters"]] == [p.id for p in PARAMETERS]
    for entry, parameter in zip(label["parameters"], PARAMETERS, strict=True):
        assert parameter.read(entry["default"]) == parameter.default
        for choice in entry.get("values", ()):
            assert parameter.read(choice["id"]) == choice["id"]


def no_more_than_14(label):
    parameters = label["parameters"]
    parameters += [{**parameters[2], "id": f"more{n}"} for n in range(15 - len(parameters))]
    assert len(parameters) == 15
    return "$.parameters"


def no_underscore(label):
    label["parameters"][0]["id"] = "the_config"
    return "$.parameters[0].id"


def double(label, **changed):
    values = {"default": 0.5, "minimum": 0.0, "maximum": 1.0} | changed
    label["parameters"][2] = {"id": "weight", "label": {"en": "W"}, "type": "double", **values}


def no_double_between_tenths(label):
    double(label)
    assert faults(label) == []
    double(label, default=0.25)
    return "$.parameters[2].default"


def no_double_without_a_range(label):
    double(label)
    del label["parameters"][2]["maximum"]
    return "$.parameters[2]"


def no_missing_regulatory_field(label):
    del label["general"]["regulatory_information"]["udi"]
    return "$.general.regulatory_information"


def no_number_in_a_regulatory_field(label):
    label["general"]["regulatory_information"]["gtin"] = 0
    return "$.general.regulatory_information.gtin"


def no_unknown_field(label):
    label["comment"] = ""
    return "$"


def no_parameter_twice(label):
    label["parameters"][1] = label["parameters"][0]
    return "$.parameters"


def no_choice_without_choices(label):
    label["parameters"][0]["values"] = []
    return "$.parameters[0].values"


def no_text_for_a_boolean(label):
    label["parameters"][2]["default"] = "true"
    return "$.parameters[2].default"


def no_other_injector(label):
    label["reconstruction"]["injector"] = "raw"
    return "$.reconstruction.injector"


def no_version_of_two_numbers(label):
    label["general"]["version"] = "0.1"
    return "$.general.version"


@pytest.mark.parametrize(
    "spoil",
    [
        no_more_than_14,
        no_underscore,
        no_double_between_tenths,
        no_double_without_a_range,
        no_missing_regulatory_field,
        no_number_in_a_regulatory_field,
        no_unknown_field,
        no_parameter_twice,
        no_choice_without_choices,
        no_text_for_a_boolean,
        no_other_injector,
        no_version_of_two_numbers,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_the_schema_refuses(spoil):
    label = deepcopy(RAW)
    assert faults(label) == []
    where = spoil(label)
    assert faults(label) == [where]


def test_dates_and_numbers_have_the_form_of_published_labels():
    regulatory = RAW["general"]["regulatory_information"]
    assert regulatory["manufacture_date"] == "2026/03/09"
    assert re.fullmatch(r"\(01\)\d{14}\(21\)" + re.escape(__version__), regulatory["udi"])


@both
def test_it_says_that_it_is_not_for_clinical_use(label):
    assert "not for clinical use" in label["general"]["information"]["en"]
    assert "not for clinical use" in label["general"]["regulatory_information"]["safety_advices"]


def test_names_of_files_and_image_are_by_vendor_name_and_version():
    label = make_label("image", BUILT, Maker(vendor="Clinic9"))
    assert stem(label) == f"OpenRecon_Clinic9_QSMimages_V{__version__}"
    assert tag(label) == f"openrecon_clinic9_qsmimages:v{__version__}"


@both
def test_it_is_read_back_as_it_was(label):
    text = encoded(label)
    assert re.fullmatch("[A-Za-z0-9+/=]+", text)
    assert decoded(text) == label


def test_a_vendor_that_no_file_name_bears_is_refused():
    with pytest.raises(UsageError, match="letters and digits"):
        make_label("raw", BUILT, Maker(vendor="My Clinic"))


def spoilt(key, value):
    label = deepcopy(RAW)
    label["general"][key] = value
    return encoded(label)


@pytest.mark.parametrize(
    "text",
    [
        "no base64!",
        encoded({}),
        encoded([]),
        spoilt("vendor", "../../x"),
        spoilt("version", "latest"),
        spoilt("id", None),
    ],
)
def test_what_is_no_label_of_ours_is_refused(text):
    with pytest.raises(QsmError, match="no OpenRecon label"):
        decoded(text)
