"""Commands about alerts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.common import ConfigOption, DatabaseOption, console, read_config, settings
from streams.cli.output import (
    JsonOption,
    moment,
    number,
    open_database,
    print_json,
    results,
    table,
)
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from schemas.alerts import Alert
    from streams.config import Configuration

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Alerts: what the rules found.")
    group.command("list")(list_)
    group.command()(show)
    app.add_typer(group, name="alerts", no_args_is_help=True)


def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, help="Most alerts shown.")] = 100,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """List alerts, the newest first."""
    from streams.store.alerts import list_alerts  # noqa: PLC0415 - keeps --help fast
    from streams.wording import period_label  # noqa: PLC0415

    current = settings(config=config, database=database)
    configuration = read_config(current)
    with open_database(current.database) as connection:
        alerts = list_alerts(connection, limit=limit)
    if as_json:
        print_json([_as_json(alert, configuration) for alert in alerts])
        return
    if not alerts:
        console.print("No alert was raised.")
        return
    shown = table(
        "Alerts",
        "id", "severity\nstatus", "region", "signal\nrule", "first\nlast",
        "observed", "expected", "threshold", "exceed-\nances",
        right=("id", "observed", "expected", "threshold", "exceed-\nances"),
        wrap=("region", "signal\nrule"),
    )  # fmt: skip
    for alert in alerts:
        shown.add_row(
            str(alert.alert_id),
            f"{alert.severity}\n{alert.status}",
            _region(alert, configuration),
            f"{_signal(alert, configuration)}\n{alert.rule}",
            f"{period_label(alert.first_period, alert.grain, configuration)}\n"
            f"{period_label(alert.last_period, alert.grain, configuration)}",
            number(alert.observed),
            number(alert.expected),
            number(alert.upper),
            str(alert.exceedances),
        )
    results().print(shown, markup=False)


def show(
    alert_id: Annotated[int, typer.Argument(metavar="ID")],
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Show one alert with the numbers that explain it, in English and Chinese."""
    from streams.store.alerts import get_alert  # noqa: PLC0415
    from streams.wording import alert_sentences  # noqa: PLC0415

    current = settings(config=config, database=database)
    configuration = read_config(current)
    with open_database(current.database) as connection:
        alert = get_alert(connection, alert_id)
    if alert is None:
        raise FenghuoError(f"There is no alert {alert_id}. See fenghuo alerts list.")
    if as_json:
        print_json(_as_json(alert, configuration))
        return
    for sentence in alert_sentences(alert, configuration):
        results().print(sentence, markup=False, soft_wrap=True)
    results().print()
    for name, text in _facts(alert, configuration):
        results().print(f"{name + ':':<18}{text}", markup=False, soft_wrap=True)


def _facts(alert: Alert, configuration: Configuration) -> list[tuple[str, str]]:
    from streams.wording import period_label  # noqa: PLC0415

    first = period_label(alert.first_period, alert.grain, configuration)
    last = period_label(alert.last_period, alert.grain, configuration)
    return [
        ("alert", str(alert.alert_id)),
        ("severity", alert.severity),
        ("status", alert.status),
        ("region", f"{alert.region} {_region(alert, configuration)}"),
        ("signal", f"{alert.signal} {_signal(alert, configuration)}"),
        ("rule", f"{alert.rule} ({alert.grain})"),
        ("first exceedance", first),
        ("last exceedance", last),
        ("exceedances", str(alert.exceedances)),
        ("observed", number(alert.observed)),
        ("expected", number(alert.expected)),
        ("threshold", number(alert.upper)),
        ("score", "-" if alert.score is None else f"{alert.score:.2f}"),
        ("p-value", "-" if alert.p_value is None else f"{alert.p_value:.3g}"),
        ("highest count", number(alert.peak)),
        ("detector", json.dumps(alert.detector, ensure_ascii=False)),
        ("config version", alert.config_version),
        ("data as of", moment(alert.as_of)),
        ("opened", moment(alert.opened_at)),
        ("updated", moment(alert.updated_at)),
    ]


def _region(alert: Alert, configuration: Configuration) -> str:
    region = configuration.regions.get(alert.region)
    if region is None:
        return alert.region
    return " ".join(filter(None, (region.name_zh, region.name_en)))


def _signal(alert: Alert, configuration: Configuration) -> str:
    signal = configuration.surveillance.signals.get(alert.signal)
    return alert.signal if signal is None else f"{signal.title.zh} {signal.title.en}"


def _as_json(alert: Alert, configuration: Configuration) -> dict[str, Any]:
    from streams.wording import alert_sentences, period_label  # noqa: PLC0415

    region = configuration.regions.get(alert.region)
    signal = configuration.surveillance.signals.get(alert.signal)
    return {
        **alert.model_dump(mode="json"),
        "first_label": period_label(alert.first_period, alert.grain, configuration),
        "last_label": period_label(alert.last_period, alert.grain, configuration),
        "region_name": {"zh": region.name_zh, "en": region.name_en} if region else None,
        "signal_title": signal.title.model_dump() if signal else None,
        "sentence": alert_sentences(alert, configuration)._asdict(),
    }
