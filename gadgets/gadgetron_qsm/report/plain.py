"""Values as JSON knows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np

from gadgetron_qsm.arrays import array_module, to_numpy


def plain(value: Any) -> Any:
    """Convert to str, int, float, bool, None, list and dict; what is not finite becomes None.

    Takes numpy (and cupy) scalars and arrays, mappings, sequences, sets, paths and enumerations.
    Raises TypeError for anything else: text made of it would only look like a record.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (np.ndarray, np.generic)) or array_module(value) is not np:
        return plain(to_numpy(value).tolist())
    return _plain_container(value)


def _plain_container(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(plain(entry) for entry in value)
    if isinstance(value, (list, tuple, range)):
        return [plain(entry) for entry in value]
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON; convert it before reporting it")
