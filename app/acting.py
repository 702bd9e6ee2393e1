"""Moves made from the console: what a person reviewed is checked again behind the screen before anything moves."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

from app.checks import Check, stops
from app.queries.iterations import Iteration
from app.roles import NotAllowedError, Person
from app.style import short
from quaestor.errors import GateRefusedError, OvertakenError, UsageError
from quaestor.registry import promotion
from quaestor.registry.canonical import digest_of
from quaestor.store import Store

Move: TypeAlias = Literal["promote", "reject", "rollback"]

VALID_FOR = timedelta(minutes=15)
KEPT = 1000
REASON_CHARACTERS = (3, 1000)


@dataclass(frozen=True)
class Reviewed:
    """What a person had before them when a form was shown: of whom, what, and the digest of the evidence.

    seen: the number of the last move of the system then.
    """

    person: str
    move: Move
    system: str
    iteration_id: str
    seen: int
    evidence: str
    shown_at: datetime


@dataclass(frozen=True)
class Asked:
    """What the form brought back. nonce: of the form; typed: the confirmation; override: against the gate's word."""

    nonce: str
    reason: str
    typed: str = ""
    override: bool = False


class Shown(Protocol):
    """What every form says of itself: to whom it was shown, and when."""

    @property
    def person(self) -> str:
        """Their name."""

    @property
    def shown_at(self) -> datetime:
        """In UTC."""


Form = TypeVar("Form", bound=Shown)


@dataclass
class Nonces(Generic[Form]):
    """Forms that were shown and not yet used, each good for one move of one person; lost with the process."""

    _open: dict[str, Form] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def issue(self, reviewed: Form) -> str:
        """A nonce for a form that shows this."""
        nonce = secrets.token_urlsafe(24)
        with self._lock:
            for old in list(self._open)[: max(0, len(self._open) + 1 - KEPT)]:
                del self._open[old]
            self._open[nonce] = reviewed
        return nonce

    def __contains__(self, nonce: object) -> bool:
        with self._lock:
            return nonce in self._open

    def take(self, nonce: str, person: Person, now: datetime) -> Form:
        """What the form showed, once. Raises NotAllowedError for a form that was never shown, was used already, is too
        old, or was shown to somebody else."""
        with self._lock:
            reviewed = self._open.pop(nonce, None)
        if reviewed is None:
            raise NotAllowedError("This form was used already, or was never shown; nothing was done. Review it again.")
        if reviewed.person != person.name:
            raise NotAllowedError("This form was shown to somebody else; nothing was done.")
        if now - reviewed.shown_at > VALID_FOR:
            minutes = VALID_FOR // timedelta(minutes=1)
            raise NotAllowedError(f"This form was shown more than {minutes} minutes ago; review it again.")
        return reviewed


def evidence_digest(iteration: Iteration, found: Sequence[Check]) -> str:
    """The digest of what a review shows of an iteration: its report, and how each check stands."""
    return digest_of([iteration.report.as_json(), [[check.name, check.status] for check in found]])


def confirmation(iteration: Iteration) -> str:
    """What a person types to confirm a promotion: the start of the iteration's id."""
    return short(iteration.iteration_id)[:6]


def carry_out(
    store: Store,
    nonces: Nonces[Reviewed],
    asked: Asked,
    person: Person,
    now: datetime,
    look: Callable[[str], tuple[Iteration, Sequence[Check]]],
) -> str:
    """Makes the move that a form asks for and returns what was done, as a sentence.

    look: reads an iteration and its checks afresh. Raises NotAllowedError for a person who may not act and for a form
    that does not count, UsageError without a reason or confirmation, OvertakenError where evidence or live policy
    changed since the form was shown, and GateRefusedError where gate or checks refuse and nobody overrides them.
    """
    if not person.approves:
        raise NotAllowedError(f"You may not act. {person.why}")
    reviewed = nonces.take(asked.nonce, person, now)
    reason = _reason(asked.reason)
    name = short(reviewed.iteration_id)
    if reviewed.move == "rollback":
        target = promotion.roll_back(
            store, reviewed.system, person.name, reason, expected=reviewed.iteration_id, seen=reviewed.seen
        )
        return f"{short(target)} is live in {reviewed.system} again; {name} was taken back."
    if reviewed.move == "reject":
        promotion.reject(store, reviewed.iteration_id, person.name, reason)
        return f"{name} is rejected: it cannot be promoted unless somebody overrides that."
    iteration, found = look(reviewed.iteration_id)
    if evidence_digest(iteration, found) != reviewed.evidence:
        raise OvertakenError(f"The evidence of {name} changed since you opened this page; review it again.")
    if asked.typed.strip().lower() != confirmation(iteration):
        raise UsageError(f"To confirm, type {confirmation(iteration)}: the start of the iteration's id.")
    refused = stops(found)
    if refused and not asked.override:
        raise GateRefusedError(f"A check says stop: {refused[0].sentence} {name} was not promoted.")
    if refused:
        reason = f"override of: {' '.join(check.sentence for check in refused)} {reason}"
    promotion.promote(store, reviewed.iteration_id, person.name, reason, asked.override, seen=reviewed.seen)
    return f"{name} is live in {reviewed.system}. The one before it can be made live again on this page."


def _reason(text: str) -> str:
    reason, (least, most) = " ".join(text.split()), REASON_CHARACTERS
    if not least <= len(reason) <= most:
        raise UsageError(f"Give a reason of {least} to {most:,} characters; it is kept in the audit trail.")
    return reason
