"""Who may look and who may act follows from the claims of a sign-in and from the settings."""

from __future__ import annotations

from datetime import datetime

import pytest

from app.roles import ConsoleSettings, Person, Role, SignedOut, local_person, person_of

NOW = datetime(2026, 3, 1, 12)
SIGNED = {"is_logged_in": True, "email": "Ann@Example.org", "email_verified": True, "sub": "7", "iat": 1772362800}
"""Signed in at 11:00 UTC that day."""


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({}, Role.APPROVER),
        ({"email_verified": False}, Role.VIEWER),
        ({"email_verified": "true"}, Role.VIEWER),
        ({"email": "ann@example.org.evil.org"}, Role.VIEWER),
        ({"email": "ann@example.org,x"}, Role.VIEWER),
        ({"iat": None}, Role.VIEWER),
        ({"iat": True}, Role.VIEWER),
        ({"iat": 1772362800 - 13 * 3600}, Role.VIEWER),
        ({"email": "ops@example.org", "sub": "Ops-7"}, Role.APPROVER),
        ({"email": "sub:ops-7", "sub": "8"}, Role.VIEWER),
        ({"is_logged_in": False}, None),
        ({"is_logged_in": "yes"}, None),
        ({"email": None, "sub": None}, None),
    ],
)
def test_roles_follow_from_verified_claims_alone(claims: dict[str, object], role: Role | None) -> None:
    settings = ConsoleSettings(approvers="ann@example.org, sub:ops-7")
    found = person_of({**SIGNED, **claims}, settings, NOW)
    assert (found.role if isinstance(found, Person) else None) == role


def test_who_is_not_listed_may_not_look() -> None:
    settings = ConsoleSettings(approvers="ann@example.org", viewers="vic@example.org")
    assert isinstance(person_of({**SIGNED, "email": "eve@example.org"}, settings, NOW), SignedOut)
    seen = person_of({**SIGNED, "email": "vic@example.org"}, settings, NOW)
    assert isinstance(seen, Person)
    assert not seen.approves


def test_without_sign_in_the_console_is_read_only_unless_the_operator_says_otherwise() -> None:
    assert not local_person(ConsoleSettings(), local=True).approves
    assert not local_person(ConsoleSettings(local_approver=True), local=False).approves
    assert local_person(ConsoleSettings(local_approver=True), local=True).approves
