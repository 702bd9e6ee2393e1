"""Signs people in by Streamlit's OIDC where it is configured; without it, whoever reaches the console may only look."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit import config

from app.roles import ConsoleSettings, NotAllowedError, Person, SignedOut, local_person, person_of
from quaestor.clock import utc_now

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def who() -> Person | SignedOut:
    """Who is looking now, told anew in every run: no state of the browser or of the session enters."""
    settings = ConsoleSettings()
    if not st.secrets.load_if_toml_exists():
        if any(Path(file).exists() for file in config.get_option("secrets.files")):
            return SignedOut("The secrets of this console cannot be read: nobody is let in.", may_sign_in=False)
        return local_person(settings, config.get_option("server.address") in LOCAL)
    if "auth" not in st.secrets:
        return local_person(settings, config.get_option("server.address") in LOCAL)
    return person_of(dict(st.user.to_dict()), settings, utc_now())


def signed_in() -> Person | None:
    """The person who looks; None, and a way to sign in, where nobody may look yet."""
    found = who()
    if isinstance(found, Person):
        if "is_logged_in" in st.user and st.user.is_logged_in:
            st.sidebar.button("Sign out", on_click=st.logout)
        return found
    st.header("Quaestor", anchor=False)
    st.text(found.why)
    if found.may_sign_in:
        st.button("Sign in", on_click=st.login, type="primary")
    elif "is_logged_in" in st.user and st.user.is_logged_in:
        st.button("Sign out", on_click=st.logout)
    return None


def may_act() -> Person:
    """The approver who looks; raises NotAllowedError for anybody else. Every move asks this, whatever was shown."""
    found = who()
    if isinstance(found, Person) and found.approves:
        return found
    raise NotAllowedError(f"You may not act. {found.why}")
