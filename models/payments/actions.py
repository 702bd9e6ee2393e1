"""What a policy may do: actions old and new, described by their parts, without those that were retired."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from quaestor.errors import UsageError
from quaestor.study import did_you_mean

COMBINES = "+"
"""Parts the optimisations of a combined action: network_token+route_b."""


@dataclass(frozen=True)
class ActionParams:
    """new: actions that no logged round had to choose from yet; they are predicted from their parts. retired: actions
    that are no longer taken; rounds that took one teach nothing. features: further words that describe an action,
    such as the acquirer or the cost class it belongs to."""

    new: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    features: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        both = set(self.new) & set(self.retired)
        if both:
            raise ValueError(f"{sorted(both)[0]!r} cannot be new and retired at once.")


def live_actions(logged: tuple[str, ...], params: ActionParams) -> tuple[str, ...]:
    """The actions that a policy refitted now may take, in alphabetical order.

    Raises UsageError for a retired or described action that nobody knows, or when none is left.
    """
    known = set(logged) | set(params.new)
    for name in (*params.retired, *params.features):
        if name not in known:
            raise UsageError(f"No action {name!r} in the log.{did_you_mean(name, known)}")
    live = tuple(sorted(known - set(params.retired)))
    if not live:
        raise UsageError("Every action is retired; a policy needs one at least.")
    return live


def refuse_default(action: str, actions: tuple[str, ...]) -> None:
    """Raises UsageError for a default action that a policy over these actions does not have."""
    if action not in actions:
        raise UsageError(f"refit.default_action {action!r} is not an action of the log.{did_you_mean(action, actions)}")


def described(actions: tuple[str, ...], params: ActionParams) -> NDArray[np.float64]:
    """Which words describe each action, (action, word): its parts and features, as far as two actions share them."""
    words = [{*name.split(COMBINES), *params.features.get(name, ())} for name in actions]
    shared = sorted({word for own in words for word in own if sum(word in other for other in words) > 1})
    return np.array([[float(word in own) for word in shared] for own in words]).reshape(len(actions), len(shared))
