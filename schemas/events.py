"""What sources publish: one fever-clinic visit or one drug sale per Kafka record."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import (
    CoreSchema,
    PydanticCustomError,
    SchemaValidator,
    core_schema,
)

from schemas.codes import read_atc
from schemas.privacy import Privacy, personal_sentence, privacy_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetCoreSchemaHandler

    from schemas.privacy import Country, Finding

__all__ = [
    "EVENT_KINDS",
    "DrugSale",
    "Event",
    "EventKind",
    "FeverVisit",
    "model_of",
    "quick_parser",
]

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

    def __call__(self, value: object) -> object:
        return self._default if value is None else value

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            self, core_schema.nullable_schema(handler(source))
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

    @model_validator(mode="after")
    def _checked(self) -> Self:
        self.check()
        return self

    def check(self) -> None:
        """Raise PydanticCustomError for personal data and for fields that contradict each other."""
        privacy = self.privacy
        if found := privacy.in_identifier(self.event_id):
            raise _personal("event_id", found)
        facts = self.source_id, self.facility_id, self.region
        if facts not in privacy.harmless:
            for field, value in zip(("source_id", "facility_id", "region"), facts, strict=True):
                if found := privacy.in_identifier(value):
                    raise _personal(field, found)
            privacy.harmless.add(facts)


def _personal(field: str, found: Finding) -> PydanticCustomError:
    return PydanticCustomError(
        "personal_data", "{sentence}", {"sentence": personal_sentence(field, found)}
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

    def check(self) -> None:
        """Raise PydanticCustomError for personal data and for fields that contradict each other."""
        super().check()
        privacy = self.privacy
        if self.patient_token is not None and (found := privacy.in_token(self.patient_token)):
            raise _personal("patient_token", found)
        content = self.complaint, self.icd10
        if content not in privacy.harmless:
            if found := privacy.in_text(self.complaint):
                raise _personal("complaint", found)
            if found := privacy.in_codes(self.icd10):
                raise _personal("icd10", found)
            privacy.harmless.add(content)
        if self.age_group is not None:
            _check_age_group(self.age_group)
            if self.age is not None:
                raise PydanticCustomError(
                    "contradiction",
                    "Both age and age_group are given. Send the one that is known best.",
                )


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

    def check(self) -> None:
        """Raise PydanticCustomError for personal data, and where nothing tells what was sold."""
        super().check()
        privacy = self.privacy
        content = self.product, self.category, self.atc
        if content not in privacy.harmless:
            for field, value in zip(("product", "category", "atc"), content, strict=True):
                if found := privacy.in_product(value):
                    raise _personal(field, found)
            privacy.harmless.add(content)
        if self.product is None and self.atc is None:
            raise PydanticCustomError(
                "nothing_sold", "product or atc is missing. Send at least one of the two."
            )
        if self.product is None and self.atc is not None and read_atc(self.atc) is None:
            raise PydanticCustomError(
                "no_code", "atc is no ATC code, and there is no product. Write it as N02BE01."
            )


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


def quick_parser(model: type[FeverVisit | DrugSale]) -> Callable[[bytes], Event | None]:
    """Return a parser of JSON that returns None where the model has to be asked.

    An event that it returns is the one that the model reads. pydantic calls Python for the check
    and for each field that may be null; a parser without these calls takes half the time.
    """
    schema = model.__pydantic_core_schema__
    if schema["type"] != "function-after" or schema["schema"]["type"] != "model":
        raise TypeError(f"{model.__name__} has another validator around that of `check`.")
    inner: Any = schema["schema"]
    fields = {
        name: field | {"schema": _without_null(field["schema"])}
        for name, field in inner["schema"]["fields"].items()
    }
    without_null = inner | {"schema": inner["schema"] | {"fields": fields}}
    read = SchemaValidator(without_null).validate_json

    def parse(value: bytes) -> Event | None:
        if b"null" in value:
            return None
        try:
            event: Event = read(value)
            event.check()
        except ValueError:  # pydantic's errors are
            return None
        return event

    return parse


def _without_null(schema: Any) -> Any:
    """Return a field's schema without `_NullIs`."""
    if schema["type"] == "default":
        return schema | {"schema": _without_null(schema["schema"])}
    if schema["type"] == "function-after" and isinstance(schema["function"]["function"], _NullIs):
        return schema["schema"]["schema"]
    return schema
