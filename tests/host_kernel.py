"""cupy.ElementwiseKernel on numpy arrays: the same C++, compiled for the host.

It is stricter than cupy: raw arrays must be C-contiguous and are not to be read or written beyond
their ends, and the indices come in an order that shows when one depends on what another did.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.missing import missing

TYPES = {
    "bool": "bool",
    "uint8": "unsigned char",
    "int16": "short",
    "uint16": "unsigned short",
    "int32": "int",
    "uint32": "unsigned int",
    "int64": "long long",
    "float32": "float",
    "float64": "double",
    "complex64": "complex<float>",
    "complex128": "complex<double>",
}
STEPS = (7919, 104729, 1299709)  # primes: one of them visits all of any number of indices
SOURCE = """
#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#define __device__ static
#define __forceinline__ inline
using namespace std;
{typedefs}
static bool beyond;
template <typename T> struct Raw {{
    T *data; ptrdiff_t count;
    ptrdiff_t size() const {{ return count; }}
    T &operator[](ptrdiff_t i) const {{
        if (i < 0 || i >= count) {{ beyond = true; i = 0; }}
        return data[i];
    }}
}};
struct Index {{ ptrdiff_t count; ptrdiff_t size() const {{ return count; }} }};
{preamble}
extern "C" bool run(void **_data, const ptrdiff_t *_sizes, ptrdiff_t _count, ptrdiff_t _step) {{
    const Index _ind = {{_count}};
    beyond = false;
    {whole}
    for (ptrdiff_t _k = 0; _k < _count; ++_k) {{
        const ptrdiff_t i = (_k * _step) % _count;
        {each}
        {{ {operation}; }}
    }}
    return beyond;
}}
"""


@dataclass(frozen=True)
class Parameter:
    raw: bool
    dtype: str
    name: str

    @classmethod
    def of(cls, text: str) -> Parameter:
        *raw, dtype, name = text.split()
        if name in ("i", "n") or name.startswith("_"):
            raise ValueError(f"the name '{name}' is reserved")
        return cls(raw == ["raw"], dtype, name)


class HostKernel:
    def __init__(
        self, in_params: str, out_params: str, operation: str, name: str, preamble: str = ""
    ) -> None:
        self.inputs, self.outputs = (
            [Parameter.of(text) for text in params.split(",") if text.strip()]
            for params in (in_params, out_params)
        )
        self.parameters = self.inputs + self.outputs
        self.operation, self.name, self.preamble = operation, name, preamble

    def __call__(self, *given: Any) -> Any:
        if len(given) not in (len(self.inputs), len(self.parameters)):
            raise TypeError(f"{self.name}: wrong number of arguments, {len(given)}")
        dtypes = self._dtypes(given)
        shape = self._shape(given)
        outputs = given[len(self.inputs) :] or [
            self._made(parameter, shape, dtypes) for parameter in self.outputs
        ]
        self._run(list(given[: len(self.inputs)]), list(outputs), shape, dtypes)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _dtypes(self, given: tuple[Any, ...]) -> dict[str, np.dtype]:
        """What the types of the parameters are; a letter is that of the array it stands for."""
        found = {p.dtype: np.dtype(p.dtype) for p in self.parameters if len(p.dtype) > 1}
        for parameter, value in zip(self.parameters, given, strict=False):
            if not isinstance(value, np.ndarray):
                if parameter.raw or parameter in self.outputs:
                    raise TypeError(f"{self.name}: {parameter.name} is no array")
                continue
            if found.setdefault(parameter.dtype, value.dtype) != value.dtype:
                raise TypeError(f"{self.name}: {parameter} is given as {value.dtype}")
        return found

    def _shape(self, given: tuple[Any, ...]) -> tuple[int, ...]:
        indexed = [
            (parameter, value)
            for parameter, value in zip(self.parameters, given, strict=False)
            if not parameter.raw and isinstance(value, np.ndarray)
        ]
        if not indexed:
            raise ValueError(f"{self.name}: loop size is undecided")
        shape = np.broadcast_shapes(*(value.shape for _, value in indexed))
        for parameter, value in indexed:
            if parameter in self.outputs and value.shape != shape:
                raise ValueError(f"{self.name}: {parameter.name} is not of shape {shape}")
        return shape

    def _made(
        self, parameter: Parameter, shape: tuple[int, ...], dtypes: dict[str, np.dtype]
    ) -> np.ndarray:
        if parameter.raw:
            raise ValueError(f"{self.name}: the size of {parameter.name} is undecided")
        return np.empty(shape, dtypes[parameter.dtype])

    def _run(
        self,
        inputs: list[Any],
        outputs: list[np.ndarray],
        shape: tuple[int, ...],
        dtypes: dict[str, np.dtype],
    ) -> None:
        held = []
        for parameter, value in zip(self.parameters, inputs + outputs, strict=True):
            if parameter.raw and not value.flags.c_contiguous:
                raise ValueError(f"{self.name}: {parameter.name} is not contiguous")
            if not parameter.raw and isinstance(value, np.ndarray):
                value = np.broadcast_to(value, shape)
            held.append(np.ascontiguousarray(value, dtypes[parameter.dtype]))
        numbers = tuple(not isinstance(value, np.ndarray) for value in inputs)
        run = _library(self._source(numbers, dtypes)).run
        run.restype = ctypes.c_bool
        count = math.prod(shape)
        step = next(step for step in STEPS if math.gcd(step, max(count, 1)) == 1)
        data = (ctypes.c_void_p * len(held))(*(array.ctypes.data for array in held))
        sizes = (ctypes.c_ssize_t * len(held))(*(array.size for array in held))
        if run(data, sizes, ctypes.c_ssize_t(count), ctypes.c_ssize_t(step)):
            raise IndexError(f"{self.name}: a raw array was indexed beyond its end")
        for output, result in zip(outputs, held[len(inputs) :], strict=True):
            if not np.shares_memory(output, result):
                output[...] = result

    def _source(self, numbers: tuple[bool, ...], dtypes: dict[str, np.dtype]) -> str:
        whole, each = [], []
        for k, parameter in enumerate(self.parameters):
            const = "const " if k < len(self.inputs) else ""
            kind = f"{const}{TYPES[dtypes[parameter.dtype].name]}"
            data, name = f"(({kind} *)_data[{k}])", parameter.name
            if parameter.raw:
                whole.append(f"const Raw<{kind}> {name} = {{{data}, _sizes[{k}]}};")
            elif const and numbers[k]:
                whole.append(f"{kind} {name} = *{data};")
            else:
                each.append(f"{kind} {'' if const else '&'}{name} = {data}[i];")
        letters = {p.dtype for p in self.parameters if len(p.dtype) == 1}
        return SOURCE.format(
            typedefs="".join(f"typedef {TYPES[dtypes[a].name]} {a};" for a in sorted(letters)),
            preamble=self.preamble,
            whole="\n    ".join(whole),
            each="\n        ".join(each),
            operation=self.operation,
        )


@cache
def _library(source: str) -> ctypes.CDLL:
    compiler = shutil.which("g++")
    if compiler is None:
        missing("g++ is not installed; see 'make debian-programs'")
    folder = Path(tempfile.gettempdir()) / f"gadgetron-qsm-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{hashlib.sha256(source.encode()).hexdigest()[:24]}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as building:
            built = Path(building) / "kernel.so"
            options = ["-std=c++14", "-O2", "-fPIC", "-shared", "-Wall", "-Wno-unused"]
            subprocess.run(
                [str(compiler), *options, "-x", "c++", "-", "-o", str(built)],
                input=source,
                text=True,
                check=True,
            )
            built.replace(path)
    return ctypes.CDLL(str(path))
