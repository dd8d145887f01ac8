"""Small Faust applications on the batch transport, run inside the test's event loop."""

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import faust
from kafka.admin import KafkaAdminClient, NewTopic

from streams.feed.publish import publish_mixed
from streams.kafka import wait_until_known
from tests.support.logs import group_offsets, log_ends

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

__all__ = [
    "close_thread",
    "create_topic",
    "make_app",
    "publish",
    "running",
    "until",
    "until_committed",
]

_PATIENCE = 120.0

#: Session time-out of the group, in seconds. The embedded broker answers a join after half of it,
#: so it is short there. A member that is held up for longer loses its partitions and reads again.
SESSION_SECONDS = 3.0


def make_app(bootstrap: str, group: str, folder: Path, **options: Any) -> faust.App:
    """Make an application that joins its group quickly and fetches small batches."""
    return faust.App(
        group,
        **{
            "broker": f"kafkabatch://{bootstrap}",
            "broker_session_timeout": SESSION_SECONDS,
            "broker_heartbeat_interval": 0.5,  # a rebalance is noticed at the next one
            "broker_commit_interval": 0.3,
            "broker_max_poll_records": 100,
            "consumer_metadata_max_age_ms": 1_000,
            "stream_buffer_maxsize": 2,
            "stream_wait_empty": False,
            "topic_disable_leader": True,
            "topic_allow_declare": False,
            "web_enabled": False,
            "datadir": str(folder / group),
            "logging_config": None,
            "loghandlers": [],
            **options,
        },
    )


@asynccontextmanager
async def running(app: faust.App) -> AsyncIterator[None]:
    """Run an application for the length of a block."""
    app.finalize()
    try:
        await app.start()
        yield
    finally:
        await app.stop()
        close_thread(app)


def close_thread(app: faust.App) -> None:
    """Close the event loop of an application's consumer thread, and what aiokafka left open."""
    thread = app.consumer._thread
    if not thread.thread_loop.is_running():
        thread.thread_loop.close()
    # aiokafka, when it is closed, forgets a connection that is just being made. Found later, it
    # would be held against another test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        if thread._consumer is not None:
            thread._consumer._client._conns.clear()
        gc.collect()


async def until(condition: Callable[[], Any], what: str, *, patience: float = _PATIENCE) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {patience:g} s")
        await asyncio.sleep(0.02)


async def until_committed(bootstrap: str, group: str, topics: list[str]) -> None:
    """Wait until a group has committed the whole of topics."""
    ends = await log_ends(bootstrap, topics)
    deadline = time.monotonic() + _PATIENCE
    while (offsets := await group_offsets(bootstrap, group, ends)) != ends:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{group} stands at {offsets}, the logs end at {ends}")
        await asyncio.sleep(0.1)


def create_topic(bootstrap: str, name: str, *, partitions: int = 1, **config: str) -> None:
    """Create a topic; settings are written with underscores for dots."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        configs = {key.replace("_", "."): value for key, value in config.items()}
        admin.create_topics(
            [
                NewTopic(
                    name=name,
                    num_partitions=partitions,
                    replication_factor=1,
                    topic_configs=configs,
                )
            ]
        )
        wait_until_known(admin, [name])
    finally:
        admin.close()


async def publish(bootstrap: str, topic: str, values: Iterable[int], *, keys: int = 20) -> None:
    """Publish numbers, the key being the number modulo `keys`."""
    records = [(topic, b"%d" % (value % keys), b"%d" % value) for value in values]
    await asyncio.to_thread(publish_mixed, bootstrap, records)
