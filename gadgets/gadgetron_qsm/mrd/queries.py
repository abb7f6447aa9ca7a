"""Answers to the queries of clients: to those of Gadgetron's that mean something here, and ours.

The messages and the keys '...::version' are of Gadgetron 4 (its QueryHandler).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import ismrmrd

from gadgetron_qsm import __version__
from gadgetron_qsm.arrays.places import still_computes
from gadgetron_qsm.mrd.messages import HEALTH


def answer(key: str) -> str:
    """Answer a query; one that is not known, or cannot be answered, in words that say so."""
    respond = ANSWERS.get(key)
    return respond() if respond else f"gadgetron-qsm does not know the query '{key[:100]}'"


def _health() -> str:
    """Say in JSON who answers and, having tried, where it computes; or what is wrong with that."""
    computes_on, problem = None, None
    try:
        computes_on = still_computes()
    except ValueError as error:
        problem = str(error)
    return json.dumps(
        {
            "version": __version__,
            "process": os.getpid(),
            "computes_on": computes_on,
            "problem": problem,
        }
    )


ANSWERS: dict[str, Callable[[], str]] = {
    "gadgetron::version": lambda: f"gadgetron-qsm {__version__}",
    "ismrmrd::version": lambda: ismrmrd.__version__,
    HEALTH: _health,
}
