"""Why a node took no association, or ended one, in words that say what to do."""

from __future__ import annotations

from collections.abc import Mapping

from gadgetron_qsm.delivery.nodes import Caller, Node

USER, ACSE, PRESENTATION = 1, 2, 3
REJECTIONS: Mapping[tuple[int | None, int | None], str] = {  # (source, reason), PS3.8 table 9-21
    (USER, 1): "it refused the association without a reason; see its log",
    (USER, 2): "it knows no DICOM application context; it is no DICOM node",
    (USER, 3): "it does not know our title '{calling}'; enter it there, or correct ours",
    (USER, 7): "it is not titled '{called}'; correct the node's title",
    (ACSE, 1): "it refused the association without a reason; see its log",
    (ACSE, 2): "it speaks another version of the DICOM protocol",
    (PRESENTATION, 1): "it is congested; it will be tried again",
    (PRESENTATION, 2): "it has as many associations as it allows; it will be tried again",
}
UNEXPLAINED = "it breaks off the connection; see its log, or try TLS (tls:)"
RELEASED, ABORTED, BROKEN_OFF, NO_DICOM = "AR-2", "AA-3", "AA-4", "AA-8"  # actions, PS3.8 9.2
ENDINGS: Mapping[str, str] = {
    RELEASED: "it ended the association; it will be tried again",
    ABORTED: "it aborted the association; see its log, and whether we may store",
    BROKEN_OFF: "it broke off the connection; see its log",
    NO_DICOM: "what listens at {address} does not speak DICOM; correct it",
}


def rejection(source: int | None, reason: int | None, caller: Caller, node: Node) -> str:
    """Say why a node refused an association with A-ASSOCIATE-RJ."""
    known = REJECTIONS.get((source, reason))
    if known is None:
        return f"it refused the association (source {source}, reason {reason}); see its log"
    return known.format(calling=caller.title, called=node.title)


def ending(action: str, node: Node) -> str:
    """Say how an association ended."""
    return ENDINGS[action].format(address=node.address)


def silence(caller: Caller) -> str:
    """Say that a node neither answers nor reads."""
    return f"it was silent for {caller.timeout_s:g} s; see whether it still works"
