"""Who is told of alerts, how and when: the section `notify` of the configuration.

Secrets do not stand in the file: ``${NAME}`` in a URL, a header or the link's secret is read from
the environment when it is used.
"""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from schemas.alerts import Change, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = [
    "KINDS",
    "WEEKDAYS",
    "Channel",
    "Handover",
    "Kind",
    "Language",
    "Notify",
    "QuietHours",
    "Rota",
    "Route",
    "Weekday",
    "Window",
]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Language = Literal["zh", "en"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
#: What can happen to an alert: the `kind` of its events.
KINDS: Final[frozenset[str]] = frozenset(
    change.model_fields["kind"].default for change in get_args(get_args(Change)[0])
)


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(
            f"{kind!r} is nothing that happens to alerts; write {', '.join(sorted(KINDS))}"
        )
    return kind


def _to_the_minute(value: time) -> time:
    if value.second or value.microsecond or value.tzinfo:
        raise ValueError(
            f"{value.isoformat()!r}: write hours and minutes, like 08:30; "
            "the time zone is the installation's"
        )
    return value


def _known_country(code: str) -> str:
    from holidays import list_supported_countries  # noqa: PLC0415 - half a second

    if code not in list_supported_countries():
        raise ValueError(f"{code!r} is no country whose holidays are known; write for example CN")
    return code


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


Kind = Annotated[str, AfterValidator(_known_kind)]
Clock = Annotated[time, AfterValidator(_to_the_minute)]
Channels = Annotated[tuple[Name, ...], BeforeValidator(_several), Field(min_length=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Window(_Model):
    """Hours of the week; past midnight where `to` is not after `from`.

    The hours after midnight belong to the day before. Equal times: from then on for 24 hours.
    """

    start: Clock = Field(alias="from")
    end: Clock = Field(alias="to")
    days: tuple[Weekday, ...] = WEEKDAYS
    holidays: Annotated[str, AfterValidator(_known_country)] | None = Field(
        default=None,
        description="Country code: not on its public holidays, but on its make-up workdays",
    )


class QuietHours(Window):
    """Hours in which a channel keeps messages back until the hours end."""

    except_: tuple[Severity, ...] = Field(
        default=("critical",), alias="except", description="Severities that are sent all the same"
    )

    @model_validator(mode="after")
    def _end(self) -> Self:
        if self.start == self.end:
            raise ValueError("never end: `from` and `to` are equal; remove the channel instead")
        return self


class Channel(_Model):
    """One way to reach people or systems."""

    url: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = Field(
        description="smtp(s)://, http(s)://, alertmanager+http(s)://, kafka:TOPIC, or any URL of "
        "Apprise (wecombot://, dingtalk://, feishu://, mailto:// ...); ${NAME}: from the "
        "environment"
    )
    language: Language | None = Field(default=None, description="Omitted: that of notify")
    form: Literal["full", "short"] = Field(
        default="full", description="short: one line, for SMS and pagers"
    )
    headers: dict[str, str] = Field(default={}, description="HTTP headers")
    quiet_hours: QuietHours | None = None
    rate_per_minute: int | None = Field(
        default=20, ge=1, description="What is more goes into one message together; null: no limit"
    )
    timeout_seconds: float = Field(
        default=15, ge=1, le=300, description="Longest wait for the server's answer"
    )


class Handover(_Model):
    """When a turn of a rota begins, each week."""

    day: Weekday = "mon"
    at: Clock = time(8, 30)


class Rota(_Model):
    """Who is on call: a list of turns, one a week, over and over."""

    from_week: str = Field(description="Epi week of the first turn, like 2026-W40")
    turns: tuple[Channels, ...] = Field(min_length=1, description="Channels of each week's turn")
    handover: Handover = Handover()
    swaps: dict[str, Channels] = Field(
        default={}, description="Weeks in which others are on call, like 2026-W41"
    )

    @property
    def channels(self) -> frozenset[str]:
        """All channels that the rota may name."""
        return frozenset(name for turn in (*self.turns, *self.swaps.values()) for name in turn)


class Route(_Model):
    """Which events of which alerts go where: those that fit all conditions."""

    regions: tuple[str, ...] = Field(default=(), description="These and all below; omitted: all")
    signals: tuple[str, ...] = Field(default=(), description="Omitted: all")
    rules: tuple[str, ...] = Field(default=(), description="Omitted: all")
    severities: tuple[Severity, ...] = Field(default=(), description="Omitted: all")
    on: tuple[Kind, ...] = ("opened", "resumed", "worsened", "escalated", "revised")
    during: Name | None = Field(default=None, description="Only in this window")
    outside: Name | None = Field(default=None, description="Only outside this window")
    to: Annotated[tuple[Name, ...], BeforeValidator(_several)] = Field(
        default=(), description="Channels"
    )
    on_call: Name | None = Field(default=None, description="Rota whose channels are told as well")
    digest: tuple[Clock, ...] = Field(
        default=(), description="Times of day at which all is sent together; omitted: at once"
    )
    digest_every_minutes: int | None = Field(
        default=None, ge=1, le=1440, description="In the place of `digest`: so often, from 00:00 on"
    )

    @property
    def is_digest(self) -> bool:
        """Whether what it tells is sent together."""
        return bool(self.digest) or self.digest_every_minutes is not None

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if not self.to and self.on_call is None:
            raise ValueError("goes nowhere; add `to` with channels, or `on_call` with a rota")
        if self.digest and self.digest_every_minutes:
            raise ValueError("has two digests; remove `digest` or `digest_every_minutes`")
        if not self.on:
            raise ValueError(
                "tells of nothing; name events in `on`, or remove it for the usual ones"
            )
        return self


class Notify(_Model):
    """Notifications."""

    language: Language = "zh"
    link: str | None = Field(
        default=None,
        description="Page of an alert, like https://fenghuo.example.org/alerts/{alert_id}; "
        "{token} is replaced by a signed token",
    )
    secret: str | None = Field(
        default=None, description="Signs the link's tokens, like ${FENGHUO_LINK_SECRET}"
    )
    templates: str | None = Field(
        default=None, description="Folder of templates that take the place of the built-in ones"
    )
    give_up_after_hours: float = Field(
        default=24, gt=0, description="A message that was tried for so long is marked as failed"
    )
    keep_days: int = Field(
        default=90,
        ge=1,
        le=36_500,
        description="Messages sent so long ago are deleted from the outbox; what waits or has "
        "failed stays, and so does the history of the alerts",
    )
    windows: dict[Name, Window] = {}
    channels: dict[Name, Channel] = {}
    rotas: dict[Name, Rota] = {}
    routes: dict[Name, Route] = {}

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        wrong = [*self._unknown_of_routes(), *self._unknown_of_rotas(), *self._link_problems()]
        if wrong:
            raise ValidationError.from_exception_data(type(self).__name__, wrong)
        return self

    def _unknown_of_routes(self) -> list[InitErrorDetails]:
        wrong = []
        for name, route in self.routes.items():
            place = ("routes", name)
            wrong += _unknown((*place, "to"), route.to, self.channels, "channel")
            for key, value, known, what in (
                ("on_call", route.on_call, self.rotas, "rota"),
                ("during", route.during, self.windows, "window"),
                ("outside", route.outside, self.windows, "window"),
            ):
                if value is not None:
                    wrong += _unknown((*place, key), [value], known, what)
        return wrong

    def _unknown_of_rotas(self) -> list[InitErrorDetails]:
        return [
            problem
            for name, rota in self.rotas.items()
            for problem in _unknown(
                ("rotas", name), sorted(rota.channels), self.channels, "channel"
            )
        ]

    def _link_problems(self) -> list[InitErrorDetails]:
        if self.link is None:
            return []
        if "{alert_id}" not in self.link:
            return [_problem(("link",), "must hold {alert_id}, which is replaced by the number")]
        if "{token}" in self.link and self.secret is None:
            return [_problem(("link",), "holds {token}; add notify.secret, which signs it")]
        return []


def _unknown(
    place: tuple[str, ...], names: Iterable[str], known: Collection[str], what: str
) -> list[InitErrorDetails]:
    return [
        _problem(place, f"{name!r} is no {what}; {_defined(known)}")
        for name in names
        if name not in known
    ]


def _problem(place: tuple[str | int, ...], text: str) -> InitErrorDetails:
    # Raised with its place, as pydantic's own errors are: whoever reports it names the line.
    return InitErrorDetails(
        type=PydanticCustomError("notify", "{text}", {"text": text}), loc=place, input=None
    )


def _defined(known: Collection[str]) -> str:
    return f"defined are {', '.join(known)}" if known else "none is defined"
