"""How Kafka's brokers are reached: addresses, TLS and SASL, as each client library wants them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from pydantic import SecretStr

from streams.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from faust.auth import Credentials

    from streams.kafka_tokens import TokenEndpoint

__all__ = ["Brokers", "SaslMechanism", "SecurityProtocol", "as_brokers"]

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

T = TypeVar("T")

_NONE: Final = SecretStr("")


@dataclass(frozen=True)
class Brokers:
    """Addresses of brokers and what they ask of clients.

    Parameters
    ----------
    bootstrap
        ``host:port``, separated by commas.
    ca_file
        Certificates of the authorities that sign the brokers'; empty: those of the system.
    cert_file, key_file, key_password
        The client's certificate with its chain, its key (empty: in `cert_file`) and the key's
        password, for brokers that ask for one.
    tokens
        Where OAUTHBEARER gets its tokens.

    Raises
    ------
    ConfigError
        The parts contradict each other; the text names the environment's variables.
    """

    bootstrap: str
    protocol: SecurityProtocol = "PLAINTEXT"
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    key_password: SecretStr = _NONE
    mechanism: SaslMechanism = ""
    username: str = ""
    password: SecretStr = _NONE
    tokens: TokenEndpoint | None = field(default=None)

    def __post_init__(self) -> None:
        for variable, is_set, needed in self._unused():
            if is_set:
                raise ConfigError(
                    f"{variable} is set, but FENGHUO_KAFKA_SECURITY_PROTOCOL is {self.protocol}. "
                    f"Set it to {needed}."
                )
        if not self.sasl:
            return
        if not self.mechanism:
            raise ConfigError(
                f"FENGHUO_KAFKA_SECURITY_PROTOCOL is {self.protocol}: name FENGHUO_KAFKA_SASL_"
                "MECHANISM (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER)."
            )
        if self.mechanism == "OAUTHBEARER":
            if self.tokens is None:
                raise ConfigError("OAUTHBEARER needs FENGHUO_KAFKA_TOKEN_URL.")
        elif not self.username or not self.password.get_secret_value():
            raise ConfigError(
                f"{self.mechanism} needs FENGHUO_KAFKA_USERNAME and FENGHUO_KAFKA_PASSWORD (or "
                "FENGHUO_KAFKA_PASSWORD_FILE)."
            )

    def _unused(self) -> list[tuple[str, bool, str]]:
        """Name what would have no effect: nobody shall believe in a protection that is none."""
        found = []
        if not self.tls:
            found += [
                ("FENGHUO_KAFKA_CA_FILE", bool(self.ca_file), "SSL or SASL_SSL"),
                ("FENGHUO_KAFKA_CERT_FILE", bool(self.cert_file), "SSL or SASL_SSL"),
            ]
        if not self.sasl:
            found.append(("FENGHUO_KAFKA_SASL_MECHANISM", bool(self.mechanism), "SASL_SSL"))
        return found

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.protocol in {"SSL", "SASL_SSL"}

    @property
    def sasl(self) -> bool:
        """Whether clients authenticate by SASL."""
        return self.protocol in {"SASL_PLAINTEXT", "SASL_SSL"}

    @property
    def servers(self) -> list[str]:
        """Addresses one by one."""
        return [server.strip() for server in self.bootstrap.split(",") if server.strip()]

    @cached_property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context, which verifies name and chain; None without TLS.

        Raises
        ------
        ConfigError
            A file cannot be read or used.
        """
        if not self.tls:
            return None
        context = _loaded(
            "FENGHUO_KAFKA_CA_FILE",
            self.ca_file,
            lambda: ssl.create_default_context(cafile=self.ca_file or None),
        )
        if self.cert_file:
            _loaded(
                "FENGHUO_KAFKA_CERT_FILE, _KEY_FILE or _KEY_PASSWORD",
                f"{self.cert_file} {self.key_file}".strip(),
                lambda: context.load_cert_chain(
                    self.cert_file, self.key_file or None, self.key_password.get_secret_value
                ),
            )
        return context

    def for_aiokafka(self) -> dict[str, Any]:
        """Return the arguments of aiokafka's clients, addresses included."""
        options = {"bootstrap_servers": self.servers, **self._common()}
        if self.tokens is not None:
            from streams.kafka_token_providers import AiokafkaTokens  # noqa: PLC0415 - slow

            options["sasl_oauth_token_provider"] = AiokafkaTokens(self.tokens)
        return options

    def for_kafka_python(self) -> dict[str, Any]:
        """Return the arguments of kafka-python's clients, addresses included."""
        options = {"bootstrap_servers": self.servers, **self._common()}
        if self.tokens is not None:
            from streams.kafka_token_providers import KafkaPythonTokens  # noqa: PLC0415 - slow

            options["sasl_oauth_token_provider"] = KafkaPythonTokens(self.tokens)
        return options

    def for_faust(self) -> Credentials | None:
        """Return Faust's credentials; None: neither TLS nor SASL."""
        from faust.auth import (  # noqa: PLC0415 - Faust is slow to import
            OAuthCredentials,
            SASLCredentials,
            SSLCredentials,
        )

        if not self.sasl:
            return SSLCredentials(self.ssl_context) if self.tls else None
        if self.tokens is not None:
            from streams.kafka_token_providers import AiokafkaTokens  # noqa: PLC0415 - slow

            return OAuthCredentials(
                oauth_cb=AiokafkaTokens(self.tokens), ssl_context=self.ssl_context
            )
        return SASLCredentials(
            username=self.username,
            password=self.password.get_secret_value(),
            ssl_context=self.ssl_context,
            mechanism=self.mechanism,
        )

    def _common(self) -> dict[str, Any]:
        common: dict[str, Any] = {
            "security_protocol": self.protocol,
            "ssl_context": self.ssl_context,
        }
        if self.sasl:
            common["sasl_mechanism"] = self.mechanism
        if self.sasl and self.tokens is None:
            common["sasl_plain_username"] = self.username
            common["sasl_plain_password"] = self.password.get_secret_value()
        return common


def as_brokers(servers: Brokers | str) -> Brokers:
    """Take mere addresses for brokers without TLS and SASL."""
    return servers if isinstance(servers, Brokers) else Brokers(servers)


def _loaded(variable: str, files: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except ssl.SSLError as error:
        why = f"cannot be used ({(error.reason or 'no PEM').replace('_', ' ').lower()})"
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    except ValueError as error:
        why = f"cannot be used ({error})"
    raise ConfigError(f"{variable}: {files or 'the system certificates'} {why}.")
