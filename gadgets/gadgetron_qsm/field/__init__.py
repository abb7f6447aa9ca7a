"""Phase of the echoes to the total field.

Every method takes (echoes, echo_times_s, larmor_hz, voxel_size), the echoes complex (echo, z, y, x)
and the voxel size (z, y, x) in mm, and gives an EchoFit.
"""

from collections.abc import Callable
from typing import Any

from gadgetron_qsm.field.laplacian_fit import laplacian_fit
from gadgetron_qsm.field.nonlinear_fit import nonlinear_fit
from gadgetron_qsm.field.romeo_fit import romeo_fit

METHODS: dict[str, Callable[..., Any]] = {
    "romeo": romeo_fit,
    "nonlinear": nonlinear_fit,
    "laplacian": laplacian_fit,
}
