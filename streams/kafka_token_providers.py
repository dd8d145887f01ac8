"""A token endpoint as each client library asks it; the libraries are slow to import."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError
from kafka.net.sasl.oauth import AbstractTokenProvider as KafkaPythonTokenProvider

from streams.errors import UnavailableError

if TYPE_CHECKING:
    from streams.kafka_tokens import TokenEndpoint

__all__ = ["AiokafkaTokens", "KafkaPythonTokens"]


class AiokafkaTokens(AbstractTokenProvider):  # type: ignore[misc]
    """An endpoint as aiokafka and Faust ask it."""

    def __init__(self, endpoint: TokenEndpoint) -> None:
        self._endpoint = endpoint

    async def token(self) -> str:
        """Return a token; a failure is one of the connection, which is tried again."""
        try:
            return await asyncio.to_thread(self._endpoint.token)
        except UnavailableError as error:
            raise KafkaConnectionError(str(error)) from None


class KafkaPythonTokens(KafkaPythonTokenProvider):  # type: ignore[misc]
    """An endpoint as kafka-python asks it."""

    def __init__(self, endpoint: TokenEndpoint) -> None:
        super().__init__()
        self._endpoint = endpoint

    def token(self) -> str:
        """Return a token."""
        return self._endpoint.token()
