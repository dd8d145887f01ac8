"""Replaying dead letters: checked again, published again where they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from schemas.refusals import RefusalReason
from streams.feed.publish import publish_mixed
from streams.ingest.intake import utc_now
from streams.store.letters import mark_replayed, stored_revision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import psycopg

    from schemas.events import EventKind
    from streams.brokers import Brokers
    from streams.ingest.intake import Intake
    from streams.store.letters import Letter

__all__ = ["Hindrance", "Replay", "replay_letters"]


class Hindrance(NamedTuple):
    """Why a letter was not replayed."""

    letter_id: int
    text: str


class Replay(NamedTuple):
    """What a replay did."""

    replayed: tuple[int, ...]
    hindered: tuple[Hindrance, ...]


class _Record(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None


def replay_letters(
    connection: psycopg.Connection,
    letters: Sequence[Letter],
    *,
    brokers: Brokers | str,
    intake: Intake,
    kinds: Mapping[str, EventKind],
    edited: bytes | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Replay:
    """Publish letters again that would not be refused again.

    Parameters
    ----------
    letters
        What to replay.
    intake
        Validation under the present configuration.
    kinds
        Kind of events of each topic.
    edited
        Takes the place of the value of the only letter.
    on_wait
        Told when the broker does not answer.

    Raises
    ------
    UnavailableError, DeliveryError
        The broker cannot be reached or does not take them. They can be replayed again.
    """
    good: list[tuple[int, str, bytes, bytes]] = []
    hindered: list[Hindrance] = []
    for letter in letters:
        found = _check(connection, letter, intake, kinds, edited)
        if isinstance(found, str):
            hindered.append(Hindrance(letter.letter_id, found))
        else:
            good.append((letter.letter_id, letter.topic, *found))
    replayed = tuple(letter_id for letter_id, *_ in good)
    if good:
        publish_mixed(brokers, [record[1:] for record in good], on_wait=on_wait)
        mark_replayed(connection, replayed)
    return Replay(replayed, tuple(hindered))


def _needs_correction(letter: Letter) -> str | None:
    """Return why a letter cannot be replayed as it is stored."""
    if letter.redacted_at is not None:
        return (
            "The record held personal data and was not kept, so it cannot be replayed. Have the "
            "source send it again without them, or give the corrected record with --file."
        )
    if letter.reason == RefusalReason.NOT_STORABLE:
        return f"{letter.reason}: {letter.sentence} Correct it and give it with --file."
    return None


def _check(
    connection: psycopg.Connection,
    letter: Letter,
    intake: Intake,
    kinds: Mapping[str, EventKind],
    edited: bytes | None,
) -> tuple[bytes, bytes] | str:
    """Return key and value to publish, or what hinders."""
    kind = kinds.get(letter.topic)
    if kind is None:
        return f"{letter.topic} is no topic of this installation; it has {', '.join(kinds)}."
    if letter.replayed_at is not None:
        return f"It was replayed at {letter.replayed_at:%Y-%m-%d %H:%M:%S %z}."
    if edited is None and (hindrance := _needs_correction(letter)):
        return hindrance
    value = letter.value if edited is None else edited
    reading = intake.read(kind, (_Record(letter.offset, letter.key, value),), now=utc_now())
    if reading.refused:
        refusal = reading.refused[0].refusal
        return f"It would be refused again: {refusal.reason}: {refusal.sentence}"
    event = reading.accepted[0]
    stored = stored_revision(connection, kind, event.event_key)
    if stored is not None and stored >= event.revision:
        return (
            f"Revision {stored} of this event is stored. To correct it, give it with --file and "
            f"revision {stored + 1}."
        )
    key = letter.key if letter.key is not None and edited is None else event.place.region.encode()
    return key, event.payload
