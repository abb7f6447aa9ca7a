"""Writing to the same places more than once."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import Array, array_module


def scatter_min(least: Array, index: Array, values: Array) -> None:
    """Lower least[index] to `values` in place; of several for one place, the least counts.

    All of one dimension; of a device array the type must be int32, uint32, uint64, float32 or
    float64.
    """
    if array_module(least) is np:
        np.minimum.at(least, index, values)
    else:
        import cupyx

        cupyx.scatter_min(least, index, values)
