"""The alarms that stand now: looked for beside the screens, since looking takes longer than a reader should wait."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl
import streamlit as st

from app.queries.store import state
from quaestor.alerts.alarm import Alarm
from quaestor.alerts.collect import standing
from quaestor.alerts.limits import Alerts, read_alerts
from quaestor.cli.operating import LIMITS
from quaestor.clock import utc_now
from quaestor.errors import QuaestorError
from quaestor.log.inbox import refused
from quaestor.settings import Settings

PATIENCE = 0.1
"""Seconds for which a screen waits; in a small store the look is done by then."""
EVERY = timedelta(minutes=10)
"""Alarms change with the time of day, too."""
OF_RUNS = ("failed run", "late run")
"""What only the scheduled watch can see: it asks the scheduler."""


@dataclass(frozen=True)
class Look:
    """What stood at a moment (UTC), in a state of the store; failed: why nobody could look, as a sentence."""

    alarms: tuple[Alarm, ...]
    looked_at: datetime
    state: str
    failed: str | None = None


@dataclass
class Watch:
    """Looks once for each state of a store, and again now and then; one look at a time."""

    _last: Look | None = None
    _looking: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> tuple[Look | None, bool]:
        """The newest look, and whether a newer one is under way."""
        current = state()
        with self._lock:
            last, looking = self._last, self._looking
            if looking is None and (last is None or last.state != current or utc_now() - last.looked_at > EVERY):
                looking = self._looking = threading.Thread(target=self._look, args=(Settings(), current), daemon=True)
                looking.start()
        if looking is not None:
            looking.join(PATIENCE)
        with self._lock:
            return self._last, self._looking is not None

    def _look(self, settings: Settings, current: str) -> None:
        began, found = utc_now(), self._last
        try:
            limits = read_alerts(LIMITS) if LIMITS.exists() else Alerts()
            with settings.store.read() as connection:
                found = Look(standing(connection, limits, refused(settings.refused), began), began, current)
        except QuaestorError as error:
            found = Look((), began, current, str(error))
        finally:
            with self._lock:
                self._last, self._looking = found, None


def watch() -> Watch:
    """The watch over the store that the settings point at."""
    return _watch(str(Settings().store.path.absolute()))


@st.cache_resource(max_entries=4, show_spinner=False)
def _watch(path: str) -> Watch:
    return Watch()


def told(look: Look | None, kept: pl.DataFrame) -> pl.DataFrame:
    """Every alarm that stands, the gravest first: status, system, subject, sentence, first_at (None where the scheduled
    watch has not seen it). kept: those that the scheduled watch knows, which alone counts while nobody has looked."""
    since = {tuple(row[:3]): row[3] for row in kept.select("subject", "system", "about", "first_at").iter_rows()}
    rows = kept.select("status", "system", "subject", "sentence", "first_at").rows()
    if look is not None and look.failed is None:
        rows = [row for row in rows if row[2] in OF_RUNS]
        rows += [
            (each.status, each.system, each.subject, each.sentence, since.get((each.subject, each.system, each.about)))
            for each in look.alarms
        ]
    return pl.DataFrame(rows, schema=_TOLD, orient="row").sort(pl.col("status") != "stop", maintain_order=True)


_TOLD = pl.Schema(
    {
        "status": pl.String(),
        "system": pl.String(),
        "subject": pl.String(),
        "sentence": pl.String(),
        "first_at": pl.Datetime("us"),
    }
)
