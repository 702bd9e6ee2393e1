"""The traps of Streamlit that were measured, and that no file of the console falls into one."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import streamlit as st

from app.queries.store import key_of
from tests.conftest import ROOT

FILES = sorted((ROOT / "app").rglob("*.py"))
SMALL = {"str", "int", "float", "bool"}
"""What a cached function may be told apart by; everything else is hashed by samples, or not at all."""
CACHES = {"cache_data", "cache_resource"}


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


def calls(path: Path, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and (
            getattr(node.func, "attr", "") in names or getattr(node.func, "id", "") in names
        ):
            yield node


def caching(function: ast.FunctionDef) -> list[ast.Call | ast.expr]:
    """The decorators of a function that remember what it returns."""

    def name(node: ast.expr) -> str:
        node = node.func if isinstance(node, ast.Call) else node
        return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")

    return [decorator for decorator in function.decorator_list if name(decorator) in CACHES]


def keywords(call: ast.expr) -> set[str]:
    return {keyword.arg or "" for keyword in call.keywords} if isinstance(call, ast.Call) else set()


def faults(path: Path) -> Iterator[str]:
    """What a file does that a cached function must not."""
    for function in functions(path):
        for decorator in caching(function):
            for argument in (*function.args.args, *function.args.kwonlyargs):
                told = ast.unparse(argument.annotation) if argument.annotation else "nothing"
                if not argument.arg.startswith("_") and told not in SMALL:
                    yield f"{path.name}: {function.name} is remembered by {argument.arg}: {told}"
            positional = [argument.arg for argument in function.args.args if not argument.arg.startswith("_")]
            if len(positional) > 1:
                yield f"{path.name}: {function.name} has several keys; adjacent texts collide: make one by key_of"
            if function.args.args and "max_entries" not in keywords(decorator):
                yield f"{path.name}: {function.name} remembers without end: give max_entries"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_cached_functions_take_one_small_key(path: Path) -> None:
    assert list(faults(path)) == []


def test_the_lint_finds_each_fault(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import streamlit as st\n"
        "@st.cache_data(max_entries=3)\ndef frame(rows: pl.DataFrame): ...\n"
        "@st.cache_data\ndef endless(key: str): ...\n"
        "@st.cache_resource(max_entries=3)\ndef two(first: str, second: str): ...\n"
        "@st.cache_data(max_entries=3)\ndef fine(key: str, _rows: pl.DataFrame): ...\n"
    )
    found = list(faults(bad))
    assert [fault.split(": ")[1].split()[0] for fault in found] == ["frame", "endless", "two"]


def test_a_frame_as_a_key_answers_wrongly_and_ours_does_not() -> None:
    """Streamlit takes polars frames for equal that agree at both ends; a key of everything tells them apart."""

    @st.cache_data(max_entries=9, show_spinner=False)
    def by_frame(frame: pl.DataFrame) -> int:
        return int(frame["x"].sum())

    @st.cache_data(max_entries=9, show_spinner=False)
    def by_key(key: str, _frame: pl.DataFrame) -> int:
        return int(_frame["x"].sum())

    one = pl.DataFrame({"x": [0] * 60})
    other = pl.DataFrame({"x": [0] * 25 + [9] * 10 + [0] * 25})
    assert by_frame(one) == 0
    trap = by_frame(other)
    assert by_key(key_of("state 1"), one) == 0
    assert by_key(key_of("state 2"), other) == 90
    if trap == 90:
        pytest.skip("this Streamlit hashes whole frames: the trap is gone, the rule costs nothing")
    assert trap == 0, "the answer for another frame"


def test_a_key_is_one_text_that_no_other_parts_give() -> None:
    keys = [key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of("a", "b", "c"), key_of(1, "1"), key_of("1", 1)]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {64}
    for refused in (pl.DataFrame({"x": [1]}), [1], {"a": 1}, object()):
        with pytest.raises(TypeError):
            key_of(refused)


def test_charts_and_tables_say_what_they_show() -> None:
    silent = [
        f"{path.name}:{call.lineno}"
        for path in FILES
        for call in calls(path, "draw", "altair_chart", "dataframe")
        if "alt" not in keywords(call)
    ]
    assert silent == []


def test_nothing_is_drawn_from_elsewhere_or_without_escaping() -> None:
    for path in FILES:
        assert "unsafe_allow_html" not in path.read_text(), path.name
        assert not list(calls(path, "html", "iframe", "components", "plotly_chart", "pyplot")), path.name
        assert "http://" not in path.read_text().replace("http://localhost", ""), path.name
        assert "https://" not in path.read_text(), path.name


def test_nothing_refreshes_by_itself() -> None:
    """What is being reviewed must not change under the reader's hands."""
    for path in FILES:
        assert "run_every" not in path.read_text(), path.name
        assert not [call for call in calls(path, "fragment") if "run_every" in keywords(call)], path.name


def test_no_browser_state_stands_in_for_a_check() -> None:
    """Whoever moves something is asked for anew: every file that changes the store asks `may_act`."""
    moving = {"promote", "reject", "roll_back", "carry_out"}
    for path in (ROOT / "app" / "screens").glob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        if names & moving:
            assert "may_act" in names, path.name
    assert "may_act()" in (ROOT / "app" / "resubmitting.py").read_text()


def test_the_server_ships_closed() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["client"]["showErrorDetails"] == "none"
    assert config["client"]["toolbarMode"] == "viewer"
    assert config["server"]["enableXsrfProtection"] is True
    assert config["server"]["enableStaticServing"] is False
    assert config["server"]["allowedHosts"]
    assert config["browser"]["gatherUsageStats"] is False
    assert config["runner"]["magicEnabled"] is False, "or a docstring of a page is drawn on it"
