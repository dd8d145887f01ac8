"""What sources publish: one fever-clinic visit or one drug sale per Kafka record."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from schemas.privacy import identifier_looks_personal, text_looks_personal

__all__ = ["EVENT_KINDS", "DrugSale", "Event", "EventKind", "FeverVisit"]

_OLDEST = 125

Identifier = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$"),
    Field(description="ASCII letters, digits and . _ : / -, at most 64 characters"),
]
Icd10Code = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z][0-9][0-9A-Z](\.?[0-9A-Zx]{1,4})?$"),
    Field(examples=["J11.1", "R50.9"]),
]
AgeGroup = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9]{1,3}-[0-9]{1,3}|[0-9]{1,3}\+)$"),
    Field(description="Ages in years, both ends included, or open above", examples=["0-6", "65+"]),
]


#: Facilities publish many events: their identifiers are looked through once.
_recurring_look_personal = lru_cache(65_536)(identifier_looks_personal)


class _EventBase(BaseModel):
    """What every event carries."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, str_strip_whitespace=False)

    schema_version: Literal[1] = 1
    event_id: Identifier = Field(
        description="Unique within the source. The same id again means the same event: a repeat, "
        "a correction (higher revision) or a cancellation."
    )
    source_id: Identifier = Field(description="The publishing system, e.g. a hospital's HIS")
    facility_id: Identifier = Field(description="The clinic or pharmacy, as the source names it")
    region: Identifier = Field(
        description="Region code of the facility (GB/T 2260 county in China); the record's key too"
    )
    occurred_at: AwareDatetime = Field(
        description="When the visit or sale took place, ISO 8601 with UTC offset"
    )
    revision: int = Field(
        default=1, ge=1, le=32_767, description="Counts up with each correction; the highest holds"
    )
    cancelled: bool = Field(default=False, description="True removes the event from all counts")


def _refuse_personal(what: str | None) -> None:
    if what:
        raise PydanticCustomError(
            "personal_data",
            "A field looks like a {what}. Remove it or replace it by a pseudonym; Fenghuo takes no "
            "personal data.",
            {"what": what},
        )


class FeverVisit(_EventBase):
    """A patient seen at a fever clinic or an emergency department."""

    age: int | None = Field(default=None, ge=0, le=_OLDEST, description="Completed years")
    age_group: AgeGroup | None = None
    sex: Literal["female", "male", "other", "unknown"] = "unknown"
    temperature: float | None = Field(
        default=None, ge=30, le=45, allow_inf_nan=False, description="Body temperature, °C"
    )
    complaint: str | None = Field(
        default=None, max_length=500, description="Chief complaint, free text without personal data"
    )
    icd10: tuple[Icd10Code, ...] = Field(default=(), max_length=20, description="ICD-10 codes")
    patient_token: Identifier | None = Field(
        default=None, description="Pseudonym, keyed by the source; never an id number"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse_personal(
            identifier_looks_personal(self.event_id, self.patient_token)
            or _recurring_look_personal(self.source_id, self.facility_id, self.region)
            or text_looks_personal(self.complaint)
        )
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
    atc: Annotated[
        str | None,
        Field(
            default=None,
            pattern=r"^[A-Z]([0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?)?$",
            description="WHO ATC code, any level",
            examples=["N02BE01"],
        ),
    ]
    category: str | None = Field(default=None, min_length=1, max_length=100)
    quantity: float = Field(
        ge=0.001, le=100_000, allow_inf_nan=False, description="Packs; fractions are real"
    )
    otc: bool | None = Field(default=None, description="Sold without prescription")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse_personal(
            identifier_looks_personal(self.event_id)
            or _recurring_look_personal(self.source_id, self.facility_id, self.region)
            or text_looks_personal(self.product)
            or text_looks_personal(self.category)
        )
        if self.product is None and self.atc is None:
            raise PydanticCustomError(
                "nothing_sold", "product or atc is missing. Send at least one of the two."
            )
        return self


Event = FeverVisit | DrugSale
EventKind = Literal["visits", "sales"]

#: The model of each kind of event, under the name by which the configuration knows the kind.
EVENT_KINDS: Final[dict[EventKind, type[FeverVisit | DrugSale]]] = {
    "visits": FeverVisit,
    "sales": DrugSale,
}
