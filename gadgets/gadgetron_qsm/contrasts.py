"""The maps beside chi that somebody asked for, from the same echoes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property

from gadgetron_qsm.arrays import Array, array_module, on_device
from gadgetron_qsm.contrast.projection import minimum_projection
from gadgetron_qsm.contrast.r2star import t2star
from gadgetron_qsm.contrast.tswi import smwi, tswi
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.inversion.weight import field_weight
from gadgetron_qsm.methods import Method, chosen, takes
from gadgetron_qsm.placing import fetched
from gadgetron_qsm.reference import refer
from gadgetron_qsm.remade import chi_noise
from gadgetron_qsm.site.privacy import line_of
from gadgetron_qsm.susceptibility import (
    CSF,
    PPB_PER_PPM,
    Susceptibility,
    Volume,
    provenance,
)

log = logging.getLogger(__name__)


class Contrasts:
    """The contrasts of one volume, each made when it is asked for, from `found`, its chi map."""

    def __init__(self, volume: Volume, found: Susceptibility) -> None:
        self.volume, self.found = volume, found

    def made(self, wanted: Collection[str]) -> Iterator[tuple[str, Array]]:
        """Give name and data (z, y, x) of the wanted ones, in the unit of MAPS.

        A map that cannot be made is left out with a warning: chi and the others do not need it.
        """
        several, warn = len(self.volume.echoes.echo_times_s) > 1, self.volume.journal.warn
        made = self
        for name, make in MAKERS.items():
            if name not in wanted:
                continue
            if not several and name in NEED_ECHOES:
                warn(f"no {name} map: it needs at least two echoes, and the scan has one")
                continue
            try:
                if (data := made.tried(make)) is None:
                    warn(f"the device has too little free memory: {name} was computed on the CPU")
                    made = Contrasts(fetched(self.volume), fetched(self.found))
                    data = make(made)
            except Exception as error:  # a fault in one map must not take the others along
                warn(f"no {name} map: {_reason(error)}")
            else:
                yield name, data

    def tried(self, make: Callable[[Contrasts], Array]) -> Array | None:
        """Make a map; None when a device has too little memory for it."""
        try:
            return make(self)
        except MemoryError:
            if not on_device(self.found.chi):
                raise
            return None

    @cached_property
    def r2star(self) -> Array:
        """R2* (1/s) in the mask."""
        rate = self.volume.rate
        return array_module(rate).where(self.found.brain, rate, 0)

    @cached_property
    def swi(self) -> Array:
        """Susceptibility-weighted image, in the magnitude's unit."""
        volume, section, echoes = self.volume, self.volume.settings.swi, self.volume.echoes
        with volume.journal.stage("swi", **provenance(section)):
            weight = volume.method(section)
            size = echoes.geometry.voxel_size
            return weight(echoes.data, echoes.echo_times_s, self.found.brain, size)

    def swi_mip(self) -> Array:
        """Minimum-intensity projection of the SWI over slabs."""
        size = self.volume.echoes.geometry.voxel_size
        with self.volume.journal.stage("swi_mip", method="minimum over slabs"):
            return minimum_projection(self.swi, size, mask=self.found.brain)

    def weighted(self, method: Callable[[Array, Array], Array]) -> Array:
        """Magnitude weighted by chi: tSWI or SMWI."""
        with self.volume.journal.stage(method.__name__, method=method.__name__):
            return method(self.volume.magnitude, self.found.chi)

    @cached_property
    def separated(self) -> tuple[Array, Array]:
        """Positive and negative susceptibility (ppb)."""
        volume, found, section = self.volume, self.found, self.volume.settings.separation
        geometry = volume.echoes.geometry
        if section.method == "chi_separation" and not section.complete()["r2_hz"]:
            volume.journal.warn(
                "chi+ and chi- take R2* for R2' and are too large; set separation.r2_hz to the R2 "
                "of tissue, about 13 1/s at 3 T"
            )
        method = chosen(section.METHODS, section.method)
        rate, csf = self.r2star, volume.csf(found.mask) if takes(method, "chi") else None
        with volume.journal.stage("separation", **provenance(section)):
            separate = volume.method(section, **self._offers(method, csf))
            place = found.mask, geometry.voxel_size, geometry.b0_direction
            positive, negative = separate(found.local_field, rate, *place)
        return positive * PPB_PER_PPM, negative * PPB_PER_PPM

    def noise(self) -> Array:
        """Standard deviation of chi (ppb) from the noise of the images."""
        samples = self.volume.settings.measure.noise_samples
        with self.volume.journal.stage("noise", method="map made again", samples=samples):
            return chi_noise(self.volume, self.found, samples)

    def _offers(self, method: Method, csf: Array | None) -> dict[str, Array]:
        """Make what a separation asks for, which takes time, and nothing else.

        Its chi is relative to the CSF: 0 is then tissue without sources, to which CSF is nearer
        than the mean of the brain.
        """
        volume, found, size = self.volume, self.found, self.volume.echoes.geometry.voxel_size
        makers: Mapping[str, Callable[[], Array]] = {
            "chi": lambda: refer(found.chi, found.mask, size, region=csf, name=CSF)[0],
            "magnitude": lambda: volume.edges,
            "weight": lambda: field_weight(found.fit.noise, found.mask, size),
        }
        return {name: make() for name, make in makers.items() if takes(method, name)}


def _reason(error: Exception) -> str:
    if isinstance(error, QsmError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}"
    log.error("a contrast failed", exc_info=error)
    return line_of(error)


SLOW = frozenset({"noise"})  # no other map should wait for them
NEED_ECHOES = ("r2star", "t2star", "chi_positive", "chi_negative", "csf")
MAKERS: Mapping[str, Callable[[Contrasts], Array]] = {
    "r2star": lambda made: made.r2star,
    "t2star": lambda made: t2star(made.r2star),
    "swi": lambda made: made.swi,
    "swi_mip": Contrasts.swi_mip,
    "tswi": lambda made: made.weighted(tswi),
    "smwi": lambda made: made.weighted(smwi),
    "chi_positive": lambda made: made.separated[0],
    "chi_negative": lambda made: made.separated[1],
    "csf": lambda made: made.volume.csf(made.found.mask),
    "noise": Contrasts.noise,
}
