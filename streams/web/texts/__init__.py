"""What the pages say, in English and Chinese: one place for all labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.config import Title
from streams.web.texts.actions import ACTIONS
from streams.web.texts.places import PLACES
from streams.web.texts.reading import READING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from schemas.notify import Language

__all__ = ["TEXTS", "say"]

#: By key; `{name}` is filled in.
TEXTS: Final[Mapping[str, Title]] = {
    key: Title(en=en, zh=zh) for key, (en, zh) in (READING | ACTIONS | PLACES).items()
}


def say(lang: Language) -> Callable[..., str]:
    """Return the function that gives a text of a language by its key.

    Examples
    --------
    >>> say("zh")("nav.inbox"), say("en")("inbox.range", first=1, last=25, total="40")
    ('预警', '1–25 of 40')
    """
    words = {key: title.zh if lang == "zh" else title.en for key, title in TEXTS.items()}

    def one(key: str, **values: object) -> str:
        return words[key].format(**values) if values else words[key]

    return one
