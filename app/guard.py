"""Shows a screen, or one plain sentence where the store is missing, busy or cannot be read: never a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from app.queries.store import NoStoreError, together
from app.style import plain
from quaestor.errors import QuaestorError, StoreBusyError
from quaestor.settings import Settings

Read = TypeVar("Read")

NOTHING_YET = "There is nothing in the store yet."


def present(show: Callable[[], None]) -> None:
    """Runs a screen and says in one sentence what kept it from being shown."""
    try:
        with together():
            show()
    except NoStoreError:
        nothing_yet(NOTHING_YET)
    except StoreBusyError:
        patience = Settings().patience
        st.warning(f"The store is busy: another process has held it for {patience:g} s. Try again in a moment.")
        st.button("Try again")
    except QuaestorError as error:
        st.error(plain(str(error)))


def reading(query: Callable[[], Read]) -> Read:
    """Runs a query, and says so while it waits for its turn."""
    with st.spinner("Reading the store"):
        return query()


def nothing_yet(sentence: str, command: str = "make demo", does: str = "fills a store in a few minutes") -> None:
    """An empty state: what is missing, and the command that brings it."""
    st.info(sentence)
    st.text(f"What to do next: this {does}, then refresh this page.")
    st.code(command, language=None, wrap_lines=True)
