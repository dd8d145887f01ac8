"""Where the parts are: settings from the environment (`FENGHUO_*`)."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from streams.brokers import Brokers, SaslMechanism, SecurityProtocol
from streams.errors import ConfigError
from streams.kafka_tokens import TokenEndpoint

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from schemas.events import EventKind

__all__ = ["Settings"]


_NONE: Final = SecretStr("")


class SecretFiles(PydanticBaseSettingsSource):
    """Values of secrets from files, as orchestrators mount them.

    ``FENGHUO_KAFKA_PASSWORD_FILE`` names the file of ``kafka_password``, and so for every secret
    and the database's URI. The variable itself comes first. White space at the end is cut.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return a secret's value from its file, if one is named."""
        if field.annotation is not SecretStr and field_name != "database":
            return None, field_name, False
        variable = f"FENGHUO_{field_name.upper()}_FILE"
        file = os.environ.get(variable)
        if not file:
            return None, field_name, False
        try:
            return Path(file).read_text(encoding="utf-8").rstrip(), field_name, False
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise ConfigError(f"{variable}: {file}: {why}.") from None

    def __call__(self) -> dict[str, Any]:
        """Return all values that were found."""
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def _empty(name: str, field: FieldInfo) -> str:
    option = {
        "kafka": " or --kafka",
        "database": " or --database",
        "config": " or --config",
        "page_host": " or --host",
    }
    default = "the host's name" if field.default_factory else field.default
    return (
        f"FENGHUO_{name.upper()}{option.get(name, '')} is empty. Give it a value, or leave it out "
        f"for the default ({default})."
    )


class Settings(BaseSettings):
    """Settings of one process. What is surveyed stands in the configuration file instead."""

    model_config = SettingsConfigDict(env_prefix="FENGHUO_", frozen=True, extra="ignore")

    kafka: str = Field(default="localhost:9092", description="Bootstrap servers, comma-separated")
    kafka_security_protocol: SecurityProtocol = Field(
        default="PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    kafka_ca_file: str = Field(
        default="", description="Authorities that sign the brokers' certificates; empty: system's"
    )
    kafka_cert_file: str = Field(default="", description="Our certificate with its chain, PEM")
    kafka_key_file: str = Field(default="", description="Its key; empty: in the same file")
    kafka_key_password: SecretStr = Field(default=_NONE, description="Password of the key")
    kafka_sasl_mechanism: SaslMechanism = Field(
        default="", description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
    )
    kafka_username: str = Field(default="", description="For PLAIN and SCRAM")
    kafka_password: SecretStr = Field(default=_NONE, description="For PLAIN and SCRAM")
    kafka_token_url: str = Field(
        default="", description="Token endpoint for OAUTHBEARER (client credentials)"
    )
    kafka_client_id: str = Field(default="", description="Client that is registered there")
    kafka_client_secret: SecretStr = Field(default=_NONE, description="Its secret")
    kafka_token_scope: str = Field(default="", description="Scopes asked for, by spaces")
    kafka_token_ca_file: str = Field(
        default="", description="Authorities of the endpoint's certificate; empty: system's"
    )
    database: str = Field(
        default="postgresql://localhost/fenghuo",
        # It may hold a password: not in a repr, and so in no traceback.
        repr=False,
        description="PostgreSQL connection URI, or any connection string of libpq",
    )
    config: Path = Field(default=Path("fenghuo.yaml"), description="Surveillance configuration")
    group: str = Field(default="fenghuo", description="Kafka consumer group; Faust app id")
    visits_topic: str = "fever-clinic.visits"
    sales_topic: str = "pharmacy.sales"
    alerts_topic: str = Field(
        default="alerts", description="Topic on which every change of an alert is told"
    )
    partitions: int = Field(default=8, ge=1, description="Partitions of topics that are created")
    replication: int = Field(default=1, ge=1, description="Replicas of topics that are created")
    session_timeout: float = Field(
        default=10.0, gt=0, description="Seconds until a silent worker loses its partitions"
    )
    batch_records: int = Field(
        default=12_000, ge=1, description="Most records of one transaction; bounds memory"
    )
    fetch_bytes: int = Field(
        default=3 * 1024 * 1024,
        ge=1024,
        description="Most bytes fetched per partition and request; about one transaction's",
    )
    commits_in_flight: int = Field(
        default=4, ge=1, description="Transactions of different partitions at the same time"
    )
    judge_interval: float = Field(
        default=1.0, gt=0, description="Seconds between looks at the series that changed"
    )
    worker_name: str = Field(default_factory=socket.gethostname)
    web_port: int = Field(
        default=0, ge=0, description="Port of Faust's own status page on loopback; 0: none"
    )
    web_url: str = Field(
        default="",
        description="The triage page as browsers reach it, like https://fenghuo.example.org; "
        "empty: page_host and page_port",
    )
    reader_password: SecretStr = Field(
        default=SecretStr(""),
        description="Password that fenghuo db reader gives to the role that dashboards read with",
    )
    owner_password: SecretStr = Field(
        default=_NONE, description="Password that fenghuo db owner gives to the role that migrates"
    )
    worker_password: SecretStr = Field(
        default=_NONE, description="Password that fenghuo db roles gives to the workers' role"
    )
    page_password: SecretStr = Field(
        default=_NONE, description="Password that fenghuo db roles gives to the triage page's role"
    )
    page_host: str = Field(default="127.0.0.1", description="Where the triage page listens")
    page_port: int = Field(default=8090, ge=1, le=65535, description="Port of the triage page")
    page_proxies: str = Field(
        default="127.0.0.1",
        description="Addresses of reverse proxies whose X-Forwarded-For is believed, "
        "comma-separated",
    )
    page_idle_minutes: int = Field(
        default=60, ge=1, description="Minutes without a click until one has to sign in again"
    )
    page_session_hours: int = Field(
        default=12, ge=1, description="Hours until one has to sign in again in any case"
    )
    oidc_issuer: str = Field(
        default="", description="OpenID Connect provider; empty: local passwords only"
    )
    oidc_client_id: str = Field(default="", description="Client that is registered there")
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""), description="Its secret; empty: a public client"
    )
    oidc_name_claim: str = Field(
        default="preferred_username", description="Claim that holds the user's name"
    )
    oidc_new_users: str = Field(
        default="",
        description="Region of which people whom the provider knows become viewers at their first "
        "sign-in; empty: only users that were added sign in",
    )
    grafana_url: str = Field(
        default="", description="Grafana as people's browsers reach it; empty: there is none"
    )
    grafana_api_url: str = Field(
        default="",
        description="Grafana as workers and commands reach it; empty: the same as grafana_url",
    )
    grafana_token: SecretStr = Field(
        default=SecretStr(""), description="Token of a service account in Grafana"
    )
    grafana_database: SecretStr = Field(
        default=SecretStr(""),
        description="Connection URI of Grafana's data source: the database as Grafana reaches it, "
        "with a SELECT-only role; empty: the data source is left alone",
    )

    @model_validator(mode="before")
    @classmethod
    def _nothing_empty(cls, given: Any) -> Any:
        """Refuse an empty value where there is a default: an unset variable of a script, mostly."""
        for name, value in given.items():
            field = cls.model_fields.get(name)
            if field is None or field.default == "" or isinstance(field.default, SecretStr):
                continue
            if isinstance(value, str | Path) and (value == Path() or not str(value).strip(" ,")):
                raise ConfigError(_empty(name, field))
        return given

    @property
    def brokers(self) -> Brokers:
        """Kafka's brokers with what they ask of clients.

        Raises
        ------
        ConfigError
            The settings contradict each other.
        """
        tokens = None
        if self.kafka_sasl_mechanism == "OAUTHBEARER" and self.kafka_token_url:
            tokens = TokenEndpoint(
                self.kafka_token_url,
                self.kafka_client_id,
                self.kafka_client_secret,
                scope=self.kafka_token_scope,
                ca_file=self.kafka_token_ca_file,
            )
        return Brokers(
            self.kafka,
            protocol=self.kafka_security_protocol,
            ca_file=self.kafka_ca_file,
            cert_file=self.kafka_cert_file,
            key_file=self.kafka_key_file,
            key_password=self.kafka_key_password,
            mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_username,
            password=self.kafka_password,
            tokens=tokens,
        )

    def with_plain_kafka(self, bootstrap: str) -> Settings:
        """Return the settings for other brokers, which have neither TLS nor SASL."""
        plain = {
            name: field.default
            for name, field in Settings.model_fields.items()
            if name.startswith("kafka_")
        }
        return self.model_copy(update=plain | {"kafka": bootstrap})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read secrets also from the files that ``FENGHUO_..._FILE`` names."""
        return init_settings, env_settings, SecretFiles(settings_cls)

    @property
    def page_url(self) -> str:
        """Address of the triage page for links, without a slash at the end."""
        return self.web_url.rstrip("/") or f"http://{self.page_host}:{self.page_port}"

    @property
    def grafana_api(self) -> str:
        """Address under which Grafana's API is called; empty: there is no Grafana."""
        return self.grafana_api_url or self.grafana_url

    @property
    def topics(self) -> dict[EventKind, str]:
        """Topic of each kind of event."""
        return {"visits": self.visits_topic, "sales": self.sales_topic}
