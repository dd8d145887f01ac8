"""Handing refused records over to their dead-letter topics.

The transaction that refuses a record stores it in `dead_letters`; this outbox carries it to Kafka
afterwards. A crash between the two at worst sends it twice, never not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.kafka import dead_letter_topic

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

__all__ = ["hand_over"]

_AT_ONCE = 500


async def hand_over(pool: AsyncConnectionPool, producer: Any) -> int:
    """Send dead letters that were not sent yet; return how many.

    Parameters
    ----------
    producer
        Faust's producer.
    """
    sent = 0
    while True:
        async with pool.connection() as connection, connection.transaction():
            cursor = await connection.execute(
                'SELECT letter_id, topic, partition, "offset", reason, sentence, key, value '
                "FROM dead_letters WHERE published_at IS NULL "
                "ORDER BY letter_id LIMIT %s FOR UPDATE SKIP LOCKED",
                (_AT_ONCE,),
            )
            letters = await cursor.fetchall()
            if not letters:
                return sent
            for _, topic, partition, offset, reason, sentence, key, value in letters:
                await producer.send_and_wait(
                    dead_letter_topic(topic),
                    key,
                    value,
                    None,
                    None,
                    {
                        "reason": reason.encode(),
                        "sentence": sentence.encode(),
                        "topic": topic.encode(),
                        "partition": str(partition).encode(),
                        "offset": str(offset).encode(),
                    },
                )
            await connection.execute(
                "UPDATE dead_letters SET published_at = clock_timestamp() "
                "WHERE letter_id = ANY(%s)",
                ([letter[0] for letter in letters],),
            )
        sent += len(letters)
