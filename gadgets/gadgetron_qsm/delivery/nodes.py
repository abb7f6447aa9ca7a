"""Whom DICOM objects go to, and who sends them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gadgetron_qsm.errors import QsmError, UsageError

LONGEST_TITLE = 16  # PS3.5, VR AE
SHAPE = re.compile(
    r"(?:(?P<name>[^=@]*)=)?(?P<tls>tls:)?(?P<title>[^@]*)@(?P<host>\[[^\]]*\]|[^\[\]:]*):(?P<port>[^:]*)"
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
HOST = re.compile(r"[A-Za-z0-9_.:%-]+")


class Later(QsmError):  # noqa: N818 - a delay, not an error: what it concerns is kept
    """A node takes nothing now: one line that names it, says why and what to do."""


@dataclass(frozen=True)
class Node:
    """A DICOM node that takes objects: an archive, a workstation, the console.

    Written [NAME=][tls:]TITLE@HOST:PORT, an IPv6 address in brackets: PACS@10.0.0.5:11112,
    archive=tls:PACS@pacs.hospital.example:2762, PACS@[fd00::5]:104. The name, for people and
    folders, is the title unless given. Raises UsageError for what is no such node.
    """

    name: str
    title: str
    host: str
    port: int
    tls: bool = False

    def __post_init__(self) -> None:
        check_title(self.title)
        if not NAME.fullmatch(self.name):
            raise UsageError(
                f"node name '{self.name}' is not made of letters, digits, '_', '.' and '-'; "
                "write NAME=TITLE@HOST:PORT with another one"
            )
        if not HOST.fullmatch(self.host):
            raise UsageError(f"node {self.name}: '{self.host}' is no host name or address")
        if not 0 < self.port < 1 << 16:
            raise UsageError(f"node {self.name}: port {self.port} is not between 1 and 65535")

    @classmethod
    def parse(cls, text: str) -> Node:
        """Read a node as it is written in settings."""
        found = SHAPE.fullmatch(text.strip())
        if not found:
            raise UsageError(
                f"'{text}' is no DICOM node; write [NAME=][tls:]TITLE@HOST:PORT, "
                "for example archive=PACS@10.0.0.5:11112"
            )
        title = found["title"].strip()
        name = title if found["name"] is None else found["name"].strip()
        port = int(found["port"]) if re.fullmatch("[0-9]{1,6}", found["port"]) else 0
        return cls(name, title, found["host"].strip("[]"), port, tls=bool(found["tls"]))

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        name = "" if self.name == self.title else f"{self.name}="
        return f"{name}{'tls:' if self.tls else ''}{self.title}@{self.address}"


@dataclass(frozen=True)
class Caller:
    """Who we are to a node: our title, and for TLS whom we trust and our own certificate.

    `ca_file` (PEM) holds the authorities that may vouch for nodes, instead of the system's own;
    `certificate_file` and `key_file` (PEM) are ours, for nodes that ask for one. `timeout_s` is
    how long a node may let us wait at each step.
    """

    title: str = "GADGETRON_QSM"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    timeout_s: float = 30

    def __post_init__(self) -> None:
        check_title(self.title)


def check_title(title: str) -> None:
    r"""Raise UsageError for what is no application entity title.

    A title has 1 to 16 printable ASCII characters, no backslash, and no space at either end;
    '@' and '=' would not come back from settings.
    """
    printable = re.fullmatch(r"[ -~]+", title) and title.strip() == title
    if not printable or len(title) > LONGEST_TITLE or set(title) & set("\\@="):
        raise UsageError(
            f"'{title}' is no application entity title; "
            f"give 1 to {LONGEST_TITLE} ASCII characters without '\\', '@' and '='"
        )
