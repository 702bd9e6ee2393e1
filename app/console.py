"""The console: who is looking, and the way to the screens. `streamlit run app/console.py`."""

from __future__ import annotations

import streamlit as st

import app.libraries  # noqa: F401
from app.sign_in import signed_in
from app.style import plain

SCREENS = {
    "": {"overview": "Overview"},
    "Iterations": {
        "iterations": "Iterations",
        "iteration": "One iteration",
        "side_by_side": "Side by side",
        "act": "Act",
    },
    "What they do": {
        "payments": "Payments",
        "decisions": "Decisions",
        "inventory": "Inventory",
        "certificates": "Certificates",
    },
    "What they learn from": {"feedback_health": "Feedback health"},
}


def main() -> None:
    """Shows the navigation and runs the chosen screen, for whoever may look."""
    st.set_page_config(page_title="Quaestor", layout="wide")
    person = signed_in()
    if person is None:
        return
    pages = {
        group: [
            st.Page(f"screens/{name}.py", title=title, url_path=name.replace("_", "-"), default=name == "overview")
            for name, title in members.items()
        ]
        for group, members in SCREENS.items()
    }
    chosen = st.navigation(pages)
    st.sidebar.button("Refresh", help="Read the store again.")
    st.sidebar.caption(plain(f"Quaestor. {person.said()} Times are UTC."))
    chosen.run()


if __name__ == "__main__":
    main()
