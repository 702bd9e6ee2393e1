"""Decisions: find one by its event id and see what it was made of, and derived again."""

from __future__ import annotations

import shlex
from urllib.parse import urlencode

import polars as pl
import streamlit as st

from app import panels
from app import payments_frames as shapes
from app.charts import payments as charts
from app.drawing import draw
from app.guard import nothing_yet, present, reading
from app.queries.evidence import outcomes_of
from app.queries.iterations import Iteration, all_iterations
from app.queries.payments import DECISIONS_LISTED, explained, newest_decisions, systems_deciding
from app.queries.store import state
from app.style import plain, short
from quaestor.errors import UsageError
from quaestor.export.explanation import Explanation

EVENT, SYSTEM = "decisions event", "decisions system"


def show() -> None:
    """The explorer."""
    systems = reading(systems_deciding)
    if not systems:
        nothing_yet("No decision has arrived yet.", "quaestor ingest decisions FILE", "brings in your own decisions")
        return
    event_id, system = asked(systems)
    if event_id:
        try:
            explanation = explained(event_id, system)
        except UsageError as error:
            st.warning(plain(f"The link or the search names {event_id!r}: {error}"))
        else:
            one(explanation)
    else:
        st.header("Find a decision by its event id", anchor=False)
    newest(system)


def asked(systems: tuple[str, ...]) -> tuple[str, str]:
    """Which event and system are asked for, in step with the address."""
    linked, dead = st.query_params.get("system"), None
    if linked in systems:
        st.session_state[SYSTEM] = linked
    elif linked is not None:
        dead = f"The link names the system {linked!r}, which has no decisions here. Choose one below."
    if "event" in st.query_params:
        st.session_state[EVENT] = st.query_params["event"]
    if dead:
        st.warning(plain(dead))

    def to_address() -> None:
        st.query_params.from_dict({"system": st.session_state[SYSTEM], "event": st.session_state[EVENT].strip()})

    left, right = st.columns([1, 2])
    system = left.selectbox("System", systems, key=SYSTEM, on_change=to_address)
    said = "The id that the decision was logged with. The address of this page names it: share it."
    event_id = right.text_input("Event id", key=EVENT, on_change=to_address, max_chars=500, help=said)
    return event_id.strip(), str(system)


def one(explanation: Explanation) -> None:
    """What was known, what could be chosen, what was drawn, what came of it, and what drove it."""
    st.header(plain(explanation.sentence()), anchor=False)
    known = {each.iteration_id: each for each in all_iterations()}
    by = known.get(str(explanation.iteration_id))
    facts(explanation, by)
    st.subheader("What drove it", anchor=False)
    panels.say(explanation.driven())
    driving = shapes.drivers(explanation)
    if not driving.is_empty():
        drawn = charts.driver_chart(driving, "change in the predicted lead of the action taken, in reward")
        draw(drawn, alt="By how much each feature raised or lowered the lead of the action taken")
        st.caption("How far the lead falls when the feature is not known. A prediction has no interval of its own.")
    st.subheader("Eligible actions and the draw", anchor=False)
    draw(
        charts.draw_chart(shapes.cut(explanation), explanation.draw),
        alt="The probabilities of the eligible actions end to end, and where the draw fell",
    )
    names = ("action", "eligible", "predicted reward", "probability, as logged", "probability, derived again")
    rows = pl.DataFrame(explanation.rows(), schema=dict.fromkeys(names, pl.String), orient="row")
    panels.table(rows, "Every eligible action with its predicted reward and probability")
    st.subheader("Features as used", anchor=False)
    texts = {name.split("_", 1)[1]: "missing" if value is None else str(value) for name, value in features(explanation)}
    panels.table(pl.DataFrame({"feature": list(texts), "value": list(texts.values())}), "Features as they were used")
    command = ["quaestor", "explain", explanation.event_id, "--system", explanation.system]
    came = panels.Rows(
        "every outcome of it, the first revision first", lambda: outcomes_of(explanation.system, explanation.event_id)
    )
    panels.source("this decision", shlex.join(command), reading(state), [came])


def features(explanation: Explanation) -> list[tuple[str, object]]:
    """The features in the order in which they were logged."""
    return list(explanation.features.items())


def facts(explanation: Explanation, by: Iteration | None) -> None:
    """When it was decided, by whom, and what came of it."""
    reward = "none yet" if explanation.reward is None else f"{explanation.reward:g}"
    columns = st.columns(4)
    columns[0].metric("Reward", reward)
    columns[1].metric("Propensity", f"{explanation.propensity:.4g}", help="Of the action taken, as it was logged.")
    columns[2].metric("Decided at (UTC)", explanation.decided_at[:19].replace("T", " "))
    columns[3].metric("Draw", "not known" if explanation.draw is None else f"{explanation.draw:.6f}")
    if explanation.fallback:
        st.warning("The policy had failed: the default action was taken, and nothing learns from it.")
    if by is not None:
        panels.link(by)
    else:
        panels.say(f"Decided by {short(explanation.iteration_id)}, which is not an iteration of this store.")


def newest(system: str) -> None:
    """The newest decisions, to begin from."""
    st.subheader("Newest decisions", anchor=False)
    found = reading(lambda: newest_decisions(system))
    if found.is_empty():
        st.text("This system has no decision.")
        return
    addresses = ["decisions?" + urlencode({"system": system, "event": name}) for name in found["event_id"]]
    shown = found.select(
        "event_id",
        pl.col("decided_at").dt.truncate("1s").alias("decided at (UTC)"),
        "action",
        "propensity",
        "reward",
        pl.col("iteration_id").str.head(12).alias("iteration"),
        pl.Series("page", addresses),
    )
    st.dataframe(
        panels.exportable(shown),
        hide_index=True,
        width="stretch",
        column_config={"page": st.column_config.LinkColumn(display_text="open", help="This decision.")},
        alt="The newest decisions of the system, with action, propensity and reward",
    )
    st.caption(f"The newest {min(len(found), DECISIONS_LISTED)}. Any other is found by its id above.")


if __name__ == "__main__":
    present(show)
