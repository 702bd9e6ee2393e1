"""Overview: what is live and since when, what waits for a person, how fresh and how healthy the evidence is."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import streamlit as st

from app import lineage, panels
from app.checks import checks
from app.guard import NOTHING_YET, nothing_yet, present, reading
from app.links import newest_judged
from app.queries.iterations import Iteration
from app.queries.outcomes import realised
from app.queries.overview import Overview, overview
from app.queries.runs import AtWork, at_work
from app.style import STATUS_SIGNS, Status, figure, plain, short
from quaestor.clock import utc_now

WAITING = "waits for approval"
ALARM_SIGNS = {str(status): STATUS_SIGNS[status] for status in (Status.WATCH, Status.STOP)}


def show() -> None:
    """The first screen."""
    store = reading(overview)
    if not store.iterations:
        empty(store)
        return
    systems = dict.fromkeys(each.report.system for each in reversed(store.iterations))
    newest = [newest_judged([each for each in store.iterations if each.report.system == name]) for name in systems]
    newest.sort(key=lambda each: each.report.stage != WAITING)
    panels.headline(newest[0])
    panels.link(newest[0])
    for each in newest[1:]:
        word, said, way = st.columns([2, 8, 3], vertical_alignment="center")
        with word:
            panels.verdict(each)
        with said:
            panels.say(each.report.sentence())
        with way:
            panels.link(each)
    waiting(store)
    work = reading(at_work)
    alarming(work)
    live(store)
    st.subheader("Health of the evidence", anchor=False)
    now = utc_now()
    for each in newest:
        st.markdown(f"**{plain(each.report.system)}**, iteration {plain(each.label)}")
        panels.strip(checks(each, store.newest, now))
    freshness(store, now)
    running(work)
    entries(store)
    panels.source("this screen", "quaestor status\nquaestor iterations", store.snapshot)


def empty(store: Overview) -> None:
    """What to do while there is no iteration: the store may hold events already."""
    if store.newest.is_empty():
        nothing_yet(NOTHING_YET)
        return
    nothing_yet(
        "Events have arrived, but there is no iteration yet.",
        "quaestor run payments --study data/studies/payments/world.toml",
        "learns a first iteration from a study of yours, or `make demo` from its own",
    )
    freshness(store, utc_now())


def waiting(store: Overview) -> None:
    """What only a person can settle."""
    st.subheader("Waits for a person", anchor=False)
    held = [each for each in store.iterations if each.report.stage == WAITING]
    if not held and not store.quarantined:
        st.text("Nothing waits for a person.")
    for each in held:
        panels.say(f"{each.report.system}: iteration {each.label} waits for approval; the gate says promote.")
        name = short(each.iteration_id)
        st.page_link("screens/act.py", label=f"Review {each.label} →", query_params={"iteration": name})
        _, command = panels.next_step(each)
        st.code(command, language=None)
    if store.quarantined:
        rows = "1 row waits" if store.quarantined == 1 else f"{store.quarantined:,} rows wait"
        st.page_link("screens/feedback_health.py", label=f"{rows} in quarantine: look at the reasons →")


def live(store: Overview) -> None:
    """What decides now in each system, since when, and how it does."""
    st.subheader("Live", anchor=False)
    named = {each.iteration_id: each for each in store.iterations}
    earned = {row["iteration_id"]: row for row in realised().iter_rows(named=True)}
    rows = [
        _live_row(system, named.get(name), since, earned.get(name)) for system, name, since in store.live.iter_rows()
    ]
    if rows:
        panels.table(pl.DataFrame(rows), "The live iteration of each system")
    else:
        st.text("Nothing is live yet: the first retraining makes the policy in use live.")


def freshness(store: Overview, now: datetime) -> None:
    """How old the newest of everything is, the oldest first."""
    st.subheader("Freshness", anchor=False)
    dated = store.newest.with_columns(
        pl.Series("age (days)", [_days(now, at) for at in store.newest["newest_at"]], dtype=pl.Float64)
    )
    panels.table(
        dated.rename({"part": "newest of", "newest_at": "is of (UTC)"}), "The newest event of each kind, oldest first"
    )
    st.caption("The oldest part rules: a system is as fresh as the oldest thing it needs.")


def alarming(now: AtWork) -> None:
    """What the watch found wrong, and when it last looked."""
    st.subheader("Alarms", anchor=False)
    if now.looked_at is None:
        st.text("Nobody has looked for alarms yet. This looks, and tells whom it is told to:")
        st.code("quaestor alerts", language=None)
    elif now.alarms.is_empty():
        st.text(f"None stands. The watch last looked at {now.looked_at:%Y-%m-%d %H:%M} UTC.")
    else:
        shown = now.alarms.select(
            (pl.col("status").replace_strict(ALARM_SIGNS, default="") + " " + pl.col("status")).alias("status"),
            "system",
            "subject",
            "sentence",
            pl.col("first_at").dt.truncate("1s").alias("first seen at (UTC)"),
            pl.col("seen_at").dt.truncate("1s").alias("last seen at (UTC)"),
        )
        panels.table(shown, "The alarms that stand")


def running(now: AtWork) -> None:
    """What is at work now."""
    st.subheader("Runs", anchor=False)
    if now.runs.is_empty():
        st.text("No run is at work on this store.")
        return
    shown = now.runs.select(
        pl.col("name").alias("run"),
        "actor",
        "machine",
        *(pl.col(f"{name}_at").dt.truncate("1s").alias(f"{name} at (UTC)") for name in ("taken", "renewed", "expires")),
    )
    panels.table(shown, "Every run that is at work, by the lease it holds")


def entries(store: Overview) -> None:
    """The latest audit entries."""
    st.subheader("Latest audit entries", anchor=False)
    shown = store.entries.select(
        pl.col("entered_at").dt.truncate("1s").alias("entered at (UTC)"),
        "system",
        "action",
        pl.col("iteration_id").str.head(12).alias("iteration"),
        "actor",
        "reason",
    )
    panels.table(shown, "The latest entries of the audit trail, newest first")


def _live_row(
    system: str, iteration: Iteration | None, since: object, earned: dict[str, float] | None
) -> dict[str, object]:
    told = f"{figure(earned['value'])} ({figure(earned['lower'])} to {figure(earned['upper'])})" if earned else ""
    return {
        "system": system,
        "iteration": iteration.label if iteration else "unknown",
        "policy": iteration.report.policy if iteration else "unknown",
        "live since (UTC)": since,
        "gain when judged": lineage.gain_in_words(iteration) if iteration else "not judged",
        "earned since, a round": told or "not known yet",
        "certified": "yes" if iteration and iteration.report.certificate else "no",
    }


def _days(now: datetime, newest_at: datetime | None) -> float | None:
    return None if newest_at is None else round((now - newest_at) / timedelta(days=1), 1)


if __name__ == "__main__":
    present(show)
