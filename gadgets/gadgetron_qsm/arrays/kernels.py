"""Fused kernels for arrays on a device, in CUDA C++: what whole expressions cost one pass for."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

from gadgetron_qsm.arrays import Array


@dataclass(frozen=True)
class Elementwise:
    """A kernel that runs once for every index, built when it is first called on a device.

    inputs, outputs: "float32 x, raw complex64 y", as cupy.ElementwiseKernel has them: plain ones
    are what belongs to the index, numbers are the same everywhere, raw arrays are indexed flat by
    `operation`, which has the index as `i` and their number as `_ind.size()`. An output may be
    read as well, and a raw output written by one index each; what one index writes, no other may
    read. preamble: functions that `operation` calls.
    Raw arrays must be C-contiguous. Kernels are for what a plain expression in array functions, to
    which a test compares them, takes many passes or calls for; only arrays on a device go here.
    """

    name: str
    inputs: str
    outputs: str
    operation: str
    preamble: str = ""

    def __call__(self, *arguments: Array | float) -> Any:
        """Run on inputs and, unless they are to be made, outputs; return the outputs."""
        return _built(sys.modules["cupy"].ElementwiseKernel, self)(*arguments)


@cache
def _built(make: Any, kernel: Elementwise) -> Any:
    return make(
        kernel.inputs,
        kernel.outputs,
        kernel.operation,
        name=kernel.name,
        preamble=kernel.preamble,
    )
