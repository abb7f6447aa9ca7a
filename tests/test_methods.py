from __future__ import annotations

from functools import partial
from typing import Any, Literal

import pytest

from gadgetron_qsm import contrast, mask
from gadgetron_qsm.contrast.clear_swi import clear_swi
from gadgetron_qsm.contrast.swi import swi
from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.methods import bound, chosen, effective, parameters
from gadgetron_qsm.stage.choice import TABLES

OTHERS = {"mask": mask.METHODS, "r2star": contrast.R2STAR, "swi": contrast.SWI}
EVERY = {
    f"{table} {name}": method
    for table, methods in {**TABLES, **OTHERS}.items()
    for name, method in methods.items()
}


def method(
    field,
    mask,
    *,
    weight=None,
    radians_per_ppm,
    regularisation: float = 1e-3,
    iterations: int = 20,
    smallest_radius_mm: float | None = None,
    edges: Literal["sharp", "smooth"] = "sharp",
    sign: Literal[1, -1] = 1,
    zero_csf: bool = False,
):
    return dict(locals())


def refused(**given):
    with pytest.raises(UsageError) as error:
        effective(method, given)
    return str(error.value)


def test_parameters_are_the_keywords_that_nobody_offers():
    assert list(parameters(method)) == [
        "regularisation", "iterations", "smallest_radius_mm", "edges", "sign", "zero_csf",
    ]  # fmt: skip


def test_parameters_have_types_though_annotations_are_texts():
    assert parameters(method)["iterations"].annotation is int
    assert parameters(method)["smallest_radius_mm"].annotation == float | None


def test_what_is_not_given_has_its_default():
    assert effective(method, {"iterations": 5}) == {
        "regularisation": 1e-3,
        "iterations": 5,
        "smallest_radius_mm": None,
        "edges": "sharp",
        "sign": 1,
        "zero_csf": False,
    }


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("iterations", "40", 40),
        ("iterations", 40.0, 40),
        ("regularisation", " 1e-4 ", 1e-4),
        ("regularisation", 2, 2.0),
        ("smallest_radius_mm", 1, 1.0),
        ("smallest_radius_mm", None, None),
        ("edges", "smooth", "smooth"),
        ("sign", -1, -1),
        ("zero_csf", "true", True),
        ("zero_csf", True, True),
    ],
)
def test_a_value_or_its_text_becomes_a_value_of_the_parameters_type(name, given, value):
    got = effective(method, {name: given})[name]
    assert got == value
    assert type(got) is type(value)


def test_an_unknown_parameter_is_refused_with_the_nearest_name():
    assert refused(regularization=1) == (
        "method has no parameter 'regularization'; did you mean 'regularisation'?"
    )


def test_an_unknown_parameter_near_nothing_is_refused_with_all_names():
    text = refused(xyz=1)
    assert all(name in text for name in parameters(method))


def test_what_is_offered_cannot_be_set():
    assert "no parameter 'weight'" in refused(weight=1)


@pytest.mark.parametrize(
    ("name", "given", "because"),
    [
        ("iterations", 1.5, "integer"),
        ("iterations", "many", "integer"),
        ("iterations", True, "not a number"),
        ("iterations", 0, "from 1 to 10000"),
        ("iterations", 10_001, "from 1 to 10000"),
        ("regularisation", "strong", "number"),
        ("regularisation", -1e-3, "0 or more"),
        ("regularisation", float("nan"), "finite"),
        ("regularisation", "inf", "finite"),
        ("regularisation", [1], "number"),
        ("regularisation", None, "number"),
        ("smallest_radius_mm", 41, "from 0 to 40"),
        ("edges", "soft", "'sharp' or 'smooth'"),
        ("zero_csf", 7, "boolean"),
    ],
)
def test_a_value_of_another_type_or_out_of_range_is_refused(name, given, because):
    text = refused(**{name: given})
    assert text.startswith(f"{name} = ")
    assert because in text
    assert "\n" not in text


def test_what_a_method_divides_by_is_above_0():
    with pytest.raises(UsageError, match="strength = '0': it must be above 0"):
        effective(clear_swi, {"strength": "0"})
    assert effective(clear_swi, {"strength": "0.5"})["strength"] == 0.5


def test_an_echo_time_in_ms_is_refused():
    with pytest.raises(UsageError, match="echo_time_s = '20': it must be from 0 to 1"):
        effective(swi, {"echo_time_s": "20"})


def test_a_bound_method_gets_its_parameters_and_what_it_names_of_the_offers():
    run = bound(method, {"iterations": "7"}, weight="w", radians_per_ppm=3.0, noise="unwanted")
    got = run("f", "m")
    assert (got["field"], got["mask"]) == ("f", "m")
    assert (got["iterations"], got["weight"], got["radians_per_ppm"]) == (7, "w", 3.0)


def test_a_variant_of_a_method_has_its_own_defaults_and_the_name_of_the_method():
    variant = partial(method, zero_csf=True)
    assert effective(variant, {})["zero_csf"] is True
    with pytest.raises(UsageError, match="method has no parameter 'xyz'"):
        effective(variant, {"xyz": 1})


def test_a_method_is_chosen_by_name():
    assert chosen({"tv": method}, "tv") is method
    with pytest.raises(UsageError, match="no method 'tvv'; did you mean 'tv'"):
        chosen({"tv": method}, "tvv")
    with pytest.raises(UsageError, match="there are tv, tkd"):
        chosen({"tv": method, "tkd": method}, "fastest")


@pytest.mark.parametrize("name", EVERY)
def test_every_parameter_of_every_method_has_a_type_and_a_default_within_its_range(name):
    for key, parameter in parameters(EVERY[name]).items():
        assert parameter.annotation not in (parameter.empty, Any), key
        assert parameter.default is not parameter.empty, key
        assert effective(EVERY[name], {key: parameter.default})[key] == parameter.default, key
