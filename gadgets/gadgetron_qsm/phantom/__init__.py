"""A scanner in a file: digital heads, their field, and the raw data a scan of them gives.

This package and the reconstruction never import one another, so that a mistake which both would
share cannot hide: conventions are written out a second time here.
"""

from gadgetron_qsm.phantom.protocol import Extras, Movement, Readout, Sampling, Slices
from gadgetron_qsm.phantom.scan import Scan
from gadgetron_qsm.phantom.simulation import simulate
from gadgetron_qsm.phantom.variants import VARIANTS, varied

__all__ = [
    "VARIANTS",
    "Extras",
    "Movement",
    "Readout",
    "Sampling",
    "Scan",
    "Slices",
    "simulate",
    "varied",
]
