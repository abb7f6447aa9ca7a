"""A connection to a node only to see why none came about before, or why it was broken off."""

from __future__ import annotations

import socket
import ssl

from gadgetron_qsm.delivery import tls
from gadgetron_qsm.delivery.nodes import Caller, Node

LISTEN_S = 2.0  # to a node that has a reason not to talk
SPEAKS_TLS = "it speaks TLS; write the node as tls:TITLE@HOST:PORT"


def probe(node: Node, caller: Caller) -> str | None:
    """Connect as an association would; say what is wrong, None when nothing is.

    Waits no longer than LISTEN_S at each step, since the association has waited already.
    """
    timeout_s = min(caller.timeout_s, LISTEN_S)
    try:
        connection = socket.create_connection((node.host, node.port), timeout_s)
    except OSError as error:
        return unreachable(error, node, caller)
    with connection:
        if node.tls:
            return _encrypted(connection, node, caller)
        return SPEAKS_TLS if _speaks_tls(connection) else None


def unreachable(error: OSError | UnicodeError, node: Node, caller: Caller) -> str:
    """Say why there is no connection."""
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"host '{node.host}' is unknown; correct it, or the name service"
    if isinstance(error, ConnectionRefusedError):
        return f"nobody listens at {node.address}; start the node, or correct host and port"
    if isinstance(error, TimeoutError):
        why = f"{node.address} does not answer within {caller.timeout_s:g} s; "
        return why + "see that it runs, and the network and firewalls between"
    return f"{node.address} cannot be reached ({error.strerror}); see the network"


def _encrypted(connection: socket.socket, node: Node, caller: Caller) -> str | None:
    """Say why a node and we do not come to terms about encryption.

    TLS 1.3 lets a node refuse our certificate after the handshake, and what an association sends
    then destroys its reason on the way; so this sends nothing, and listens.
    """
    try:
        secure = tls.context_of(caller).wrap_socket(connection, server_hostname=node.host)
    except ssl.SSLError as error:
        return tls.SPEAKS_NONE if isinstance(error, ssl.SSLEOFError) else tls.fault(error, node)
    except OSError:
        return tls.SPEAKS_NONE
    with secure:
        try:
            secure.recv(1)
        except ssl.SSLEOFError:
            return None
        except ssl.SSLError as error:
            return tls.fault(error, node)
        except OSError:
            return None
    return None


def _speaks_tls(connection: socket.socket) -> bool:
    """Tell whether a node answers a handshake, with whatever certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with context.wrap_socket(connection):
            return True
    except ssl.SSLError as error:
        return not isinstance(error, ssl.SSLEOFError) and error.reason not in tls.NOT_TLS
    except OSError:
        return False
