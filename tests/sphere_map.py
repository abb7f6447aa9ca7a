"""The sphere of sphere_scan.py through the chain, and how well its map comes out."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm import chain
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import image_to_map
from gadgetron_qsm.settings import Settings
from tests.sphere_scan import (
    BRAIN_MM,
    CENTRE_MM,
    CHI_PPM,
    RADIUS_MM,
    distance,
    header_text,
    norm,
    scan,
)


def run(properties=None, *, messages=None, target=chain.qsm, **header):
    settings = Settings.from_properties(properties or {})
    messages = scan() if messages is None else messages
    return list(target(messages, Header.parse(header_text(**header)), settings))


def chi_ppm(properties=None, **scanned):
    """The chi map alone, whatever the scan."""
    return image_to_map(run({"deliver.maps": "chi"} | (properties or {}), **scanned)[0]).data / 1000


def first_echo():
    """The scan as if it had a single echo."""
    return (readout for readout in scan() if not readout.head["idx"]["contrast"])


def contrast(chi):
    """Mean chi in the sphere above that around it, in ppm."""
    r = norm(distance(CENTRE_MM))
    around = (r > 1.3 * RADIUS_MM) & (norm(distance((0, 0, 0))) < 0.6 * BRAIN_MM)
    return chi[r < 0.8 * RADIUS_MM].mean() - chi[around].mean()


def error(chi):
    """Root mean square error where the map holds, of that of a map that is 0 all over."""
    inside = chi != 0
    true = CHI_PPM * (norm(distance(CENTRE_MM)) < RADIUS_MM)[inside]
    true = true - true.mean()
    return np.linalg.norm(chi[inside] - chi[inside].mean() - true) / np.linalg.norm(true)
