"""The certificate of the test Discord: it is every host of Discord's at once.

Made once per process and thrown away with it; nothing but `trusting()` believes it.
"""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOSTS = ("discord.com", "gateway.discord.gg", "*.discord.media", "cdn.discordapp.com")


@dataclass(frozen=True, slots=True)
class Certificate:
    """Both halves, as PEM."""

    chain: bytes
    key: bytes


@functools.cache
def certificate() -> Certificate:
    """The self-signed certificate, valid for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fakecord")])
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in HOSTS]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        chain=made.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def serving() -> ssl.SSLContext:
    """For the server's side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # ssl reads only files
        file.write(certificate().key + certificate().chain)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def trusting(chain: bytes | None = None) -> ssl.SSLContext:
    """For the client's side: it trusts this certificate (PEM) and no other."""
    trusted = chain or certificate().chain
    return ssl.create_default_context(cadata=trusted.decode())
