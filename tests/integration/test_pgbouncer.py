"""Behind PgBouncer: the page and the commands with a pool of transactions, as the guide says."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from streams.settings import Settings
from streams.web.app import create_web
from tests.conftest import CONFIG, make_database
from tests.support.alerts import open_alert
from tests.support.web import Browser, add, free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")

pytestmark = pytest.mark.skipif(
    PGBOUNCER is None, reason="pgbouncer is missing (Debian's package pgbouncer)"
)


@contextmanager
def bouncing(database: str, folder: Path, *, sessions: int) -> Iterator[str]:
    """Put a PgBouncer in transaction mode before a server; gives the connection string."""
    assert PGBOUNCER is not None
    port = free_port()
    with psycopg.connect(database) as connection:
        info = connection.info
        host = info.host
        server = f"host={host} port={info.port} dbname={info.dbname} user={info.user}"
        if info.password:
            server += f" password={info.password}"
    folder.chmod(0o777)
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\nbounced = {server} pool_size={sessions}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\n"
    )
    command = [PGBOUNCER, "-q", str(settings)]
    if os.getuid() == 0:  # which it refuses to run as; a socket may admit its owner only
        owner = Path(host).stat().st_uid if host.startswith("/") else 0
        command[1:1] = ["-u", pwd.getpwuid(owner).pw_name if owner else "nobody"]
    process = subprocess.Popen(command)
    given = make_conninfo(host="127.0.0.1", port=port, dbname="bounced", user="any")
    try:
        deadline = time.monotonic() + 60
        while not _answers(given):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield given
    finally:
        process.terminate()
        process.wait(30)


def _answers(database: str) -> bool:
    try:
        psycopg.connect(database).close()
    except psycopg.OperationalError:
        return False
    return True


def fenghuo(database: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "streams", *arguments],
        env=os.environ | {"FENGHUO_DATABASE": database, "FENGHUO_CONFIG": str(CONFIG)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_page_and_commands_share_few_sessions(
    database_server: str, configuration: Configuration, work_folder: Path
) -> None:
    folder = work_folder / "bouncer"
    folder.mkdir()
    with make_database(database_server) as direct, bouncing(direct, folder, sessions=2) as bounced:
        fenghuo(bounced, "db", "migrate")
        alert = open_alert(direct)
        add(direct, "li", role="officer")
        with serving(create_web(Settings(database=bounced), configuration)) as url:

            def work(number: int) -> None:
                with Browser(url) as browser:
                    assert browser.sign_in("li").status == 303
                    for _ in range(5):
                        assert browser.get("/").status == 200
                        assert browser.get(f"/alerts/{alert}").status == 200
                    page = f"/alerts/{alert}"
                    token = browser.form_token(page)
                    answer = browser.post_form(
                        f"{page}/comment", {"csrf_token": token, "note": f"note {number}"}
                    )
                    assert answer.status == 303

            with ThreadPoolExecutor(3) as pool:
                list(pool.map(work, range(3)))
            listed = json.loads(fenghuo(bounced, "alerts", "list", "--json"))
            fenghuo(bounced, "db", "migrate")
        with psycopg.connect(direct) as connection:
            comments = connection.execute(
                "SELECT count(*) FROM alert_events WHERE kind = 'commented'"
            ).fetchone()
    assert [one["alert_id"] for one in listed] == [alert]
    assert comments == (3,)
