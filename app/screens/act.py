"""Act: review what a promotion changes and what guards it; promote, reject or roll back with a reason."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import streamlit as st

from app import frames, panels
from app.acting import Asked, Move, Nonces, Reviewed, carry_out, confirmation, evidence_digest
from app.charts import intervals
from app.checks import Check, stops
from app.drawing import draw
from app.guard import nothing_yet, present, reading
from app.health import health
from app.links import choose_iteration
from app.queries.evidence import evidence_of
from app.queries.iterations import Iteration
from app.queries.moves import Standing, standing
from app.queries.overview import overview
from app.queries.store import apart
from app.roles import Person, SignedOut
from app.sign_in import may_act, who
from app.style import plain, short
from quaestor.clock import utc_now
from quaestor.errors import QuaestorError
from quaestor.settings import Settings

SAID, FAILED = "act said", "act failed"
USUAL_REASON = "It does worse than expected."


def show() -> None:
    """The review of one iteration, and the moves that can be made."""
    store = reading(overview)
    if not store.iterations:
        nothing_yet("There is no iteration to promote yet.")
        return
    told()
    chosen, siblings = choose_iteration("act", store.iterations)
    now = reading(lambda: standing(chosen.report.system))
    found = health(chosen, store.newest)
    person = who()
    panels.headline(chosen)
    panels.strip(found)
    by_id = {each.iteration_id: each for each in siblings}
    review(chosen, by_id.get(str(now.live_id)), found)
    kept = panels.Rows("what was kept of the iteration, newest first", lambda: evidence_of(chosen.iteration_id))
    asked = f"quaestor iterations --system {shlex.quote(chosen.report.system)} --json"
    panels.source("this review", asked, store.snapshot, [kept])
    if isinstance(person, SignedOut) or not person.approves:
        st.info(plain(f"You may look, not act. {person.why}"))
        commands(chosen, now)
        return
    promote(chosen, found, now, person)
    left, right = st.columns(2)
    with left:
        reject(chosen, found, now, person)
    with right:
        roll_back(chosen, by_id, now, person)


def told() -> None:
    """What the last move came to."""
    if sentence := st.session_state.pop(SAID, None):
        st.success(plain(sentence))
    if sentence := st.session_state.pop(FAILED, None):
        st.error(plain(sentence))


def review(chosen: Iteration, live: Iteration | None, found: Sequence[Check]) -> None:
    """What would change, what guards it, and what happens next."""
    st.subheader("What would change", anchor=False)
    if live is None:
        st.text("Nothing is live in this system: it would be the first.")
    elif live.iteration_id == chosen.iteration_id:
        st.text("Nothing: it is live already.")
    else:
        panels.say(f"{live.label} ({live.report.policy}) gives way to {chosen.label} ({chosen.report.policy}).")
        panels.table(frames.difference((live, chosen)), "Differences between what is live and this iteration")
    evaluation = chosen.report.evaluation
    if evaluation is not None:
        muted = bool(stops(found))
        drawn = intervals.gain_chart(frames.gains([chosen]), evaluation.unit, chosen.margin, muted)
        draw(drawn, alt="The gain with its interval, and the lines of zero and of the gate")
        if live is not None and chosen.report.incumbent_id != live.iteration_id:
            against = short(chosen.report.incumbent_id)
            st.warning(f"It was judged against {against}, which is not what is live now: evaluate it against that.")
    st.subheader("What guards it", anchor=False)
    for reason in chosen.report.reasons or ("The gate has not judged it.",):
        panels.say(f"• {reason}")
    for check in stops(found):
        panels.say(f"• {check.name} says stop: {check.sentence}")
    st.subheader("What happens next", anchor=False)
    st.text(
        "Once promoted it is what quaestor serve and quaestor decide are given for the next decisions, which carry its "
        f"id. Watch it with: quaestor canary {chosen.report.system}. Rolling back is one move on this page."
    )


def commands(chosen: Iteration, now: Standing) -> None:
    """The same moves on the command line."""
    name = short(chosen.iteration_id)
    lines = [f"quaestor promote {name} --reason '…'", f"quaestor reject {name} --reason '…'"]
    lines += [f"quaestor rollback {chosen.report.system} --reason '…'"] if now.before_id else []
    st.code("\n".join(lines), language=None, wrap_lines=True)


def promote(chosen: Iteration, found: Sequence[Check], now: Standing, person: Person) -> None:
    """The form that makes an iteration live."""
    st.subheader("Promote", anchor=False)
    if now.live_id == chosen.iteration_id:
        st.text("It is live already.")
        return
    refused = [check.sentence for check in stops(found)]
    if chosen.report.stage != "waits for approval":
        refused.insert(0, f"The gate does not say promote: it is {chosen.report.stage}.")
    if refused:
        st.warning(plain(f"Promote is refused: {' '.join(refused)}"))
    override = bool(refused) and st.toggle(
        "Promote against this", help="The audit trail says so, with what was overridden.", key="act override"
    )
    nonce = issue("promote", chosen, found, now, person)
    with st.form(f"promote {nonce}", border=True):
        reason = st.text_input("Reason, kept in the audit trail", max_chars=1000, key=f"reason {nonce}")
        asked = f"Type {confirmation(chosen)} to confirm"
        typed = st.text_input(asked, max_chars=12, key=f"typed {nonce}", help="The start of the iteration's id.")
        blocked = bool(refused) and not override
        pressed = st.form_submit_button("Promote", type="primary", disabled=blocked)
    if pressed:
        move(Asked(nonce, reason, typed, override))


def reject(chosen: Iteration, found: Sequence[Check], now: Standing, person: Person) -> None:
    """The form that closes an iteration to promotion."""
    st.subheader("Reject", anchor=False)
    if now.live_id == chosen.iteration_id:
        st.text("It is live: roll it back first.")
        return
    nonce = issue("reject", chosen, found, now, person)
    with st.form(f"reject {nonce}", border=True):
        reason = st.text_input("Reason, kept in the audit trail", max_chars=1000, key=f"reason {nonce}")
        pressed = st.form_submit_button("Reject")
    if pressed:
        move(Asked(nonce, reason))


def roll_back(chosen: Iteration, known: dict[str, Iteration], now: Standing, person: Person) -> None:
    """Two clicks to what was live before; there whenever there is something to go back to."""
    st.subheader("Roll back", anchor=False)
    live, before = known.get(str(now.live_id)), known.get(str(now.before_id))
    if live is None or before is None:
        st.text("Nothing was live before: there is nothing to go back to.")
        return
    with st.popover(f"Roll {chosen.report.system[:40]} back"):
        panels.say(f"{live.label} gives way to {before.label}, which was live before it.")
        nonce = issue("rollback", live, (), now, person)
        with st.form(f"rollback {nonce}", border=False):
            reason = st.text_input("Reason", USUAL_REASON, max_chars=1000, key=f"reason {nonce}")
            pressed = st.form_submit_button(f"Make {before.label} live again")
    if pressed:
        move(Asked(nonce, reason))


def issue(kind: Move, chosen: Iteration, found: Sequence[Check], now: Standing, person: Person) -> str:
    """The nonce of a form: the same while it shows the same, another one once anything changed or it was used."""
    evidence = evidence_digest(chosen, found)
    shown = (kind, chosen.iteration_id, evidence, now.seen, person.name)
    issued: dict[tuple[object, ...], str] = st.session_state.setdefault("act nonces", {})
    nonce = issued.get(shown)
    if nonce is None or nonce not in nonces():
        reviewed = Reviewed(person.name, kind, chosen.report.system, chosen.iteration_id, now.seen, evidence, utc_now())
        nonce = issued[shown] = nonces().issue(reviewed)
    return nonce


@st.cache_resource(show_spinner=False)
def nonces() -> Nonces[Reviewed]:
    """The forms that are open, of everybody who looks at this console."""
    return Nonces()


def move(asked: Asked) -> None:
    """Carries out what was asked, with the right to do so and the evidence read afresh, and shows what it came to."""
    try:
        with apart():
            st.session_state[SAID] = carry_out(Settings().store, nonces(), asked, may_act(), utc_now(), look)
    except QuaestorError as error:
        st.session_state[FAILED] = str(error)
    st.rerun()


def look(iteration_id: str) -> tuple[Iteration, Sequence[Check]]:
    """An iteration and its checks as they are now."""
    store = overview()
    (found,) = (each for each in store.iterations if each.iteration_id == iteration_id)
    return found, health(found, store.newest)


if __name__ == "__main__":
    present(show)
