"""The section of the settings about what is measured in the maps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from gadgetron_qsm.sections import Section

FILES = ("atlas", "labels", "lesions", "controls", "anatomical", "folder")


class MeasureSettings(Section):
    """Regions, sources and lesions that are measured when the maps have been delivered."""

    atlas: Path | None = Field(
        None,
        description="folder of an atlas (template, labels, names): its regions are placed in the "
        "scan and measured",
    )
    labels: Path | None = Field(
        None,
        description="regions of this scan on its own grid, instead of an atlas: NIfTI with names "
        "beside it, or a DICOM Segmentation",
    )
    lesions: Path | None = Field(
        None, description="lesions of this scan on its own grid: mean, and rim against core"
    )
    sources: bool = Field(
        False, description="look for strong sources: haemorrhage, calcification, microbleeds"
    )
    source_ppb: float = Field(
        250.0, gt=0, le=10_000, description="from which susceptibility on a source is strong"
    )
    smallest_mm: float = Field(
        2.0, gt=0, le=100, description="diameter from which on a source counts as a microbleed"
    )
    largest_mm: float = Field(
        10.0, gt=0, le=200, description="diameter above which it is a haematoma instead"
    )
    lesion_side: Literal["left", "right"] | None = Field(
        None, description="side of the lesion: regions are told as ipsi- and contralateral, too"
    )
    planned: str = Field(
        "subthalamic nucleus",
        description="structure whose contrast against its surroundings is told, for electrodes",
    )
    controls: Path | None = Field(
        None, description="CSV of the site's own controls, for z-scores; docs/measure.md"
    )
    anatomical: Path | None = Field(
        None,
        description="NIfTI or folder of a DICOM series on whose grid chi is written, too",
    )
    noise_samples: int = Field(
        2,
        ge=0,
        le=16,
        description="times that the map is made again to find its noise, each as long as the map "
        "took; 0: no noise, no standard errors",
    )
    folder: Path | None = Field(
        None, description="folder where each scan leaves its measurement, which 'compare' reads"
    )

    @property
    def asked(self) -> bool:
        """Whether anything is to be measured."""
        return bool(self.atlas or self.labels or self.lesions or self.sources or self.anatomical)

    def without_paths(self, text: str) -> str:
        """Return a text with the settings' names for the files and folders that they name."""
        for name in FILES:
            path: Path | None = getattr(self, name)
            if path:
                beside = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii"))
                for form in (str(path), str(beside)):  # names lie beside a label map
                    whole = rf"(?<![\w/.-]){re.escape(form)}(?![\w-])"
                    text = re.sub(whole, f"measure.{name}", text)
        return text

    @model_validator(mode="after")
    def _of_one_kind(self) -> MeasureSettings:
        if self.atlas and self.labels:
            raise ValueError("measure.atlas and measure.labels are both given; leave one out")
        if self.noise_samples == 1:
            raise ValueError("measure.noise_samples is 1: one map tells nothing; take more, or 0")
        if self.smallest_mm >= self.largest_mm:
            raise ValueError("measure.smallest_mm is not below measure.largest_mm")
        for name in ("controls", "lesion_side"):
            if getattr(self, name) and not (self.atlas or self.labels):
                raise ValueError(f"measure.{name} needs regions: give measure.atlas or .labels")
        return self
