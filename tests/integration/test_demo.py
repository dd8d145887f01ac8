"""The main job on one command, as the README promises it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    output = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "streams", "demo", "--json", "--output", str(output)],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    return done, output


def test_published_stored_and_recounted_are_equal(
    demo: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, _ = demo
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["events_published"] > 100_000
    assert result["events_published"] == result["events_stored"] == result["events_recounted"]
    assert result["counts_checked"] > 10_000
    assert result["dead_letters"] == 0
    assert result["events_per_second"] > 0


def test_the_pandemic_is_found_county_by_county(
    demo: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    result = json.loads(demo[0].stdout.splitlines()[-1])
    first = {alert["region"]: alert["week"] for alert in result["first_alerts"]}
    # Judged by hand from the published weekly counts: the six largest all exceed EARS C2's
    # threshold in week 32 for the first time since week 27.
    for county in ("TW-TPE", "TW-NWT", "TW-KHH", "TW-TXG", "TW-TAO", "TW-TNN"):
        assert first[county] == "2009-W32"
    assert len(first) >= 18
    assert result["alerts"] >= len(first)


def test_people_are_told(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    result = json.loads(demo[0].stdout.splitlines()[-1])
    told = result["notifications_by_channel"]
    assert told["webhook"] > 0
    assert told["mail"] > 0
    assert result["notifications"] == sum(told.values())
    assert 0 < result["digests"] < result["notifications"]


def test_pictures_are_drawn(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, output = demo
    result = json.loads(done.stdout.splitlines()[-1])
    assert {p.name for p in output.iterdir()} == {
        "counties.png",
        "counties.svg",
        "timeline.png",
        "timeline.svg",
    }
    for picture in output.glob("*.png"):
        assert str(picture) in result["pictures"]
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size > 20_000
