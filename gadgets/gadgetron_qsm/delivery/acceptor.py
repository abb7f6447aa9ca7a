"""Taking the connections of nodes that report to us, encrypted or not."""

from __future__ import annotations

import logging
import socket
import threading
from socketserver import BaseServer
from typing import Any

from pynetdicom.transport import ThreadedAssociationServer

log = logging.getLogger(__name__)

HANDSHAKE_S = 5.0  # a stranger may never end one


class Acceptor(ThreadedAssociationServer):
    """pynetdicom's server, but with each TLS handshake in the thread of its own connection.

    In the thread that accepts, a stranger who says nothing would keep all others out.
    """

    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, still in the clear."""
        return self.socket.accept()  # type: ignore[union-attr]

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Encrypt a connection where we have a certificate, and let its node report."""
        if self.ssl_context:
            request.settimeout(HANDSHAKE_S)
            try:
                request = self.ssl_context.wrap_socket(request, server_side=True)
            except OSError as error:
                request.close()
                log.warning("a report on storage commitment failed in TLS: %s", error)
                return
            request.settimeout(None)
        super().finish_request(request, client_address)

    def start(self) -> None:
        """Take connections in a thread, until `end`."""
        threading.Thread(target=self.serve_forever, name="commitment", daemon=True).start()

    def end(self) -> None:
        """Break off what nodes are saying, and take no more."""
        for association in self.active_associations:
            association.abort()
        BaseServer.shutdown(self)  # pynetdicom's own expects to be one of an entity's list
        self.server_close()
