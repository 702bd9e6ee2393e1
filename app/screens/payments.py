"""Payments: whether an iteration decides payments better than the one before it, and how well that is known."""

from __future__ import annotations

import streamlit as st

from app import frames, panels
from app.charts import intervals
from app.charts import payments as charts
from app.checks import checks
from app.guard import nothing_yet, present, reading
from app.links import choose_iteration
from app.queries.iterations import Iteration
from app.queries.overview import overview
from app.queries.payments import PaymentsEvidence, payments_evidence
from app.style import figure
from quaestor.clock import utc_now
from quaestor.registry.evaluation import Evaluation

ITERATIONS_DRAWN = 40


def show() -> None:
    """One payments iteration among its system's generations."""
    store = reading(overview)
    known = tuple(each for each in store.iterations if each.kind == "payments")
    if not known:
        nothing_yet("There is no payments iteration yet.")
        return
    chosen, generations = choose_iteration("payments", known)
    evidence = reading(lambda: payments_evidence(chosen, generations))
    panels.headline(chosen)
    panels.strip(checks(chosen, store.newest, utc_now()))
    panels.reasons(chosen)
    panels.changed(chosen, generations)
    over_generations(generations, evidence)
    if chosen.report.evaluation is not None:
        estimate(chosen, chosen.report.evaluation, evidence)
        actions_and_calibration(chosen, chosen.report.evaluation, evidence)
        overlap(chosen, chosen.report.evaluation)
    st.subheader("All iterations of this system", anchor=False)
    panels.table(frames.listing(generations, evidence.truths), "Every iteration, newest first")


def over_generations(generations: tuple[Iteration, ...], evidence: PaymentsEvidence) -> None:
    """Value and gain of every evaluated iteration."""
    judged = [each for each in generations if each.report.evaluation is not None]
    if not judged:
        st.text("No iteration of this system has been evaluated yet.")
        return
    evaluation = judged[-1].report.evaluation
    assert evaluation is not None
    drawn_of, judged = len(judged), judged[-ITERATIONS_DRAWN:]
    quantity, unit = f"value: mean {evaluation.quantity}", evaluation.unit
    left, right = st.columns(2)
    with left:
        st.subheader("Value over iterations", anchor=False)
        drawn = intervals.value_chart(frames.values(judged), quantity, unit)
        st.altair_chart(drawn, alt="Value of candidate and incumbent in each iteration, with intervals")
    with right:
        st.subheader("Gain over iterations", anchor=False)
        drawn = intervals.gain_chart(frames.gains(judged), unit)
        st.altair_chart(drawn, alt="Gain of each iteration over its incumbent, with its interval and the zero line")
    st.caption(
        f"Whiskers: {evaluation.difference.confidence:.0%} intervals. Each iteration is compared with the incumbent of "
        "its time on the same rounds; the paired gain is known better than either value, so judge by the gain."
        + (f" The newest {len(judged)} of {drawn_of:,} are drawn." if drawn_of > len(judged) else "")
    )


def estimate(chosen: Iteration, evaluation: Evaluation, evidence: PaymentsEvidence) -> None:
    """The gain of the chosen iteration, how it was estimated, and what other estimators say."""
    st.subheader(f"Gain of iteration {chosen.label}", anchor=False)
    value, lower, upper = evaluation.gain
    confidence = f"{evaluation.difference.confidence:.0%} interval"
    columns = st.columns([2, 3, 2, 2])
    columns[0].metric(f"Gain ({evaluation.unit})", figure(value), help="The paired difference to the incumbent.")
    columns[1].metric(confidence, f"{figure(lower)} to {figure(upper)}", help=evaluation.difference.method)
    columns[2].metric("Rounds compared", f"{evaluation.pairs:,}")
    truth = evidence.truths.get(chosen.iteration_id)
    if truth is not None:
        said = "Known only in a simulated world: 0 % is the uniform policy, 100 % the best possible one."
        columns[3].metric("True share of the gap", f"{truth:.1%}", help=said)
    drawn = intervals.gain_chart(frames.gains_by(evaluation), evaluation.unit)
    st.altair_chart(drawn, alt="The gain by every estimator, with intervals and the zero line")
    st.text(f"Estimated by {evaluation.estimator} on {evaluation.evaluated_on}.")


def actions_and_calibration(chosen: Iteration, evaluation: Evaluation, evidence: PaymentsEvidence) -> None:
    """What the candidate would do, and whether its reward predictions mean what they say."""
    left, right = st.columns(2)
    with left:
        st.subheader("Action mix", anchor=False)
        if chosen.health is None:
            st.text("No action mix was kept of this iteration.")
        else:
            mix = frames.action_mix(chosen.health, chosen.data)
            st.altair_chart(charts.action_mix_chart(mix), alt="Share of each action in the log and under the candidate")
            st.caption("Shares of the rounds in hand, counted and not estimated: they have no interval.")
    with right:
        st.subheader("Calibration", anchor=False)
        if evidence.calibration is None:
            st.text("No calibration was kept of this iteration.")
        else:
            curve = frames.calibration(evidence.calibration["curve"], evaluation.pairs)
            st.altair_chart(charts.calibration_chart(curve), alt="Observed against predicted reward, with intervals")
            st.caption(
                f"Ten bins of equal size of held-out rounds, 95% intervals; on the dashed line predictions mean what "
                f"they say. Expected calibration error {evidence.calibration['ece']:.4f}, Brier score "
                f"{evidence.calibration['brier']:.4f}."
            )


def overlap(chosen: Iteration, evaluation: Evaluation) -> None:
    """How far the log can speak for the two policies."""
    st.subheader("Overlap", anchor=False)
    left, right = st.columns([3, 2])
    with left:
        panels.table(frames.overlaps(evaluation), "How well the log covers candidate and incumbent")
        st.caption(
            "The effective size is how many rounds of the policy's own the log is worth. The mean weight is 1 where "
            "logged propensities are right."
        )
    with right:
        histogram = chosen.data.get("propensity_histogram")
        if histogram:
            drawn = charts.propensity_chart(frames.propensities(histogram))
            st.altair_chart(drawn, alt="Logged rounds by the propensity of the action taken")


if __name__ == "__main__":
    present(show)
