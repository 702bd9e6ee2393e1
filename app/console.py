"""The console: routes to the screens. `streamlit run app/console.py`."""

from __future__ import annotations

import streamlit as st

SCREENS = (
    ("screens/overview.py", "Overview", "overview"),
    ("screens/payments.py", "Payments", "payments"),
    ("screens/inventory.py", "Inventory", "inventory"),
    ("screens/certificates.py", "Certificates", "certificates"),
    ("screens/feedback_health.py", "Feedback health", "feedback-health"),
)


def main() -> None:
    """Shows the navigation and runs the chosen screen."""
    st.set_page_config(page_title="Quaestor", layout="wide")
    pages = [
        st.Page(path, title=title, url_path=address, default=address == "overview") for path, title, address in SCREENS
    ]
    chosen = st.navigation(pages)
    st.sidebar.button("Refresh", help="Read the store again.")
    st.sidebar.caption("Quaestor. Read only: iterations are promoted from the command line. Times are UTC.")
    chosen.run()


if __name__ == "__main__":
    main()
