"""Where the parts are: settings from the environment (`FENGHUO_*`)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:
    from schemas.events import EventKind

__all__ = ["Settings"]


class Settings(BaseSettings):
    """Settings of one process. What is surveyed stands in the configuration file instead."""

    model_config = SettingsConfigDict(env_prefix="FENGHUO_", frozen=True, extra="ignore")

    kafka: str = Field(default="localhost:9092", description="Bootstrap servers, comma-separated")
    database: str = Field(
        default="postgresql://localhost/fenghuo", description="PostgreSQL connection URI"
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
        default=10_000, ge=1, description="Most records of one transaction; bounds memory"
    )
    fetch_bytes: int = Field(
        default=4 * 1024 * 1024, ge=1024, description="Most bytes fetched per partition and request"
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

    @property
    def topics(self) -> dict[EventKind, str]:
        """Topic of each kind of event."""
        return {"visits": self.visits_topic, "sales": self.sales_topic}
