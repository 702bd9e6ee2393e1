"""One iteration: what changed, whether it is better, whether that can be relied on, and what to do now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import streamlit as st

from app import frames, panels
from app.changed_decisions import changed_decisions
from app.charts import intervals
from app.checks import Check, stops
from app.decision_page import certificate_digest, decision_page
from app.drawing import draw
from app.guard import nothing_yet, present, reading
from app.health import health
from app.learnt import learning
from app.links import choose_iteration
from app.origins import below
from app.queries.iterations import Iteration
from app.queries.overview import overview
from app.queries.record import Record, evidence_text, record
from app.style import figure, plain, short
from quaestor.clock import utc_now
from quaestor.export.contents import ARCHIVE
from quaestor.registry.evaluation import Evaluation
from quaestor.settings import Settings


def show() -> None:
    """One iteration's page."""
    store = reading(overview)
    if not store.iterations:
        nothing_yet("There is no iteration yet.")
        return
    chosen, siblings = choose_iteration("iteration", store.iterations)
    kept = reading(lambda: record(chosen.iteration_id, chosen.report.incumbent_id))
    found = health(chosen, store.newest)
    panels.headline(chosen)
    panels.strip(found)
    panels.reasons(chosen)
    ways(chosen)
    panels.changed(chosen, siblings)
    evaluation = chosen.report.evaluation
    if evaluation is None:
        st.subheader("Evaluation", anchor=False)
        st.text("It has not been evaluated: run its retraining again, or compare it with another by hand.")
        st.code(
            f"quaestor evaluate --candidate {short(chosen.iteration_id)} --incumbent ID", language=None, wrap_lines=True
        )
    else:
        evaluated(chosen, evaluation, bool(stops(found)))
        panels.source("the evaluation", origin(chosen, kept), store.snapshot, below(chosen))
    changed_decisions(kept.segments, chosen)
    learning(kept.learning_curve, chosen)
    certificate(chosen)
    learnt_from(chosen)
    history(kept)
    take_away(chosen, siblings, kept, found)


def ways(chosen: Iteration) -> None:
    """Where to go from here."""
    name = short(chosen.iteration_id)
    with st.container(horizontal=True):
        panels.link_inside(chosen)
        st.page_link("screens/act.py", label="Act on it →", query_params={"iteration": name})
        if chosen.report.incumbent_id:
            pair = f"{name},{short(chosen.report.incumbent_id)}"
            label = "Beside the one it was judged against →"
            st.page_link("screens/side_by_side.py", label=label, query_params={"iterations": pair})


def evaluated(chosen: Iteration, evaluation: Evaluation, muted: bool) -> None:
    """The gain with its interval, the lines of zero and of the gate, the two values, and what it was read from."""
    st.subheader(f"Evaluation of iteration {chosen.label}", anchor=False)
    value, lower, upper = evaluation.gain
    columns = st.columns([7, 6, 3, 4])
    columns[0].metric(f"Gain ({evaluation.unit})", figure(value), help="The paired difference to the incumbent.")
    said = f"{evaluation.difference.method}; assumes {evaluation.difference.assumes}"
    columns[1].metric(
        f"{evaluation.difference.confidence:.0%} interval", f"{figure(lower)} to {figure(upper)}", help=said
    )
    columns[2].metric("Compared on", f"{evaluation.pairs:,}", help=plain(evaluation.evaluated_on))
    if evaluation.overlap is not None:
        said = "How many rounds of the candidate's own the log is worth."
        columns[3].metric("Effective size", f"{evaluation.overlap.effective_size:,.0f}", help=said)
    left, right = st.columns(2)
    with left:
        drawn = intervals.gain_chart(frames.gains_by(evaluation), evaluation.unit, chosen.margin, muted)
        draw(drawn, alt="The gain by every estimator or yardstick, with intervals, zero and gate")
    with right:
        drawn = intervals.value_chart(frames.values([chosen]), f"mean {evaluation.quantity}", evaluation.unit)
        draw(drawn, alt="Values of candidate and incumbent with intervals")
    if muted:
        st.caption("In grey: a check of the evidence says stop, and these figures cannot be relied on.")
    panels.say(f"The gate asks for more than {chosen.margin:g}.")
    if evaluation.diagnostics:
        rows = [(each.name, each.status, each.sentence) for each in evaluation.diagnostics]
        with st.expander(f"{len(rows)} checks of the log"):
            panels.table(pl.DataFrame(rows, schema=["check", "status", "why"], orient="row"), "Checks of the log")


