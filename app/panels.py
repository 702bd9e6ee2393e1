"""Parts that several screens show: the sentence, verdict and reasons of an iteration, its health strip, tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl
import streamlit as st

from app import frames
from app.checks import Check
from app.guard import reading
from app.queries.iterations import Iteration
from app.style import (
    STATUS_BADGES,
    STATUS_SIGNS,
    WORD_BADGES,
    WORD_SIGNS,
    Status,
    Word,
    inert,
    plain,
    short,
    shown,
    word_of,
)
from quaestor.registry.evaluation import Evaluation

ROWS_AT_ONCE = 20


def headline(iteration: Iteration) -> None:
    """The sentence of an iteration's report, its verdict as sign, colour and word, its stage, and how that is known."""
    st.header(plain(iteration.report.sentence()), anchor=False)
    with st.container(horizontal=True):
        verdict(iteration)
        st.badge(plain(iteration.report.stage), color="gray", help="Where the iteration stands.")
    if iteration.report.evaluation is not None:
        say(method(iteration.report.evaluation))


def method(evaluation: Evaluation) -> str:
    """How a gain is known: estimator, window, how many were compared, and what the log is worth."""
    worth = f", worth {evaluation.overlap.effective_size:,.0f} rounds of its own" if evaluation.overlap else ""
    pairs = "" if f"{evaluation.pairs:,} " in evaluation.evaluated_on else f"; {evaluation.pairs:,} compared"
    return f"By {evaluation.estimator} on {evaluation.evaluated_on}{pairs}{worth}."


def verdict(iteration: Iteration) -> None:
    """One of the three words for the gain of an iteration, where it was evaluated."""
    word = word_of_iteration(iteration)
    if word is not None:
        said = "What the interval of the gain says: better lies above 0, worse below, and not clear yet around it."
        st.badge(f"{WORD_SIGNS[word]} {word}", color=WORD_BADGES[word], help=said)


def word_of_iteration(iteration: Iteration) -> Word | None:
    """The word for an iteration's gain; None where it was not evaluated."""
    evaluation = iteration.report.evaluation
    return word_of(*evaluation.gain[1:]) if evaluation else None


def reasons(iteration: Iteration) -> None:
    """Why the gate judged so, and what a person can do now."""
    if iteration.report.reasons:
        st.markdown("**Why: what the gate said**")
    for reason in iteration.report.reasons:
        say(f"• {reason}")
    sentence, command = next_step(iteration)
    say(f"What to do next: {sentence}")
    if command:
        st.code(command, language=None, wrap_lines=True)


def next_step(iteration: Iteration) -> tuple[str, str | None]:
    """What a person can do about an iteration, as a sentence and a command."""
    name, system, kind = short(iteration.iteration_id), iteration.report.system, iteration.kind
    steps = {
        "waits for approval": (
            "review it on the screen Act, or here: approve it, or close it with quaestor reject.",
            f"quaestor promote {name} --reason '…'",
        ),
        "live": (
            "nothing. Where it goes wrong, make the one before it live again.",
            f"quaestor rollback {system} --reason '…'",
        ),
        "needs more evidence": (
            "bring in more outcomes or periods and run the retraining again; the gate judges anew.",
            f"quaestor run {kind} --study STUDY",
        ),
        "rejected by the gate": (
            "nothing goes live. Learn from newer data; the gate judges the next iteration.",
            f"quaestor run {kind} --study STUDY",
        ),
        "candidate": ("evaluate it: run its retraining again.", f"quaestor run {kind} --study STUDY"),
        "yardstick": ("nothing: a yardstick is what iterations are measured against.", None),
    }
    return steps.get(iteration.report.stage, ("nothing; it stays on record.", None))


def strip(found: Sequence[Check], told: Sequence[Status] = (Status.STOP, Status.WATCH)) -> None:
    """The health strip: each check as sign, word and colour, and the sentence of those that stand in one of these
    ways."""
    with st.container(horizontal=True):
        for check in found:
            label = f"{STATUS_SIGNS[check.status]} {check.name}: {check.status}"
            st.badge(label, color=STATUS_BADGES[check.status], help=plain(check.sentence))
    for check in found:
        if check.status in told:
            st.caption(plain(f"{check.name}: {check.sentence}"))
    if any(check.status is Status.STOP for check in found):
        st.warning("A check says stop: do not rely on the figures of this iteration before it is settled.")


def changed(iteration: Iteration, known: Sequence[Iteration]) -> None:
    """What differs from the parent: the first thing a reader comes for, so that it is never folded away at first."""
    parent = next((each for each in known if each.iteration_id == iteration.parent_id), None)
    against = f"its parent {parent.label}" if parent else "nothing: it has no parent"
    with st.expander(f"What changed from {against}", expanded=True):
        difference = frames.changes(iteration, parent)
        if parent is not None and difference.is_empty():
            st.text("Nothing: configuration, data and code are those of its parent.")
        else:
            table(difference, "Differences in configuration, data and code")


@dataclass(frozen=True)
class Rows:
    """Rows below figures. what: which, in words, with how many there are where these are not all; read: reads them."""

    what: str
    read: Callable[[], pl.DataFrame]


@st.fragment
def source(what: str, query: str, snapshot: str, rows: Sequence[Rows] = ()) -> None:
    """Where figures come from: the query or command that gives them, the state that was read, and the rows below them,
    which are read once somebody opens this."""
    opened = st.expander(f"Where this comes from: {what}", key=f"source of {what}", on_change="rerun")
    if not opened.open:
        return
    with opened:
        say(f"Read from the store in the state {short(snapshot)}. The same figures again:")
        st.code(query, language=None, wrap_lines=True)
        for each in rows:
            found = reading(each.read)
            say(f"Below {what}: {each.what}")
            if found.is_empty():
                say("None was kept.")
            else:
                table(found, f"Below {what}: {each.what}")


def missing(sentence: str, command: str) -> None:
    """What is not there, and the command that brings it."""
    say(sentence)
    st.code(command, language=None, wrap_lines=True)


def say(text: str) -> None:
    """A sentence as plain text, with nothing hidden in it."""
    st.text(shown(text))


def table(frame: pl.DataFrame, alt: str) -> None:
    """A frame that can be searched and exported, as plain text; `alt` says what it holds."""
    number = st.column_config.NumberColumn
    formats = {
        name: number(format="localized") if of.is_integer() else number(format="%.4g")
        for name, of in frame.schema.items()
        if of.is_numeric()
    }
    height: Literal["content", "auto"] = "content" if len(frame) <= ROWS_AT_ONCE else "auto"
    st.dataframe(exportable(frame), hide_index=True, width="stretch", height=height, column_config=formats, alt=alt)


def exportable(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame whose texts stay texts wherever it is opened, names of columns included."""
    kept = frame.with_columns(pl.col(pl.String).map_elements(inert, return_dtype=pl.String))
    return kept.rename({name: inert(name) for name in kept.columns if inert(name) != name})


def link(iteration: Iteration) -> None:
    """A link to the page of an iteration."""
    st.page_link(
        "screens/iteration.py",
        label=f"Look at {iteration.label} →",
        query_params={"iteration": short(iteration.iteration_id)},
    )


def link_inside(iteration: Iteration) -> None:
    """A link to what an iteration does: the screen of its kind."""
    st.page_link(
        f"screens/{iteration.kind}.py",
        label=f"Look inside {iteration.label}: {iteration.kind} →",
        query_params={"system": iteration.report.system, "iteration": short(iteration.iteration_id)},
    )
