"""A strict stand-in for arrays on a device: cupy's manners, without a GPU.

It holds a numpy array and lets nothing at it but itself and what stands in for cupy. As cupy does,
it refuses to become a numpy array on its own, refuses numpy's functions and numpy arrays beside it
in one expression, and gives arrays of no dimension where numpy gives numbers.
"""

from __future__ import annotations

import operator
from types import ModuleType
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage

from tests.host_kernel import HostKernel

HOST_ONLY = {
    "numpy": "errstate seterr nditer ndenumerate broadcast_shapes save load savez geterr",
    "numpy.linalg": "cond matrix_power multi_dot eig eigvals lstsq_",
    "numpy.random": "",
    "scipy.fft": "set_workers get_workers",
    "scipy.ndimage": "find_objects watershed_ift distance_transform_bf distance_transform_cdt",
}
FFT_OPTIONS = {"s", "n", "axes", "axis", "norm", "overwrite_x", "x"}
BINARY = (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
    "matmul",
)
COMPARE = ("lt", "le", "eq", "ne", "gt", "ge")
UNARY = ("neg", "pos", "abs", "invert")
ATTRIBUTES = {"shape", "dtype", "ndim", "size", "nbytes", "itemsize", "strides", "flags"}
VIEWS = {"T", "real", "imag"}
HOST_METHODS = {"byteswap", "dump", "dumps", "getfield", "resize", "searchsorted", "setfield"}


