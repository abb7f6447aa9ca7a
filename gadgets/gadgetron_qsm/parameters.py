"""Parameters that an operator sets at the console, and the settings that they stand for.

FIRE and OpenRecon send them as a TEXT message behind the header, a JSON document
{"version": "1.1.0", "parameters": {id: value}}; values may be texts, as in "True". An id has
letters and digits alone, and a label names 14 of them at most (OpenRecon's schema 1.1.0).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from gadgetron_qsm import configs
from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.mrd.properties import read_properties

ALWAYS = ("chi",)  # the map that the operator cannot leave out
LONGEST = 256  # characters of a text


@dataclass(frozen=True)
class Parameter:
    """One parameter. `key` is the setting that takes the value, `maps` what true adds to the maps.

    `choices` are ids with labels; without them it is a text if the default is one, else a boolean.
    """

    id: str
    label: str
    default: str | bool
    key: str = ""
    maps: tuple[str, ...] = ()
    choices: Mapping[str, str] | None = None

    def read(self, value: Any) -> str | bool:
        """Return the value in the parameter's type; raise UsageError for one of another."""
        if isinstance(self.default, bool):
            known = {"true": True, "1": True, "false": False, "0": False}
            found = known.get(str(value).strip().lower())
            if found is None:
                raise UsageError(f"parameter '{self.id}' is true or false")
            return found
        if not isinstance(value, str) or len(value) > LONGEST:
            raise UsageError(f"parameter '{self.id}' is a text of at most {LONGEST} characters")
        if self.choices and value not in self.choices:
            raise UsageError(f"parameter '{self.id}' is one of {', '.join(self.choices)}")
        return value


PARAMETERS = (
    Parameter(
        "config",
        "Preset",
        "standard",
        choices={"fast": "Fast", "standard": "Standard", "research": "Research"},
    ),
    Parameter("customconfig", "Configuration of the site, instead of the preset", ""),
    Parameter("r2star", "R2* map", True, maps=("r2star",)),
    Parameter("magnitude", "Magnitude of each echo", True, maps=("magnitude",)),
    Parameter("swi", "Susceptibility-weighted images", False, maps=("swi", "swi_mip")),
    Parameter("fields", "Total and local field", False, maps=("total_field", "local_field")),
    Parameter("mask", "Mask", False, maps=("mask",)),
    Parameter(
        "reference",
        "Reference region",
        "brain",
        key="reference.region",
        choices={"brain": "Brain", "csf": "CSF of the ventricles"},
    ),
    Parameter("twopass", "Two passes, for bleeds", False, key="mask.two_pass"),
    Parameter(
        "incomplete",
        "Incomplete scans",
        "refuse",
        key="kspace.incomplete",
        choices={"refuse": "Refuse", "warn": "Reconstruct and warn"},
    ),
    Parameter(
        "reversed",
        "Echoes read backwards",
        "flagged",
        key="kspace.reversed_echoes",
        choices={"flagged": "As flagged", "even": "2, 4, ...", "odd": "1, 3, ..."},
    ),
)
BY_ID = {parameter.id: parameter for parameter in PARAMETERS}


def read_parameters(text: str) -> dict[str, str | bool] | None:
    """Return the parameters in a client's text, by id; None for a text that is no JSON object.

    Raises UsageError that names what is wrong, or the nearest parameter.
    """
    if not text.lstrip().startswith("{"):
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the parameters are no valid JSON: {error}") from error
    given = document.get("parameters")
    if not isinstance(given, dict):
        raise UsageError('the parameters are no JSON {"version": ..., "parameters": {...}}')
    return {name: _parameter(name).read(value) for name, value in given.items()}


def to_properties(given: Mapping[str, str | bool]) -> dict[str, str]:
    """Return the settings that parameters stand for: those of the configuration, and changes.

    Raises UsageError when no configuration has the name that `customconfig` gives.
    """
    properties: dict[str, str] = {}
    if name := given.get("customconfig") or given.get("config"):
        properties = read_properties(configs.load(str(name)))
    for name, value in given.items():
        if key := BY_ID[name].key:
            properties[key] = str(value).lower()
    if any(BY_ID[name].maps for name in given):
        chosen = (p.maps for p in PARAMETERS if given.get(p.id, p.default))
        properties["deliver.maps"] = ",".join((*ALWAYS, *chain.from_iterable(chosen)))
    return properties


def _parameter(name: str) -> Parameter:
    if name not in BY_ID:
        near = difflib.get_close_matches(name, BY_ID, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(BY_ID)}"
        raise UsageError(f"unknown parameter '{name[:LONGEST]}'; {hint}")
    return BY_ID[name]
