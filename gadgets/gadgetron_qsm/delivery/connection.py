"""A connection to a node, plain or encrypted, whose failures say what is wrong and what to do."""

from __future__ import annotations

import select
import socket
import ssl
from dataclasses import replace

from gadgetron_qsm.delivery import tls
from gadgetron_qsm.delivery.nodes import Caller, Later, Node
from gadgetron_qsm.errors import UsageError

QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)  # Linux
LISTEN_S = 2.0  # to a node that has a reason not to talk
TLS_ALERT = 0x15  # first byte of what a TLS node answers to anything else


class BrokenOff(Later):
    """The node ended the connection without a word."""


class Connection:
    """A byte stream to a node; every failure, after `timeout_s` too, raises Later."""

    def __init__(self, node: Node, caller: Caller) -> None:
        self.node = node
        self.timeout_s = caller.timeout_s
        self._socket = self._connect()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if node.tls:
            try:
                self._socket = self._encrypt(caller)
            except BaseException:
                self._socket.close()
                raise

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._failed(error) from error

    def receive(self, count: int) -> bytes:
        """Return exactly `count` bytes."""
        parts = []
        while count:
            part = self._receive_some(count)
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def is_readable(self, within_s: float) -> bool:
        """Wait for that long until something can be received; say whether it can."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        return bool(select.select([self._socket], [], [], max(within_s, 0))[0])

    def close(self) -> None:
        """Close it; never raises."""
        self._socket.close()

    def later(self, why: str) -> Later:
        """Return the line for people: the node's name, and why nothing goes there now."""
        return Later(f"{self.node.name}: {why}")

    def _receive_some(self, count: int) -> bytes:
        """Return what comes next, and let it be acknowledged without delay.

        A node that writes the parts of an answer one by one without TCP_NODELAY (DCMTK's programs
        and Orthanc do) sends the next when the last is acknowledged, which a receiver otherwise
        puts off for 40 ms: twenty objects a second instead of hundreds. The kernel forgets the
        wish, so that it is renewed each time.
        """
        try:
            if QUICK_ACK is not None:
                self._socket.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
            part = self._socket.recv(count)
        except OSError as error:
            raise self._failed(error) from error
        if not part:
            raise BrokenOff(f"{self.node.name}: it closed the connection; see its log")
        return part

    def _connect(self) -> socket.socket:
        node = self.node
        try:
            return socket.create_connection((node.host, node.port), self.timeout_s)
        except (socket.gaierror, UnicodeError) as error:
            why = f"host '{node.host}' is unknown; correct it, or the name service"
            raise self.later(why) from error
        except ConnectionRefusedError as error:
            why = f"nobody listens at {node.address}; start the node, or correct host and port"
            raise self.later(why) from error
        except TimeoutError as error:
            why = f"{node.address} does not answer within {self.timeout_s:g} s; "
            why += "see that it runs, and the network and firewalls between"
            raise self.later(why) from error
        except OSError as error:
            why = f"{node.address} cannot be reached ({error.strerror}); see the network"
            raise self.later(why) from error

    def _encrypt(self, caller: Caller) -> ssl.SSLSocket:
        try:
            context = tls.context_of(caller)
            return context.wrap_socket(self._socket, server_hostname=self.node.host)
        except (ssl.SSLEOFError, ConnectionError, TimeoutError) as error:
            raise self.later(tls.SPEAKS_NONE) from error
        except OSError as error:
            raise self._failed(error) from error
        except (UsageError, ValueError) as error:  # files, and names that no certificate has
            raise self.later(str(error)) from error

    def _failed(self, error: OSError) -> Later:
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            return self.later(tls.fault(error, self.node))
        if isinstance(error, TimeoutError):
            return self.later(f"it was silent for {self.timeout_s:g} s; see whether it still works")
        return BrokenOff(f"{self.node.name}: it broke off the connection; see its log")


def why_broken_off(node: Node, caller: Caller) -> Later | None:
    """Find out why a node breaks off connections before the first answer; None when it hides it.

    TLS 1.3 lets a node refuse our certificate after the handshake, and what we send then destroys
    its reason on the way. So this connects again, and listens.
    """
    if not node.tls:
        return Later(f"{node.name}: it breaks off the connection; see its log, or try TLS (tls:)")
    try:
        connection = Connection(node, replace(caller, timeout_s=min(caller.timeout_s, LISTEN_S)))
    except Later as reason:
        return reason
    try:
        connection.receive(1)
    except Later as reason:
        return reason if isinstance(reason.__cause__, ssl.SSLError) else None
    finally:
        connection.close()
    return None
