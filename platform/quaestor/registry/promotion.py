"""Moves the live pointer: promote, reject, roll back; every move is audited in the same transaction."""

from __future__ import annotations

import polars as pl

from quaestor.errors import GateRefusedError, OvertakenError, UsageError
from quaestor.registry.gate import Stage
from quaestor.store import Connection, Store, audit, evidence, fencing, iterations
from quaestor.store.audit import Entry


def promote(store: Store, name: str, actor: str, reason: str, override: bool = False, seen: int | None = None) -> str:
    """Makes the iteration whose id starts with `name` live and returns its id; doing it twice changes nothing.

    seen: the number of the last move that the promoter knew of (`last_move`), by default the last one before this
    call had to wait for its turn. Raises OvertakenError, with who and when, where somebody moved since; and
    GateRefusedError unless the newest verdict is to promote and nobody rejected it, or `override` is given, which the
    audit trail then says.
    """
    with store.read() as connection:
        row = iterations.by_prefix(connection, name)
        seen = last_move(connection, row.system) if seen is None else seen
    with store.write() as connection:
        fencing.next_token(connection)  # of two moves at once, one fails on every engine
        previous = audit.live(connection, row.system)
        if previous == row.iteration_id:
            return row.iteration_id
        trail = audit.trail(connection, row.system)
        _refuse_overtaken(trail, seen, f"{row.iteration_id[:12]} was not promoted")
        refusal = _refusal(evidence.verdicts(connection), trail, row.iteration_id)
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


def roll_back(
    store: Store, system: str, actor: str, reason: str, expected: str | None = None, seen: int | None = None
) -> str:
    """Makes the iteration that was live before the current one live again, and returns its id.

    expected: the iteration to take back, where it is known; seen: as for `promote`. Raises OvertakenError, with who
    and when, where somebody moved since, and UsageError when there is no earlier iteration; nothing is moved then.
    """
    with store.read() as connection:
        seen = last_move(connection, system) if seen is None else seen
    with store.write() as connection:
        fencing.next_token(connection)  # of two moves at once, one fails on every engine
        trail = audit.trail(connection, system)
        _refuse_overtaken(trail, seen, "nothing was rolled back")
        history = live_history(trail)
        if len(history) < 2:
            raise UsageError(f"System {system!r} has no earlier live iteration to roll back to.")
        current, target = history[-1], history[-2]
        if expected not in (None, current):
            raise OvertakenError(
                f"{str(expected)[:12]} is not live any more: {_told(_moves(trail))}; nothing was rolled back."
            )
        audit.point(connection, system, target)
        audit.add(connection, Entry(actor, "rollback", system, target, reason, current))
        return target


def last_move(connection: Connection, system: str) -> int:
    """The number of the last promotion or roll-back of a system, 0 where there was none: what a person who is about
    to move has seen."""
    moves = _moves(audit.trail(connection, system))
    return int(moves["entry"][-1]) if len(moves) else 0


def live_history(trail: pl.DataFrame) -> list[str]:
    """The iterations that a chain of roll-backs would walk through, the live one last."""
    history: list[str] = []
    for action, iteration_id in trail.select("action", "iteration_id").iter_rows():
        if action == "promote":
            history.append(iteration_id)
        elif action == "rollback":
            history.pop()
    return history


def _moves(trail: pl.DataFrame) -> pl.DataFrame:
    return trail.filter(pl.col("action").is_in(["promote", "rollback"]))


def _refuse_overtaken(trail: pl.DataFrame, seen: int, what: str) -> None:
    """Two at once: the first wins, the other hears of it. Entries are numbered, so that no clock decides."""
    since = _moves(trail).filter(pl.col("entry") > seen)
    if len(since):
        raise OvertakenError(f"{_told(since)}; {what}. Look at what is live now, then decide again.")


def _told(moves: pl.DataFrame) -> str:
    last = moves.row(-1, named=True)
    did = {"promote": "promoted", "rollback": "rolled back to"}[last["action"]]
    return f"{last['actor']} {did} {last['iteration_id'][:12]} at {last['entered_at']:%Y-%m-%d %H:%M:%S} UTC"


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
