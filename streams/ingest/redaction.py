"""Refused records without what is personal in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from schemas.raw_records import personal_refusal, redacted_value
from schemas.refusals import RefusalReason
from streams.store.letter_privacy import (
    Copied,
    LetterText,
    copied_before_redaction,
    redact_letter,
    take_unredacted,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from schemas.privacy import Privacy

__all__ = ["Redacted", "redact_letters", "without_personal_data"]

_SENTENCE: Final = "Personal data were removed from this sentence."


class Redacted(NamedTuple):
    """What a look through the stored letters found."""

    examined: int
    redacted: int
    copied: Sequence[Copied]
    """Letters of which Kafka has copies, those of earlier redactions included."""


def without_personal_data(letter: LetterText, privacy: Privacy) -> LetterText:
    """Return a letter without what is personal; the same one if nothing is. Pure.

    A record that holds personal data beside another fault is refused for the personal data, as
    intake does it.
    """
    value = letter.value
    personal = personal_refusal(value, privacy) if value else None
    if privacy.in_text(letter.sentence):
        letter = letter._replace(sentence=_SENTENCE)
    if letter.key and privacy.in_text(letter.key.decode("utf-8", "replace")):
        letter = letter._replace(key=None)
    if privacy.in_identifier(letter.source_id) or privacy.in_text(letter.source_id):
        letter = letter._replace(source_id=None)
    if personal is not None:
        letter = letter._replace(reason=personal.reason.value, sentence=personal.sentence)
    if value is not None and (personal or letter.reason == RefusalReason.PERSONAL_DATA):
        letter = letter._replace(value=redacted_value(letter.sentence, len(value)))
    return letter


def redact_letters(
    connection: psycopg.Connection, privacy: Privacy, *, dry_run: bool = False
) -> Redacted:
    """Redact all stored letters, a few in each transaction; may be interrupted and repeated.

    Parameters
    ----------
    privacy
        Patterns of the registry's country.
    dry_run
        Only count.
    """
    examined, redacted, after = 0, 0, 0
    while True:
        with connection.transaction():
            letters = take_unredacted(connection, after=after)
            for letter in letters:
                clean = without_personal_data(letter, privacy)
                if clean == letter:
                    continue
                redacted += 1
                if not dry_run:
                    redact_letter(connection, clean, whole=clean.value != letter.value)
        if not letters:
            return Redacted(examined, redacted, copied_before_redaction(connection))
        examined += len(letters)
        after = letters[-1].letter_id
