"""Coil images to one complex image an echo.

Every method takes (images, echo_times_s, voxel_size) and gives sensitivities, for `roemer`.
"""

from gadgetron_qsm.coils.mcpc3ds import mcpc3ds
from gadgetron_qsm.coils.vrc import virtual_reference_coil

METHODS = {"mcpc3ds": mcpc3ds, "vrc": virtual_reference_coil}
