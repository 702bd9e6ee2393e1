"""Explains a logged decision: derives it again from its features and its iteration (rules R5 and R14)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from quaestor.export.encoding import Encoded, eligible_matrix
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.policy import GRAPH, SPEC, load_policy
from quaestor.randomness import uniforms
from quaestor.registry import iteration as registry
from quaestor.store import Store, iterations, rounds


@dataclass(frozen=True)
class Explanation:
    """A logged decision and the same decision derived again.

    logged and derived map eligible actions to probabilities; predicted to the oracle's rewards. drivers: by how much
    each feature raised the predicted lead of the action taken over its best rival, the strongest first. derived,
    predicted, drivers and derived_action are None where the iteration is not in this store. reward is None without
    outcome. draw: the uniform number from which the action followed (rule R2), None without the iteration. fallback:
    the policy had failed, and the default was taken.
    """

    system: str
    event_id: str
    decided_at: str
    iteration_id: str | None
    action: str
    propensity: float
    features: dict[str, Any]
    eligible: tuple[str, ...]
    logged: dict[str, float] | None
    derived: dict[str, float] | None
    predicted: dict[str, float] | None
    derived_action: str | None
    reward: float | None
    drivers: dict[str, float] | None = None
    draw: float | None = None
    fallback: bool = False

    def driven(self) -> str:
        """What drove the decision: the prediction or the exploration, and the features behind it."""
        if self.predicted is None or self.drivers is None:
            return "What drove it cannot be told without its iteration."
        best = max(self.predicted, key=lambda name: self.predicted[name])  # type: ignore[index]
        if len(self.predicted) == 1:
            return f"{self.action} was the only eligible action."
        rivals = [name for name in self.predicted if name != self.action]
        rival = max(rivals, key=lambda name: self.predicted[name])  # type: ignore[index]
        lead = self.predicted[self.action] - self.predicted[rival]
        why = "predicted best" if best == self.action else f"explored; {best} was predicted best"
        strongest = [f"{name} {effect:+.3g}" for name, effect in list(self.drivers.items())[:5] if effect]
        behind = ", ".join(strongest) or "no feature moved it"
        return f"{self.action} was {why}. Its lead over {rival} of {lead:+.3g} in predicted reward owes to: {behind}."

    def sentence(self) -> str:
        """What was decided, by whom, and whether it can be derived again."""
        by = f"iteration {str(self.iteration_id)[:12]}"
        made = f"{self.event_id}: {self.action} with probability {self.propensity:.4g} by {by}"
        outcome = "no outcome yet" if self.reward is None else f"reward {self.reward:g}"
        if self.derived is None or self.derived_action is None:
            return f"{made}; {outcome}. That iteration is not in this store, so the decision cannot be derived again."
        difference = abs(self.derived[self.action] - self.propensity)
        same = difference <= 1e-6 and self.derived_action == self.action
        verdict = (
            "derived again exactly" if same else f"derived as {self.derived_action}, propensity off by {difference:.2g}"
        )
        return f"{made}; {outcome}; {verdict}."

    def rows(self) -> list[tuple[str, ...]]:
        """One row an eligible action, the likeliest first: its name, whether it was taken, predicted reward,
        probability as logged and as derived again."""
        order = self.derived or self.logged or {}
        names = sorted(self.eligible, key=lambda name: -order.get(name, 0.0))
        return [
            (
                name,
                "taken" if name == self.action else "yes",
                *(_figure(part, name) for part in (self.predicted, self.logged, self.derived)),
            )
            for name in names
        ]


def explain_decision(store: Store, data_folder: Path, event_id: str, system: str | None) -> Explanation:
    """Explains one decision; raises UsageError when there is none of that id, or several and no system is given."""
    with store.read() as connection:
        row = rounds.one_decision(connection, event_id, system)
        reward = rounds.newest_reward(connection, row["system"][0], event_id)
        name = row["iteration_id"][0]
        known = name is not None and iterations.exists(connection, name)
    eligible = tuple(row["eligible"][0])
    logged = row["propensities"][0]
    features = {name: row[name][0] for name in row.columns if name.startswith(("numeric_", "category_"))}
    derived = predicted = derived_action = drivers = drawn = None
    if known:
        iteration = registry.get(store, data_folder, row["iteration_id"][0])
        policy = load_policy(iteration.read(GRAPH), iteration.read(SPEC), iteration.iteration_id[:12])
        if isinstance(policy, PaymentsPolicy):
            derived, predicted, derived_action = _derive(policy, row)
            drawn = float(uniforms(policy.keys([event_id]), 1)[0, 0])
            drivers = _drivers(policy, row, predicted)
    return Explanation(
        system=row["system"][0],
        event_id=event_id,
        decided_at=row["decided_at"][0].isoformat(),
        iteration_id=row["iteration_id"][0],
        action=row["action"][0],
        propensity=row["propensity"][0],
        features=features,
        eligible=eligible,
        logged=None if logged is None else dict(zip(eligible, logged, strict=True)),
        derived=derived,
        predicted=predicted,
        derived_action=derived_action,
        reward=reward,
        drivers=drivers,
        draw=drawn,
        fallback=bool(row["fallback"][0]),
    )


def _derive(policy: PaymentsPolicy, row: pl.DataFrame) -> tuple[dict[str, float], dict[str, float], str]:
    contexts = policy.encode(row)
    eligible = eligible_matrix(row["eligible"], policy.spec.actions)
    choice = policy.choose(contexts, eligible, row["event_id"].to_list())
    scores = policy.scores(contexts)[0]
    names = np.array(policy.spec.actions)
    allowed = np.flatnonzero(eligible[0])
    return (
        {str(names[k]): float(choice.probabilities[0, k]) for k in allowed},
        {str(names[k]): float(scores[k]) for k in allowed},
        str(names[choice.action[0]]),
    )


def _drivers(policy: PaymentsPolicy, row: pl.DataFrame, predicted: dict[str, float]) -> dict[str, float]:
    """How far the lead of the action taken falls when each feature is not known: a number at its mean, a category at
    none of its levels."""
    features = policy.spec.features
    action = row["action"][0]
    if action not in predicted or len(predicted) == 1:
        return {}
    rival = max((name for name in predicted if name != action), key=lambda name: predicted[name])
    known = policy.encode(row)
    numbers, categories = len(features.numeric), len(features.category)
    numeric = np.repeat(known.numeric, 1 + numbers + categories, axis=0)
    category = np.repeat(known.category, 1 + numbers + categories, axis=0)
    for column, feature in enumerate(features.numeric):
        numeric[1 + column, column] = feature.missing
    for column in range(categories):
        category[1 + numbers + column, column] = 0
    scores = policy.scores(Encoded(numeric, category))
    lead = scores[:, policy.spec.actions.index(action)] - scores[:, policy.spec.actions.index(rival)]
    names = [*(feature.name for feature in features.numeric), *(feature.name for feature in features.category)]
    effects = dict(zip(names, (lead[0] - lead[1:]).tolist(), strict=True))
    return dict(sorted(effects.items(), key=lambda item: -abs(item[1])))


def _figure(part: dict[str, float] | None, name: str) -> str:
    return "unknown" if part is None or name not in part else f"{part[name]:.6g}"
