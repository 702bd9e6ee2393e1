"""Plays the policies of iterations again from their exported graphs, without torch, and remembers how it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

import streamlit as st

from app.queries.inventory import InventoryEvidence
from app.queries.store import key_of
from quaestor.errors import QuaestorError
from quaestor.export.inventory_policy import InventoryPolicy
from quaestor.export.policy import GRAPH, SPEC, load_policy
from quaestor.registry import iteration as registry
from quaestor.settings import Settings
from quaestor.simulation.network import PlainNetwork, Terms, plain_network
from quaestor.simulation.play import Played, play_policy
from quaestor.simulation.scenarios import PlainScenarios, scenarios_from

CANDIDATE, INCUMBENT, BASE_STOCK = "candidate", "incumbent", "base stock"
WHO = (CANDIDATE, INCUMBENT, BASE_STOCK)
PLAYS_KEPT = 12


@dataclass(frozen=True)
class Replay:
    """How the policies did on the same demand. absent: why a policy could not be played, as a sentence, by name."""

    network: PlainNetwork
    scenarios: PlainScenarios
    played: Mapping[str, Played]
    absent: Mapping[str, str]


def players(iteration_id: str, incumbent_id: str | None, kept: Mapping[str, Any]) -> dict[str, str]:
    """Whose policies are played: name → iteration id; an iteration comes under its first name only."""
    base_stock = kept.get("yardsticks", {}).get(BASE_STOCK)
    named = zip(WHO, (iteration_id, incumbent_id, base_stock), strict=True)
    found: dict[str, str] = {}
    for name, player in named:
        if player is not None and player not in found.values():
            found[name] = str(player)
    return found


def replay(evidence: InventoryEvidence, who: Mapping[str, str], terms: Terms) -> Replay | None:
    """Plays the named iterations on the kept demand; None where no demand or network was kept.

    Raises QuaestorError where what was kept cannot be read.
    """
    if evidence.network is None or evidence.scenarios is None:
        return None
    network, scenarios = plain_network(evidence.network), scenarios_from(evidence.scenarios)
    played, absent = {}, {}
    for name, iteration_id in who.items():
        key = key_of(str(Settings().data.absolute()), iteration_id, evidence.kept_id, *astuple(terms))
        try:
            played[name] = _played(key, lambda each=iteration_id: _play(each, network, scenarios, terms))  # type: ignore[misc]
        except QuaestorError as error:
            absent[name] = str(error)
    return Replay(network, scenarios, played, absent)


def _play(iteration_id: str, network: PlainNetwork, scenarios: PlainScenarios, terms: Terms) -> Played:
    settings = Settings()
    iteration = registry.get(settings.store, settings.data, iteration_id)
    policy = load_policy(iteration.read(GRAPH), iteration.read(SPEC), iteration_id[:12])
    if not isinstance(policy, InventoryPolicy):
        raise QuaestorError(f"{iteration_id[:12]} is not an inventory policy.")
    return play_policy(network, policy, scenarios, terms)


@st.cache_resource(max_entries=PLAYS_KEPT, show_spinner=False)
def _played(key: str, _play: Callable[[], Played]) -> Played:
    return _play()
