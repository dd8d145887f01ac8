"""A Kafka topic: each message as JSON under the key of its first alert."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.brokers import Brokers, as_brokers
from streams.notify.channels.contract import SendError
from streams.notify.channels.payloads import webhook_payload
from streams.notify.message import Message  # noqa: TC001

__all__ = ["KafkaSender"]


class KafkaSender:
    """Publishes messages; the header ``idempotency-key`` tells repeats."""

    def __init__(self, brokers: Brokers | str, topic: str, *, timeout: float) -> None:
        self._brokers = as_brokers(brokers)
        self._topic = topic
        self._timeout = timeout
        self._producer: Any = None

    @property
    def busy(self) -> bool:
        """Never: a cancelled attempt ends at once."""
        return False

    async def send(self, message: Message) -> str | None:
        """Publish a message and wait until all replicas have it."""
        value = json.dumps(webhook_payload(message), ensure_ascii=False).encode()
        try:
            async with asyncio.timeout(self._timeout):
                producer = await self._started()
                await producer.send_and_wait(
                    self._topic,
                    value,
                    key=str(message.entries[0].alert.alert_id).encode(),
                    headers=[("idempotency-key", message.key.encode())],
                )
        except TimeoutError:
            raise SendError(f"no answer of Kafka within {self._timeout:g} s") from None
        except (KafkaError, OSError) as error:
            raise SendError(f"{type(error).__name__}: {error}") from None
        return None

    async def close(self) -> None:
        """Close the producer."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    async def _started(self) -> Any:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._brokers.for_aiokafka(),
                client_id="fenghuo-notify",
                acks="all",
                request_timeout_ms=int(self._timeout * 1000),
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer
