"""Who makes an OpenRecon image, and of what kind; imports nothing, for the commands' sake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Emitter = Literal["raw", "image"]  # what the host sends


@dataclass(frozen=True)
class Maker:
    """Who builds the image, which is who answers for it."""

    vendor: str = "gadgetronqsm"  # letters and digits
    address: str = "none; built by the site that uses it"
    made_in: str = "none"


NOBODY = Maker()
