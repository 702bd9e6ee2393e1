"""Moves made from the console: by whom, on what review, and what refuses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from app.acting import VALID_FOR, Asked, Move, Nonces, Reviewed, carry_out, confirmation, evidence_digest
from app.checks import STALE_SHARE, Check, checks
from app.health import health
from app.queries.certificates import Stale
from app.queries.iterations import Iteration
from app.queries.moves import standing
from app.queries.overview import overview
from app.roles import NotAllowedError, Person, Role
from app.style import Status
from quaestor.clock import utc_now
from quaestor.errors import GateRefusedError, OvertakenError, QuaestorError, UsageError
from quaestor.registry import promotion
from quaestor.registry.judging import HEALTH, keep
from quaestor.settings import Settings
from quaestor.store import audit
from tests.app.decided import Decided
from tests.app.filled import Filled

pytestmark = pytest.mark.slow

APPROVER, VIEWER = Person("ann@example.org", Role.APPROVER, ""), Person("vic@example.org", Role.VIEWER, "Read only.")
GOOD = "agreed with the team"


def look(iteration_id: str) -> tuple[Iteration, Sequence[Check]]:
    """An iteration and its checks as they are now."""
    store = overview()
    (found,) = (each for each in store.iterations if each.iteration_id == iteration_id)
    return found, health(found, store.newest)


@dataclass(frozen=True)
class Desk:
    """A person before a form."""

    settings: Settings
    nonces: Nonces[Reviewed]
    person: Person = APPROVER

    def review(self, move: Move, iteration_id: str, at: datetime | None = None) -> tuple[str, Iteration]:
        """Shows the form and returns its nonce."""
        iteration, found = look(iteration_id)
        seen = standing(iteration.report.system).seen
        evidence, system = evidence_digest(iteration, found), iteration.report.system
        reviewed = Reviewed(self.person.name, move, system, iteration_id, seen, evidence, at or utc_now())
        return self.nonces.issue(reviewed), iteration

    def act(self, asked: Asked) -> str:
        """Sends it."""
        return carry_out(self.settings.store, self.nonces, asked, self.person, utc_now(), look)

    def promote(self, iteration_id: str, **changes: object) -> str:
        """Reviews and promotes."""
        nonce, iteration = self.review("promote", iteration_id)
        return self.act(replace(Asked(nonce, GOOD, confirmation(iteration)), **changes))  # type: ignore[arg-type]


@pytest.fixture
def desk(settings: Settings) -> Desk:
    """An approver's."""
    return Desk(settings, Nonces())


def live(settings: Settings, system: str) -> str | None:
    with settings.store.read() as connection:
        return audit.live(connection, system)


def last_entry(settings: Settings) -> dict[str, object]:
    with settings.store.read() as connection:
        return audit.trail(connection).row(-1, named=True)


def test_an_approver_promotes_once_and_rolls_back(settings: Settings, decided: Decided, desk: Desk) -> None:
    nonce, iteration = desk.review("promote", decided.waits)
    asked = Asked(nonce, GOOD, confirmation(iteration))
    assert "is live" in desk.act(asked)
    assert live(settings, "bandit") == decided.waits
    entry = last_entry(settings)
    assert (entry["actor"], entry["action"], entry["reason"]) == (APPROVER.name, "promote", GOOD)
    with pytest.raises(NotAllowedError, match="used already"):
        desk.act(asked)
    back, _ = desk.review("rollback", decided.waits)
    assert "again" in desk.act(Asked(back, "worse than expected"))
    assert live(settings, "bandit") == decided.live
    assert last_entry(settings)["action"] == "rollback"


def test_a_viewer_cannot_act_whatever_form_they_hold(settings: Settings, decided: Decided, desk: Desk) -> None:
    for move in ("promote", "reject", "rollback"):
        nonce, iteration = desk.review(move, decided.waits)  # type: ignore[arg-type]
        viewer = replace(desk, person=VIEWER)
        with pytest.raises(NotAllowedError, match="may not act"):
            viewer.act(Asked(nonce, GOOD, confirmation(iteration), override=True))
    assert live(settings, "bandit") == decided.live


@pytest.mark.parametrize("nonce", ["", "made-up", "0" * 32])
def test_a_forged_form_does_nothing(settings: Settings, decided: Decided, desk: Desk, nonce: str) -> None:
    _, iteration = desk.review("promote", decided.waits)
    with pytest.raises(NotAllowedError):
        desk.act(Asked(nonce, GOOD, confirmation(iteration), override=True))
    assert live(settings, "bandit") == decided.live


