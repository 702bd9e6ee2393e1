"""The flow that looks at every alarm, and tells what is new to those who want to know."""

from __future__ import annotations

import os
import string
from collections.abc import Sequence
from pathlib import Path

import apprise
from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client

from flows.alone import alone
from flows.run_alarms import run_alarms
from flows.tasks import say, step
from quaestor.alerts import known
from quaestor.alerts.alarm import Alarm
from quaestor.alerts.collect import standing
from quaestor.alerts.limits import Alerts, read_alerts
from quaestor.alerts.telling import News, news
from quaestor.clock import utc_now
from quaestor.errors import QuaestorError
from quaestor.log.inbox import refused
from quaestor.settings import Settings


@step("look at every alarm")
def look(alerts: Alerts) -> tuple[Alarm, ...]:
    """Every alarm that stands now, of the store and of the runs."""
    settings, now = Settings(), utc_now()
    with settings.store.read() as connection:
        found = standing(connection, alerts, refused(settings.refused), now)
    with get_client(sync_client=True) as client:
        return (*found, *run_alarms(client, alerts.runs, now))


@flow(name="watch-alarms", log_prints=True, timeout_seconds=600)
def run_watch_alarms(alerts: Path, dry_run: bool = False) -> tuple[Alarm, ...]:
    """Looks at every alarm; what is new, and what is over, is told once to whom the file names.

    Says nothing when all is well. Raises QuaestorError for an address that could not be told; where none could, the
    next look tries again. dry_run: only say what would be told.
    """
    settings, params = Settings(), read_alerts(alerts)
    found: tuple[Alarm, ...] = look(params)
    if dry_run:
        with settings.store.read() as connection:
            _say(news(known.read(connection), found, utc_now()))
        return found
    with alone("alarms"):
        with settings.store.write() as connection:  # kept before it is told: what is not told now is told next time
            fresh = news(known.read(connection), found, utc_now())
            known.keep(connection, fresh.pending(), utc_now())
        _say(fresh)
        message = fresh.message()
        failures = tell(params.to, *message) if message else []
        if len(failures) < len(params.to) or message is None:
            with settings.store.write() as connection:
                known.keep(connection, fresh.told() if message else fresh.kept, utc_now())
        if failures:
            raise QuaestorError(" ".join(failures))
    rows = [{"subject": a.subject, "system": a.system, "status": a.status, "alarm": a.sentence} for a in found]
    create_table_artifact(rows or [{"alarm": "none"}], key="alarms", description="Every alarm that stands")
    return found


def tell(to: Sequence[str], title: str, body: str) -> list[str]:
    """Sends a message to every address; returns a sentence for each that is none, or that did not take it."""
    failures = []
    for address in to:
        kind = address.partition(":")[0]
        receiver = apprise.Apprise()
        try:
            named = string.Template(address).substitute(os.environ)
        except (KeyError, ValueError) as error:
            failures.append(f"The {kind} address names {error}, which is not in the environment.")
            continue
        if not receiver.add(named):
            failures.append(f"apprise knows no address of the kind {kind!r}; see the list of its services.")
        elif not receiver.notify(title=title, body=body):
            failures.append(f"The alarms could not be told by {kind}.")
    return failures


def _say(fresh: News) -> None:
    message = fresh.message()
    say(f"{len(fresh.kept)} alarms stand; nothing is new." if message is None else "\n".join(message))
