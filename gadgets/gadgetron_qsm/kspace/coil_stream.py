"""Lines of receivers to lines of whitened virtual coils, as they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.kspace.compress import CoilCovariance, compress, compression_matrices

HELD_BYTES = 1_000_000_000  # of lines that wait for the matrices
CENTRAL_LINES = 4  # for each receiver: enough of the centre of k-space to find virtual coils in
FEW_COILS = 8  # that are worth no compression; of more, half are enough

Tag = TypeVar("Tag")


def most_kept(received: int, method: str, virtual_coils: int | None) -> int:
    """How many coils are left of those received, at most; arguments as of `CoilStream`."""
    if method == "none" or (virtual_coils is None and received <= FEW_COILS):
        return received
    return virtual_coils or (received + 1) // 2


class CoilStream(Generic[Tag]):
    """Whitens and compresses the coils of lines on their way.

    Lines are held back until enough of the centre of k-space has come to find the virtual coils
    in, or as many as `held_bytes`, as when the centre comes late: all later lines, and those held,
    are then compressed alike.
    received: number of coils; whitening (coil, coil), or None; method: 'gcc' or 'svd' (see
    compression_matrices), or 'none', which holds back nothing; virtual_coils: how many, or None
    for as many as keep `kept_energy`, half of the coils at most, all where there are few.
    A tag travels with each batch of lines.
    Raises ValueError for more virtual coils than receivers.
    """

    def __init__(
        self,
        received: int,
        *,
        whitening: Array | None = None,
        method: str = "none",
        virtual_coils: int | None = None,
        kept_energy: float = 1.0,
        held_bytes: int = HELD_BYTES,
    ) -> None:
        if virtual_coils and virtual_coils > received:
            raise ValueError(f"{virtual_coils} virtual coils cannot be made of {received} coils")
        self.received = received
        self._most = most_kept(received, method, virtual_coils)
        if self._most == received and virtual_coils is None:
            method = "none"
        self._whitening = whitening
        self._method, self._virtual_coils, self._kept_energy = method, virtual_coils, kept_energy
        self._held_bytes = held_bytes
        self._held: list[tuple[Array, Tag]] = []
        self._central = 0
        self._noise = 0.0  # variance of a sample, once white, summed over the lines held
        self._covariance: CoilCovariance | None = None
        self._matrices: Array = None  # not before they are needed

    def add(
        self, lines: Array, tag: Tag, central: int, acquired: float = 1.0
    ) -> Iterator[tuple[Array, Tag]]:
        """Take lines (line, coil, x), `central` of them near k = 0; give those that are ready.

        acquired: the part of a whole readout that was sampled, and has noise.
        """
        if self._method == "none":
            yield lines if self._whitening is None else self._whitened(lines), tag
        elif self._matrices is not None:
            yield compress(lines, self._matrices), tag
        else:
            self._hold(lines, tag)
            self._noise += acquired * len(lines)
            self._central += central
            size = sum(held.nbytes for held, _ in self._held)
            if self._central >= CENTRAL_LINES * self.received or size >= self._held_bytes:
                yield from self.end()

    def end(self) -> Iterator[tuple[Array, Tag]]:
        """Give what was held back: no more lines are worth waiting for."""
        if self._matrices is None and self._covariance is not None:
            variance = self._noise / self._covariance.lines.sum()
            self._matrices = compression_matrices(
                self._covariance,
                method=self._method,
                coils=self._virtual_coils,
                most=self._most if self._virtual_coils is None else None,
                kept_energy=self._kept_energy,
                noise=None if self._whitening is None else variance,
                whitening=self._whitening,
            )
            self._covariance = None
        while self._held:
            lines, tag = self._held.pop(0)
            yield compress(lines, self._matrices), tag

    def described(self) -> dict[str, Any]:
        """What was done to the coils, for the provenance."""
        if self._matrices is None:
            return {"coil_compression": "none"}
        virtual = self._matrices.shape[1]
        why = f"{self._kept_energy:g} of the energy kept"
        if virtual == self._most:
            why = "half of the receivers"
        return {
            "coil_compression": self._method,
            "receivers": self.received,
            "virtual_coils": virtual,
            "chosen_by": "number" if self._virtual_coils else why,
        }

    def _whitened(self, lines: Array) -> Array:
        self._whitening = array_module(lines).asarray(self._whitening)  # moves there once
        return self._whitening @ lines

    def _hold(self, lines: Array, tag: Tag) -> None:
        if self._covariance is None:
            self._covariance = CoilCovariance(lines.shape[2], self.received, like=lines)
        self._covariance.add(lines)
        self._held.append((lines, tag))
