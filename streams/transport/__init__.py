"""Batch transport: one Faust message per fetched record batch.

Registered under the URL scheme ``kafkabatch``; topics opt in with `BatchSchema`, all others
behave as with Faust's own Kafka transport.
"""

from __future__ import annotations

from streams.transport.batch import BatchSchema, LogBounds, PositionSource, RecordBatch, Unreadable
from streams.transport.consumer import BatchConsumer, BatchTransport

__all__ = [
    "BatchConsumer",
    "BatchSchema",
    "BatchTransport",
    "LogBounds",
    "PositionSource",
    "RecordBatch",
    "Unreadable",
]
