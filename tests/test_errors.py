"""What people read of an exception is one line."""

from __future__ import annotations

import pytest

from gadgetron_qsm.errors import LONGEST_LINE, QsmError, UsageError


@pytest.mark.parametrize("kind", [QsmError, UsageError])
def test_what_a_peer_had_us_quote_stays_one_line(kind):
    assert str(kind("no 'fast\n2031 ERROR forged'\x1c\r\n")) == "no 'fast 2031 ERROR forged'"


def test_a_line_that_nobody_would_read_is_cut():
    told = str(QsmError("x" * 10_000))
    assert told == "x" * LONGEST_LINE + " ..."
