from __future__ import annotations

import inspect

import pytest

from gadgetron_qsm import contrast

FIRST = {
    "R2STAR": ["magnitude", "echo_times_s"],
    "SWI": ["echoes", "echo_times_s", "mask", "voxel_size"],
    "SEPARATION": ["local_field", "rate", "mask", "voxel_size", "b0_direction"],
}
OFFERED = {"chi", "field_strength_t", "weight", "magnitude"}  # no parameters of the method's own
CASES = [
    pytest.param(method, first, id=name)
    for table, first in FIRST.items()
    for name, method in getattr(contrast, table).items()
]


@pytest.mark.parametrize(("method", "first"), CASES)
def test_methods_of_a_table_take_the_same_and_parameters_by_keyword(method, first):
    taken = list(inspect.signature(method).parameters.values())
    assert [p.name for p in taken[: len(first)]] == first
    own = [p for p in taken[len(first) :] if p.name not in OFFERED]
    assert {p.kind.name for p in taken[len(first) :]} <= {"KEYWORD_ONLY"}
    assert all(p.default is not p.empty for p in own)
