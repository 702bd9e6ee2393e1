"""Who may look and who may act follows from the claims of a sign-in and from the settings."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from app.roles import ConsoleSettings, Person, Role, SignedOut, local_person, person_of
from tests.conftest import ROOT

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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("secrets", "told"),
    [
        (
            "[auth\n",
            "SignedOut(why='The secrets of this console cannot be read: nobody is let in.', may_sign_in=False)",
        ),
        ("[other]\nx = 1\n", "role=<Role.APPROVER"),
    ],
    ids=["secrets that cannot be read", "secrets without sign-in"],
)
def test_secrets_that_cannot_be_read_let_nobody_in(tmp_path: Path, secrets: str, told: str) -> None:
    """A slip in the file that configures sign-in must not open the console to everyone."""
    path = tmp_path / "secrets.toml"
    path.write_text(secrets)
    surroundings = {**os.environ, "QUAESTOR_CONSOLE_LOCAL_APPROVER": "1"}
    code = (
        "from streamlit import config; config.get_config_options()\n"
        f"config._set_option('secrets.files', [{str(path)!r}], 'test')\n"
        "from app.sign_in import who; print(who())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=surroundings, capture_output=True, text=True, check=True
    )
    assert told in done.stdout
