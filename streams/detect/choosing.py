"""A detector from `--detector`, `--param` and `--config`."""

from __future__ import annotations

import json
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from detectors.registry import (
    DETECTORS,
    BrokenDetectorError,
    UnknownDetectorError,
    parse_detector,
)
from streams.configuration.plain import known_keys, plain_problems
from streams.configuration.r_words import name_of_r, r_value
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from detectors.contract import Detector

__all__ = ["begin_at", "choose_detector", "read_parameters"]

#: Charts without training: they begin with the series, however late judging begins.
_UNTRAINED: Final = frozenset({"outbreak_p"})
#: What people write for a parameter that shall have no value.
_UNSET: Final = frozenset({"none", "null", "na"})
#: What pydantic calls a value that is no list.
_LISTS: Final = frozenset({"tuple_type", "list_type"})
#: Their `start` is not where a chart begins but which history they take.
_NO_CHART: Final = frozenset({"shewhart"})


def choose_detector(
    name: str | None, given: Sequence[str], file: Mapping[str, Any] | None = None
) -> Detector:
    """Make a detector.

    Parameters
    ----------
    name
        Its type; may be left out if the file gives it.
    given
        Parameters as `key=value`. A value is a number, true or false, null, text, or a list in
        brackets or with commas; the detector's model decides what it accepts. Words of the R
        package surveillance are taken where ours differ: `threshold=nbPlugin`, `direction=inc`.
    file
        Parameters that the given ones complete or replace.

    Raises
    ------
    FenghuoError
        One line for each problem.

    Examples
    --------
    >>> choose_detector("ears", ["baseline=14", "method=C2"]).lookback("day")
    16
    """
    parameters = dict(file or {})
    if name is not None and parameters.setdefault("type", name) != name:
        raise FenghuoError(
            f"--detector {name}, but the file of --config is for {parameters['type']}; "
            "leave out one of them."
        )
    texts = _split(given)
    readings = {key: [value] for key, value in parameters.items()}
    readings |= {key: _readings(text) for key, text in texts.items()}
    for key, options in readings.items():
        if (word := r_value(key, texts.get(key, options[0]))) is not None:
            options.append(word)
    while True:
        tried = {key: options[0] for key, options in readings.items()}
        try:
            return parse_detector(tried)
        except (UnknownDetectorError, BrokenDetectorError) as error:
            raise FenghuoError(f"{error}. See fenghuo detectors list.") from None
        except ValidationError as error:
            wrong = {str(detail["loc"][0]) for detail in error.errors() if detail["loc"]}
            _offer_lists_of_one(error, readings)
            again = [key for key in wrong if len(readings.get(key, ())) > 1]
            if not again:
                raise _refusal(error, tried, texts) from None
            for key in again:
                readings[key].pop(0)


def _offer_lists_of_one(error: ValidationError, readings: Mapping[str, list[Any]]) -> None:
    """Let a single value stand for a list of one, where the model wants a list."""
    for detail in error.errors():
        key = str(detail["loc"][0]) if detail["loc"] else ""
        if detail["type"] in _LISTS and isinstance(readings.get(key, [0])[0], str):
            readings[key].append([readings[key][0]])


def read_parameters(path: Path) -> dict[str, Any]:
    """Read a YAML or JSON file of a detector: its type and parameters, at the top or as `detector`.

    Raises
    ------
    FenghuoError
        The file cannot be read or is no mapping.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - seldom needed
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    try:
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FenghuoError(f"{path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise FenghuoError(f"{path}: not UTF-8; save the file as UTF-8.") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FenghuoError(f"{path}:{line}: not valid YAML: {error.problem}.") from None
    except YAMLError as error:
        raise FenghuoError(f"{path}: not valid YAML: {error}.") from None
    if isinstance(document, dict) and set(document) == {"detector"}:
        document = document["detector"]
    if not isinstance(document, dict):
        raise FenghuoError(f"{path}: the file must hold a detector, such as {{type: ears}}.")
    return {str(key): value for key, value in document.items()}


def begin_at(detector: Detector, position: int) -> Detector:
    """Let a chart that accumulates begin at a position, unless it was told where to begin.

    What lies before is its training. A chart without training begins with the series.

    Examples
    --------
    >>> from detectors import Ears
    >>> begin_at(Ears(), 3) == Ears()
    True
    """
    if not isinstance(detector, BaseModel) or "start" not in type(detector).model_fields:
        return detector
    if detector.type in _NO_CHART:
        return detector
    values = detector.model_dump(exclude_unset=True)
    if values.get("start") is not None:
        return detector
    begin = 0 if detector.type in _UNTRAINED else position
    begun: Any = type(detector).model_validate(values | {"start": begin})
    return begun  # type: ignore[no-any-return]


def _split(given: Sequence[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for one in given:
        key, equals, value = one.partition("=")
        key = key.strip()
        if not (equals and key):
            raise FenghuoError(f"--param {one}: write it as NAME=VALUE.")
        if key == "type":
            raise FenghuoError(f"--param {one}: name the detector with --detector.")
        if key in texts:
            raise FenghuoError(f"--param {key} is given twice; leave out one of them.")
        texts[key] = value.strip()
    return texts


def _readings(text: str) -> list[Any]:
    """List what a text may mean, likeliest first; the model takes the first that it accepts."""
    found: list[Any] = []
    if text.lower() in {"true", "false"}:
        found.append(text.lower() == "true")
    else:
        with suppress(ValueError):
            found.append(json.loads(text, parse_constant=str))
    found.append(text)
    if text.lower() in _UNSET:
        found.append(None)
    if "," in text:
        pieces = [piece.strip() for piece in text.strip("[]()").split(",") if piece.strip()]
        found.append([_readings(piece)[0] for piece in pieces])
    return found


def _refusal(
    error: ValidationError, tried: Mapping[str, Any], texts: Mapping[str, str]
) -> FenghuoError:
    kind = str(tried["type"])
    model: Any = DETECTORS[kind]
    told: dict[str, None] = {}
    for place, text in plain_problems(error, model):
        key = str(place[0]) if place else ""
        where = f"--param {key}={texts[key]}" if key in texts else key
        if place and key not in known_keys(model, ()):
            told[f"{where}: {_unknown(key, kind)}"] = None
        else:
            told[f"{where or kind}: {text}. See fenghuo detectors show {kind}."] = None
    return FenghuoError("\n".join(told))


def _unknown(key: str, kind: str) -> str:
    model: Any = DETECTORS[kind]
    known = [field for field in model.model_fields if field != "type"]
    close = get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    if (ours := name_of_r(key, known)) is not None:
        hint = f"what R calls {key} is {ours} here. "
    return f"{kind} has no such parameter: {hint}It has {', '.join(known) or 'none'}."
