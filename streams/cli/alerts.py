"""Commands that show alerts; those that change them are in `streams.cli.alert_actions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from schemas.alerts import AlertStatus, Severity  # noqa: TC001 - typer needs them at run time
from streams.cli import alert_actions
from streams.cli.alert_explanation import explanation_facts
from streams.cli.alert_facts import alert_json, decisions, numbers, region_name, signal_name
from streams.cli.common import (
    ConfigOption,
    DatabaseOption,
    console,
    read_config,
    record_number,
    settings,
)
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
    from schemas.alerts import Alert, AlertEvent
    from streams.alerts.predictive_value import PredictiveValue
    from streams.config import Configuration

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Alerts: what the rules found, and what people made of it.")
    group.command("list")(list_)
    for command in (show, history, rules):
        group.command()(command)
    alert_actions.register(group)
    app.add_typer(group, name="alerts", no_args_is_help=True)


def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most alerts shown.")] = 100,
    open_only: Annotated[
        bool, typer.Option("--open", help="Only alerts that are not decided.")
    ] = False,
    status: Annotated[AlertStatus | None, typer.Option(help="Only alerts of this status.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only of this severity.")] = None,
    region: Annotated[
        str | None, typer.Option(help="Only of this region and below, by its code.")
    ] = None,
    signal: Annotated[str | None, typer.Option(help="Only of this signal.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only of this rule.")] = None,
    assigned_to: Annotated[str | None, typer.Option(help="Only what this officer has.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """List alerts, the newest first, and how often each rule has been right."""
    from streams.store.alerts import list_alerts, predictive_values  # noqa: PLC0415 - quick --help

    only = {
        "status": status,
        "severity": severity,
        "region": region,
        "signal": signal,
        "rule": rule,
        "assigned_to": assigned_to,
    }
    current = settings(config=config, database=database)
    configuration = read_config(current)
    with open_database(current.database) as connection:
        alerts = list_alerts(
            connection,
            limit=limit,
            only={name: value for name, value in only.items() if value is not None},
            open_only=open_only,
        )
        values = predictive_values(connection)
    if as_json:
        print_json([alert_json(alert, configuration, values) for alert in alerts])
        return
    if not alerts:
        chosen = open_only or any(value is not None for value in only.values())
        console.print("No alert is like that." if chosen else "No alert was raised.")
        return
    _print_alerts(alerts, configuration)
    results().print("Alerts that were outbreaks, by rule:")
    for name in sorted({alert.rule for alert in alerts}):
        results().print(f"  {name}: {_value_text(values.get(name))}", markup=False)


def _print_alerts(alerts: list[Alert], configuration: Configuration) -> None:
    from streams.phrases import amount  # noqa: PLC0415 - keeps --help fast
    from streams.wording import period_label  # noqa: PLC0415

    shown = table(
        "Alerts",
        "id", "severity\nstatus", "region\nassigned to", "signal\nrule", "first\nlast",
        "observed\nexpected", "threshold\nexceedances",
        right=("id", "observed\nexpected", "threshold\nexceedances"),
        wrap=("region\nassigned to", "signal\nrule"),
    )  # fmt: skip
    for alert in alerts:
        observed = f"{'≥' if alert.incomplete else ''}{amount(alert.observed)}"
        if alert.exceedances == 0:  # corrections took it back
            observed += f" → {amount(alert.revised.observed) if alert.revised else '-'}"
        shown.add_row(
            str(alert.alert_id),
            f"{alert.severity}\n{alert.status}",
            f"{region_name(alert, configuration)}\n{alert.assigned_to or '-'}",
            f"{signal_name(alert, configuration)}\n{alert.rule}",
            f"{period_label(alert.first_period, alert.grain, configuration)}\n"
            f"{period_label(alert.last_period, alert.grain, configuration)}",
            f"{observed}\n{'-' if alert.expected is None else amount(alert.expected)}",
            f"{'-' if alert.upper is None else amount(alert.upper)}\n{alert.exceedances}",
        )
    results().print(shown, markup=False)


def show(
    alert_id: Annotated[int, typer.Argument(metavar="ID", parser=record_number)],
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Show one alert with the numbers that explain it, in English and Chinese."""
    from streams.store.alerts import get_alert, predictive_values  # noqa: PLC0415
    from streams.wording import alert_sentences  # noqa: PLC0415

    current = settings(config=config, database=database)
    configuration = read_config(current)
    with open_database(current.database) as connection:
        alert = get_alert(connection, alert_id)
        values = predictive_values(connection)
    if alert is None:
        raise _no_alert(alert_id)
    if as_json:
        print_json(alert_json(alert, configuration, values))
        return
    for sentence in alert_sentences(alert, configuration):
        results().print(sentence, markup=False, soft_wrap=True)
    results().print()
    value = values.get(alert.rule)
    for name, text in [
        *numbers(alert, configuration),
        *explanation_facts(alert, configuration),
        *decisions(alert),
        ("rule was right", _value_text(value)),
        ("opened", moment(alert.opened_at)),
        ("updated", moment(alert.updated_at)),
        ("version", str(alert.version)),
    ]:
        results().print(f"{name + ':':<18}{text}", markup=False, soft_wrap=True)


