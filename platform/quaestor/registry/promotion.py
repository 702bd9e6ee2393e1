"""Moves the live pointer: promote, reject, roll back; every move is audited in the same transaction."""

from __future__ import annotations

import polars as pl

from quaestor.errors import GateRefusedError, UsageError
from quaestor.registry.gate import Stage
from quaestor.store import Store, audit, evidence, iterations
from quaestor.store.audit import Entry


def promote(store: Store, name: str, actor: str, reason: str, override: bool = False) -> str:
    """Makes the iteration whose id starts with `name` live and returns its id; doing it twice changes nothing.

    Raises GateRefusedError unless the newest verdict is to promote and nobody rejected it, or `override` is
    given, which the audit trail then says.
    """
    with store.write() as connection:
        row = iterations.by_prefix(connection, name)
        previous = audit.live(connection, row.system)
        if previous == row.iteration_id:
            return row.iteration_id
        refusal = _refusal(evidence.verdicts(connection), audit.trail(connection, row.system), row.iteration_id)
        if refusal and not override:
            raise GateRefusedError(f"{refusal} It cannot be promoted; give a reason with --override to do it anyway.")
        audit.point(connection, row.system, row.iteration_id)
        said = f"override of: {refusal} {reason}" if refusal else reason
        audit.add(connection, Entry(actor, "promote", row.system, row.iteration_id, said, previous))
        return row.iteration_id


def reject(store: Store, name: str, actor: str, reason: str) -> str:
    """Closes an iteration to promotion and returns its id. Raises UsageError for the live one."""
    with store.write() as connection:
        row = iterations.by_prefix(connection, name)
        if audit.live(connection, row.system) == row.iteration_id:
            raise UsageError(f"{row.iteration_id[:12]} is live; roll back first, then reject it.")
        audit.add(connection, Entry(actor, "reject", row.system, row.iteration_id, reason))
        return row.iteration_id


def roll_back(store: Store, system: str, actor: str, reason: str, expected: str | None = None) -> str:
    """Makes the iteration that was live before the current one live again, and returns its id.

    expected: the iteration to take back; where another one has gone live meanwhile, nothing is moved. Raises
    UsageError then, and when there is no earlier one.
    """
    with store.write() as connection:
        history = live_history(audit.trail(connection, system))
        if len(history) < 2:
            raise UsageError(f"System {system!r} has no earlier live iteration to roll back to.")
        current, target = history[-1], history[-2]
        if expected not in (None, current):
            raise UsageError(f"{str(expected)[:12]} is not live any more, {current[:12]} is; nothing was rolled back.")
        audit.point(connection, system, target)
        audit.add(connection, Entry(actor, "rollback", system, target, reason, current))
        return target


def live_history(trail: pl.DataFrame) -> list[str]:
    """The iterations that a chain of roll-backs would walk through, the live one last."""
    history: list[str] = []
    for action, iteration_id in trail.select("action", "iteration_id").iter_rows():
        if action == "promote":
            history.append(iteration_id)
        elif action == "rollback":
            history.pop()
    return history


def _refusal(verdicts: pl.DataFrame, trail: pl.DataFrame, iteration_id: str) -> str | None:
    moves = trail.filter((pl.col("iteration_id") == iteration_id) & pl.col("action").is_in(["reject", "promote"]))
    if len(moves) and moves["action"][-1] == "reject":
        return f"{iteration_id[:12]} was rejected by {moves['actor'][-1]}: {moves['reason'][-1]}."
    found = verdicts.filter(pl.col("iteration_id") == iteration_id)
    if found.is_empty():
        return f"{iteration_id[:12]} has no verdict yet."
    if found["stage"][0] != Stage.PROMOTE:
        return f"The gate says {found['stage'][0]!r} of {iteration_id[:12]}: {' '.join(found['reasons'][0])}"
    return None
