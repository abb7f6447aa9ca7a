"""An archive in this process, which takes objects, refuses them, or is not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gadgetron_qsm.delivery.attempt import Network
from gadgetron_qsm.delivery.nodes import Later, Node
from gadgetron_qsm.delivery.sender import Sender
from gadgetron_qsm.delivery.store import Answer


class Archive:
    """What a node of a name has, by SOP instance UID, and how it behaves.

    `down`: why it takes nothing; `refuses`: reasons by UID; `chokes`: UIDs on which the association
    breaks off; `puts_off`: those it takes another time; `before`: called with a UID before it is
    answered for.
    """

    def __init__(self) -> None:
        self.down = ""
        self.refuses: dict[str, str] = {}
        self.chokes: set[str] = set()
        self.puts_off: set[str] = set()
        self.before: Callable[[str], None] = lambda _: None
        self.received: dict[str, bytes] = {}
        self.times: Counter[str] = Counter()
        self.order: list[str] = []
        self.associations = 0
        self.nodes: list[Node] = []
        self.asked: list[tuple[str, list[str]]] = []
        self.listening: list[Listener] = []
        self.reports = "to our listener"
        self.not_kept: dict[str, str] = {}

    @property
    def network(self) -> Network:
        return Network(self.store, self.ask, self.listener)

    def store(self, node: Node, _caller: Any, objects: Any) -> Generator[Answer, None, None]:
        self.nodes.append(node)
        self.associations += 1
        if self.down:
            raise Later(f"{node.name}: {self.down}")
        for entry in objects:
            data = entry.read()
            self.before(entry.instance_uid)
            if entry.instance_uid in self.chokes:
                raise Later(f"{node.name}: it broke off")
            if reason := self.refuses.get(entry.instance_uid):
                yield Answer(entry.key, reason)
                continue
            if entry.instance_uid in self.puts_off:
                continue
            self.received[entry.instance_uid] = data
            self.times[entry.instance_uid] += 1
            self.order.append(entry.instance_uid)
            yield Answer(entry.key)
        if self.puts_off:
            raise Later(f"{node.name}: {len(self.puts_off)} objects put off")

    def ask(
        self, node: Node, _caller: Any, transaction_uid: str, references: Any, *, on_result: Any
    ) -> None:
        if self.down:
            raise Later(f"{node.name}: {self.down}")
        uids = [uid for _, uid in references]
        self.asked.append((transaction_uid, uids))
        kept = [uid for uid in uids if uid not in self.not_kept]
        failed = {uid: why for uid, why in self.not_kept.items() if uid in uids}
        takers = {
            "over the same association": lambda: on_result,
            "to our listener": lambda: self.listening[-1].on_result,
        }
        if self.reports in takers:  # pynetdicom calls either in a thread of its own
            with ThreadPoolExecutor(1) as thread:
                thread.submit(takers[self.reports](), transaction_uid, kept, failed).result()

    def listener(self, host: str, port: int, title: str, on_result: Any, _context: Any) -> Listener:
        self.listening.append(Listener((host, port, title), on_result))
        return self.listening[-1]


class Listener:
    def __init__(self, place: tuple[str, int, str], on_result: Any) -> None:
        self.place, self.on_result = place, on_result
        self.open = False

    def __enter__(self) -> Listener:
        self.open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False


@contextmanager
def sending(folder: Path, network: Network, **options: Any) -> Iterator[Sender]:
    """A sender that runs in the background as long as the block."""
    started = Sender(folder, network=network, **options)
    started.start()
    try:
        yield started
    finally:
        assert started.stop(10)
