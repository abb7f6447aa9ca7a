"""Encryption of an association: whom we trust, and why a handshake failed.

PS3.15 B.12 (BCP 195): TLS 1.2 or newer; certificate and name of the node are always verified.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from gadgetron_qsm.delivery.nodes import Caller, Node
from gadgetron_qsm.errors import UsageError

CERTIFICATE_FAULTS = {  # X509_V_ERR codes of OpenSSL
    9: "its certificate is not valid yet; set the clocks right, or renew it",
    10: "its certificate has expired; renew it there",
    18: "its certificate is self-signed; give it, or the authority's, as ca_file",
    19: "its certificate comes from an unknown authority; give that authority as ca_file",
    20: "its certificate comes from an unknown authority; give that authority as ca_file",
    23: "its certificate was revoked; renew it there",
    62: "its certificate is for another host; write the host as the certificate names it",
    64: "its certificate is for another host; write the host as the certificate names it",
}
ALERTS = {  # parts of OpenSSL's reasons: what the node said about us
    "CERTIFICATE_REQUIRED": "it demands a certificate of ours; give certificate_file and key_file",
    "CERTIFICATE_EXPIRED": "it says that our certificate has expired; renew certificate_file",
    "ALERT_UNKNOWN_CA": "it does not trust our certificate; have its authority sign ours",
    "ALERT_BAD_CERTIFICATE": "it does not accept our certificate; see its log",
    "ALERT_UNSUPPORTED_CERTIFICATE": "it does not accept our kind of certificate; see its log",
    "ALERT_HANDSHAKE_FAILURE": (
        "it found no common cipher, or misses a certificate of ours; see its log"
    ),
    "PROTOCOL_VERSION": "it offers no TLS 1.2 or newer; allow that there",
    "UNSUPPORTED_PROTOCOL": "it offers no TLS 1.2 or newer; allow that there",
}
NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")  # what others answer
SPEAKS_NONE = "it does not answer in TLS; correct the port, or write the node without 'tls:'"


def context_of(caller: Caller) -> ssl.SSLContext:
    """Return what an association is encrypted with.

    Raises UsageError when a file of certificates or keys cannot be used.
    """
    if caller.key_file and not caller.certificate_file:
        raise UsageError(f"key_file {caller.key_file} without certificate_file; give both")
    context = _context(caller, ssl.Purpose.SERVER_AUTH)
    _show(context, caller)
    return context


def listening_context_of(caller: Caller) -> ssl.SSLContext:
    """Return what those who connect to us are answered with: our certificate.

    Where `ca_file` says who may vouch for nodes they are asked for theirs, and one that is shown is
    verified. Raises UsageError when a file cannot be used, or we have no certificate.
    """
    if not caller.certificate_file:
        raise UsageError("to listen with TLS takes a certificate of ours; give certificate_file")
    context = _context(caller, ssl.Purpose.CLIENT_AUTH)
    if caller.ca_file:
        context.verify_mode = ssl.CERT_OPTIONAL
    _show(context, caller)
    return context


def _context(caller: Caller, purpose: ssl.Purpose) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(purpose, cafile=caller.ca_file)
    except OSError as error:
        raise UsageError(_unusable(caller.ca_file, error)) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _show(context: ssl.SSLContext, caller: Caller) -> None:
    """Have our certificate shown, if there is one."""
    path = caller.certificate_file
    if path is None:
        return
    try:
        context.load_cert_chain(path, caller.key_file, password=_no_password)
    except OSError as error:
        raise UsageError(_unusable(path, error)) from error


def fault(error: ssl.SSLError, node: Node) -> str:
    """Say in one line why a node and we do not come to terms."""
    if isinstance(error, ssl.SSLCertVerificationError):
        known = CERTIFICATE_FAULTS.get(error.verify_code)
        return known or f"its certificate is not accepted: {error.verify_message}; replace it there"
    reason = error.reason or ""
    for part, meaning in ALERTS.items():
        if part in reason:
            return meaning
    if reason in NOT_TLS:
        return SPEAKS_NONE
    return f"TLS failed ({reason or type(error).__name__}); see the log of {node.name}"


def _no_password() -> str:
    """Stop OpenSSL from asking at the terminal."""
    raise UsageError("key_file is protected by a password; give one that is not")


def _unusable(path: Path | None, error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or error
    return f"cannot use {path}: {reason}; give certificates and keys as PEM"
