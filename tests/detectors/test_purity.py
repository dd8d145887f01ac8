"""Detectors are functions of their input: no clock, no files, no chance, nothing printed.

import-linter forbids the usual suspects (pyproject.toml). Here the imports are held to a list of
what is needed, and calls are looked for that need no import, or one that is otherwise fine
(`datetime.date` is, `date.today()` is not).
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import detectors

PACKAGE = Path(detectors.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
#: Attributes that read a clock, whatever they are taken from, and calls that do input or output.
CLOCKS = {"now", "today", "utcnow", "fromtimestamp", "utcfromtimestamp"}
CALLS = {"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint"}
#: numpy's files and its generators that nobody seeded.
FILES = {
    "load",
    "loadtxt",
    "save",
    "savez",
    "savetxt",
    "genfromtxt",
    "fromfile",
    "tofile",
    "memmap",
}

#: What numpy draws with; every other function of `np.random` has a state of its own.
GENERATORS = {"default_rng", "Generator", "SeedSequence"}
#: All that a detector may be made of. `importlib` finds detectors of other distributions, and the
#: tables of this one; `gzip` unpacks these in memory.
MATERIAL = {
    "__future__", "abc", "collections", "csv", "dataclasses", "datetime", "detectors", "difflib",
    "enum", "functools", "gzip", "importlib", "itertools", "math", "numpy", "pydantic", "scipy",
    "statistics", "statsmodels", "types", "typing",
}  # fmt: skip


def imported(source: str) -> set[str]:
    """Give the top-level packages that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def impurities(source: str) -> list[str]:
    """Say what in a module's code is not a function of its arguments."""
    return [
        f"line {node.lineno}: {found}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and (found := impurity(node))
    ]


def impurity(call: ast.Call) -> str | None:
    name = ast.unparse(call.func)
    last = name.rsplit(".", 1)[-1]
    if name in CALLS or last in CLOCKS or (name.startswith("np.") and last in FILES):
        return name
    if last == "datetime64" and call.args and ast.unparse(call.args[0]) in {"'now'", "'today'"}:
        return ast.unparse(call)
    if last == "default_rng" and not (call.args or call.keywords):
        return f"{name} without a seed"
    if name.startswith("np.random.") and name.count(".") == 2 and last not in GENERATORS:
        return f"{name}, which has a state"
    return None


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_detector_is_a_function_of_its_input(module: Path) -> None:
    assert impurities(module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_detector_is_made_of_few_packages(module: Path) -> None:
    assert imported(module.read_text(encoding="utf-8")) <= MATERIAL


def test_all_kinds_of_imports_are_seen() -> None:
    assert imported("import os.path\ndef f():\n    from time import sleep") == {"os", "time"}


@pytest.mark.parametrize(
    "code",
    [
        "date.today()",
        "datetime.now(tz=UTC)",
        "np.datetime64('now')",
        "open('counts.csv')",
        "np.loadtxt('counts.csv')",
        "np.random.default_rng()",
        "np.random.normal(3)",
        "print(1)",
    ],
)
def test_what_is_not_pure_is_found(code: str) -> None:
    assert len(impurities(code)) == 1


def test_what_is_pure_is_left_alone() -> None:
    fine = "np.random.default_rng(seed).poisson(3)\ndate(2026, 1, 1)\nnp.datetime64('2026-01-01')"
    assert impurities(fine) == []
