"""Every parameter of the chain: type, unit, default, range. Key: stage.key."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from gadgetron_qsm import configs
from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.measurement.sections import MeasureSettings
from gadgetron_qsm.methods import parameters
from gadgetron_qsm.mrd.properties import read_properties
from gadgetron_qsm.outgoing_sections import (
    DeliverSettings,
    IdentitySettings,
    MapName,
    StoreSettings,
)
from gadgetron_qsm.sections import (
    BackgroundSettings,
    CoilsSettings,
    DeviceSettings,
    FieldSettings,
    InversionSettings,
    KSpaceSettings,
    MaskSettings,
    MethodSettings,
    R2starSettings,
    ReferenceSettings,
    SeparationSettings,
    SwiSettings,
)
from gadgetron_qsm.site_sections import HealthSettings, ServerSettings, SpoolSettings

__all__ = ["MapName", "Settings", "keys", "layered", "properties_of"]


class Settings(BaseModel):
    """All settings, a section a stage; the defaults are the preset 'standard'."""

    # An error's own text would quote what was given, and that may be a key.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    preset: Literal["fast", "standard", "research"] = "standard"
    device: DeviceSettings = DeviceSettings()
    kspace: KSpaceSettings = KSpaceSettings()
    coils: CoilsSettings = CoilsSettings()
    field: FieldSettings = FieldSettings()
    mask: MaskSettings = MaskSettings()
    background: BackgroundSettings = BackgroundSettings()
    inversion: InversionSettings = InversionSettings()
    reference: ReferenceSettings = ReferenceSettings()
    r2star: R2starSettings = R2starSettings()
    swi: SwiSettings = SwiSettings()
    separation: SeparationSettings = SeparationSettings()
    measure: MeasureSettings = MeasureSettings()
    deliver: DeliverSettings = DeliverSettings()
    identity: IdentitySettings = IdentitySettings()
    store: StoreSettings = StoreSettings()
    server: ServerSettings = ServerSettings()
    spool: SpoolSettings = SpoolSettings()
    health: HealthSettings = HealthSettings()

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> Settings:
        """Build from texts by key, as configurations and --set give them.

        `preset` stands for the properties of the configuration of that name; others come on top,
        and a method of another name drops the preset's parameters of its stage.
        Raises UsageError that names the key, what is wrong with its value, or the nearest key.
        """
        known = set(keys())
        for key in properties:
            if key not in known:
                raise UsageError(f"unknown setting '{key}'{_nearest(key)}")
        try:
            return cls.model_validate(_nested(_with_preset(properties)))
        except ValidationError as error:
            raise UsageError(_first_problem(error)) from error

    @classmethod
    def described(cls) -> Iterator[tuple[str, str]]:
        """Give every key with its default and what it is."""
        yield "preset", f"{cls().preset}; one of {'|'.join(_choices(cls, 'preset'))}"
        for stage, info in cls.model_fields.items():
            if isinstance(section := info.default, BaseModel):
                for key, text in _described(section):
                    yield f"{stage}.{key}", text


def keys() -> list[str]:
    """Return every key, as in 'inversion.iterations'."""
    return [key for key, _ in Settings.described()]


def _described(section: BaseModel) -> Iterator[tuple[str, str]]:
    for key, info in type(section).model_fields.items():
        if key == "parameters":
            continue
        default = getattr(section, key)
        if isinstance(section, MethodSettings) and key == "method":
            yield key, f"{default}; one of {'|'.join(section.METHODS)}"
            continue
        choices = _choices(type(section), key)
        yield key, f"{default}{' of ' + '|'.join(choices) if choices else ''}; {info.description}"
    if isinstance(section, MethodSettings):
        yield from _parameters(section)


def _parameters(section: MethodSettings) -> Iterator[tuple[str, str]]:
    """Give each parameter with the methods that take it and their defaults."""
    takers: dict[str, list[str]] = {}
    for name, method in section.METHODS.items():
        for key, parameter in parameters(method).items():
            takers.setdefault(key, []).append(f"{name} {parameter.default}")
    for key, taken in takers.items():
        yield key, f"of {', '.join(taken)}"


def _choices(section: type[BaseModel], key: str) -> list[str]:
    annotation = section.model_fields[key].annotation
    literal = get_origin(annotation) is Literal
    return [str(choice) for choice in get_args(annotation)] if literal else []


def properties_of(config: str, changes: Mapping[str, str]) -> dict[str, str]:
    """Return the properties of a configuration, a name or a file, with changes to them.

    Raises as configs.read and read_properties.
    """
    return {**read_properties(configs.read(config)), **changes}


def layered(below: Mapping[str, str], above: Mapping[str, str]) -> dict[str, str]:
    """Put properties on top of others; another method drops the parameters of the one below."""
    return _over(below, above, _with_preset(below))


def _with_preset(properties: Mapping[str, str]) -> dict[str, str]:
    """Put the properties on top of those of the preset that they name."""
    name = properties.get("preset", "standard")
    if name not in _choices(Settings, "preset"):
        return dict(properties)  # to be refused with the others
    below = read_properties(configs.load(name))
    return _over(below, properties, below)


def _over(
    below: Mapping[str, str], above: Mapping[str, str], methods: Mapping[str, str]
) -> dict[str, str]:
    """`methods` are those that hold below, among other properties."""
    changed = {
        key.partition(".")[0]
        for key, value in above.items()
        if key.endswith(".method") and value != methods.get(key)
    }
    kept = {key: v for key, v in below.items() if not _of_a_method(key, changed)}
    return {**kept, **above}


def _of_a_method(key: str, stages: Container[str]) -> bool:
    """Tell whether a key is a parameter of the method of one of these stages."""
    stage, dot, name = key.partition(".")
    return bool(dot) and stage in stages and not _of_section(stage, name)


def _of_section(stage: str, name: str) -> bool:
    """Tell whether a key is of the stage itself, whatever its method."""
    return name in type(Settings.model_fields[stage].default).model_fields


def _nested(properties: Mapping[str, str]) -> dict[str, Any]:
    """Sort texts by section, and parameters of methods into theirs."""
    document: dict[str, Any] = {}
    for key, text in properties.items():
        stage, _, name = key.rpartition(".")
        value = _value(key, text)
        if not stage:
            document[name] = value
            continue
        section = document.setdefault(stage, {})
        (section if _of_section(stage, name) else section.setdefault("parameters", {}))[name] = (
            value
        )
    return document


def _value(key: str, text: str) -> object:
    if key in ("deliver.maps", "deliver.image_maps", "store.nodes"):
        return [name.strip() for name in text.split(",") if name.strip()]
    if key == "coils.phase_sign":
        return {"1": 1, "+1": 1, "-1": -1}.get(text.strip(), text)
    return text.strip() or None


def _nearest(key: str) -> str:
    stage, _, name = key.rpartition(".")
    of_stage = [known for known in keys() if known.startswith(f"{stage or name}.")]
    near = [known for known in keys() if known.endswith(f".{key}")]
    if not near and stage:
        names = [known.partition(".")[2] for known in of_stage]
        near = [f"{stage}.{n}" for n in difflib.get_close_matches(name, names, n=1)]
    near = near or difflib.get_close_matches(key, keys(), n=1, cutoff=0.8)
    if near:
        return f"; did you mean '{near[0]}'?"
    return (
        f"; there are {', '.join(of_stage)}" if of_stage else "; 'gadgetron-qsm check' lists them"
    )


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    if problem["type"] == "value_error":  # of a method, which names the parameter itself
        stage, text = problem["loc"][0], str(problem["ctx"]["error"])
        name, equals, value = text.partition(" = ")
        return f"setting '{stage}.{name}' = {value}" if equals else f"{stage}: {text}"
    key = ".".join(str(part) for part in problem["loc"] if not isinstance(part, int))
    if problem["type"] == "too_short":
        return f"setting '{key}' is empty; name at least one"
    text = problem["msg"][:1].lower() + problem["msg"][1:]
    return f"setting '{key}' = {problem['input']!r}: {text}"
