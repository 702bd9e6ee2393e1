"""What is live in each system, what was live before it, and how far the moves have come."""

from __future__ import annotations

from dataclasses import dataclass

from app.queries.store import remembered
from quaestor.registry.promotion import last_move, live_history
from quaestor.store import Connection, audit


@dataclass(frozen=True)
class Standing:
    """Of one system. live_id: what decides now; before_id: what a roll-back makes live again, None where there is
    nothing to go back to. seen: the number of the last move, which a move must still find."""

    live_id: str | None
    before_id: str | None
    seen: int


@remembered
def standing(connection: Connection, system: str) -> Standing:
    """How a system stands."""
    history = live_history(audit.trail(connection, system))
    return Standing(
        live_id=audit.live(connection, system),
        before_id=history[-2] if len(history) > 1 else None,
        seen=last_move(connection, system),
    )
