"""The Faust application: one agent that ingests; tasks that judge, explain, tell, watch."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import signal
import time
from contextlib import AsyncExitStack, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import faust
import psycopg
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError
from psycopg_pool import PoolClosed, PoolTimeout

from streams.alerts.following import explain_changed, keep_rolling_up, renew_explanations
from streams.alerts.publishing import publish_events
from streams.alerts.watching import end_unjudged, escalate_unread, look_again
from streams.config import load_configuration
from streams.dead_letters import HandOver
from streams.grafana.pushing import running_pusher
from streams.health import WORKER_PATH, Progress, judging_stands_still, report
from streams.ingest.ingest import Ingest
from streams.ingest.intake import Intake
from streams.ingest.pump import CommitPump
from streams.judging.loop import JudgingLoop
from streams.metrics import CONTENT_TYPE, METRICS_PATH, Metrics
from streams.notify.running import running_dispatcher
from streams.preflight import check_ready
from streams.repeated_logs import RepeatedLogs
from streams.store.commit import prepare_connection
from streams.store.db_clock import ClockSkewError, check_skew, clock_skew_of, describe
from streams.store.letter_privacy import forget_letters
from streams.store.offsets import StoredPositions, note_log_ends
from streams.store.outbox import forget_sent
from streams.store.pool import open_pool
from streams.store.quarantine import read_judging_state
from streams.store.schema import SchemaMisfitError, hold_schema
from streams.store.surveyed import describe_surveillance
from streams.transport import BatchSchema
from streams.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from faust.types import TP

    from streams.config import Configuration
    from streams.errors import FenghuoError
    from streams.health import Waiting
    from streams.settings import Settings
    from streams.store.commit import Committed
    from streams.transport import BatchTransport

__all__ = ["FenghuoApp", "create_app", "run_worker"]

log = logging.getLogger(__name__)


#: Longest wait for commits in flight when stopping.
_STOP_SECONDS = 10.0
#: A worker that has not stopped by then ends all the same, and says where it hung: what was in
#: flight is read again, whereas a process that neither works nor ends keeps the rest from noticing.
_END_SECONDS = 60.0
#: Until a record that no broker acknowledges counts as not sent; Faust's default is 20 minutes.
_DELIVERY_SECONDS = 30.0
#: A topic that is deleted and made anew is found again so soon; so are added partitions.
_LOOK_FOR_TOPICS_MS = 10_000
#: Between looks at the events of alerts; those of this worker are seen at once.
_FOLLOW_SECONDS = 0.5
#: Between looks for alerts that nobody has read, or whose days go by without cases.
_WATCH_SECONDS = 15.0
#: Between looks at the neighbours of alerts that are explained.
_RENEW_SECONDS = 5.0
#: Between looks at how far the logs reach, which tells the lag.
_LOG_ENDS_SECONDS = 15.0
#: Between checks whether the database's schema was changed; each commit checks it as well.
_SCHEMA_SECONDS = 5.0
#: Between comparisons of this machine's clock with the database's.
_CLOCK_SECONDS = 30.0
#: Rest after explaining while commits are under way: in parts of the time that it took, and at
#: most. Each explanation rolls up what came in since the one before.
_REST_AFTER_EXPLAINING = 2
_LONGEST_REST = 2.0
#: New objects until the youngest generation is looked through.
_COLLECT_AFTER = 20_000
#: Of judge, roll-up, two followers and three timers: none may keep a commit waiting.
_OTHER_CONNECTIONS = 7


class FenghuoApp(faust.App):
    """A Faust app whose state is the database.

    The pool is open before the consumer asks for its positions, and closed after its last commit.
    """

    settings: Settings
    configuration: Configuration
    ingest: Ingest
    pump: CommitPump
    judging: JudgingLoop
    hand_over: HandOver

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._open = AsyncExitStack()
        self.progress = Progress()
        self.judging_stands_still: Waiting | None = None
        self._rebalanced = _nothing
        self.ended_by: FenghuoError | None = None
        self.clock_skew = 0.0
        self.to_publish, self.to_explain, self.to_notify = Wakeup(), Wakeup(), Wakeup()

    def _create_directories(self) -> None:
        """Make none: this app keeps nothing on disk."""

    async def on_start(self) -> None:
        """Open the database and tell the transport where to read from."""
        await super().on_start()
        settings = self.settings
        await asyncio.to_thread(check_ready, settings, self.configuration)
        await asyncio.to_thread(describe_surveillance, settings.database, self.configuration)
        self.pool = await self._open.enter_async_context(
            open_pool(
                settings.database,
                size=settings.commits_in_flight + _OTHER_CONNECTIONS,
                configure=prepare_connection,
            )
        )
        intake = Intake(self.configuration)
        self.ingest = Ingest(
            self.pool,
            worker=settings.worker_name,
            kinds={topic: kind for kind, topic in settings.topics.items()},
            intake=lambda: intake,
            reseek=self._reseek,
            committed=self._after_commit,
        )
        self.pump = CommitPump(
            self.ingest.prepare, failed=self._failed, in_flight=settings.commits_in_flight
        )
        self.judging = JudgingLoop(
            self.pool,
            self.configuration,
            settings.judge_interval,
            changed=self._alerts_changed,
            rest=self.pump.quiet,
        )
        self.hand_over = HandOver(self.pool, most_bytes=self.conf.producer_max_request_size)
        self._open.push_async_callback(self.finish_commits, _STOP_SECONDS)
        await self._open.enter_async_context(
            running_dispatcher(settings, self.configuration, wakeup=self.to_notify)
        )
        await self._open.enter_async_context(running_pusher(settings, self.configuration))
        transport: BatchTransport = self.transport
        transport.position_source = StoredPositions(self.pool)

    async def on_stop(self) -> None:
        """Finish what is in flight, then close the database."""
        await super().on_stop()
        await self._open.aclose()

    async def finish_commits(self, seconds: float) -> None:
        """Wait for the commits in flight, not for ever."""
        # What does not get done now is done after the next start, or by another worker; a database
        # that is away must not keep this one from stopping.
        with suppress(TimeoutError):
            await asyncio.wait_for(self.pump.drain(), seconds)

    def on_rebalance_start(self) -> None:
        """Note when a rebalance begins, which can begin again before it has ended."""
        super().on_rebalance_start()
        self._rebalanced()
        self._rebalanced = self.progress.begin("a rebalance")

    def on_rebalance_end(self) -> None:
        """Note that the rebalance has ended."""
        super().on_rebalance_end()
        self._rebalanced()

    async def _reseek(self, tp: TP, offset: int) -> None:
        """Read on from where the database stands, or from where the log begins by now."""
        log.warning("%s[%s]: reading again from offset %s", *tp, offset)
        await self.consumer.seek_to_source([tp])

    def end(self, error: FenghuoError) -> None:
        """Stop in an orderly way because of an error that people can mend; not a crash."""
        if self.ended_by is None:
            self.ended_by = error
            log.critical("The worker stops: %s", error)
            signal.raise_signal(signal.SIGTERM)

    async def check_schema(self) -> None:
        """Stop if the database's schema no longer fits this program."""
        try:
            async with self.pool.connection() as connection:
                await hold_schema(connection)
        except SchemaMisfitError as error:
            self.end(error)

    async def check_clock(self) -> None:
        """Warn of a clock that is off; stop if events would be refused because of it."""
        async with self.pool.connection() as connection:
            self.clock_skew = await clock_skew_of(connection)
        try:
            check_skew(self.clock_skew)
        except ClockSkewError as error:
            self.end(error)
        else:
            if told := describe(self.clock_skew):
                log.warning("%s Set the clocks (NTP).", told)

    async def crash(self, reason: BaseException) -> None:
        """Crash, unless the reason is that the schema was changed meanwhile."""
        if isinstance(reason, psycopg.ProgrammingError):
            with suppress(psycopg.Error, PoolTimeout, PoolClosed):
                await self.check_schema()
        if self.ended_by is None:
            await super().crash(reason)

    async def _failed(self, error: BaseException) -> None:
        if isinstance(error, SchemaMisfitError):
            self.end(error)
            return
        log.critical("A batch cannot be committed; the worker stops.", exc_info=error)
        await self.crash(error)

    def _after_commit(self, done: Committed) -> None:
        if done.inserted or done.replaced:
            self.judging.wake()

    def _alerts_changed(self) -> None:
        for wakeup in (self.to_explain, self.to_publish, self.to_notify):
            wakeup.set()

    async def explain(self) -> None:
        """Explain what changed, and have the others know."""
        began = time.monotonic()
        if await explain_changed(self.pool, self.configuration):
            self.to_publish.set()
            self.to_notify.set()
            rest = _REST_AFTER_EXPLAINING * (time.monotonic() - began)
            await self.pump.quiet(min(rest, _LONGEST_REST))


