"""Long lists a page at a time; the store reads the page that is shown, and no more."""

from __future__ import annotations

import streamlit as st


def page_of(rows: int, size: int, key: str, what: str) -> int:
    """Lets the reader turn the pages of a list of so many rows; the number of the page, from 0."""
    pages = max(1, -(-rows // size))
    if pages == 1:
        return 0
    said = f"{rows:,} rows, {size} a page."
    return int(st.number_input(f"Page of {what}, 1 to {pages:,}", 1, pages, 1, key=key, help=said)) - 1
