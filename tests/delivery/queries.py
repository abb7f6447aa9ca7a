"""What a node says that it holds, by C-FIND."""

from __future__ import annotations

from pydicom import Dataset

from gadgetron_qsm.delivery.nodes import Caller, Node
from gadgetron_qsm.delivery.tls import context_of


def found(node: Node, caller: Caller) -> list[str]:
    """Return the SOP Instance UIDs of all that a node holds, sorted; each as often as it says."""
    from pynetdicom import AE
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find

    entity = AE(caller.title)
    entity.add_requested_context(Find)
    tls = (context_of(caller), node.host) if node.tls else None
    association = entity.associate(node.host, node.port, ae_title=node.title, tls_args=tls)
    assert association.is_established
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID = query.SeriesInstanceUID = query.SOPInstanceUID = ""
    answers = [answer for _, answer in association.send_c_find(query, Find) if answer]
    association.release()
    return sorted(answer.SOPInstanceUID for answer in answers)