def create_app(settings: Settings, configuration: Configuration | None = None) -> FenghuoApp:
    """Build the application.

    Parameters
    ----------
    configuration
        Read from ``settings.config`` when left out.

    Raises
    ------
    ConfigError
        When the configuration file is wrong.
    """
    app = FenghuoApp(
        settings.group,
        broker=[f"kafkabatch://{server}" for server in settings.brokers.servers],
        broker_credentials=settings.brokers.for_faust(),
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=settings.session_timeout / 4,
        broker_max_poll_records=settings.batch_records,
        consumer_max_fetch_size=settings.fetch_bytes,
        consumer_metadata_max_age_ms=_LOOK_FOR_TOPICS_MS,
        producer_request_timeout=_DELIVERY_SECONDS,
        stream_buffer_maxsize=4,
        stream_wait_empty=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=bool(settings.web_port),
        web_port=settings.web_port or 6066,
        web_bind="127.0.0.1",
        logging_config=None,
        loghandlers=[],
    )
    app.settings = settings
    app.configuration = configuration or load_configuration(settings.config)
    _define(app)
    _define_watching(app)
    _define_health(app)
    return app


def _define(app: FenghuoApp) -> None:
    events = app.topic(*app.settings.topics.values(), schema=BatchSchema())

    @app.agent(events, name="ingest")
    async def ingest(stream: Any) -> None:
        # Acknowledged after the commit, not when the loop comes round: Faust acknowledges a
        # message even when its agent raised.
        async for event in stream.noack().events():
            await app.pump.put(event.value, _noted(app.progress, event))

    _define_tasks(app)
    _define_timers(app)

    @app.on_partitions_revoked.connect
    async def before_they_go(*_: Any, **__: Any) -> None:
        # Only to spare work: what is committed late is fenced by the stored offset. A database
        # that hangs must not hold up the group's rebalance.
        await app.finish_commits(app.settings.session_timeout / 2)


