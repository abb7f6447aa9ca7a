"""Run a stage: files to arrays, one step after the other, arrays to files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gadgetron_qsm.contrast.r2star import weighted_log_fit
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.field.echo_fit import weighted_echo_fit
from gadgetron_qsm.inversion.csf import csf_mask
from gadgetron_qsm.inversion.weight import field_weight
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.methods import Method, bound, effective
from gadgetron_qsm.processors import processors
from gadgetron_qsm.reference import refer
from gadgetron_qsm.stage.choice import AT_ONCE, Choice, choose, stage_named
from gadgetron_qsm.stage.files import Params, exists, read_config, read_inputs, write_map
from gadgetron_qsm.susceptibility import CSF, of_scan

log = logging.getLogger(__name__)

NO_RIM_MM = 0.0  # a field that was not made here is taken at its word up to the mask's edge
MAKES = {"mask": "mask", "background": "localfield", "inversion": "chimap"}


@dataclass
class Case:
    """What is known of a subject: maps (z, y, x) by the names of their files.

    Beside them noise and residual of the field, as EchoFit has them, when it was made here.
    `made`: the names of those that a step has made.
    """

    params: Params
    maps: dict[str, NDArray[Any]]
    made: set[str] = field(default_factory=set)


def run_stage(name: str, source: Path, target: Path, method: str | None = None) -> list[str]:
    """Run a stage on the files of a folder, write its maps into another; say what was done.

    method: names joined by '+', for the steps that shall not take their default. config.json in
    the folder sets their parameters. A step is left out when what it makes is in the folder.
    Raises UsageError for a stage, method or parameter that there is not, QsmError for the files.
    """
    stage = stage_named(name)
    steps = [step for step in stage.steps if not _made(step, source, stage.welcomes)]
    choices = choose(steps, method, read_config(source))
    for choice in choices.values():
        effective(choice.method, choice.given)
    inputs = read_inputs(source, stage.needs, stage.welcomes)
    case = Case(inputs.params, dict(inputs.arrays))
    seconds = run_steps(case, choices)
    return [
        *(_told(step, choice, seconds[step]) for step, choice in choices.items()),
        *(f"written: {write_map(target, of, case.maps[of], inputs)}" for of in stage.writes),
    ]


def run_steps(case: Case, choices: Mapping[str, Choice]) -> dict[str, float]:
    """Do the chosen steps in their order on the maps of a case; return the seconds of each.

    Raises QsmError, with the name of the step, for what a method refuses.
    """
    journal = Journal()
    for step, choice in choices.items():
        try:
            with journal.stage(step), processors():
                STEPS[step](case, choice)
        except MemoryError as error:
            advice = "look at voxel_size in params.json, or take another method or machine"
            raise QsmError(f"{step}: not enough memory: {error}; {advice}") from error
        case.made.add(MAKES.get(step, step))
    return journal.timing_s


def _made(step: str, folder: Path, welcome: tuple[str, ...]) -> bool:
    return MAKES.get(step) in welcome and exists(folder, MAKES[step])


def _told(step: str, choice: Choice, seconds: float) -> str:
    values = effective(choice.method, choice.given)
    text = ", ".join(f"{key}={value}" for key, value in values.items())
    return f"{step}: {choice.name}({text}) in {seconds:.1f} s"


def _field(case: Case, choice: Choice) -> None:
    maps, params = case.maps, case.params
    echoes = maps["magnitude"] * np.exp(1j * maps["phase"])
    run = bound(choice.method, choice.given)
    fit = run(echoes, params.echo_times_s, params.larmor_hz, params.voxel_size)
    maps["noise"], maps["residual"] = fit.noise, fit.residual
    field = fit.total_field
    maps["totalfield"] = np.where(maps["mask"], field, 0) if "mask" in maps else field


def _mask(case: Case, choice: Choice) -> None:
    maps, run = case.maps, bound(choice.method, choice.given)
    maps["mask"] = run(maps["magnitude"][0], maps["residual"], case.params.voxel_size)


def _background(case: Case, choice: Choice) -> None:
    total, mask = _map(case, "totalfield"), case.maps["mask"]
    run = _with_offers(case, choice, mask, NO_RIM_MM)
    case.maps["localfield"], case.maps["mask"] = run(total, mask, case.params.voxel_size)


def _inversion(case: Case, choice: Choice) -> None:
    params, mask = case.params, _held(case)
    run = _with_offers(case, choice, mask, *([] if "localfield" in case.made else [NO_RIM_MM]))
    chi = run(case.maps["localfield"], mask, params.voxel_size, params.b0_direction)
    case.maps["chimap"], case.maps["mask"] = refer(chi, mask, params.voxel_size)[0], mask


def _at_once(case: Case, choice: Choice) -> None:
    params, mask = case.params, case.maps["mask"]
    run = _with_offers(case, choice, mask, NO_RIM_MM)
    chi, mask = run(_map(case, "totalfield"), mask, params.voxel_size, params.b0_direction)
    case.maps["chimap"], case.maps["mask"] = refer(chi, mask, params.voxel_size)[0], mask


def _separation(case: Case, choice: Choice) -> None:
    maps, params, mask, rate = case.maps, case.params, _held(case), _rate(case)
    if "chimap" in case.made:
        maps["chimap"] = _relative_to_csf(maps["chimap"], mask, rate, params)
    run = _with_offers(case, choice, mask)
    place = (mask, params.voxel_size, params.b0_direction)
    positive, negative = run(maps["localfield"], rate, *place)
    maps["chi-para"], maps["chi-dia"] = positive, np.abs(negative)  # of both, how much


def _relative_to_csf(
    chi: NDArray[Any], mask: NDArray[np.bool_], rate: NDArray[np.floating], params: Params
) -> NDArray[Any]:
    """Chi whose 0 is tissue without sources, as separation has it; as it was without CSF."""
    try:
        region = csf_mask(rate, mask, params.voxel_size)
    except ValueError as error:
        log.warning("chi stays relative to the whole brain: %s", error)
        return chi
    return refer(chi, mask, params.voxel_size, region=region, name=CSF)[0]


STEPS: Mapping[str, Callable[[Case, Choice], None]] = {
    "field": _field,
    "mask": _mask,
    "background": _background,
    "inversion": _inversion,
    AT_ONCE: _at_once,
    "separation": _separation,
}


def _with_offers(
    case: Case, choice: Choice, mask: NDArray[np.bool_], rim_mm: float | None = None
) -> Method:
    """Fill a method's parameters in, and what it names of what is known."""
    maps, params = case.maps, case.params
    rim = {} if rim_mm is None else {"rim_mm": rim_mm}
    offers = {
        **of_scan(params.echo_times_s, params.larmor_hz, params.b0_direction),
        "weight": field_weight(_noise(case), mask, params.voxel_size, **rim),
    }
    if "magnitude" in maps:
        offers["magnitude"] = np.sqrt(np.square(maps["magnitude"]).sum(axis=0))
    if "chimap" in maps:
        offers["chi"] = maps["chimap"]
    return bound(choice.method, choice.given, **offers)


