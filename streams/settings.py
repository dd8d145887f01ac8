"""Where the parts are: settings from the environment (`FENGHUO_*`)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:
    from schemas.events import EventKind

__all__ = ["Settings"]


class Settings(BaseSettings):
    """Settings of one process. What is surveyed stands in the configuration file instead."""

    model_config = SettingsConfigDict(env_prefix="FENGHUO_", frozen=True, extra="ignore")

    kafka: str = Field(default="localhost:9092", description="Bootstrap servers, comma-separated")
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
    page_host: str = Field(default="127.0.0.1", description="Where the triage page listens")
    page_port: int = Field(default=8090, ge=1, le=65535, description="Port of the triage page")
    page_proxies: str = Field(
        default="127.0.0.1",
        description="Reverse proxies whose X-Forwarded-For is believed, comma-separated",
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
