"""Overview: what is live and since when, what waits for a person, how fresh and how healthy the evidence is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import polars as pl
import streamlit as st

from app import frames, freshness, lineage, panels
from app.guard import NOTHING_YET, nothing_yet, present, reading
from app.health import health
from app.queries.evidence import evidence_of
from app.queries.iterations import Iteration, newest_judged
from app.queries.outcomes import realised
from app.queries.overview import Overview, overview
from app.queries.runs import AtWork, at_work
from app.style import STATUS_SIGNS, Status, figure, plain, short
from app.watching import told, watch
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
    now = utc_now()
    found = {each.iteration_id: health(each, store.newest) for each in newest}
    panels.headline(newest[0])
    panels.strip(found[newest[0].iteration_id], (Status.STOP,))
    panels.link(newest[0])
    waiting(store)
    if newest[1:]:
        st.subheader("Other systems", anchor=False)
    for each in newest[1:]:
        word, said, way = st.columns([2, 8, 3], vertical_alignment="center")
        with word:
            panels.verdict(each)
        with said:
            panels.say(each.report.sentence())
        with way:
            panels.link(each)
        panels.strip(found[each.iteration_id], (Status.STOP,))
    work = reading(at_work)
    alarming(work)
    live(store, now)
    freshness.lights(store.newest, now)
    running(work)
    entries(store)
    kept = [
        panels.Rows(f"what was kept of {each.label} of {each.report.system[:40]}", evidence_rows(each.iteration_id))
        for each in newest
    ]
    panels.source("the overview", "quaestor status\nquaestor iterations\nquaestor alerts", store.snapshot, kept)


def evidence_rows(iteration_id: str) -> Callable[[], pl.DataFrame]:
    """What reads the evidence of an iteration."""
    return lambda: evidence_of(iteration_id)


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
    freshness.lights(store.newest, utc_now())


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
        st.code(command, language=None, wrap_lines=True)
    if store.quarantined:
        rows = "1 row waits" if store.quarantined == 1 else f"{store.quarantined:,} rows wait"
        st.page_link("screens/feedback_health.py", label=f"{rows} in quarantine: look at the reasons →")


def live(store: Overview, now: datetime) -> None:
    """What decides now in each system, since when, and how it does."""
    st.subheader("Live", anchor=False)
    named = {each.iteration_id: each for each in store.iterations}
    earned = {row["iteration_id"]: row for row in realised().iter_rows(named=True)}
    rows = [
        _live_row(system, named.get(name), since, earned.get(name), now)
        for system, name, since in store.live.iter_rows()
    ]
    if rows:
        panels.table(pl.DataFrame(rows), "The live iteration of each system")
    else:
        st.text("Nothing is live yet: the first retraining makes the policy in use live.")


def alarming(now: AtWork) -> None:
    """Every alarm that stands, as `quaestor alerts` tells them, and when they were looked for."""
    st.subheader("Alarms", anchor=False)
    look, looking = watch().now()
    standing = told(look, now.alarms)
    if look is not None and look.failed is not None:
        st.warning(plain(f"Nobody could look for alarms: {look.failed}"))
    if look is None:
        st.text("Alarms are being looked for: refresh in a moment.")
    elif standing.is_empty():
        st.text("None stands.")
    if not standing.is_empty():
        shown = standing.select(
            (pl.col("status").replace_strict(ALARM_SIGNS, default="") + " " + pl.col("status")).alias("status"),
            "system",
            "subject",
            "sentence",
            pl.col("first_at").dt.truncate("1s").alias("first seen at (UTC)"),
        )
        panels.table(shown, "The alarms that stand, the gravest first")
    looked = f"Looked for at {look.looked_at:%Y-%m-%d %H:%M} UTC. " if look else ""
    again = "They are being looked for again: refresh to see what is found. " if look and looking else ""
    watched = (
        f"The scheduled watch, which tells people, last looked at {now.looked_at:%Y-%m-%d %H:%M} UTC."
        if now.looked_at
        else "The scheduled watch, which tells people, has never looked: make serve starts it."
    )
    st.caption(plain(f"{looked}{again}{watched}"))


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
    system: str, iteration: Iteration | None, since: object, earned: dict[str, float] | None, now: datetime
) -> dict[str, object]:
    age = frames.age_in_days(iteration, now) if iteration else None
    told = f"{figure(earned['value'])} ({figure(earned['lower'])} to {figure(earned['upper'])})" if earned else ""
    return {
        "system": system,
        "iteration": iteration.label if iteration else "unknown",
        "live since (UTC)": since,
        "earned since, a round": told or "not known yet",
        "gain when judged": lineage.gain_in_words(iteration) if iteration else "not judged",
        "certified": "yes" if iteration and iteration.report.certificate else "no",
        "age of its data (days)": "it names none" if age is None else f"{age:,.0f}",
        "policy": iteration.report.policy if iteration else "unknown",
    }


if __name__ == "__main__":
    present(show)
