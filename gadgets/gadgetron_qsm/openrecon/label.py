"""The label that tells OpenRecon what an image is, by its schema 1.1.0.

The host reads it without starting the image: what to send, over which port, with how much memory,
and which parameters the console shows.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from gadgetron_qsm import __version__
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.ingest.memory import Shape, needed_on_host
from gadgetron_qsm.openrecon.maker import NOBODY, Emitter, Maker
from gadgetron_qsm.parameters import PARAMETERS, Parameter

KEY = "com.siemens-healthineers.magneticresonance.openrecon.metadata:1.1.0"
PORT = 9002
VERSION = re.compile(r"\d+\.\d+\.\d+")
WORD = re.compile("[A-Za-z0-9]+")  # what file names and image tags bear alike

# Scans whose planned memory the label asks for: (echo, coil, z, y, x), coils as compressed. Of
# images no coils are left.
SCANS: dict[Emitter, Shape] = {"raw": (5, 16, 160, 240, 192), "image": (5, 1, 160, 240, 192)}
NAMES: dict[Emitter, str] = {"raw": "QSM", "image": "QSMimages"}
TAKES: dict[Emitter, str] = {
    "raw": "raw data of a multi-echo gradient echo",
    "image": "magnitude and phase images of a multi-echo gradient echo",
}
# The published images that take raw data all name 'compleximage' with it. Whether the host then
# takes real, quantitative images back is not known.
INJECTORS: dict[Emitter, str] = {"raw": "compleximage", "image": "image"}
STEP_MB = 100
CORES = 2
NO_GTIN = "0" * 14  # has the form of a number, and is nobody's

NOT_CLINICAL = "Research only. Not a medical device; not for clinical use."
NOT_TRIED = "Not tried on a scanner."


def make_label(
    emitter: Emitter, built: date, maker: Maker = NOBODY, *, gpu: bool = True
) -> dict[str, Any]:
    """Return the label of an image that is sent raw data or images.

    `gpu` is for an image that holds CuPy; it may do without a device all the same. Raises
    UsageError for a vendor that file names cannot bear.
    """
    if not WORD.fullmatch(maker.vendor):
        raise UsageError(f"vendor '{maker.vendor}' is not of letters and digits alone")
    return {
        "general": _general(emitter, built, maker),
        "reconstruction": _reconstruction(emitter, gpu),
        "parameters": [_parameter(parameter) for parameter in PARAMETERS],
    }


def encoded(label: Mapping[str, Any]) -> str:
    """Return a label as an image carries it."""
    return base64.b64encode(json.dumps(label, ensure_ascii=True).encode()).decode()


def decoded(text: str) -> dict[str, Any]:
    """Return the label that an image carries; raises QsmError for what is none of ours."""
    try:
        label = json.loads(base64.b64decode(text, validate=True))
        general = label["general"]
        known = VERSION.fullmatch(general["version"]) and label["parameters"] is not None
        known = known and all(WORD.fullmatch(general[key]) for key in ("vendor", "id"))
    except (ValueError, KeyError, TypeError) as error:
        raise QsmError(f"the label is no OpenRecon label of ours: {error!r}") from error
    if not known:
        raise QsmError("the label is no OpenRecon label of ours: vendor, id or version do not fit")
    return dict(label)


def stem(label: Mapping[str, Any]) -> str:
    """Return the name that the files of a package have, without an ending."""
    general = label["general"]
    return f"OpenRecon_{general['vendor']}_{general['id']}_V{general['version']}"


def tag(label: Mapping[str, Any]) -> str:
    """Return the name and tag of the image."""
    general = label["general"]
    return f"openrecon_{general['vendor']}_{general['id']}:v{general['version']}".lower()


def _general(emitter: Emitter, built: date, maker: Maker) -> dict[str, Any]:
    name = NAMES[emitter]
    text = f"Susceptibility in ppb, R2* and more, from {TAKES[emitter]}. {NOT_CLINICAL}"
    return {
        "name": {"en": name},
        "version": __version__,
        "vendor": maker.vendor,
        "information": {"en": text},
        "id": name,
        "regulatory_information": {
            "device_trade_name": f"gadgetron-qsm {name}",
            "production_identifier": __version__,
            "manufacturer_address": maker.address,
            "made_in": maker.made_in,
            "manufacture_date": f"{built:%Y/%m/%d}",
            "material_number": f"{name}_{__version__}",
            "gtin": NO_GTIN,
            "udi": f"(01){NO_GTIN}(21){__version__}",
            "safety_advices": NOT_CLINICAL,
            "special_operating_instructions": f"Takes {TAKES[emitter]}; best from three echoes on.",
            "additional_relevant_information": NOT_TRIED,
        },
    }


def _reconstruction(emitter: Emitter, gpu: bool) -> dict[str, Any]:
    return {
        "transfer_protocol": {"protocol": "ISMRMRD", "version": "1.4.1"},
        "port": PORT,
        "emitter": emitter,
        "injector": INJECTORS[emitter],
        "can_process_adjustment_data": False,
        "can_use_gpu": gpu,
        "min_count_required_gpus": 0,
        "min_required_gpu_memory": 0,  # a small one works in tiles, or is left alone
        "min_required_memory": _megabytes(needed_on_host(SCANS[emitter])),
        "min_count_required_cpu_cores": CORES,
        "content_qualification_type": "RESEARCH",
        "require_readout_filter_off": True,  # it would smooth the phase along the readout
        "channel_compression": {"require_state": "off"},  # done here, with the noise known
    }


def _megabytes(size: int) -> int:
    return STEP_MB * math.ceil(size / (STEP_MB * 1_000_000))


def _parameter(parameter: Parameter) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": parameter.id, "label": {"en": parameter.label}}
    if parameter.information:
        entry["information"] = {"en": parameter.information}
    if parameter.choices:
        values = [{"id": name, "name": {"en": text}} for name, text in parameter.choices.items()]
        return {**entry, "type": "choice", "values": values, "default": parameter.default}
    kind = "boolean" if isinstance(parameter.default, bool) else "string"
    return {**entry, "type": kind, "default": parameter.default}
