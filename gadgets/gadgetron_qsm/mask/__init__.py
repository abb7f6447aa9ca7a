"""Where the map is valid.

Every method takes (magnitude, residual, voxel_size): that of one echo and what the echo fit leaves
in rad, both (z, y, x), and the voxel size (z, y, x) in mm. It gives the mask, bool (z, y, x).
"""

from collections.abc import Callable
from typing import Any

from gadgetron_qsm.mask.brain import bet_mask, brain_mask

METHODS: dict[str, Callable[..., Any]] = {"bet": bet_mask, "threshold": brain_mask}
