"""Where the map is valid."""

from collections.abc import Callable
from typing import Any

from gadgetron_qsm.mask.brain import bet_mask, brain_mask

METHODS: dict[str, Callable[..., Any]] = {"bet": bet_mask, "threshold": brain_mask}
