"""Who looks at the console, and whether they may act: told from the sign-in and the settings, never the browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from quaestor.errors import QuaestorError
from quaestor.settings import Settings

SUBJECT = "sub:"


class NotAllowedError(QuaestorError):
    """Whoever asked for a move may not make it."""

    exit_code = 3


class Role(StrEnum):
    """What a person may do."""

    VIEWER = "viewer"
    APPROVER = "approver"


class ConsoleSettings(BaseSettings):
    """From the environment, QUAESTOR_CONSOLE_….

    approvers and viewers: verified e-mail addresses of the sign-in, or its subjects as `sub:…`, parted by commas; `*`
    as viewers lets everyone look who can sign in. local_approver: without any sign-in, whoever reaches the console from
    its own machine may act. sign_in_hours: after them an approver signs in again.
    """

    model_config = SettingsConfigDict(env_prefix="QUAESTOR_CONSOLE_", frozen=True)

    approvers: str = ""
    viewers: str = "*"
    local_approver: bool = False
    sign_in_hours: float = Field(default=12.0, gt=0)


@dataclass(frozen=True)
class Person:
    """Who looks. name: who the audit trail says acted. why: what the role rests on, as a sentence."""

    name: str
    role: Role
    why: str

    @property
    def approves(self) -> bool:
        """Whether this person may promote, reject and roll back."""
        return self.role is Role.APPROVER

    def said(self) -> str:
        """Name and role, for the foot of the navigation."""
        return f"{self.name}, {self.role}. {self.why}"


@dataclass(frozen=True)
class SignedOut:
    """Nobody who may look; why, as a sentence, and whether signing in is the way."""

    why: str
    may_sign_in: bool = True


def local_person(settings: ConsoleSettings, local: bool) -> Person:
    """Whoever looks at a console without sign-in: read only, unless the settings and the address say otherwise."""
    if settings.local_approver and local:
        return Person(Settings().actor, Role.APPROVER, "This console answers to its own machine only.")
    why = "Read only: nobody signs in here, so iterations are promoted from the command line."
    return Person("guest", Role.VIEWER, why)


def person_of(user: Mapping[str, Any], settings: ConsoleSettings, now: datetime) -> Person | SignedOut:
    """Who the claims of a sign-in name; now in UTC.

    Only an e-mail address that the provider verified, or the subject, counts. An approver's sign-in must be recent.
    """
    if user.get("is_logged_in") is not True:
        return SignedOut("Sign in to look at this console.")
    names = _names(user)
    if not names:
        return SignedOut("Your sign-in names neither a verified e-mail address nor a subject.", may_sign_in=False)
    name = names[0]
    if _listed(settings.approvers) & set(names):
        signed_at = user.get("iat")
        if not isinstance(signed_at, int | float) or isinstance(signed_at, bool):
            return Person(name, Role.VIEWER, "Read only: your sign-in does not say when it was made.")
        age = now - datetime.fromtimestamp(signed_at, UTC).replace(tzinfo=None)
        if age > timedelta(hours=settings.sign_in_hours):
            return Person(name, Role.VIEWER, "Read only: your sign-in is too old to act; sign in again.")
        return Person(name, Role.APPROVER, "You may promote, reject and roll back.")
    if settings.viewers.strip() == "*" or _listed(settings.viewers) & set(names):
        return Person(name, Role.VIEWER, "Read only: you are not among the approvers.")
    return SignedOut("You are signed in, but not among those who may look.", may_sign_in=False)


def _names(user: Mapping[str, Any]) -> tuple[str, ...]:
    """How the person may be listed, the best name for the audit trail first."""
    email, subject = user.get("email"), user.get("sub")
    names = []
    if isinstance(email, str) and user.get("email_verified") is True and not email.strip().lower().startswith(SUBJECT):
        names.append(email.strip().lower())
    if isinstance(subject, str) and subject.strip():
        names.append(SUBJECT + subject.strip().lower())
    return tuple(name for name in names if name)


def _listed(names: str) -> set[str]:
    return {name.strip().lower() for name in names.split(",")} - {"", "*"}
