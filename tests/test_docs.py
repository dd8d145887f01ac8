"""What the documentation names exists: settings, commands, links, examples."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from schemas.events import EVENT_KINDS
from schemas.refusals import RefusalReason
from streams.cli.main import app
from streams.config import load_configuration
from streams.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.events import EventKind

ROOT = Path(__file__).resolve().parents[1]
GUIDES = ROOT / "docs" / "guides"
PAGES = sorted(
    page
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "dashboards/*.md",
        "benchmarks/*.md",
        "schemas/data/**/*.md",
        "streams/**/*.md",
        "tests/reference/*.md",
    )
    for page in ROOT.glob(pattern)
)
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
#: Not a file, a database, a user or an extra called fenghuo: the command, with what follows it.
COMMAND = re.compile(r"(?<![\w./@:-])(?:\.venv/bin/)?fenghuo (?!fenghuo_)([a-z][^\n`|#]*)")
SETTING = re.compile(r"^\| `(FENGHUO_[A-Z_]+)` \| (.+?) \|", re.MULTILINE)


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def fenced(page: Path, language: str) -> list[str]:
    return [code for name, code in FENCE.findall(page.read_text("utf-8")) if name == language]


def code(page: Path) -> Iterator[str]:
    """Fenced blocks and inline code; a command in plain prose is no promise."""
    text = page.read_text(encoding="utf-8")
    for language, block in FENCE.findall(text):
        if language != "mermaid":
            yield re.sub(r"(^|\s)#.*", "", block, flags=re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in plain}


@cache
def whole_command() -> Any:
    """Return `fenghuo` with all its commands, put together once."""
    return get_command(app)


def problem_with(words: list[str]) -> str | None:
    """Tell what is wrong with a command line after `fenghuo`."""
    command = whole_command()
    while hasattr(command, "commands") and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        if words[0] not in command.commands:
            return f"{words[0]} is no command of {command.name}"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    named = {word.partition("=")[0].rstrip(".,;)") for word in words if word.startswith("--")}
    unknown = named - known
    return f"{command.name} has no option {', '.join(sorted(unknown))}" if unknown else None


@pages
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pages
def test_commands_exist(page: Path) -> None:
    found = [match for text in code(page) for match in COMMAND.findall(text)]
    assert [text for one in found if (text := problem_with(one.split()))] == []


@pages
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for text in code(page) for target in re.findall(r"\bmake ([a-z-]+)", text)}
    assert named <= targets


def test_every_command_is_documented() -> None:
    found = (one for page in PAGES for text in code(page) for one in COMMAND.findall(text))
    command = whole_command()
    assert {one.split()[0] for one in found} == set(command.commands)


def test_a_wrong_command_is_noticed() -> None:
    assert problem_with(["demo", "--json"]) is None
    assert problem_with(["demo", "--jsn"]) is not None
    assert problem_with(["alerts", "burn"]) is not None


def test_the_table_of_settings_is_complete() -> None:
    rows = dict(SETTING.findall((GUIDES / "operators.md").read_text(encoding="utf-8")))
    expected = {
        f"FENGHUO_{name.upper()}": f"`{field.default}`" if field.default_factory is None else None
        for name, field in Settings.model_fields.items()
    }
    assert rows.keys() == expected.keys()
    assert {k: v for k, v in rows.items() if expected[k] is not None} == {
        k: v for k, v in expected.items() if v is not None
    }


def test_every_refusal_has_its_remedy() -> None:
    page = (GUIDES / "data-sources.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE)) >= set(RefusalReason)


def test_the_configuration_shown_is_right(tmp_path: Path) -> None:
    (example,) = (
        text for text in fenced(GUIDES / "epidemiologists.md", "yaml") if "rules:" in text
    )
    path = tmp_path / "fenghuo.yaml"
    path.write_text(example, encoding="utf-8")
    assert load_configuration(path).surveillance.rules


def test_the_notifications_shown_are_right(tmp_path: Path) -> None:
    (example,) = fenced(GUIDES / "notifications.md", "yaml")
    base = (ROOT / "tests" / "data" / "taiwan.yaml").read_text(encoding="utf-8")
    path = tmp_path / "fenghuo.yaml"
    path.write_text(base + example, encoding="utf-8")
    assert load_configuration(path).surveillance.notify.routes


@pytest.mark.parametrize(("kind", "count"), [("visits", 3), ("sales", 1)])
def test_the_events_shown_are_accepted(kind: EventKind, count: int) -> None:
    examples = [
        text
        for text in fenced(GUIDES / "data-sources.md", "json")
        if ('"quantity"' in text) is (kind == "sales")
    ]
    assert len(examples) == count
    for text in examples:
        EVENT_KINDS[kind].model_validate_json(text)