class DeviceArray:
    """Stands in for cupy.ndarray; `get` is the only way back."""

    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None  # numpy's arrays and scalars leave operators to this class

    def __init__(self, host: np.ndarray) -> None:
        self._host = np.asarray(host)

    def get(self) -> np.ndarray:
        return self._host.copy()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("implicit conversion of a device array to a numpy array")

    def __array_function__(self, function: Any, *_: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} on a device array")

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES:
            return getattr(self._host, name)
        if name in VIEWS:
            return _wrap(getattr(self._host, name))
        if name.startswith("__") or name in HOST_METHODS:
            raise AttributeError(f"an array of cupy's has no {name}")
        return _device_function(getattr(self._host, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("real", "imag", "shape"):
            setattr(self._host, name, _unwrap(value))
        else:
            super().__setattr__(name, value)

    def __getitem__(self, index: Any) -> DeviceArray:
        return _wrap(self._host[_unwrap(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._host[_unwrap(index)] = _unwrap(value)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __index__(self) -> int:
        return operator.index(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __complex__(self) -> complex:
        return complex(self._host)

    def item(self, *index: int) -> Any:
        return self._host.item(*index)

    def tolist(self) -> Any:
        return self._host.tolist()

    def __repr__(self) -> str:
        return f"DeviceArray({self._host!r})"

    def __reduce__(self) -> Any:
        raise TypeError("a device array was copied or pickled behind its back")


def _operators() -> None:
    def add(name: str, function: Any) -> None:
        setattr(DeviceArray, name, function)

    for name in BINARY:
        function = getattr(operator, f"{name}_" if name in ("and", "or") else name)
        add(f"__{name}__", lambda a, b, f=function: _wrap(f(a._host, _unwrap(b))))
        add(f"__r{name}__", lambda a, b, f=function: _wrap(f(_unwrap(b), a._host)))
        add(f"__i{name}__", lambda a, b, f=function: _in_place(a, f, b))
    for name in COMPARE:
        function = getattr(operator, name)
        add(f"__{name}__", lambda a, b, f=function: _wrap(f(a._host, _unwrap(b))))
    for name in UNARY:
        function = getattr(operator, name)
        add(f"__{name}__", lambda a, f=function: _wrap(f(a._host)))


def _in_place(a: DeviceArray, function: Any, b: Any) -> DeviceArray:
    result = function(a._host, _unwrap(b))
    np.copyto(a._host, result, casting="same_kind")
    return a


_operators()


def _wrap(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return DeviceArray(value)
    if isinstance(value, list | tuple) and any(isinstance(v, np.ndarray) for v in value):
        wrapped = [_wrap(v) for v in value]
        return wrapped if isinstance(value, list) else tuple(wrapped)  # cupy names no parts
    return value


def _unwrap(value: Any) -> Any:
    if isinstance(value, DeviceArray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError("a numpy array among device arrays; move it with xp.asarray")
    if isinstance(value, list | tuple):
        return type(value)(_unwrap(v) for v in value)
    if isinstance(value, dict):
        return {key: _unwrap(v) for key, v in value.items()}
    return value


def _device_function(function: Any, options: set[str] | None = None) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name == "where" or (options is not None and name not in options):
                raise TypeError(f"{function.__name__}: option {name} does not exist in cupy")
        return _wrap(function(*map(_unwrap, args), **_unwrap(kwargs)))

    return call


class DeviceModule(ModuleType):
    """Stands in for cupy or one of its parts: numpy's or scipy's functions on device arrays."""

    def __init__(self, name: str, host: ModuleType, options: set[str] | None = None) -> None:
        super().__init__(name)
        self._host, self._options = host, options
        self.ndarray = DeviceArray

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in HOST_ONLY[self._host.__name__].split():
            raise AttributeError(f"{self.__name__} has no {name}")
        if name in ("asarray", "array", "ascontiguousarray"):
            return _from_host(getattr(np, name))
        if name == "asnumpy":
            return lambda x: x.get()
        found = getattr(self._host, name)
        if isinstance(found, ModuleType):
            return DeviceModule(f"{self.__name__}.{name}", found)
        if isinstance(found, type) or not callable(found):
            return found
        return _device_function(found, self._options)


def _from_host(function: Any) -> Any:
    def call(x: Any, *args: Any, **kwargs: Any) -> DeviceArray:
        host = x._host if isinstance(x, DeviceArray) else x
        if isinstance(host, list | tuple):
            host = [v._host if isinstance(v, DeviceArray) else v for v in host]
        return DeviceArray(function(host, *args, **kwargs))

    return call


class ElementwiseKernel:
    """Stands in for cupy's: the same C++ on the host, see `host_kernel`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._host = HostKernel(*args, **kwargs)

    def __call__(self, *args: Any) -> Any:
        return _wrap(self._host(*map(_unwrap, args)))


def _scatter_min(least: DeviceArray, index: Any, values: Any) -> None:
    if least.dtype.char not in "iILQfd":
        raise TypeError(f"cupyx.scatter_min has no atomics for {least.dtype}")
    np.minimum.at(least._host, _unwrap(index), _unwrap(values))


def _binary_erosion(
    x: DeviceArray, *args: Any, iterations: int = 1, brute_force: bool = False, **kwargs: Any
) -> Any:
    if iterations != 1 and not brute_force:
        raise NotImplementedError("only brute_force iteration has been implemented")
    how = {"iterations": iterations, "brute_force": brute_force, **kwargs}
    return _device_function(scipy.ndimage.binary_erosion)(x, *args, **how)


def modules() -> dict[str, ModuleType]:
    """What `import cupy` and its parts give while the stand-in is installed."""
    cupy = DeviceModule("cupy", np)
    cupy.ElementwiseKernel = ElementwiseKernel  # type: ignore[attr-defined]
    cupyx, of_scipy = ModuleType("cupyx"), ModuleType("cupyx.scipy")
    of_scipy.fft = DeviceModule("cupyx.scipy.fft", scipy.fft, FFT_OPTIONS)  # type: ignore[attr-defined]
    of_scipy.ndimage = DeviceModule("cupyx.scipy.ndimage", scipy.ndimage)  # type: ignore[attr-defined]
    of_scipy.ndimage.binary_erosion = _binary_erosion
    cupyx.scipy = of_scipy  # type: ignore[attr-defined]
    cupyx.scatter_min = _scatter_min  # type: ignore[attr-defined]
    return {
        "cupy": cupy,
        "cupyx": cupyx,
        "cupyx.scipy": of_scipy,
        "cupyx.scipy.fft": of_scipy.fft,
        "cupyx.scipy.ndimage": of_scipy.ndimage,
    }
