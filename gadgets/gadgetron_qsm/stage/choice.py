"""Which stages there are, and which methods with which parameters do their steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gadgetron_qsm import background, contrast, field, inversion, mask
from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.methods import Method, instead, parameters
from gadgetron_qsm.settings import Settings

TWO = ("background", "inversion")
AT_ONCE = " and ".join(TWO)
TABLES: Mapping[str, Mapping[str, Method]] = {
    "field": field.METHODS,
    "mask": mask.METHODS,
    "background": background.METHODS,
    "inversion": inversion.METHODS,
    AT_ONCE: inversion.SINGLE_STEP,
    "separation": contrast.SEPARATION,
}


class Stage(NamedTuple):
    """The steps of a stage, the files that it needs and welcomes, and those that it writes."""

    steps: tuple[str, ...]
    needs: tuple[str, ...]
    welcomes: tuple[str, ...]
    writes: tuple[str, ...]


STAGES: Mapping[str, Stage] = {
    "field-mapping": Stage(("field",), ("phase", "magnitude"), ("mask",), ("totalfield",)),
    "bfr": Stage(("background",), ("totalfield", "mask"), ("magnitude",), ("localfield",)),
    "dipole": Stage(("inversion",), ("localfield", "mask"), ("magnitude",), ("chimap",)),
    "bfr+dipole": Stage(TWO, ("totalfield", "mask"), ("magnitude",), ("chimap",)),
    "end-to-end": Stage(("field", "mask", *TWO), ("phase", "magnitude"), ("mask",), ("chimap",)),
    "chi-separation": Stage(
        (*TWO, "separation"),
        ("mask",),
        ("totalfield", "localfield", "chimap", "r2prime", "magnitude"),
        ("chi-para", "chi-dia"),
    ),
}


class Choice(NamedTuple):
    """A method by name, with the parameters that were given for it."""

    name: str
    method: Method
    given: dict[str, Any]


def stage_named(name: str) -> Stage:
    """Return a stage; raises UsageError, which says what there is, for one that there is not."""
    if name not in STAGES:
        raise UsageError(f"there is no stage '{name}'{instead(name, STAGES)}")
    return STAGES[name]


def described() -> Iterator[tuple[str, str]]:
    """Give every stage with the methods of its steps."""
    for name, stage in STAGES.items():
        yield name, _listed(_rows(stage.steps))


def choose(steps: Sequence[str], text: str | None, config: Mapping[str, Any]) -> dict[str, Choice]:
    """Return what does each of the steps, in their order; one method may do two.

    text: names of methods joined by '+', for the steps that shall not take their default. config:
    parameters of the methods, NAME or, where several methods have one of that name, METHOD.NAME.
    Raises UsageError for a method or parameter that there is not.
    """
    asked = _asked(_rows(steps), text.split("+") if text else [])
    if AT_ONCE in _rows(steps) and not asked.keys() & {*TWO, AT_ONCE}:
        asked |= _default_at_once()
    if AT_ONCE in asked:
        steps = [*(step for step in steps if step not in TWO), AT_ONCE]
    names = {step: asked.get(step) or default(step) for step in steps}
    choices = {step: Choice(name, TABLES[step][name], {}) for step, name in names.items()}
    _share_out(config, list(choices.values()))
    return choices


def default(step: str) -> str:
    """Return the method of a step that is taken when none is named: that of the settings."""
    name = _of_settings(step)
    return name if name in TABLES[step] else next(iter(TABLES[step]))


def _default_at_once() -> dict[str, str]:
    name = _of_settings("inversion")
    return {AT_ONCE: name} if name in TABLES[AT_ONCE] else {}


def _of_settings(step: str) -> str:
    return str(getattr(getattr(Settings(), step, None), "method", ""))


def _rows(steps: Sequence[str]) -> list[str]:
    """Names of the tables that the steps take methods from."""
    both = set(TWO) <= set(steps) and "separation" not in steps  # which needs the local field
    return [*steps, AT_ONCE] if both else [*steps]


def _asked(rows: Sequence[str], methods: Sequence[str]) -> dict[str, str]:
    """Names of the methods that were asked for, by table."""
    asked: dict[str, str] = {}
    for method in methods:
        row = next((row for row in rows if method in TABLES[row]), None)
        if row is None:
            raise UsageError(f"there is no method '{method}' here; there are {_listed(rows)}")
        if row in asked:
            raise UsageError(f"{asked[row]} and {method} are both for {row}; choose one")
        asked[row] = method
    if AT_ONCE in asked and set(TWO) & set(asked):
        raise UsageError(f"{asked[AT_ONCE]} does {AT_ONCE}; name no other method for these")
    return asked


def _listed(rows: Sequence[str]) -> str:
    return "; ".join(f"{row}: {', '.join(TABLES[row])}" for row in rows)


def _share_out(config: Mapping[str, Any], choices: Sequence[Choice]) -> None:
    """Give each method its parameters."""
    known = {(c.name, name): c for c in choices for name in parameters(c.method)}
    for key, value in config.items():
        full = [(of, name) for of, name in known if key in (name, f"{of}.{name}")]
        if not full:
            names = dict.fromkeys(name for _, name in known)
            raise UsageError(f"config.json: there is no parameter '{key}'{instead(key, names)}")
        if len(full) > 1:
            several = " or ".join(".".join(pair) for pair in full)
            raise UsageError(f"config.json: '{key}' is of several methods; write {several}")
        known[full[0]].given[full[0][1]] = value
