"""What sources publish: one fever-clinic visit or one drug sale per Kafka record."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from schemas.codes import read_atc
from schemas.privacy import Privacy, personal_sentence, privacy_of

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

    from schemas.privacy import Country, Finding

__all__ = ["EVENT_KINDS", "DrugSale", "Event", "EventKind", "FeverVisit", "model_of"]

_OLDEST = 125

Identifier = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$"),
    Field(description="ASCII letters, digits and . _ : / -, at most 64 characters"),
]
#: As the source writes it: `schemas.codes` reads it. What is no code costs the visit nothing.
Icd10Code = Annotated[
    str,
    StringConstraints(max_length=64),
    Field(
        examples=["J11.1", "R50.9", "J11.100x002", "A17.0†"],
        description="ICD-10 code, also of a national edition; dagger and asterisk, lower case and "
        "blanks are read. Another text is stored and matches no case definition",
    ),
]
AgeGroup = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9]{1,3}-[0-9]{1,3}|[0-9]{1,3}\+)$"),
    Field(description="Ages in years, both ends included, or open above", examples=["0-6", "65+"]),
]


class _NullIs:
    """Takes JSON's null for a field that was left out."""

    def __init__(self, default: object) -> None:
        self._default = default

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        inner, default = handler(source), self._default
        return core_schema.no_info_after_validator_function(
            lambda value: default if value is None else value,
            core_schema.nullable_schema(inner),
        )


class _IsoTime:
    """Takes no time but ISO 8601 in its extended form: pydantic reads digits as an epoch."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        inner = handler(source)
        # Strict mode takes a text for a time from JSON only.
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema(
                [
                    core_schema.str_schema(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"),
                    core_schema.datetime_schema(tz_constraint="aware", strict=False),
                ]
            ),
            python_schema=inner,
        )

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: Any) -> dict[str, Any]:
        return dict(handler(core_schema.datetime_schema(tz_constraint="aware")))


class _EventBase(BaseModel):
    """What every event carries."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, str_strip_whitespace=False)

    #: The checks that this model applies; `model_of` makes one for other countries.
    privacy: ClassVar[Privacy] = privacy_of()

    schema_version: Annotated[Literal[1], _NullIs(1)] = 1
    event_id: Identifier = Field(
        description="Unique within the source. The same id again means the same event: a repeat, "
        "a correction (higher revision) or a cancellation."
    )
    source_id: Identifier = Field(description="The publishing system, e.g. a hospital's HIS")
    facility_id: Identifier = Field(description="The clinic or pharmacy, as the source names it")
    region: Identifier = Field(
        description="Region code of the facility (GB/T 2260 county in China); the record's key too"
    )
    occurred_at: Annotated[AwareDatetime, _IsoTime()] = Field(
        description="When the visit or sale took place, ISO 8601 with UTC offset"
    )
    revision: Annotated[int, Field(ge=1, le=32_767), _NullIs(1)] = Field(
        default=1, description="Counts up with each correction; the highest holds"
    )
    cancelled: Annotated[bool, _NullIs(default=False)] = Field(
        default=False, description="True removes the event from all counts"
    )

    def _check_recurring(self) -> None:
        facts = (self.source_id, self.facility_id, self.region)
        if found := self.privacy.in_recurring(facts):
            number, finding = found
            _refuse_personal(("source_id", "facility_id", "region")[number], finding)


def _refuse_personal(field: str, found: Finding | None) -> None:
    if found:
        raise PydanticCustomError(
            "personal_data",
            "{sentence}",
            {"sentence": personal_sentence(field, found)},
        )


class FeverVisit(_EventBase):
    """A patient seen at a fever clinic or an emergency department."""

    age: int | None = Field(default=None, ge=0, le=_OLDEST, description="Completed years")
    age_group: AgeGroup | None = None
    sex: Annotated[Literal["female", "male", "other", "unknown"], _NullIs("unknown")] = "unknown"
    temperature: float | None = Field(
        default=None, ge=30, le=45, allow_inf_nan=False, description="Body temperature, °C"
    )
    complaint: str | None = Field(
        default=None, max_length=500, description="Chief complaint, free text without personal data"
    )
    icd10: Annotated[tuple[Icd10Code | None, ...], Field(max_length=20), _NullIs(())] = Field(
        default=(), description="ICD-10 codes"
    )
    patient_token: Identifier | None = Field(
        default=None, description="Pseudonym, keyed by the source; never an id number"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        privacy = self.privacy
        _refuse_personal("event_id", privacy.in_identifier(self.event_id))
        if self.patient_token is not None:
            _refuse_personal("patient_token", privacy.in_token(self.patient_token))
        self._check_recurring()
        if self.complaint is not None:
            _refuse_personal("complaint", privacy.in_complaint(self.complaint))
        if self.icd10:
            _refuse_personal("icd10", privacy.in_codes(self.icd10))
        if self.age_group is not None:
            _check_age_group(self.age_group)
            if self.age is not None:
                raise PydanticCustomError(
                    "contradiction",
                    "Both age and age_group are given. Send the one that is known best.",
                )
        return self


def _check_age_group(group: str) -> None:
    low, _, high = group.removesuffix("+").partition("-")
    if not int(low) <= int(high or low) <= _OLDEST:
        raise PydanticCustomError(
            "impossible_age_group",
            "age_group must go upwards and end at {oldest} or below. Write it as 0-6 or 65+.",
            {"oldest": _OLDEST},
        )


class DrugSale(_EventBase):
    """One line of a receipt: a product sold or handed out."""

    product: str | None = Field(default=None, min_length=1, max_length=200)
    atc: Annotated[str | None, StringConstraints(max_length=64)] = Field(
        default=None,
        description="WHO ATC code, any level; lower case and blanks are read",
        examples=["N02BE01"],
    )
    category: str | None = Field(default=None, min_length=1, max_length=100)
    quantity: float = Field(
        ge=0.001, le=100_000, allow_inf_nan=False, description="Packs; fractions are real"
    )
    otc: bool | None = Field(default=None, description="Sold without prescription")

    @model_validator(mode="after")
    def _check(self) -> Self:
        privacy = self.privacy
        _refuse_personal("event_id", privacy.in_identifier(self.event_id))
        self._check_recurring()
        _refuse_personal("product", privacy.in_product(self.product))
        _refuse_personal("category", privacy.in_product(self.category))
        _refuse_personal("atc", privacy.in_product(self.atc))
        if self.product is None and self.atc is None:
            raise PydanticCustomError(
                "nothing_sold", "product or atc is missing. Send at least one of the two."
            )
        if self.product is None and self.atc is not None and read_atc(self.atc) is None:
            raise PydanticCustomError(
                "no_code", "atc is no ATC code, and there is no product. Write it as N02BE01."
            )
        return self


Event = FeverVisit | DrugSale
EventKind = Literal["visits", "sales"]

#: The model of each kind of event, under the name by which the configuration knows the kind.
EVENT_KINDS: Final[dict[EventKind, type[FeverVisit | DrugSale]]] = {
    "visits": FeverVisit,
    "sales": DrugSale,
}


@cache
def model_of(kind: EventKind, *countries: Country) -> type[FeverVisit | DrugSale]:
    """Return the model of a kind of event with the privacy checks of countries."""
    base = EVENT_KINDS[kind]
    return type(base.__name__, (base,), {"__module__": __name__, "privacy": privacy_of(*countries)})
