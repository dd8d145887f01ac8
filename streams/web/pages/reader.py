"""Who reads a page: how places, times and numbers are told to them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

from streams.notify.words import KIND_WORDS, SEVERITY_WORDS, level_words
from streams.phrases import Sentences, amount, percent, place
from streams.web.language import language
from streams.web.state import web_of
from streams.web.texts import say
from streams.wording import alert_reasons, alert_sentences, period_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    from fastapi import Request

    from schemas.alerts import Alert, NewLevel, Severity
    from schemas.config import Title
    from schemas.counts import Grain
    from schemas.notify import Language
    from streams.alerts.predictive_value import PredictiveValue
    from streams.config import Configuration

__all__ = ["Reader", "reader_of"]

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
#: So long an age is told in hours, and after that in days.
_HOURS_UP_TO = 2 * _DAY


@dataclass(frozen=True)
class Reader:
    """Tells things in a reader's language."""

    lang: Language
    configuration: Configuration
    t: Callable[..., str]

    @property
    def other_lang(self) -> Language:
        """The language that names are given in besides."""
        return "en" if self.lang == "zh" else "zh"

    def of(self, both: Title | Sentences) -> str:
        """Choose between both languages."""
        return both.zh if self.lang == "zh" else both.en

    def place(self, code: str) -> str:
        """Name a region."""
        return self.of(place(code, self.configuration))

    def place_other(self, code: str) -> str:
        """Name a region in the other language; empty where that says nothing new."""
        names = place(code, self.configuration)
        other = names.en if self.lang == "zh" else names.zh
        return "" if other == self.of(names) else other

    def path(self, code: str) -> str:
        """Name the regions that one lies in, the nearest first in English, last in Chinese."""
        regions = self.configuration.regions
        above = [r.code for r in regions.ancestors(code)] if code in regions else []
        names = [self.place(one) for one in above if regions[one].parent is not None]
        return "".join(reversed(names)) if self.lang == "zh" else ", ".join(names)

    def signal(self, name: str) -> str:
        """Name a signal."""
        signal = self.configuration.surveillance.signals.get(name)
        return self.of(signal.title) if signal else name

    def severity(self, name: Severity) -> str:
        """Name a severity."""
        return _capital(self.of(SEVERITY_WORDS[name]))

    def status(self, name: str) -> str:
        """Name a status."""
        return self.t(f"status.{name}")

    def kind(self, name: str) -> str:
        """Name what has happened."""
        return _capital(self.of(KIND_WORDS[name]))

    def period(self, period: date, grain: Grain) -> str:
        """Name a period."""
        return self.of(period_name(period, grain, self.configuration))

    def ended(self, since: date, level: NewLevel | None, grain: Grain) -> str:
        """Tell that exceedances have ended, and whether counts are as high as before."""
        when = self.period(since, grain)
        if level is None:
            return self.t("alert.ended", when=when)
        return self.t("alert.new_level", when=when, level=self.of(level_words(level)))

    def number(self, value: float | None, *, incomplete: bool = False) -> str:
        """Write a number, with a sign before it where it is a lower bound."""
        if value is None:
            return "–"
        return f"≥{amount(value)}" if incomplete else amount(value)

    def sentence(self, alert: Alert) -> str:
        """Tell an alert in a sentence."""
        return self.of(alert_sentences(alert, self.configuration))

    def reasons(self, alert: Alert) -> str:
        """Tell an alert in a sentence, without what stands beside it."""
        return self.of(alert_reasons(alert, self.configuration))

    def moment(self, at: datetime) -> str:
        """Write a time, in the installation's time zone."""
        return f"{at.astimezone(self.configuration.surveillance.zone):%Y-%m-%d %H:%M}"

    def ago(self, at: datetime, now: datetime) -> str:
        """Tell how long ago something was."""
        seconds = max((now - at).total_seconds(), 0)
        if seconds < _MINUTE:
            return self.t("age.now")
        if seconds < _HOUR:
            return self.t("age.minutes", n=int(seconds // _MINUTE))
        if seconds < _HOURS_UP_TO:
            return self.t("age.hours", n=int(seconds // _HOUR))
        return self.t("age.days", n=int(seconds // _DAY))

    def ratio(self, observed: float, expected: float | None, *, incomplete: bool = False) -> str:
        """Tell a count as a multiple of the expected one; empty where that says nothing."""
        if not expected or observed <= expected:
            return ""
        times = observed / expected
        whole = times >= _WHOLE_FROM
        if incomplete:
            return f"≥{floor(times)}×" if whole else f"≥{floor(10 * times) / 10:.1f}×"
        return f"{times:.0f}×" if whole else f"{times:.1f}×"

    def share(self, value: PredictiveValue | None) -> str:
        """Tell a rule's predictive value in short."""
        if value is None or value.value is None:
            return self.t("alert.ppv_none")
        return f"{percent(value.value)} ({value.outbreaks}/{value.decided})"

    def span(self, value: PredictiveValue) -> str:
        """Tell the interval of a rule's predictive value."""
        return f"{percent(value.lower or 0.0)}–{percent(value.upper or 0.0)}"


#: Multiples are told whole from here on.
_WHOLE_FROM = 10


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def reader_of(request: Request) -> Reader:
    """Return who reads the answer to a request."""
    lang = language(request)
    return Reader(lang, web_of(request).configuration, say(lang))