def origin(chosen: Iteration, kept: Record) -> str:
    """The command and the query that give an iteration's evaluation again."""
    command = (
        f"quaestor evaluate --candidate {short(chosen.iteration_id)} --incumbent {short(chosen.report.incumbent_id)}"
    )
    return f"{command}\nselect content from evidence where evidence_id = '{kept.evidence_id('evaluation')}'"


def certificate(chosen: Iteration) -> None:
    """Whether it is certified, by how much, and where to look closer."""
    st.subheader("Certificate", anchor=False)
    found = chosen.report.certificate
    if found is None:
        st.text("It has no certificate: it cannot be exported. This certifies it:")
        st.code(f"quaestor certify {short(chosen.iteration_id)} --study STUDY", language=None, wrap_lines=True)
        return
    budget, bound = max(zip(found.params.budgets, found.bounds, strict=True))
    panels.say(
        f"Without attack {figure(found.nominal)} {found.subject.unit}; at budget {budget:g} certified "
        f"{figure(bound)} ({1 - found.params.alpha:.0%} confidence). Digest {short(certificate_digest(chosen))}, "
        f"valid until {found.expires_at} UTC."
    )
    name = short(chosen.iteration_id)
    st.page_link("screens/certificates.py", label="The certificate →", query_params={"iteration": name})


def learnt_from(chosen: Iteration) -> None:
    """The manifest of its data and its whole configuration."""
    left, right = st.columns(2)
    with left:
        st.subheader("Data it learnt from", anchor=False)
        panels.table(frames.manifest(chosen), "The manifest of what it learnt from")
    with right:
        st.subheader("Configuration", anchor=False)
        panels.table(frames.configuration(chosen), "Policy, parameters, seed and code")


def history(kept: Record) -> None:
    """Verdicts and audit entries, newest first."""
    st.subheader("Verdicts and moves", anchor=False)
    if len(kept.verdicts):
        shown = kept.verdicts.select(
            pl.col("created_at").dt.truncate("1s").alias("judged at (UTC)"),
            pl.col("stage").alias("verdict"),
            pl.col("incumbent_id").str.head(12).alias("against"),
            pl.col("reasons").list.join(" "),
        )
        panels.table(shown, "Verdicts of the gate, newest first")
    moves = kept.entries.select(
        pl.col("entered_at").dt.truncate("1s").alias("entered at (UTC)"), "action", "actor", "reason"
    )
    panels.table(moves, "Audit entries of this iteration, newest first")


def take_away(chosen: Iteration, siblings: Sequence[Iteration], kept: Record, found: Sequence[Check]) -> None:
    """The bundle, the page to print, and the evidence as it is kept."""
    st.subheader("Take away", anchor=False)
    name = short(chosen.iteration_id)
    parent = next((each for each in siblings if each.iteration_id == chosen.parent_id), None)
    page = decision_page(chosen, found, frames.changes(chosen, parent), kept.entries, utc_now())
    with st.container(horizontal=True):
        st.download_button("Decision page to print", page, f"decision-{name}.html", "text/html", on_click="ignore")
        evidence_id = kept.evidence_id("evaluation")
        if evidence_id is not None:
            text = evidence_text(evidence_id)
            st.download_button("Evaluation", text, f"evaluation-{name}.json", "application/json", on_click="ignore")
        archive = archive_of(chosen)
        if archive is not None:
            st.download_button(
                "Bundle",
                archive.read_bytes,
                f"bundle-{name}.zip",
                "application/zip",
                on_click="ignore",
                help="The exported policy in one file: check it with quaestor verify.",
            )
    if archive is None:
        st.text("There is no bundle of it here. This exports it, once the gate lets it through:")
        st.code(f"quaestor export {name}", language=None, wrap_lines=True)


def archive_of(chosen: Iteration) -> Path | None:
    """The archive of its newest bundle among the bundles of this data folder; nothing else is ever handed out."""
    if chosen.report.bundle is None:
        return None
    kept, bundles = Path(chosen.report.bundle), Settings().bundles.resolve()
    archive = (bundles / kept.parent.name / (kept.name + ARCHIVE)).resolve()
    return archive if archive.is_relative_to(bundles) and archive.is_file() else None


if __name__ == "__main__":
    present(show)