def _define_tasks(app: FenghuoApp) -> None:
    @app.task
    async def judge() -> None:
        await app.judging.run()

    @app.task
    async def facilities() -> None:
        await keep_rolling_up(app.pool, app.pump.quiet)

    @app.task
    async def alert_events() -> None:
        async def publish() -> None:
            await publish_events(app.pool, app.producer, app.settings.alerts_topic)

        await _follow("Events of alerts wait", publish, app.to_publish)

    @app.task
    async def explain_alerts() -> None:
        await _follow("Alerts wait to be explained", app.explain, app.to_explain)


def _define_timers(app: FenghuoApp) -> None:
    @app.timer(interval=1.0)
    async def dead_letters() -> None:
        with _waiting("Dead letters wait"):
            await app.hand_over.step(app.producer)


def _define_watching(app: FenghuoApp) -> None:
    @app.timer(interval=_WATCH_SECONDS)
    async def watch() -> None:
        await _look_through(app)

    @app.timer(interval=_RENEW_SECONDS)
    async def renew() -> None:
        with _waiting("Alerts wait to be explained again"):
            if await renew_explanations(app.pool, app.configuration):
                app.to_publish.set()
                app.to_notify.set()

    @app.timer(interval=_SCHEMA_SECONDS)
    async def schema() -> None:
        with _waiting("The schema's version is checked later"):
            await app.check_schema()

    @app.timer(interval=_CLOCK_SECONDS)
    async def clock() -> None:
        with _waiting("The clock is checked later"):
            await app.check_clock()

    @app.timer(interval=_LOG_ENDS_SECONDS)
    async def log_ends() -> None:
        with _waiting("How far the logs reach is noted later"):
            await note_log_ends(app.pool, await app.consumer.log_ends())