def history(
    alert_id: Annotated[int, typer.Argument(metavar="ID", parser=record_number)],
    *,
    as_json: JsonOption = False,
    database: DatabaseOption = None,
) -> None:
    """Show what happened to an alert: when, by whom, and why."""
    from streams.store.alerts import get_history  # noqa: PLC0415 - keeps --help fast

    with open_database(settings(database=database).database) as connection:
        events = get_history(connection, alert_id)
    if not events:
        raise _no_alert(alert_id)
    if as_json:
        print_json([event.model_dump(mode="json") for event in events])
        return
    shown = table(f"Alert {alert_id}", "version", "at", "by", "what", "", wrap=("",))
    for event in events:
        shown.add_row(
            str(event.seq), moment(event.at), event.actor, event.change.kind, _detail(event)
        )
    results().print(shown, markup=False)


def rules(
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Show how many of each rule's alerts were outbreaks (positive predictive value)."""
    from streams.alerts.predictive_value import predictive_value  # noqa: PLC0415 - quick --help
    from streams.store.alerts import predictive_values  # noqa: PLC0415

    current = settings(config=config, database=database)
    configuration = read_config(current)
    with open_database(current.database) as connection:
        known = predictive_values(connection)
    nothing = predictive_value(0, 0)
    values = dict.fromkeys(configuration.surveillance.rules, nothing) | known
    if as_json:
        print_json([{"rule": name, **value._asdict()} for name, value in values.items()])
        return
    shown = table(
        "Rules", "rule", "outbreaks", "decided", "share of outbreaks, 95 % interval",
        right=("outbreaks", "decided"), wrap=("rule",),
    )  # fmt: skip
    for name, value in values.items():
        shown.add_row(name, str(value.outbreaks), str(value.decided), _share_text(value))
    results().print(shown, markup=False)


def _no_alert(alert_id: int) -> FenghuoError:
    return FenghuoError(f"There is no alert {alert_id}. See fenghuo alerts list.")


def _share_text(value: PredictiveValue) -> str:
    if value.value is None or value.lower is None or value.upper is None:
        return "no outcomes yet"
    return f"{value.value:.0%} ({value.lower:.0%} to {value.upper:.0%})"


def _value_text(value: PredictiveValue | None) -> str:
    if value is None or value.value is None:
        return "no outcomes yet"
    return f"{value.outbreaks} of {value.decided}, {_share_text(value)}"


def _detail(event: AlertEvent) -> str:
    """Return what a change says, in one line."""
    told = event.change.model_dump(mode="json", exclude={"kind", "explanation", "detector"})
    figures = told.pop("figures", None)
    note = told.pop("note", None)
    if figures:
        told = {"period": figures["period"], "observed": number(figures["observed"])} | {
            name: told[name] for name in ("exceedances", "severity") if name in told
        }
    if event.change.kind == "revised":
        before, now = told["before"], told["now"]
        after = number(now["observed"]) if now else "not judged"
        told = {"period": before["period"], "from": number(before["observed"]), "to": after}
    parts = [f"{name}: {value}" for name, value in told.items() if value is not None]
    return "; ".join([*([note] if note else []), *parts])