def test_a_form_is_one_persons_for_a_quarter_of_an_hour(settings: Settings, decided: Decided, desk: Desk) -> None:
    nonce, iteration = desk.review("promote", decided.waits)
    other = replace(desk, person=replace(APPROVER, name="bob@example.org"))
    with pytest.raises(NotAllowedError, match="somebody else"):
        other.act(Asked(nonce, GOOD, confirmation(iteration)))
    old, _ = desk.review("promote", decided.waits, utc_now() - VALID_FOR - timedelta(seconds=1))
    with pytest.raises(NotAllowedError, match="15 minutes"):
        desk.act(Asked(old, GOOD, confirmation(iteration)))
    assert live(settings, "bandit") == decided.live


@pytest.mark.parametrize(
    ("changes", "match"), [({"reason": " "}, "reason"), ({"typed": "wrong"}, "To confirm"), ({"typed": ""}, "type")]
)
def test_reason_and_confirmation_are_asked_for(
    settings: Settings, decided: Decided, desk: Desk, changes: dict[str, str], match: str
) -> None:
    with pytest.raises(UsageError, match=match):
        desk.promote(decided.waits, **changes)
    assert live(settings, "bandit") == decided.live


def test_the_gate_refuses_unless_overridden_with_a_reason(settings: Settings, filled: Filled, desk: Desk) -> None:
    with pytest.raises(GateRefusedError):
        desk.promote(filled.second)
    assert live(settings, "cards") == filled.first
    desk.promote(filled.second, override=True)
    assert live(settings, "cards") == filled.second
    assert str(last_entry(settings)["reason"]).startswith("override of: The gate says 'not enough evidence'")


def test_a_check_that_says_stop_refuses_what_the_gate_let_through(
    settings: Settings, decided: Decided, desk: Desk
) -> None:
    health = {"action_mix": {"a0": 1.0}, "alarms": ["The action mix has collapsed."]}
    keep(settings.store, decided.waits, HEALTH, health, decided.live)
    with pytest.raises(GateRefusedError, match="collapsed"):
        desk.promote(decided.waits)
    assert live(settings, "bandit") == decided.live
    desk.promote(decided.waits, override=True)
    assert "override of: The action mix has collapsed." in str(last_entry(settings)["reason"])


def test_data_that_changed_after_learning_stops_what_the_gate_let_through(
    settings: Settings, decided: Decided, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read afresh behind the screen: a few corrections are watched, more than a hundredth of the rounds stop it."""
    few, many = Stale("Stale: 3 corrections.", STALE_SHARE), Stale("Stale: 300 corrections.", 2 * STALE_SHARE)
    known = {few: Status.WATCH, many: Status.STOP, Stale("Stale: nobody knows.", None): Status.WATCH, None: Status.OK}
    iteration, _ = look(decided.waits)
    newest = overview().newest
    for stale, status in known.items():
        (found,) = (each for each in checks(iteration, newest, stale, utc_now()) if each.name == "Staleness")
        assert found.status is status
    nonce, _ = desk.review("promote", decided.waits)
    monkeypatch.setattr("app.health.stale_by", lambda system, iteration_id: many)
    with pytest.raises(OvertakenError, match="changed since"):
        desk.act(Asked(nonce, GOOD, confirmation(iteration)))
    with pytest.raises(GateRefusedError, match="300 corrections"):
        desk.promote(decided.waits)
    assert live(settings, "bandit") == decided.live
    monkeypatch.setattr("app.health.stale_by", lambda system, iteration_id: few)
    desk.promote(decided.waits)
    assert live(settings, "bandit") == decided.waits


def test_what_changed_since_the_review_stops_the_move(settings: Settings, decided: Decided, desk: Desk) -> None:
    nonce, iteration = desk.review("promote", decided.waits)
    promotion.reject(settings.store, decided.waits, "bob", "no")
    with pytest.raises(OvertakenError, match="changed since"):
        desk.act(Asked(nonce, GOOD, confirmation(iteration), override=True))
    assert live(settings, "bandit") == decided.live


def test_of_two_promoters_the_second_is_told_who_and_when(settings: Settings, filled: Filled, desk: Desk) -> None:
    first, iteration = desk.review("promote", filled.rule)
    other = replace(desk, person=replace(APPROVER, name="bob@example.org"))
    other.promote(filled.second, override=True)
    with pytest.raises(OvertakenError, match=r"bob@example\.org promoted"):
        desk.act(Asked(first, GOOD, confirmation(iteration), override=True))
    assert live(settings, "cards") == filled.second


def test_rejecting_closes_an_iteration(settings: Settings, decided: Decided, desk: Desk) -> None:
    nonce, _ = desk.review("reject", decided.waits)
    desk.act(Asked(nonce, "too dear"))
    with pytest.raises(QuaestorError, match="rejected"):
        promotion.promote(settings.store, decided.waits, "bob", GOOD)
