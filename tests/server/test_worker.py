"""What a worker outlives, and what is said of it."""

from __future__ import annotations

from gadgetron_qsm.site import scans
from tests.server.jobs import Mute


def test_a_failure_that_cannot_be_told_kills_no_process_and_the_next_client_is_served(serve, until):
    ended = []
    with scans.listening(ended.append):
        served = serve(Mute(), connections=1)
        assert served.client("refuse this").rest() == []
        assert served.client().finish()
        until(lambda: [summary.outcome for summary in ended] == ["failed", "done"])
