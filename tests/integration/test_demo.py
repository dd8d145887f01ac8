"""The main job on one command, as the README promises it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.support.web import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Demo(NamedTuple):
    """What a run of the demo left, and what its page showed while it ran."""

    returncode: int
    stdout: str
    stderr: str
    output: Path
    signed_in: int
    regions: str

    @property
    def result(self) -> Any:
        return json.loads(next(x for x in self.stdout.splitlines() if x.startswith("{")))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    output = tmp_path_factory.mktemp("demo")
    out, err = output / "stdout", output / "stderr"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams", "demo", "--keep", "--json", "--output", str(output)],
            stdout=stdout,
            stderr=stderr,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    try:
        while "Stop with Ctrl-C" not in out.read_text("utf-8") and process.poll() is None:
            time.sleep(0.5)
        signed_in, regions = _look(out.read_text("utf-8"))
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finally:
        process.kill()
    kept = re.search(r"Database and logs: (\S+)", err.read_text("utf-8"))
    yield Demo(
        process.returncode,
        out.read_text("utf-8"),
        err.read_text("utf-8"),
        output,
        signed_in,
        regions,
    )
    if kept:
        shutil.rmtree(kept[1])


def _look(told: str) -> tuple[int, str]:
    """Sign in as the demo says, and choose the regions."""
    url = re.search(r"The triage page is at (\S+)", told)
    name, password = re.search(r"user +(\S+)", told), re.search(r"password +(\S+)", told)
    if not (url and name and password):
        return 0, ""
    with Browser(url[1]) as browser:
        signed_in = browser.sign_in(name[1], password[1])
        target = browser.get("/regions").headers["Location"]
        return signed_in.status, browser.get(target).text


def test_published_stored_and_recounted_are_equal(demo: Demo) -> None:
    assert demo.returncode == 0, demo.stderr
    result = demo.result
    assert result["events_published"] > 100_000
    assert result["events_published"] == result["events_stored"] == result["events_recounted"]
    assert result["counts_checked"] > 10_000
    assert result["dead_letters"] == 0
    assert result["events_per_second"] > 0


def test_it_is_kept_with_a_page_on_which_the_worst_county_stands_first(demo: Demo) -> None:
    assert demo.signed_in == 303
    ranked = re.findall(
        r'<th scope="row"><a class="cell-link" href="/regions/([\w-]+)', demo.regions
    )
    assert ranked[0] == "TW-TPE"
    assert len(ranked) >= 18
    assert "Traceback" not in demo.stderr


def test_the_pandemic_is_found_county_by_county(demo: Demo) -> None:
    result = demo.result
    first = {alert["region"]: alert["week"] for alert in result["first_alerts"]}
    # Judged by hand from the published weekly counts: the six largest all exceed EARS C2's
    # threshold in week 32 for the first time since week 27.
    for county in ("TW-TPE", "TW-NWT", "TW-KHH", "TW-TXG", "TW-TAO", "TW-TNN"):
        assert first[county] == "2009-W32"
    assert len(first) >= 18
    assert result["alerts"] >= len(first)


def test_people_are_told(demo: Demo) -> None:
    result = demo.result
    told = result["notifications_by_channel"]
    assert told["webhook"] > 0
    assert told["mail"] > 0
    assert result["notifications"] == sum(told.values())
    assert 0 < result["digests"] < result["notifications"]


def test_pictures_are_drawn(demo: Demo) -> None:
    result, output = demo.result, demo.output
    assert {p.name for p in output.iterdir()} - {"stdout", "stderr"} == {
        "counties.png",
        "counties.svg",
        "timeline.png",
        "timeline.svg",
    }
    for picture in output.glob("*.png"):
        assert str(picture) in result["pictures"]
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size > 20_000
