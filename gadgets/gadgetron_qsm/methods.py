"""What a method takes: its parameters as its signature states them, and what a caller offers.

A method names its parameters as keyword-only arguments; type and default stand in its signature
and nowhere else. Keyword-only arguments that are in OFFERS are no parameters: whoever runs the
method has them at hand, and gives a method those that it names.
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from gadgetron_qsm.errors import UsageError

OFFERS = (
    "b0_direction",
    "weight",
    "magnitude",
    "radians_per_ppm",
    "field_strength_t",
    "chi",
    "quality",
    "csf",
)

Method = Callable[..., Any]

# Least and most of numbers that mean the same in every method; all others are 0 or more, or above
# 0 where a method divides by them.
RANGES: Mapping[str, tuple[float, float]] = {
    "iterations": (1, 10_000),
    "padding_mm": (0, 200),
    "radius_mm": (0, 40),
    "largest_radius_mm": (0, 40),
    "smallest_radius_mm": (0, 40),
    "opening_mm": (0, 40),
    "closing_mm": (0, 40),
    "erosion_mm": (0, 40),
    "tolerance": (0, 1),
    "fractional_threshold": (0, 1),
    "edge_share": (0, 1),
    "cg_iterations": (1, 10_000),
    "passes": (1, 100),
    "peel": (0, 20),
    "echo_time_s": (0, 1),
    "multiplications": (0, 100),
}
ABOVE_0 = ("strength", "relaxivity_positive", "relaxivity_negative")
ANY = (0.0, math.inf)


def parameters(method: Method) -> dict[str, inspect.Parameter]:
    """Return the parameters of a method by name, annotations as types."""
    return {name: parameter for name, parameter in _keywords(method).items() if name not in OFFERS}


def effective(method: Method, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter of a method with its value: as given, of its type, or the default.

    Texts are read as the type of the parameter. Raises UsageError for a parameter that the method
    does not have, and for a value that is not of its type or out of range.
    """
    known = parameters(method)
    for name in given:
        if name not in known:
            raise UsageError(f"{_name(method)} has no parameter '{name}'{instead(name, known)}")
    return {
        name: _checked(name, given[name], parameter) if name in given else parameter.default
        for name, parameter in known.items()
    }


def bound(method: Method, given: Mapping[str, Any], **offers: Any) -> Method:
    """Return a method with its parameters, and what it names of `offers`, filled in.

    Positional arguments are left. Raises UsageError as `effective` does.
    """
    taken = {name: value for name, value in offers.items() if name in _keywords(method)}
    return partial(method, **effective(method, given), **taken)


def chosen(methods: Mapping[str, Method], name: str) -> Method:
    """Return the method of that name; UsageError says which there are."""
    if name not in methods:
        raise UsageError(f"there is no method '{name}'{instead(name, methods)}")
    return methods[name]


def instead(name: str, known: Iterable[str]) -> str:
    """Say what to write in the place of a name that is not known, as the end of a sentence."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    there = ", ".join(known)
    if not there:
        return "; it has none"
    return f"; did you mean '{near[0]}'?" if near else f"; there are {there}"


def takes(method: Method, name: str) -> bool:
    """Say whether a method asks for one of OFFERS, which may cost something to make."""
    return name in _keywords(method)


def _keywords(method: Method) -> dict[str, inspect.Parameter]:
    signature = inspect.signature(method, eval_str=True).parameters
    return {name: p for name, p in signature.items() if p.kind is p.KEYWORD_ONLY}


def _name(method: Method) -> str:
    return _name(method.func) if isinstance(method, partial) else method.__name__


def _checked(name: str, given: Any, parameter: inspect.Parameter) -> Any:
    annotation = parameter.annotation
    try:
        if isinstance(given, bool) and bool not in (annotation, *get_args(annotation)):
            raise UsageError(f"{name} = {given}: not a number")
        finite = ConfigDict(allow_inf_nan=False)
        text = given.strip() if isinstance(given, str) else given
        value = TypeAdapter(annotation, config=finite).validate_python(text)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].lower()
        raise UsageError(f"{name} = {given!r}: {problem}") from error
    if isinstance(value, int | float) and get_origin(annotation) is not Literal:
        _check_range(name, given, value)
    return value


def _check_range(name: str, given: Any, value: float) -> None:
    least, most = RANGES.get(name, ANY)
    if name in ABOVE_0 and not value > 0:
        raise UsageError(f"{name} = {given!r}: it must be above 0")
    if not least <= value <= most:
        to = f"from {least:g} to {most:g}" if most < math.inf else f"{least:g} or more"
        raise UsageError(f"{name} = {given!r}: it must be {to}")
