"""Side by side: several iterations of a system on one axis, and what sets them apart."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import frames, panels
from app.changed_decisions import segmented
from app.changed_orders import changed_orders
from app.charts import intervals
from app.checks import stops
from app.drawing import draw
from app.guard import nothing_yet, present, reading
from app.health import health
from app.queries.evidence import evidence_of
from app.queries.iterations import Iteration, newest_judged
from app.queries.overview import overview
from app.queries.record import compared
from app.style import Status, Word, plain, short, word_of
from quaestor.registry.evaluation import Evaluation

AT_MOST = 6
WORDS = {Word.BETTER: "better than", Word.WORSE: "worse than", Word.NOT_CLEAR: "not clearly different from"}


def show() -> None:
    """Two iterations or more."""
    store = reading(overview)
    known = store.iterations
    if not known:
        nothing_yet("There is no iteration yet.")
        return
    chosen = choose(known)
    if len(chosen) < 2:
        st.text("What to do next: choose two iterations or more of one system above.")
        return
    first, second = chosen[:2]
    evaluation, segments = reading(lambda: compared(first.iteration_id, second.iteration_id))
    st.header(plain(sentence(first, second, evaluation)), anchor=False)
    if evaluation is not None:
        panels.say(panels.method(evaluation))
    healths = {each.iteration_id: health(each, store.newest) for each in chosen}
    for each in chosen:
        st.markdown(f"Evidence of **{plain(each.label)}**")
        panels.strip(healths[each.iteration_id], (Status.STOP,))
    if evaluation is None:
        st.text("They were never compared on the same rounds. This compares them:")
        st.code(
            f"quaestor evaluate --candidate {short(first.iteration_id)} --incumbent {short(second.iteration_id)}",
            language=None,
            wrap_lines=True,
        )
    on_one_axis(chosen, evaluation, any(stops(found) for found in healths.values()))
    st.subheader("Decisions that change", anchor=False)
    if first.kind == "inventory":
        changed_orders(first, second.iteration_id)
    elif segments is None:
        st.text(f"Where {first.label} decides otherwise than {second.label} is not known before they are compared.")
    else:
        segmented(segments, "side by side")
    st.subheader("What sets them apart", anchor=False)
    difference = frames.difference(chosen)
    if difference.is_empty():
        st.text("Nothing in configuration, data or code.")
    else:
        panels.table(difference, "Differences in configuration, data and code, a column an iteration")
    names = f"--candidate {short(first.iteration_id)} --incumbent {short(second.iteration_id)}"
    kept = panels.Rows(
        "what was kept of the two, newest first", lambda: evidence_of(first.iteration_id, second.iteration_id)
    )
    panels.source("the comparison", f"quaestor evaluate {names}", store.snapshot, [kept])
    st.subheader("Their pages", anchor=False)
    for each in chosen:
        panels.link(each)


def choose(known: Sequence[Iteration]) -> list[Iteration]:
    """The iterations that are compared, in step with the address; a link that names others says so."""
    names = {each.iteration_id: each for each in reversed(known)}
    asked = [part for part in st.query_params.get("iterations", "").split(",") if part]
    found = [[name for name in names if name.startswith(part)] for part in asked]
    dead = [part for part, each in zip(asked, found, strict=True) if len(each) != 1]
    if dead:
        st.warning(plain(f"The link names {', '.join(dead)!r}: no iteration here, or more than one, starts with that."))
    key = "side by side iterations"
    if asked and key not in st.session_state:
        st.session_state[key] = [each[0] for each in found if len(each) == 1][:AT_MOST]
    if key not in st.session_state:
        st.session_state[key] = usual(known)

    def to_address() -> None:
        st.query_params["iterations"] = ",".join(short(name) for name in st.session_state[key])

    picked = st.multiselect(
        "Iterations, the candidate first",
        list(names),
        key=key,
        on_change=to_address,
        max_selections=AT_MOST,
        format_func=lambda name: f"{names[name].report.system[:40]} {names[name].label} · {names[name].report.stage}",
        help="The address of this page names them: share it.",
    )
    chosen = [names[name] for name in picked]
    if len({each.report.system for each in chosen}) > 1:
        st.warning("These are of different systems: values and gains of different systems do not compare.")
        return []
    return chosen


def usual(known: Sequence[Iteration]) -> list[str]:
    """The newest judged iteration and the one it was judged against."""
    newest = newest_judged(known)
    names = (newest.iteration_id, newest.report.incumbent_id or newest.parent_id)
    here = {each.iteration_id for each in known}
    return [name for name in names if name in here]


def sentence(first: Iteration, second: Iteration, evaluation: Evaluation | None) -> str:
    """What is known of the first two, in a sentence."""
    if evaluation is None:
        return f"{first.report.system}: {first.label} and {second.label} were not compared with each other yet."
    value, lower, upper = evaluation.gain
    word = WORDS[word_of(lower, upper)]
    return (
        f"{first.report.system}: {first.label} is {word} {second.label}: gain {value:.4g} "
        f"({evaluation.difference.confidence:.0%} interval {lower:.4g} to {upper:.4g}) {evaluation.unit}."
    )


def on_one_axis(chosen: Sequence[Iteration], evaluation: Evaluation | None, muted: bool) -> None:
    """Values and gains of all with their intervals; gains in grey where a check of any of them says stop."""
    judged = [each for each in chosen if each.report.evaluation is not None]
    if not judged:
        st.text("None of them has been evaluated.")
        return
    newest = judged[0].report.evaluation
    assert newest is not None
    left, right = st.columns(2)
    with left:
        st.subheader("Values", anchor=False)
        drawn = intervals.values_chart(frames.own_values(chosen, evaluation), f"mean {newest.quantity}", newest.unit)
        draw(drawn, alt="The value of each iteration with its interval, on one axis")
    with right:
        st.subheader("Gains", anchor=False)
        gains = frames.gains(judged) if evaluation is None else frames.gains_with(judged, chosen, evaluation)
        drawn = intervals.gain_chart(gains, newest.unit, judged[0].margin, muted)
        draw(drawn, alt="The gain of each iteration with its interval, with zero and gate, on one axis")
    if evaluation is not None:
        st.caption(
            "The gain is paired and known better than either value: judge by the gain, even where the intervals of the "
            "values overlap."
        )
    against = {each.report.incumbent_id for each in judged}
    rounds = {each.report.evaluation.evaluated_on for each in judged if each.report.evaluation}
    if len(against) > 1 or len(rounds) > 1:
        st.caption(
            "Each was judged on its own rounds against the incumbent of its time: gains here are to different "
            "incumbents. Only a comparison of two on the same rounds says which of the two is better."
        )


if __name__ == "__main__":
    present(show)
