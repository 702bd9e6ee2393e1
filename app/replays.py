"""Plays the policies of iterations again from their exported graphs, without torch, and remembers how it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass

import streamlit as st

from app.queries.inventory import InventoryEvidence
from app.queries.store import key_of
from quaestor.errors import QuaestorError
from quaestor.export.inventory_policy import InventoryPolicy
from quaestor.export.policy import GRAPH, SPEC, load_policy
from quaestor.registry import iteration as registry
from quaestor.settings import Settings
from quaestor.simulation.network import Floats, PlainNetwork, Terms
from quaestor.simulation.play import Played, orders_beside, play_policy
from quaestor.simulation.scenarios import PlainScenarios

CANDIDATE, INCUMBENT, BASE_STOCK = "candidate", "incumbent", "base stock"
WHO = (CANDIDATE, INCUMBENT, BASE_STOCK)
PLAYS_KEPT, POLICIES_KEPT = 36, 12


@dataclass(frozen=True)
class Replay:
    """How the policies did on the same demand. absent: why a policy could not be played, as a sentence, by name."""

    network: PlainNetwork
    scenarios: PlainScenarios
    played: Mapping[str, Played]
    absent: Mapping[str, str]


def players(iteration_id: str, incumbent_id: str | None, yardsticks: Mapping[str, str]) -> dict[str, str]:
    """Whose policies are played: name → iteration id; an iteration comes under its first name only."""
    named = zip(WHO, (iteration_id, incumbent_id, yardsticks.get(BASE_STOCK)), strict=True)
    found: dict[str, str] = {}
    for name, player in named:
        if player is not None and player not in found.values():
            found[name] = str(player)
    return found


def replay(evidence: InventoryEvidence, who: Mapping[str, str], terms: Terms) -> Replay | None:
    """Plays the named iterations on the kept demand; None where no demand or network was kept."""
    network, scenarios = evidence.network, evidence.scenarios
    if network is None or scenarios is None:
        return None
    played, absent = {}, {}
    for name, iteration_id in who.items():
        key = _key(evidence, iteration_id, *astuple(terms))

        def play(each: str = iteration_id) -> Played:
            return play_policy(network, policy_of(each), scenarios, terms)

        try:
            played[name] = _played(key, play)
        except QuaestorError as error:
            absent[name] = str(error)
    return Replay(network, scenarios, played, absent)


def beside(evidence: InventoryEvidence, iteration_id: str, other_id: str) -> tuple[Floats, Floats] | None:
    """What two iterations order of the same stock on the kept demand, each (product, period, edge): the stock is what
    the other one brought about. None where no demand or network was kept; raises QuaestorError where one of them
    cannot be played."""
    network, scenarios = evidence.network, evidence.scenarios
    if network is None or scenarios is None:
        return None
    return _beside(
        _key(evidence, iteration_id, other_id),
        lambda: orders_beside(network, policy_of(iteration_id), policy_of(other_id), scenarios),
    )


def policy_of(iteration_id: str) -> InventoryPolicy:
    """The exported order policy of an iteration; raises QuaestorError where there is none, or it was changed."""
    return _policy(_folder_key(iteration_id), lambda: _load(iteration_id))


def _load(iteration_id: str) -> InventoryPolicy:
    settings = Settings()
    iteration = registry.get(settings.store, settings.data, iteration_id)
    policy = load_policy(iteration.read(GRAPH), iteration.read(SPEC), iteration_id[:12])
    if not isinstance(policy, InventoryPolicy):
        raise QuaestorError(f"{iteration_id[:12]} is not an inventory policy.")
    return policy


def _folder_key(*parts: str) -> str:
    return key_of(str(Settings().data.absolute()), *parts)


def _key(evidence: InventoryEvidence, *parts: object) -> str:
    return key_of(str(Settings().data.absolute()), evidence.demand_digest, *parts)


@st.cache_resource(max_entries=PLAYS_KEPT, show_spinner=False)
def _played(key: str, _play: Callable[[], Played]) -> Played:
    return _play()


@st.cache_resource(max_entries=PLAYS_KEPT, show_spinner=False)
def _beside(key: str, _play: Callable[[], tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    return _play()


@st.cache_resource(max_entries=POLICIES_KEPT, show_spinner=False)
def _policy(key: str, _load: Callable[[], InventoryPolicy]) -> InventoryPolicy:
    return _load()
