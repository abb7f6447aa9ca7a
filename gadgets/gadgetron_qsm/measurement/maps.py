"""The maps of one repetition that a measurement looks at, as they come."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.scan import Scan, Values

OTHERS = ("r2star", "chi_positive", "chi_negative")
WANTED = ("chi", "mask", "noise", *OTHERS)


class Maps:
    """Maps of one repetition by name; of the magnitude, one an echo, the sum of their squares."""

    def __init__(self) -> None:
        self._named: dict[str, Map] = {}
        self._echo_times_s: set[float] = set()
        self._power: Values | None = None  # one volume, whatever the number of echoes
        self.warnings: list[str] = []  # of the last map, which has those of all

    def see(self, volume: Map) -> None:
        """Note a map; one that no measurement looks at goes."""
        self.warnings = list(volume.report.get("warnings", []))
        if volume.name == "magnitude":
            self._echo_times_s.add(volume.echo_time_s or 0.0)
            power = to_numpy(volume.data).astype(np.float32) ** 2
            self._power = power if self._power is None else self._power + power
        elif volume.name in WANTED:
            self._named[volume.name] = volume

    @property
    def chi(self) -> Map:
        """The susceptibility map. Raises QsmError when it has not come."""
        return self._require("chi")

    @property
    def echo_times_s(self) -> tuple[float, ...]:
        """Those of the magnitude images that came, rising."""
        return tuple(sorted(self._echo_times_s))

    def scan(self) -> Scan:
        """Return what is measured.

        Raises QsmError when chi, mask or magnitude has not come, or chi holds nowhere.
        """
        chi, mask = self.chi, to_numpy(self._require("mask").data) > 0
        if not mask.any():
            raise QsmError("nothing is measured: the mask is empty; look at the magnitude")
        if self._power is None:
            raise QsmError("nothing is measured: no magnitude came; add it to the maps")
        return Scan(
            chi=np.where(mask, to_numpy(chi.data), 0).astype(np.float32),
            magnitude=np.sqrt(self._power),
            mask=mask,
            geometry=chi.geometry,
            noise=to_numpy(self._named["noise"].data) if "noise" in self._named else None,
            others={
                name: to_numpy(self._named[name].data) for name in OTHERS if name in self._named
            },
        )

    def _require(self, name: str) -> Map:
        try:
            return self._named[name]
        except KeyError:
            raise QsmError(f"nothing is measured: no map '{name}' came") from None
