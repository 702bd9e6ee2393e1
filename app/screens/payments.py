"""Payments: whether an iteration decides payments better than the one before it, and how well that is known."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import frames, panels, parted
from app import payments_frames as shapes
from app.charts import intervals
from app.charts import payments as charts
from app.charts.segments import segment_chart
from app.checks import stops
from app.drawing import draw
from app.guard import nothing_yet, present, reading
from app.health import health
from app.links import choose, choose_iteration
from app.origins import below
from app.queries.iterations import Iteration
from app.queries.outcomes import realised
from app.queries.overview import overview
from app.queries.payments import truths, waiting
from app.queries.record import Record, record
from app.style import figure, short
from quaestor.clock import utc_now
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.segments import Segments
from quaestor.store.delays import DAYS_READ


def show() -> None:
    """One payments iteration among its system's generations."""
    store = reading(overview)
    known = tuple(each for each in store.iterations if each.kind == "payments")
    if not known:
        nothing_yet("There is no payments iteration yet.")
        return
    chosen, generations = choose_iteration("payments", known)
    kept = reading(lambda: record(chosen.iteration_id, chosen.report.incumbent_id))
    found = health(chosen, store.newest)
    panels.headline(chosen)
    panels.strip(found)
    panels.reasons(chosen)
    panels.changed(chosen, generations)
    panels.link(chosen)
    truth = truths().get(chosen.iteration_id)
    over_generations(generations)
    if chosen.report.evaluation is not None:
        estimate(chosen, chosen.report.evaluation, truth, bool(stops(found)))
    actions(chosen)
    by_segment(kept.segments, chosen)
    calibration(chosen, kept)
    if chosen.report.evaluation is not None:
        overlap(chosen, chosen.report.evaluation)
    arriving(chosen)
    trade_off(kept.trade_off)
    panels.source("these payments figures", origin(chosen, kept), store.snapshot, below(chosen))
    st.subheader("All iterations of this system", anchor=False)
    panels.table(frames.listing(generations, truths(), utc_now()), "Every iteration, newest first")


def over_generations(generations: tuple[Iteration, ...]) -> None:
    """Value and gain of every evaluated iteration: whether generations swing is seen here."""
    judged = [each for each in generations if each.report.evaluation is not None]
    if not judged:
        panels.missing(
            "No iteration of this system has been evaluated yet. This evaluates one against another:",
            "quaestor evaluate --candidate ID --incumbent ID",
        )
        return
    evaluation = judged[-1].report.evaluation
    assert evaluation is not None
    left, right = st.columns(2)
    with left:
        st.subheader("Value over generations", anchor=False)
        drawn = intervals.generations_chart(
            frames.generations(judged, realised()), f"value: mean {evaluation.quantity}", evaluation.unit
        )
        draw(drawn, alt="Value of candidate, incumbent and what was realised, over generations, with intervals")
    with right:
        st.subheader("Gain over generations", anchor=False)
        drawn = intervals.gains_chart(frames.numbered_gains(judged), evaluation.unit, judged[-1].margin)
        draw(drawn, alt="Gain of each iteration over its incumbent, with its interval, zero and gate")
    st.caption(
        f"Whiskers: {evaluation.difference.confidence:.0%} intervals. Each iteration is compared with the incumbent of "
        "its time on the same rounds; the paired gain is known better than either value, so judge by the gain. A line "
        "that swings up and down from one generation to the next is the oscillation to watch for. Realised: what an "
        "iteration earned once it decided."
    )


def estimate(chosen: Iteration, evaluation: Evaluation, truth: float | None, muted: bool) -> None:
    """The gain of the chosen iteration, how it was estimated, and what other estimators say."""
    st.subheader(f"Gain of iteration {chosen.label}", anchor=False)
    value, lower, upper = evaluation.gain
    confidence = f"{evaluation.difference.confidence:.0%} interval"
    columns = st.columns([7, 6, 4, 4])
    columns[0].metric(f"Gain ({evaluation.unit})", figure(value), help="The paired difference to the incumbent.")
    columns[1].metric(confidence, f"{figure(lower)} to {figure(upper)}", help=evaluation.difference.method)
    columns[2].metric("Rounds compared", f"{evaluation.pairs:,}")
    if truth is not None:
        said = "Known only in a simulated world: 0 % is the uniform policy, 100 % the best possible one."
        columns[3].metric("True share of the gap", f"{truth:.1%}", help=said)
    drawn = intervals.gain_chart(frames.gains_by(evaluation), evaluation.unit, chosen.margin, muted)
    draw(drawn, alt="The gain by every estimator, with intervals and the lines of zero and of the gate")


def actions(chosen: Iteration) -> None:
    """What the candidate would do, and with what probability the log did what it did."""
    left, right = st.columns(2)
    with left:
        st.subheader("Action mix", anchor=False)
        if chosen.health is None:
            panels.missing(
                "No action mix was kept of this iteration: a retraining keeps it.",
                "quaestor run payments --study STUDY",
            )
        else:
            mix = shapes.action_mix(chosen.health, chosen.data)
            draw(charts.action_mix_chart(mix), alt="Share of each action in the log and under the candidate")
            st.caption("Shares of the rounds in hand, counted and not estimated: they have no interval.")
    with right:
        st.subheader("Propensities", anchor=False)
        histogram = chosen.data.get("propensity_histogram")
        if not histogram:
            st.text("It learnt from no log of propensities.")
        else:
            drawn = charts.propensity_chart(shapes.propensities(histogram))
            draw(drawn, alt="Logged rounds by the propensity of the action taken")
            st.caption("Of the rounds that it learnt from, counted.")


