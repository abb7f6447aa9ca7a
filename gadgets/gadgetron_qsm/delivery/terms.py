"""How objects are delivered to a node: what the outbox keeps with the node's address."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gadgetron_qsm.delivery.nodes import Caller

FILES = ("ca_file", "certificate_file", "key_file")


@dataclass(frozen=True)
class Terms:
    """Who we are, how long a node may take nothing, and whether it shall commit itself to storage.

    The archive reports its commitment to `commitment_host`:`commitment_port`, where we listen, with
    `commitment_tls` encrypted by the certificate of the caller.
    """

    caller: Caller = field(default_factory=Caller)
    give_up_days: float = 7.0
    commitment: bool = False
    commitment_host: str = "127.0.0.1"
    commitment_port: int = 11113
    commitment_tls: bool = False

    def to_text(self) -> str:
        """Return the terms as JSON."""
        return json.dumps(asdict(self), default=str, sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Terms:
        """Read what `to_text` wrote."""
        document: dict[str, Any] = json.loads(text)
        caller: dict[str, Any] = document.pop("caller")
        for name in FILES:
            if caller.get(name) is not None:
                caller[name] = Path(caller[name])
        return cls(caller=Caller(**caller), **document)
