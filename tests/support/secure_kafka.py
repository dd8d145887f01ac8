"""Apache Kafka with TLS and SASL: certificates, listeners, users and a token endpoint."""

from __future__ import annotations

import base64
import json
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.support.kafka_server import KafkaServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PASSWORD", "USER", "Certificates", "secure_kafka", "token_endpoint"]

USER, PASSWORD = "fenghuo", "s3cr3t-of-kafka"

_LOGIN = "org.apache.kafka.common.security"
_PLAIN = f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
_SCRAM = f"{_LOGIN}.scram.ScramLoginModule required;"
_BEARER = (
    f'{_LOGIN}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
)


class Certificates:
    """Two authorities; certificates of the broker and of a client, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority, self._stranger = trustme.CA(), trustme.CA()
        self.authority = str(folder / "authority.pem")
        self.stranger = str(folder / "stranger.pem")
        self._authority.cert_pem.write_to_path(self.authority)
        self._stranger.cert_pem.write_to_path(self.stranger)
        self.broker = folder / "broker.pem"
        self.write_broker()
        self.client = str(folder / "client.pem")
        self._write(self._authority.issue_cert("client@fenghuo"), folder / "client.pem")
        self.strange_client = str(folder / "strange.pem")
        self._write(self._stranger.issue_cert("client@fenghuo"), folder / "strange.pem")

    def write_broker(self, *, expired: bool = False) -> None:
        """Write the broker's certificate, for localhost, or one that has expired."""
        ends = datetime.now(UTC) - timedelta(days=1) if expired else None
        begins = datetime.now(UTC) - timedelta(days=9) if expired else None
        self._write(
            self._authority.issue_cert("localhost", not_before=begins, not_after=ends), self.broker
        )

    @staticmethod
    def _write(certificate: trustme.LeafCert, path: Path) -> None:
        # Kafka reads keys in PKCS #8 only.
        key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
        path.write_bytes(pem + chain)


def secure_kafka(certificates: Certificates) -> KafkaServer:
    """Return a broker with the listeners TLS, MUTUAL, SASL (encrypted) and CLEAR (not)."""
    settings = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.broker),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": certificates.authority,
        "ssl.endpoint.identification.algorithm": "",
        "listener.name.mutual.ssl.client.auth": "required",
    }
    for name in ("sasl", "clear"):
        settings |= {
            f"listener.name.{name}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,"
            "OAUTHBEARER",
            f"listener.name.{name}.plain.sasl.jaas.config": _PLAIN,
            f"listener.name.{name}.scram-sha-256.sasl.jaas.config": _SCRAM,
            f"listener.name.{name}.scram-sha-512.sasl.jaas.config": _SCRAM,
            f"listener.name.{name}.oauthbearer.sasl.jaas.config": _BEARER,
        }
    return KafkaServer(
        settings=settings,
        listeners={"TLS": "SSL", "MUTUAL": "SSL", "SASL": "SASL_SSL", "CLEAR": "SASL_PLAINTEXT"},
        users={USER: PASSWORD},
    )


@contextmanager
def token_endpoint(client_id: str, secret: str) -> Iterator[tuple[str, list[str]]]:
    """Give unsigned tokens for client credentials; yields the URL and what was asked of it."""
    wanted = "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            if self.headers["Authorization"] == wanted:
                answer = {"access_token": _token(), "token_type": "Bearer", "expires_in": 3600}
                self.send_response(200)
            else:
                answer = {"error": "invalid_client"}
                self.send_response(401)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/token", asked
        finally:
            server.shutdown()
            thread.join()


def _token() -> str:
    now = time.time()
    parts = ({"alg": "none"}, {"sub": USER, "iat": now, "exp": now + 3600, "scope": []})
    encoded = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )
    return ".".join(encoded) + "."
