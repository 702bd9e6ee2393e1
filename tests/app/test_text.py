"""Text from the store stays text, and what is remembered is remembered under a name of its own."""

from __future__ import annotations

import polars as pl
import pytest

from app import panels
from app.queries.store import key_of
from app.style import inert, plain, shown
from tests.conftest import ROOT


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


def test_equal_looking_arguments_are_told_apart() -> None:
    assert key_of("a", "bc") != key_of("ab", "c")
    assert key_of("a", None) != key_of("a", "null")
    assert key_of("a", 1) != key_of("a", "1")
    with pytest.raises(TypeError, match="remembered by text"):
        key_of("a", pl.DataFrame({"x": range(30)}))


def test_only_the_store_remembers_and_by_one_key() -> None:
    """Streamlit's caches take frames that differ in their middle, and texts parted otherwise, for equal."""
    using = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "app").rglob("*.py")
        if "cache_data" in path.read_text() or "lru_cache" in path.read_text()
    ]
    assert using == []