def _noise(case: Case) -> NDArray[np.floating]:
    """Noise of the field, of any scale: as of the magnitudes; without them the same everywhere."""
    if "noise" in case.maps:
        return case.maps["noise"]
    if "magnitude" not in case.maps:
        return np.ones_like(case.maps["mask"], np.float32)
    magnitude, times = case.maps["magnitude"], case.params.echo_times_s
    if len(times) != len(magnitude):
        times = (1.0,) * len(magnitude)
    return weighted_echo_fit(np.zeros_like(magnitude), magnitude, times, 1.0).noise


def _held(case: Case) -> NDArray[np.bool_]:
    """Where there is a local field: without the rim of zeros that background removal leaves."""
    mask, local = case.maps["mask"], _map(case, "localfield")
    held = mask & ~ndimage.binary_propagation(~mask, mask=~mask | (local == 0))
    if not held.any():
        raise QsmError("the local field is 0 all over the mask; look at what it was made from")
    return held


def _map(case: Case, name: str) -> NDArray[Any]:
    if name not in case.maps:
        raise QsmError(f"there is no {name}.nii.gz")
    return case.maps[name]


def _rate(case: Case) -> NDArray[np.floating]:
    """R2' where it is given, else R2* of the magnitudes, 1/s."""
    if "r2prime" in case.maps:
        return case.maps["r2prime"]
    magnitude, times = _map(case, "magnitude"), case.params.echo_times_s
    if len(times) != len(magnitude):
        raise QsmError(f"magnitude.nii.gz has {len(magnitude)} echoes, TE {len(times)}")
    return weighted_log_fit(magnitude, times)
