"""Other maps from the same echoes.

Methods of one table take the same, arrays (z, y, x) or (echo, z, y, x), parameters by keyword:
R2STAR (magnitude, echo_times_s) gives R2* in 1/s; SWI (echoes, echo_times_s, mask, voxel_size) an
image; SEPARATION (local_field, rate, mask, voxel_size, b0_direction) chi+ and chi- in ppm.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gadgetron_qsm.contrast.arlo import arlo
from gadgetron_qsm.contrast.chi_separation import chi_separation
from gadgetron_qsm.contrast.clear_swi import clear_swi
from gadgetron_qsm.contrast.nonlinear_r2star import nonlinear_r2star
from gadgetron_qsm.contrast.r2star import weighted_log_fit
from gadgetron_qsm.contrast.r2star_qsm import r2star_qsm
from gadgetron_qsm.contrast.swi import swi

Methods = Mapping[str, Callable[..., Any]]

R2STAR: Methods = {
    "weighted_log": weighted_log_fit,
    "arlo": arlo,
    "nonlinear": nonlinear_r2star,
}
SWI: Methods = {"clear_swi": clear_swi, "swi": swi}
SEPARATION: Methods = {"r2star_qsm": r2star_qsm, "chi_separation": chi_separation}
