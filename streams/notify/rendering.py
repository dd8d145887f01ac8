"""Texts of messages from templates (Jinja2, sandboxed)."""

from __future__ import annotations

import logging
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment

from streams.errors import ConfigError
from streams.notify.entries import variables
from streams.notify.limits import SEVERITIES
from streams.notify.message import Entry, Message
from streams.notify.words import SEVERITY_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.notify import Language
    from streams.config import Configuration

__all__ = ["TEMPLATES", "Templates", "check_templates"]

log = logging.getLogger(__name__)

#: Files of each language's folder: for one alert, and for several together.
TEMPLATES: Final = (
    "subject.txt", "body.txt", "body.html", "short.txt",
    "digest_subject.txt", "digest.txt", "digest.html", "digest_short.txt",
)  # fmt: skip


class Templates:
    """The built-in templates, and those that take their place.

    Parameters
    ----------
    folder
        Has folders ``zh`` and ``en`` with files of the built-in ones' names; what is missing there
        is taken from the built-in ones.

    Raises
    ------
    ConfigError
        When the folder is missing, or a file of it is no template; names file and line.
    """

    def __init__(self, folder: Path | None = None) -> None:
        built_in = Path(str(resources.files("streams.notify") / "templates"))
        self._built_in = _environment(built_in)
        self._own = None if folder is None else _environment(folder)
        if folder is not None:
            check_templates(folder)

    def write(
        self,
        key: str,
        channel: str,
        language: Language,
        entries: Sequence[Entry],
        configuration: Configuration,
        *,
        digest: bool,
    ) -> Message:
        """Write a message about one event, or a digest of several."""
        ordered = sorted(entries, key=lambda entry: SEVERITIES.index(entry.alert.severity))
        seen = _by_alert([variables(entry, language, configuration) for entry in ordered], language)
        counts = [
            (SEVERITY_WORDS[severity].model_dump()[language], number)
            for severity in SEVERITIES
            if (number := sum(item["severity_key"] == severity for item in seen))
        ]
        context = {"items": seen, "counts": counts, "ref": key[:8]}
        if not digest:
            context |= seen[0]
        prefix, body = ("digest_", "digest") if digest else ("", "body")

        def text(name: str) -> str:
            return _storable(self._render(f"{language}/{name}", context)).strip()

        return Message(
            key=key,
            channel=channel,
            digest=digest,
            language=language,
            severity=ordered[0].alert.severity,
            # A header and a line of an SMS: whatever a name or a note holds, no line breaks.
            subject=" ".join(text(f"{prefix}subject.txt").split()),
            text=text(f"{body}.txt"),
            html=text(f"{body}.html"),
            short=" ".join(text(f"{prefix}short.txt").split()),
            entries=tuple(ordered),
        )

    def _render(self, name: str, context: dict[str, Any]) -> str:
        if self._own is not None:
            try:
                return self._own.get_template(name).render(context)
            except TemplateNotFound:
                pass
            except Exception as error:  # noqa: BLE001 - a template can raise anything
                # The alarm goes out all the same.
                log.warning("Template %s: %s; the built-in one is used instead.", name, error)
        return self._built_in.get_template(name).render(context)


def _storable(text: str) -> str:
    """Replace what PostgreSQL and UTF-8 cannot hold: NUL and lone surrogates."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _by_alert(seen: Sequence[dict[str, Any]], language: Language) -> list[dict[str, Any]]:
    """Put together what happened to one alert: people read each alert once.

    The last words are those of its latest event.
    """
    found: dict[int, list[dict[str, Any]]] = {}
    for item in seen:
        found.setdefault(item["id"], []).append(item)
    separator, comma = ("；", "，") if language == "zh" else ("; ", ", ")
    together = []
    for items in found.values():
        whats = [item["what"] for item in items]
        last = [what for place, what in enumerate(whats) if what not in whats[place + 1 :]]
        noted = [item for item in items if item["note"]]
        told = {
            **items[-1],
            "what": comma.join(filter(None, (separator.join(last), items[-1]["since"]))),
            "notes": [(item["actor"], item["note"]) for item in noted],
        }
        if noted:
            # In the texts of one alert: who wrote what at last.
            told |= {"actor": noted[-1]["actor"], "note": noted[-1]["note"]}
        together.append(told)
    return together


def _environment(folder: Path) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=lambda name: bool(name) and str(name).endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def check_templates(folder: Path) -> None:
    """Make sure that a folder holds nothing but templates.

    Raises
    ------
    ConfigError
        With the first file that is none, and the line.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"{folder} is no folder. Set notify.templates to the folder of templates."
        )
    environment = _environment(folder)
    for path in sorted(folder.rglob("[!.]*.*")):
        name = path.relative_to(folder).as_posix()
        language, _, file = name.partition("/")
        if language not in {"zh", "en"} or file not in TEMPLATES:
            raise ConfigError(
                f"{path} is no template; there are zh/ and en/ with {', '.join(TEMPLATES)}. "
                "Rename or remove it."
            )
        try:
            environment.get_template(name)
        except TemplateError as error:
            line = getattr(error, "lineno", None) or 1
            raise ConfigError(f"{path}:{line}: {error}. Mend the template.") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: not UTF-8. Save the file as UTF-8.") from None