def by_segment(segments: Segments | None, chosen: Iteration) -> None:
    """What each segment earns, and would earn."""
    st.subheader("Approval by segment", anchor=False)
    if segments is None:
        st.text("Segments were not kept of this iteration. Evaluating it again keeps them:")
        names = f"--candidate {short(chosen.iteration_id)} --incumbent {short(chosen.report.incumbent_id)}"
        st.code(f"quaestor evaluate {names}", language=None, wrap_lines=True)
        return
    approval(segments)


@st.fragment
def approval(segments: Segments) -> None:
    """Reward by the levels of a chosen feature."""
    features = parted.features(segments)
    feature = choose("Parted by", features, "by", "payments feature") if features else ""
    shown = parted.of_feature(segments, feature)
    drawn = segment_chart(parted.values(shown, ("observed", "candidate", "incumbent")), "mean reward a round")
    draw(drawn, alt="Observed reward, and value of candidate and incumbent, in each segment, with intervals")
    st.caption(
        "Observed: what the log earned, whoever decided. Candidate and incumbent: doubly robust, on held-out rounds. "
        f"Intervals hold for each segment by itself. {parted.LEFT_OUT}"
    )


def calibration(chosen: Iteration, kept: Record) -> None:
    """Whether its reward predictions mean what they say."""
    st.subheader("Calibration", anchor=False)
    found, evaluation = kept.calibration, chosen.report.evaluation
    if found is None or evaluation is None:
        panels.missing(
            "No calibration was kept of this iteration: a retraining keeps it.", "quaestor run payments --study STUDY"
        )
        return
    left, right = st.columns([3, 2])
    with left:
        curve = shapes.calibration(found["curve"], evaluation.pairs)
        draw(charts.calibration_chart(curve), alt="Observed against predicted reward, with intervals")
        st.caption(
            "Ten bins of equal size of held-out rounds, 95% intervals; on the dashed line predictions mean what they "
            f"say. Expected calibration error {found['ece']:.4f}, Brier score {found['brier']:.4f}."
        )
    with right:
        by_action = shapes.calibration_by_action(found)
        if by_action.is_empty():
            st.text("It was not kept for each action: too few rounds of each were held out.")
        else:
            panels.table(by_action, "Brier score and expected calibration error of each action, the worst first")
            st.caption(
                "Means over the held-out rounds in which the log took the action; actions of fewer than ten are "
                "left out."
            )


def overlap(chosen: Iteration, evaluation: Evaluation) -> None:
    """How far the log can speak for the two policies."""
    st.subheader("Overlap and effective size", anchor=False)
    left, right = st.columns(2)
    with left:
        panels.table(shapes.overlaps(evaluation), "How well the log covers candidate and incumbent")
        st.caption(
            "The effective size is how many rounds of the policy's own the log is worth. The mean weight is 1 where "
            "logged propensities are right."
        )
    with right:
        if evaluation.overlap is not None and evaluation.overlap.histogram is not None:
            drawn = charts.weight_chart(shapes.weights(evaluation.overlap.histogram))
            draw(drawn, alt=f"Importance weights of {chosen.label}: share of rounds and of all weight")
            st.caption("Where a few rounds carry most of the weight, the estimate rests on those few.")


def arriving(chosen: Iteration) -> None:
    """How long outcomes take, and how much is still pending."""
    st.subheader("Delay of outcomes", anchor=False)
    hours = chosen.data.get("attribution_hours")
    if not hours:
        st.text("It learnt from no rounds: there is no attribution window to look at.")
        return
    minute = utc_now().replace(second=0, microsecond=0).isoformat()
    found = reading(lambda: waiting(chosen.report.system, float(hours), minute))
    left, right = st.columns(2)
    with left:
        if found.curve.is_empty():
            st.text("No round's window has closed yet.")
        else:
            drawn = charts.delay_chart(shapes.delays(found.curve))
            draw(drawn, alt="Share of closed rounds with an outcome by hours since the decision")
            st.caption(
                f"{int(found.curve['rounds'][0]):,} closed rounds of the newest {DAYS_READ} days, 95% intervals."
            )
    with right:
        if found.pending.is_empty():
            st.text("No round is pending: every attribution window has closed.")
        else:
            rounds, answered = int(found.pending["rounds"].sum()), int(found.pending["answered"].sum())
            drawn = charts.pending_chart(shapes.pending(found.pending))
            draw(drawn, alt="Pending rounds by age, with and without an outcome by now")
            st.caption(f"{rounds:,} rounds are pending, {answered / rounds:.1%} of them with an outcome already.")


def trade_off(kept: dict[str, Any] | None) -> None:
    """What more reward costs."""
    st.subheader("Trade-off between reward and cost", anchor=False)
    if kept is None:
        st.text("Its study names no cost of actions. To see what reward costs, add to the study and run it again:")
        st.code('[refit.objective]\ncosts = { "ACTION" = 0.02 }', language="toml", wrap_lines=True)
        return
    curve, sides = shapes.trade_off(kept)
    draw(charts.trade_off_chart(curve, sides), alt="Reward against cost a round, with intervals")
    st.caption(
        "Each point of the line is the greedy policy at one price of cost, read doubly robust from held-out rounds. "
        "What lies below the line gives reward away."
    )


def origin(chosen: Iteration, kept: Record) -> str:
    """The queries behind the screen."""
    kinds = ("evaluation", "health", "segments", "calibration", "trade_off")
    ids = [(kind, kept.evidence_id(kind)) for kind in kinds]
    lines = [f"select content from evidence where evidence_id = '{name}'  -- {kind}" for kind, name in ids if name]
    names = f"--candidate {short(chosen.iteration_id)} --incumbent {short(chosen.report.incumbent_id)}"
    return "\n".join([f"quaestor evaluate {names}", *lines])


if __name__ == "__main__":
    present(show)
