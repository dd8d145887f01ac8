"""The comparison of all methods on all data sets, spread over processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from detectors.evaluation.against import Against, Run, against, ceiling, run
from detectors.evaluation.compare import Comparison, compare
from detectors.evaluation.contenders import AUTO, Contender, contenders
from detectors.evaluation.data_sets import DATA_SETS

__all__ = ["BESIDE_R", "Plan", "SetResult", "beside_r", "compare_sets", "pool"]

#: Simulators with figures of R, with seed and series (daily: of each size).
BESIDE_R: Final[Mapping[str, tuple[int, int]]] = {
    "weekly": (1_000_100, 2100),
    "daily": (1_000_200, 160),
}
#: Numerical libraries start threads of their own, which get in each other's way.
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run.

    Parameters
    ----------
    sets
        Names of data sets.
    detectors
        Types of detectors that `auto` is compared with; all if empty.
    scale
        Part of the series of a full run.
    draws
        Bootstrap draws.
    workers
        Processes; 1 for none but this one.
    """

    sets: Sequence[str] = tuple(DATA_SETS)
    detectors: Sequence[str] = ()
    scale: float = 1.0
    draws: int = 500
    workers: int = 2

    def series(self, name: str) -> int:
        """Series of a data set."""
        return max(round(DATA_SETS[name].series * self.scale), 32)

    def chosen(self, name: str) -> list[Contender]:
        """Methods that are compared on a data set, without `auto`."""
        _, *others = contenders(DATA_SETS[name].grain)
        return [
            one for one in others if not self.detectors or one.detector["type"] in self.detectors
        ]


@dataclass(slots=True)
class SetResult:
    """What was found on a data set.

    Parameters
    ----------
    name
        Of the data set.
    series, draws
        How many.
    auto
        Against itself.
    others
        The single methods.
    ceiling
        Curve of a judge who knows the true mean and dispersion.
    failed
        Methods that could not be run, with the message.
    """

    name: str
    series: int
    draws: int
    auto: Against
    others: list[Against] = field(default_factory=list)
    ceiling: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


_OnDone: TypeAlias = Callable[[str], None]
_Submit: TypeAlias = Callable[..., "Future[object]"]


def compare_sets(
    plan: Plan,
    *,
    on_done: _OnDone = lambda _: None,
    on_set: Callable[[SetResult], None] = lambda _: None,
    on_beside: Callable[[str, list[Comparison]], None] | None = None,
) -> list[SetResult]:
    """Run `auto` and every other method on the data sets.

    Parameters
    ----------
    on_done
        Told the name of each method when it is done.
    on_set
        Told each data set when it is done.
    on_beside
        Told the methods of R's tables on each simulator; without it they are not run.
    """
    results: list[SetResult] = []
    with pool(plan.workers) as submit:
        firsts = {name: submit(_auto, name, plan.series(name), plan.draws) for name in plan.sets}
        tasks: dict[str, dict[str, Future[object]]] = {}
        for name, first in firsts.items():
            result, ours = _begun(plan, name, first)
            on_done(f"{name}: {AUTO.name}")
            results.append(result)
            tasks[name] = {
                one.name: submit(_other, name, one, ours, result.series, plan.draws)
                for one in plan.chosen(name)
            }
        rest = {name: submit(beside_r, name, plan.scale) for name in BESIDE_R if on_beside}
        for result in results:
            for other, task in tasks[result.name].items():
                _take(result, other, task)
                on_done(f"{result.name}: {other}")
            on_set(result)
        for name, task in rest.items():
            rows = task.result()
            assert on_beside is not None  # noqa: S101 - as told above
            assert isinstance(rows, list)  # noqa: S101 - as beside_r returns it
            on_beside(name, rows)
            on_done(f"{name}: beside R")
    return results


def _begun(plan: Plan, name: str, first: Future[object]) -> tuple[SetResult, Run]:
    found = first.result()
    assert isinstance(found, tuple)  # noqa: S101 - as _auto returns it
    ours, itself, best = found
    return SetResult(name, plan.series(name), plan.draws, itself, ceiling=best), ours


def beside_r(simulator: str, scale: float = 1.0) -> list[Comparison]:
    """Run the methods of R's tables on a simulator ("weekly" or "daily")."""
    seed, series = BESIDE_R[simulator]
    chosen = max(round(series * scale), 32)
    return compare("daily" if simulator == "daily" else "weekly", series=chosen, seed=seed)


def _take(result: SetResult, name: str, task: Future[object]) -> None:
    try:
        found = task.result()
    except Exception as error:  # noqa: BLE001 - one broken method does not end a long run
        result.failed[name] = f"{type(error).__name__}: {error}".partition("\n")[0]
        return
    assert isinstance(found, Against)  # noqa: S101 - as _other returns it
    result.others.append(found)


def _auto(
    name: str, series: int, draws: int
) -> tuple[Run, Against, Mapping[str, tuple[float, ...]]]:
    data = DATA_SETS[name]
    ours = run(AUTO, data, series=series)
    return ours, against(ours, ours, data, draws=draws), ceiling(data, series=series)


def _other(name: str, one: Contender, ours: Run, series: int, draws: int) -> Against:
    data = DATA_SETS[name]
    return against(ours, run(one, data, series=series), data, draws=draws)


@contextmanager
def pool(workers: int) -> Iterator[_Submit]:
    """Give a function that runs tasks in other processes; in this one if `workers` is 1."""
    if workers == 1:
        yield _at_once
        return
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as executor:
            # Workers start with the first task, and have then read the environment.
            wait([executor.submit(int) for _ in range(workers)])
            try:
                yield executor.submit
            except BaseException:
                executor.shutdown(cancel_futures=True)
                raise
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _at_once(task: Callable[..., object], *arguments: object) -> Future[object]:
    done: Future[object] = Future()
    try:
        done.set_result(task(*arguments))
    except Exception as error:  # noqa: BLE001 - as a process would do it
        done.set_exception(error)
    return done