def _define_health(app: FenghuoApp) -> None:
    @app.page(WORKER_PATH)
    async def health(view: Any, _: Any) -> Any:
        status, answer = report(app.progress.oldest(), app.judging_stands_still, app.ingest.failing)
        return view.json(answer, status=status)

    def process() -> Iterator[tuple[str, str, float]]:
        oldest = app.progress.oldest()
        yield (
            "fenghuo_worker_oldest_task_seconds",
            "Age of the oldest commit or rebalance in flight",
            oldest.seconds if oldest else 0.0,
        )

    metrics = Metrics(lambda: app.pool.connection(), process)  # noqa: PLW0108 - opened later

    @app.page(METRICS_PATH)
    async def scrape(view: Any, _: Any) -> Any:
        return view.bytes(await metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def _noted(progress: Progress, event: Any) -> Callable[[], None]:
    """Acknowledge a batch, and note how long its commit takes."""
    committed = progress.begin("the commit of a batch of {}[{}]".format(*event.value.tp))

    def done() -> None:
        committed()
        event.ack()

    return done


def _nothing() -> None: ...


async def _look_through(app: FenghuoApp) -> None:
    """Do what time alone brings."""
    surveillance = app.configuration.surveillance
    with _waiting("The age of pending judgements is looked up later"):
        async with app.pool.connection() as connection:
            app.judging_stands_still = judging_stands_still(await read_judging_state(connection))
    with _waiting("Alerts wait to be looked through"):
        await escalate_unread(app.pool, surveillance)
        await look_again(app.pool, surveillance)
        await end_unjudged(app.pool, app.configuration)
    with _waiting("Old notifications wait to be deleted"):
        await forget_sent(app.pool, timedelta(days=surveillance.notify.keep_days))
    with _waiting("Old dead letters wait to be deleted"):
        keep = surveillance.dead_letters.keep_days
        await forget_letters(app.pool, None if keep is None else timedelta(days=keep))


async def _follow(what: str, step: Callable[[], Awaitable[None]], wakeup: Wakeup) -> None:
    """Do a step for each wake-up, and now and then: other processes change alerts as well."""
    while True:
        try:
            with _waiting(what):
                await step()
        except PoolClosed:
            return
        await wakeup.wait(_FOLLOW_SECONDS)


# What followers and timers carry is safe in the database: neither Kafka nor the database being away
# may stop ingest.
@contextmanager
def _waiting(what: str) -> Iterator[None]:
    try:
        yield
    except PoolClosed:
        raise
    except (KafkaError, ProducerSendError, psycopg.Error, PoolTimeout) as error:
        log.warning("%s for the next try: %s", what, error)


def run_worker(app: FenghuoApp, *, loglevel: str = "info") -> None:
    """Run the application in this process until it is told to stop.

    Raises
    ------
    FenghuoError
        It stopped by itself, for a reason that people can mend.
    """
    logging.basicConfig(
        level=loglevel.upper(), format="%(asctime)s %(levelname)-8s %(name)s: %(message)s"
    )
    app.finalize()
    _collect_seldom()
    worker = _Worker(app, loglevel=loglevel, quiet=True, redirect_stdouts=False)
    try:
        worker.execute_from_commandline()
    finally:
        faulthandler.cancel_dump_traceback_later()
        if app.ended_by is not None:
            raise app.ended_by


class _Worker(faust.Worker):
    """Ends the process also if a part of it does not stop; counts repeated log messages."""

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Keep an outage from filling the log."""
        super().on_setup_root_logger(logger, level)
        for handler in logger.handlers:
            handler.addFilter(RepeatedLogs())

    def on_worker_shutdown(self) -> None:
        """Set an end to stopping, which begins here."""
        faulthandler.dump_traceback_later(_END_SECONDS, exit=True)
        super().on_worker_shutdown()


def _collect_seldom() -> None:
    """Spare the collector the modules, and most looks at a batch's events, which die by themselves.

    A batch makes tens of thousands of objects without cycles; collections at Python's default of
    every 700 of them take a tenth of the time of validation.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 50)
