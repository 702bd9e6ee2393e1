"""Deep links: which system and iteration a screen shows, from its address, and the address from what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.queries.iterations import Iteration, newest_judged
from app.style import plain, short


@dataclass(frozen=True)
class Target:
    """What an address names; `dead` says so where it names something that is not there."""

    iteration: Iteration | None
    system: str | None
    dead: str | None


def resolve(system: str | None, iteration: str | None, known: Sequence[Iteration]) -> Target:
    """Finds what an address asks for; an iteration is named by the start of its id."""
    if iteration is not None:
        found = [each for each in known if iteration and each.iteration_id.startswith(iteration)]
        if len(found) == 1:
            return Target(found[0], found[0].report.system, None)
        what = "more than one of the iterations here" if found else "no iteration here"
        return Target(None, None, f"The link names {iteration!r}: {what} starts with that. Choose one below.")
    if system is not None and system not in {each.report.system for each in known}:
        return Target(None, None, f"The link names the system {system!r}, which is not here. Choose one below.")
    return Target(None, system, None)


def address(iteration: Iteration) -> str:
    """Where the page of an iteration is, relative to the console."""
    return "iteration?" + urlencode({"iteration": short(iteration.iteration_id)})


def choose_iteration(screen: str, known: Sequence[Iteration]) -> tuple[Iteration, tuple[Iteration, ...]]:
    """Lets the reader choose a system and an iteration, in step with the address; returns the chosen one and all of
    its system, oldest first."""
    system_key, iteration_key = f"{screen} system", f"{screen} iteration"
    target = resolve(st.query_params.get("system"), st.query_params.get("iteration"), known)
    if target.dead:
        st.warning(plain(target.dead))
    if target.system:
        st.session_state[system_key] = target.system
    elif st.session_state.get(system_key) not in {each.report.system for each in known}:
        st.session_state[system_key] = newest_judged(known).report.system
    if target.iteration:
        st.session_state[iteration_key] = target.iteration.iteration_id

    def to_system() -> None:
        st.query_params.pop("iteration", None)
        st.query_params["system"] = st.session_state[system_key]
        st.session_state.pop(iteration_key, None)

    def to_iteration() -> None:
        st.query_params["iteration"] = short(st.session_state[iteration_key])

    left, right = st.columns(2)
    systems = list(dict.fromkeys(each.report.system for each in reversed(known)))
    system = left.selectbox("System", systems, key=system_key, on_change=to_system)
    mine = tuple(each for each in known if each.report.system == system)
    named = {each.iteration_id: each for each in reversed(mine)}
    if st.session_state.get(iteration_key) not in named:
        st.session_state[iteration_key] = newest_judged(mine).iteration_id
    chosen = right.selectbox(
        "Iteration",
        list(named),
        key=iteration_key,
        on_change=to_iteration,
        format_func=lambda name: f"{named[name].label} · {named[name].report.policy} · {named[name].report.stage}",
        help="Newest first. The address of this page names the chosen one: share it.",
    )
    iteration = named[str(chosen)]
    if not target.dead:
        named_here = {"system": str(system), "iteration": short(iteration.iteration_id)}
        for name, value in named_here.items():
            if st.query_params.get(name) != value:
                st.query_params[name] = value
    return iteration, mine


def choose(
    label: str,
    options: Sequence[str],
    name: str,
    key: str,
    usual: int = 0,
    where: DeltaGenerator | None = None,
    told: Callable[[str], str] = str,
    said: str | None = None,
) -> str:
    """Lets the reader choose one of a few names, in step with the address's `name`; an address that names another
    says so. usual: the number of the one that is chosen where nobody asks. told: how a name is shown;
    said: more about the choice."""
    asked = st.query_params.get(name)
    if asked in options:
        st.session_state[key] = asked
    elif asked is not None and st.session_state.get(key) == asked:  # chosen here before there were others to choose
        del st.query_params[name]
    elif asked is not None:
        st.warning(plain(f"The link names {asked!r} as {label.lower()}, which is not here. Choose one below."))
    if st.session_state.get(key) not in options:
        st.session_state[key] = options[usual]

    def to_address() -> None:
        st.query_params[name] = st.session_state[key]

    box = (where or st).selectbox(label, list(options), key=key, on_change=to_address, format_func=told, help=said)
    return str(box)
