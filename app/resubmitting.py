"""Quarantined rows on the screen: what came, why it was kept out, and a form that lets it in after all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
import streamlit as st

from app import panels, work
from app.acting import Nonces
from app.guard import reading
from app.paging import page_of
from app.queries.feedback import PAGE, resubmissions, waiting
from app.roles import Person
from app.sign_in import may_act, who
from app.style import plain
from quaestor.clock import utc_now
from quaestor.errors import QuaestorError, UsageError
from quaestor.log.columns import COLUMNS, KINDS
from quaestor.log.resubmission import RESUBMIT

FEWEST_CHARACTERS = 3
NOTHING = "nothing: as it came"


@dataclass(frozen=True)
class Form:
    """A form that was shown: to whom, of which rows, and when."""

    person: str
    system: str
    kind: str
    code: str
    shown_at: datetime


def quarantine(reasons: pl.DataFrame) -> None:
    """What was kept out, and why; the rows of one reason, and how to let them in."""
    st.subheader("Quarantine", anchor=False)
    told()
    if reasons.is_empty():
        st.text("No row waits in quarantine.")
        history()
        return
    times = [pl.col(name).dt.truncate("1s").alias(f"{name.split('_')[0]} (UTC)") for name in ("first_at", "last_at")]
    panels.table(
        reasons.select("system", "kind", "code", "rows", pl.col("reason").alias("reason, by example"), *times),
        "Rows in quarantine by system, kind and code, with a reason",
    )
    rows_of_a_reason(reasons)
    history()


@st.fragment
def rows_of_a_reason(reasons: pl.DataFrame) -> None:
    """A page of the rows that wait for one reason, and the form."""
    groups = reasons.select("system", "kind", "code", "rows").rows()
    number = st.selectbox(
        "Rows that wait for", range(len(groups)), key="waiting group",
        format_func=lambda each: f"{groups[each][2]} · {groups[each][1]} of {groups[each][0] or 'no system'}",
    )  # fmt: skip
    system, kind, code, rows = groups[min(int(number or 0), len(groups) - 1)]
    page = page_of(int(rows), PAGE, f"waiting page {system} {kind} {code}", "waiting rows")
    found = reading(lambda: waiting(system, kind, code, page))
    panels.table(_columns(found), "The waiting rows as they came, with their reasons")
    resubmit(system, kind, code, int(rows))


def resubmit(system: str, kind: str, code: str, rows: int) -> None:
    """The form that lets rows in, for whoever may act; for others the command."""
    person = who()
    if not isinstance(person, Person) or not person.approves:
        st.text(f"You may look, not act. {person.why} Let these rows in from the command line:")
        command = f"quaestor quarantine resubmit --system '{system}' --kind {kind} --code {code} --reason '…'"
        st.code(command, language=None, wrap_lines=True)
        return
    nonce = issue(person, system, kind, code, rows)
    with st.form(f"resubmit {nonce}", border=True):
        left, middle, right = st.columns([2, 2, 3])
        names = [column.name for column in next(COLUMNS[each] for each in KINDS if each == kind)]
        column = left.selectbox("Set anew in all of them", [NOTHING, *names], key=f"column {nonce}")
        value = middle.text_input("to", max_chars=200, key=f"value {nonce}")
        reason = right.text_input("Reason, kept in the audit trail", max_chars=1000, key=f"reason {nonce}")
        sure = st.checkbox(f"Check {rows:,} rows again and let in those that hold", key=f"sure {nonce}")
        st.caption("Rows that still break a rule wait on. What came stays on record as it came.")
        if st.form_submit_button("Re-submit"):
            ask(nonce, None if column == NOTHING else str(column), value, reason, sure)


def issue(person: Person, system: str, kind: str, code: str, rows: int) -> str:
    """The nonce of a form: the same while it shows the same, another one once anything changed or it was used."""
    shown = (person.name, system, kind, code, rows)
    issued: dict[tuple[object, ...], str] = st.session_state.setdefault("resubmit nonces", {})
    nonce = issued.get(shown)
    if nonce is None or nonce not in forms():
        nonce = issued[shown] = forms().issue(Form(person.name, system, kind, code, utc_now()))
    return nonce


def ask(nonce: str, column: str | None, value: str, reason: str, sure: bool) -> None:
    """Starts what a form asks for, once everything about it was checked again."""
    try:
        person = may_act()
        if not sure:
            raise UsageError("Tick the box to say that you mean all of these rows.")
        if len(reason.strip()) < FEWEST_CHARACTERS:
            raise UsageError("Give a reason; it is kept in the audit trail.")
        form = forms().take(nonce, person, utc_now())
        arguments = ["quarantine", "resubmit", f"--system={form.system}", f"--kind={form.kind}", f"--code={form.code}"]
        arguments += [f"--set={column}={value}"] if column else []
        work.start(
            f"re-submission of {form.kind} of {form.system} ({form.code}) by {person.name}",
            [*arguments, f"--reason={reason.strip()}", f"--actor={person.name}"],
        )
    except QuaestorError as error:
        st.error(plain(str(error)))
        return
    st.rerun()


def told() -> None:
    """How re-submissions go that were asked for here."""
    for job in reversed(work.jobs()):
        signs = {"runs": "○ runs", "done": "✓ done", "failed": "■ ended with rows left or an error"}
        panels.say(f"{job.started_at:%Y-%m-%d %H:%M} UTC, {job.asked}: {signs[job.state]}. {job.said()}")
        if job.state == "runs":
            st.caption("It goes on when this page is closed. Refresh to see how it stands.")


def history() -> None:
    """Who let rows in before, and why."""
    found = reading(lambda: resubmissions(RESUBMIT))
    if found.is_empty():
        return
    st.text("Let in before")
    shown = found.with_columns(pl.col("entered_at").dt.truncate("1s")).rename({"entered_at": "entered at (UTC)"})
    panels.table(shown, "Audit entries of re-submissions, newest first")


@st.cache_resource(max_entries=1, show_spinner=False)
def forms() -> Nonces[Form]:
    """The forms that are open in this console."""
    return Nonces()


def _columns(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with what came as columns of text."""
    contents = [json.loads(content) for content in rows["content"]]
    names = list(dict.fromkeys(name for content in contents for name in content))
    came = [pl.Series(name, [_text(content.get(name)) for content in contents], pl.String) for name in names]
    own = (pl.col("row_digest").str.head(12).alias("row"), "reason", "file", pl.col("row_number").alias("line"))
    return rows.select(*own, *(column for column in came if column.name not in ("row", "reason", "file", "line")))


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
