"""Every public name of the detectors shows itself at work in a doctest.

A bare `pytest`, as `make test` and CI run it, collects the examples with the tests: the last test
here makes sure that it stays so.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import pkgutil
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import detectors

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def public_modules() -> list[str]:
    found = pkgutil.walk_packages(detectors.__path__, "detectors.")
    names = ["detectors", *(module.name for module in found)]
    return [name for name in names if "._" not in name]


def is_protocol(cls: type[Any]) -> bool:
    return bool(getattr(cls, "_is_protocol", False))


def needs_no_example(cls: type[Any]) -> bool:
    """Tell classes that only name things from those that do something.

    Exceptions are shown where they are raised, records (fields and no methods) where they are made,
    and a protocol by those who follow it.
    """
    fields = hasattr(cls, "_fields") or dataclasses.is_dataclass(cls)
    record = fields and not list(methods("", cls))
    return record or is_protocol(cls) or issubclass(cls, BaseException)


def documented(module: str) -> Iterator[tuple[str, object]]:
    """Give the module, and its public functions, classes and methods, with their names."""
    loaded = importlib.import_module(module)
    for name in loaded.__all__:
        value = getattr(loaded, name)
        if getattr(value, "__module__", None) != module:
            continue
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            if not needs_no_example(value):
                yield name, value
            if not is_protocol(value):
                yield from methods(name, value)


def methods(name: str, cls: type[Any]) -> Iterator[tuple[str, object]]:
    kinds = (property, functools.cached_property, classmethod, staticmethod)
    for attribute, value in vars(cls).items():
        written_here = inspect.isfunction(value) and value.__module__ == cls.__module__
        if not attribute.startswith("_") and (written_here or isinstance(value, kinds)):
            yield f"{name}.{attribute}", value


@pytest.mark.parametrize("module", public_modules())
def test_everything_public_has_an_example(module: str) -> None:
    bare = [name for name, value in documented(module) if ">>>" not in (value.__doc__ or "")]
    assert not bare, f"no doctest in {module}: {', '.join(bare)}"


def test_the_walk_finds_what_it_should() -> None:
    assert {"detectors.contract", "detectors.ears", "detectors.evaluation"} <= set(public_modules())
    found = dict(documented("detectors.ears"))
    assert {"Ears", "Ears.judge", "Ears.lookback", "Ears.effective_lag"} <= set(found)
    assert "Verdicts.blank" in dict(documented("detectors.contract"))


def test_the_package_says_what_its_private_modules_are_for() -> None:
    said = re.findall(r"`(_\w+)(\*?)`", detectors.__doc__ or "")
    private = {path.stem for path in Path(detectors.__file__).parent.glob("_[a-z]*.py")}
    unsaid = {
        module
        for module in private
        if not any(module == name or (star and module.startswith(name)) for name, star in said)
    }
    assert not unsaid, "name them in the docstring of detectors/__init__.py"
    assert {name for name, star in said if not star} <= private


def test_the_examples_are_run() -> None:
    options = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert "--doctest-modules" in options["addopts"]
    assert "detectors" in options["testpaths"]
