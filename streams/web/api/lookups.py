"""What alerts refer to: rules, regions, people."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request

from schemas.config import Title
from streams.phrases import place
from streams.store.inbox import find_regions, read_predictive_values
from streams.web.api.models import Me, RegionView, RuleView
from streams.web.api.views import detector_for, value_view
from streams.web.state import web_of
from streams.web.visitor import Signed  # noqa: TC001 - FastAPI needs it at run time

if TYPE_CHECKING:
    from schemas.regions import RegionRegistry

__all__ = ["router"]

router = APIRouter(tags=["look-ups"])


@router.get("/rules", summary="Rules")
async def list_rules(request: Request, visitor: Signed) -> list[RuleView]:
    """Return the rules that judge, and how often each has been right, in all regions together."""
    web = web_of(request)
    surveillance = web.configuration.surveillance
    async with web.database.reading() as connection:
        values = await read_predictive_values(connection)
    return [
        RuleView(
            rule=name,
            signal=rule.signal,
            signal_title=surveillance.signals[rule.signal].title,
            level=str(rule.level),
            grain=rule.grain,
            severity=rule.severity,
            min_cases=rule.min_cases,
            quiet_days=rule.quiet_days,
            detector=detector_for(rule.detector, visitor.user),
            predictive_value=value_view(values.get(name)),
        )
        for name, rule in surveillance.rules.items()
    ]


@router.get("/regions", summary="Regions")
async def list_regions(
    request: Request,
    visitor: Signed,
    q: Annotated[str, Query(max_length=64, description="Part of a name, or a code's start")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[RegionView]:
    """Return regions of yours whose name or code is like that, the higher ones first."""
    web = web_of(request)
    async with web.database.reading() as connection:
        codes = await find_regions(connection, q, scope=visitor.user.region, limit=limit)
    registry = web.configuration.regions
    return [_region(code, registry) for code in codes if code in registry]


@router.get("/me", summary="You")
async def me(request: Request, visitor: Signed) -> Me:
    """Return who asks, and what they may do."""
    user = visitor.user
    return Me(
        name=user.name,
        display_name=user.display_name,
        role=user.role,
        region=user.region,
        region_name=Title(**place(user.region, web_of(request).configuration)._asdict()),
        locale=user.locale,
        may_act=user.may_act,
        version=version("fenghuo"),
    )


def _region(code: str, registry: RegionRegistry) -> RegionView:
    region = registry[code]
    return RegionView(
        code=code,
        level=str(region.level),
        parent=region.parent,
        name=Title(en=region.name_en or region.name_zh, zh=region.name_zh or region.name_en),
        path=Title(en=registry.path_name(code, lang="en"), zh=registry.path_name(code)),
    )
