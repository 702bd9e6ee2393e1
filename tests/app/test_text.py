"""Text from the store stays text: on screens, in tables, and in what is exported from them."""

from __future__ import annotations

import polars as pl
import pytest

from app import panels
from app.style import inert, plain, shown


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=cmd()", "'=cmd()"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-0.25", "-0.25"),
        ("+1.3%", "+1.3%"),
        ("\t=1", "⟨U+0009⟩=1"),
        ("  =1", "'  =1"),
        ("gnp.exe\u202etxt", "gnp.exe⟨U+202E⟩txt"),
        ("card", "card"),
    ],
)
def test_text_is_inert_in_tables(text: str, safe: str) -> None:
    assert inert(text) == safe
    frame = panels.exportable(pl.DataFrame({text: [text], "n": [1]}))
    assert frame.row(0) == (safe, 1)
    assert frame.columns[0] == safe


def test_endless_names_end() -> None:
    assert len(shown("x" * 10_000)) == 2000
    assert len(plain("[" * 10_000)) <= 4000
