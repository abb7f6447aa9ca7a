"""Parameters that an operator sets at the console, and the settings that they stand for.

FIRE and OpenRecon send them as a TEXT message behind the header, a JSON document
{"version": "1.1.0", "parameters": {id: value}}; values may be texts, as in "True". OpenRecon's
schema (1.1.0) says that they are in the header, which nobody has shown; userParameters are read,
too. An id has letters and digits alone, and a label names 14 of them at most.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.mrd.safe_xml import local_name, parse_xml

ALWAYS = ("chi",)  # the map that the operator cannot leave out
CONFIGURED = "configured"  # the choice that leaves a setting as the configuration has it
CHOOSES = "config"  # the id of the parameter that names the preset
LONGEST = 256  # characters of a text


@dataclass(frozen=True)
class Parameter:
    """One parameter. `key` is the setting that takes the value, `maps` what true adds to the maps.

    `choices` are ids with labels; without them it is a text if the default is one, else a boolean.
    A console sends all parameters, untouched ones too: those that stand for a setting are choices
    with CONFIGURED among them, so that a site's configuration is not undone by defaults.
    `information` is what an operator may want to know before changing it.
    """

    id: str
    label: str
    default: str | bool
    information: str = ""
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


_AS_CONFIGURED = {CONFIGURED: "As configured"}

PARAMETERS = (
    Parameter(
        CHOOSES,
        "Preset",
        "standard",
        "Research takes twice as long as Standard and follows strong sources better",
        choices={"fast": "Fast", "standard": "Standard", "research": "Research"},
    ),
    Parameter(
        "customconfig",
        "Configuration of the site",
        "",
        "Name of a configuration that the site has installed, instead of the preset; empty: none",
    ),
    Parameter("r2star", "R2* map", True, maps=("r2star",)),
    Parameter("magnitude", "Magnitude of each echo", True, maps=("magnitude",)),
    Parameter("swi", "SWI and projection", False, maps=("swi", "swi_mip")),
    Parameter(
        "separation",
        "Positive and negative sources",
        False,
        "Two maps, para- and diamagnetic susceptibility apart; needs several echoes",
        maps=("chi_positive", "chi_negative"),
    ),
    Parameter("fields", "Total and local field", False, maps=("total_field", "local_field")),
    Parameter("mask", "Mask", False, maps=("mask",)),
    Parameter(
        "reference",
        "Reference region",
        CONFIGURED,
        "Whose mean susceptibility is zero",
        key="reference.region",
        choices={**_AS_CONFIGURED, "brain": "Brain", "csf": "CSF of the ventricles"},
    ),
    Parameter(
        "twopass",
        "Two passes, for bleeds",
        CONFIGURED,
        "Strong sources are inverted apart; takes longer",
        key="mask.two_pass",
        choices={**_AS_CONFIGURED, "true": "Yes", "false": "No"},
    ),
    Parameter(
        "incomplete",
        "Incomplete scans",
        CONFIGURED,
        "What to do when lines are missing",
        key="kspace.incomplete",
        choices={**_AS_CONFIGURED, "refuse": "Refuse", "warn": "Reconstruct and warn"},
    ),
    Parameter(
        "reversed",
        "Echoes read backwards",
        CONFIGURED,
        "For bipolar readouts that the sequence does not flag",
        key="kspace.reversed_echoes",
        choices={
            **_AS_CONFIGURED,
            "flagged": "As flagged",
            "even": "2, 4, ...",
            "odd": "1, 3, ...",
        },
    ),
    Parameter(
        "phasesign",
        "Sign of the phase",
        CONFIGURED,
        "Reverse it where veins come out negative",
        key="coils.phase_sign",
        choices={**_AS_CONFIGURED, "1": "As it is", "-1": "Reversed"},
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


def in_header(header_text: str) -> dict[str, str | bool]:
    """Return the parameters among the userParameters of an MRD header, by id.

    Without `config`, which a console always sends, they are another's of the same names, and none
    is taken. Raises UsageError for a value that its parameter does not take.
    """
    found = {}
    for group in parse_xml(header_text.rstrip("\0\r\n "), "the MRD header"):
        if local_name(group) == "userParameters":
            for entry in group:
                inner = {local_name(child): (child.text or "").strip() for child in entry}
                found[inner.get("name", "")] = inner.get("value", "")
    if CHOOSES not in found:
        return {}
    return {name: BY_ID[name].read(value) for name, value in found.items() if name in BY_ID}


def chosen(given: Mapping[str, str | bool]) -> str:
    """Return the name of the configuration that the operator chose; '' for none."""
    return str(given.get("customconfig") or given.get(CHOOSES) or "")


def to_properties(given: Mapping[str, str | bool]) -> dict[str, str]:
    """Return the settings that parameters stand for, on top of those of a configuration."""
    properties: dict[str, str] = {}
    for name, value in given.items():
        if BY_ID[name].key and value != CONFIGURED:
            properties[BY_ID[name].key] = str(value)
    if any(BY_ID[name].maps for name in given):
        maps = (p.maps for p in PARAMETERS if given.get(p.id, p.default))
        properties["deliver.maps"] = ",".join((*ALWAYS, *chain.from_iterable(maps)))
    return properties


def _parameter(name: str) -> Parameter:
    if name not in BY_ID:
        near = difflib.get_close_matches(name, BY_ID, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(BY_ID)}"
        raise UsageError(f"unknown parameter '{name[:LONGEST]}'; {hint}")
    return BY_ID[name]
