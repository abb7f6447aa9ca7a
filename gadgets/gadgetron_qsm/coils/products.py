"""Sums over the coils, made coil by coil: no more memory than a volume, wherever they are."""

from __future__ import annotations

from collections.abc import Iterable

from gadgetron_qsm.arrays import Array, array_module, on_device, slabs
from gadgetron_qsm.arrays.kernels import Elementwise


def power(images: Array) -> Array:
    """Sum of the squared magnitudes (z, y, x), float32, of images (coil, z, y, x)."""
    xp = array_module(images)
    total = xp.zeros(images.shape[1:], xp.float32)
    for planes in slabs(total):
        part = total[planes]
        for image in images[:, planes]:
            part += xp.square(image.real)
            part += xp.square(image.imag)
    return total


def add_products(total: Array, weights: Iterable[Array], images: Iterable[Array]) -> None:
    """Add to `total` (z, y, x) each image (z, y, x) times its conjugate weight (z, y, x).

    All complex64. On a device one fused pass a coil, where `plain` takes three.
    """
    if not on_device(total):
        plain(total, weights, images)
        return
    for weight, image in zip(weights, images, strict=True):
        _ADD_PRODUCT(weight, image, total)


def plain(total: Array, weights: Iterable[Array], images: Iterable[Array]) -> None:
    """`add_products`, an operation at a time."""
    xp = array_module(total)
    product = xp.empty_like(total)
    for weight, image in zip(weights, images, strict=True):
        xp.conjugate(weight, out=product)
        product *= image
        total += product


_ADD_PRODUCT = Elementwise(
    "add_product",
    "complex64 weight, complex64 image",
    "complex64 total",
    "total += conj(weight) * image",
)
