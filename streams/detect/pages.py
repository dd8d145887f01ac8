"""Markdown pages about detectors, made from their docstrings and parameter models."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from detectors.registry import DETECTORS
from detectors.seasons import longest_year
from streams.detect.docstrings import by_family, parameters, sections, spoken, summary
from streams.detect.gallery import ATTRIBUTION, DAILY, PARAMETERS, draw_detector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from detectors.contract import Grain

__all__ = ["detector_page", "gallery_page", "index_page", "write_pages"]

_MADE: Final = "<!-- Made by `fenghuo detectors docs`; edit the docstring of the class instead. -->"
_ABOUT: Final = (
    "{} methods, each on a page of its own; see them at work in the [gallery](gallery.md). "
    "On a file: [fenghuo detect](../guides/detect.md). Levels (`alpha`) of different methods are "
    "not comparable: how many alerts the defaults of each open where nothing happens stands in "
    "[false alarms on noise](../evaluation/noise.md)."
)
#: What somebody has, and which methods to look at first.
_ADVICE: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "many series of all kinds, or nothing known about them": ("auto",),
        "daily counts of a week or two": ("ears", "ears_nb"),
        "daily counts of a month or more, with days of the week": ("switch", "regression"),
        "daily counts of a year or more, with season and holidays": (
            "rammie",
            "holt_winters",
            "stl",
        ),
        "weekly counts of three years or more": ("farrington_flexible",),
        "weekly counts of a rare disease, or of a year or two": ("bayes", "boda", "rki"),
        "one epidemic every season, as of influenza": ("mem", "nb_hmm"),
        "small rises that last": ("cusum", "glr_poisson", "glr_nb", "outbreak_p"),
        "the rules of China CDC (CIDARS)": ("moving_percentile", "fixed_value"),
        "sources that may fall silent": ("drop",),
    }
)
_PICTURES: Final = "pictures"
_EXPLAINED: Final = (
    "Every detector on the same series: emergency visits for influenza-like illness in Taipei "
    "by week, with all years since 2007 as history and 2012 and 2013 judged; and, for methods "
    "made for days, the same visits by day, the second half of 2013 judged. Weekly totals are "
    "real. Days are not published: weeks were split over days at random, with more visits at "
    f"the weekend. Parameters are the defaults unless told. Data: {ATTRIBUTION}."
)


def write_pages(
    folder: Path,
    *,
    detectors: Mapping[str, Any] = DETECTORS,
    on_page: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write a page for each detector, the gallery, a list of all, and the pictures.

    Parameters
    ----------
    folder
        Made where it is absent.
    detectors
        Classes by name.
    on_page
        Told the name of each detector before its page is made.

    Returns
    -------
    list of Path
        The files.
    """
    (folder / _PICTURES).mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    pictures: dict[str, list[Path]] = {}
    for name, model in detectors.items():
        on_page(name)
        pictures[name] = _draw(name, model, folder / _PICTURES)
        written += pictures[name]
        page = detector_page(name, model, [_link(one) for one in pictures[name]])
        written.append(_write(folder / f"{name}.md", page))
    links = {name: [_link(one) for one in drawn] for name, drawn in pictures.items()}
    written.append(_write(folder / "gallery.md", gallery_page(detectors, links)))
    written.append(_write(folder / "README.md", index_page(detectors)))
    return written


def detector_page(name: str, model: Any, pictures: Sequence[str] = ()) -> str:
    """Make the page of one detector: what it assumes, when to use it, parameters, paper."""
    told = sections(model)
    body = told.pop("", "").partition("\n\n")[2]
    parts = [_MADE, f"# {name}", summary(model), spoken(body)]
    parts += [_image(name, picture) for picture in pictures]
    parts += ["## Parameters", _table(model)]
    told.pop("Parameters", None)
    examples = told.pop("Examples", None)
    for title, text in told.items():
        parts += [f"## {title}", spoken(text)]
    if examples:
        parts += ["## Example", f"```python\n{examples}\n```"]
    parts += [
        "## Use",
        f"In a rule: `detector: {{type: {name}}}`. On a file:",
        f"```sh\nfenghuo detect counts.csv --detector {name} --out verdicts.csv\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def gallery_page(detectors: Mapping[str, Any], pictures: Mapping[str, Sequence[str]]) -> str:
    """Make the page that shows every detector on the same series."""
    parts = [
        _MADE,
        "# Gallery",
        _EXPLAINED,
        "One series shows how a method behaves, not how good it is.",
    ]
    ordered = [one for members in by_family(detectors).values() for one in members.items()]
    for name, model in ordered:
        shown = ", ".join(f"`{key}={value}`" for key, value in PARAMETERS.get(name, {}).items())
        parts += [f"## {name}", f"{spoken(summary(model))} [Page]({name}.md)"]
        if shown:
            parts.append(f"Shown with {shown}.")
        parts += [_image(name, picture) for picture in pictures.get(name, ())]
        if not pictures.get(name):
            parts.append("No picture: it has parameters without a default.")
    return "\n\n".join(parts) + "\n"


def index_page(detectors: Mapping[str, Any]) -> str:
    """Make the list of all detectors, by family, with advice where to begin."""
    parts = [
        _MADE,
        "# Detectors",
        _ABOUT.format(len(detectors)),
        "## Where to begin",
        "\n".join(
            [
                "| you have | look at |",
                "|---|---|",
                *(f"| {have} | {_named(names, detectors)} |" for have, names in _ADVICE.items()),
            ]
        ),
    ]
    for family, members in by_family(detectors).items():
        rows = [
            f"| [{name}]({name}.md) | {_cell(summary(model))} | {_reach(name, model)} |"
            for name, model in members.items()
        ]
        head = ["| type | method | looks back |", "|---|---|---|"]
        parts += [f"## {family}", "\n".join([*head, *rows])]
    return "\n\n".join(parts) + "\n"


def _named(names: Sequence[str], detectors: Mapping[str, Any]) -> str:
    return ", ".join(f"[{one}]({one}.md)" if one in detectors else f"`{one}`" for one in names)


def _reach(name: str, model: Any) -> str:
    """Tell how far back a method looks with its defaults, in days or weeks, or years."""
    try:
        detector = model.model_validate(PARAMETERS.get(name, {}))
    except ValidationError:
        return "-"
    grain: Grain = "day" if name in DAILY else "week"
    steps, year = detector.lookback(grain), longest_year(grain)
    if steps >= 2 * year:
        return f"{round(steps / year)} years"
    return f"{steps} {grain}s" if steps else "-"


def _draw(name: str, model: Any, folder: Path) -> list[Path]:
    try:
        detector = model.model_validate(PARAMETERS.get(name, {}))
    except ValidationError:
        return []
    return draw_detector(detector, folder)


def _table(model: Any) -> str:
    rows = [
        f"| `{one.name}` | {_cell(one.values)} | {_cell(one.default)} | {_cell(one.description)} |"
        for one in parameters(model)
    ]
    return "\n".join(["| name | values | default | meaning |", "|---|---|---|---|", *rows])


def _cell(text: str) -> str:
    return spoken(text).replace("|", "\\|").replace("<", "&lt;")


def _link(picture: Path) -> str:
    return f"{_PICTURES}/{picture.name}"


def _image(name: str, link: str) -> str:
    return f"![{name}: observed and expected counts, threshold and alarms]({link})"


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
