"""What makes an analyst understand in a minute, held on every screen that shows figures (operations.md, 1 to 17)."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import datetime

import pytest
from streamlit.testing.v1 import AppTest

from app import frames
from app.queries.iterations import all_iterations
from app.style import short
from quaestor.clock import utc_now
from quaestor.registry.judging import HEALTH, keep
from quaestor.settings import Settings
from tests.app.decided import Decided
from tests.app.filled import Filled, expire
from tests.app.test_screens import SCREENS, opened, report_of, said, table
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

FIGURES = ("overview", "iteration", "side_by_side", "act", "payments", "inventory", "certificates")
"""Screens whose figures rest on evidence that may not be trusted."""
CHECKED = ("Certificate", "Staleness", "Freshness")
JUDGED = ("Logging balance", "Propensities", "Overlap", "Missing outcomes", "Drift")
SOURCES = {
    "overview": "the overview",
    "iterations": "this list",
    "iteration": "the evaluation",
    "side_by_side": "the comparison",
    "act": "this review",
    "payments": "these payments figures",
    "decisions": "this decision",
    "inventory": "these plays",
    "certificates": "this certificate",
    "feedback_health": "these counts",
}
"""Each screen, and what it says the origin of."""
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?")


def everywhere(decided: Decided) -> Iterator[tuple[str, AppTest]]:
    """Every screen on the store with real decisions, of the iteration that waits where it is of one."""
    for screen in SCREENS:
        address = {"system": "bandit", "event": decided.event} if screen == "decisions" else {}
        if screen in ("iteration", "act", "payments", "certificates"):
            address = {"iteration": short(decided.waits)}
        yield screen, opened(screen, **address)


def test_what_every_screen_holds(settings: Settings, decided: Decided) -> None:
    """One walk through all screens: the sentence first (1), the strip above results (4), the method beside the number
    (5), times that say of what (13), axes that nobody can move (6), and where each number comes from (16)."""
    keep(settings.store, decided.waits, HEALTH, {"action_mix": {"a0": 1.0}, "alarms": []}, decided.live)
    for screen, test in everywhere(decided):
        assert not test.exception, screen
        assert re.search(r"\d", test.header[0].value), f"{screen} begins with figures in a sentence"
        words = said(test).replace("\\", "")
        if screen in FIGURES:
            assert all(f"{name}: " in words for name in CHECKED), screen
        if screen in ("iteration", "act", "payments", "overview"):
            assert all(f"{name}: " in words for name in JUDGED), screen
        if screen in FIGURES and screen != "certificates":
            assert re.search(r"By .+ on .+", words), f"{screen} says how it knows"
        times_say_of_what(screen, test)
        for chart in test.get("vega_lite_chart"):
            assert '"params"' not in chart.proto.spec, f"{screen}: an axis that moves is compared with nothing"
        origin_opens(screen, test)


def times_say_of_what(screen: str, test: AppTest) -> None:
    for frame in test.dataframe:
        for name, column in frame.value.items():
            if column.dtype.kind == "M" or (len(column) and isinstance(column.iloc[0], datetime)):
                assert str(name).endswith("(UTC)"), (screen, name)
                assert len(str(name).split()) > 1, (screen, name)
    kinds = (test.header, test.text, test.caption, test.warning, test.info)
    for element in (element for kind in kinds for element in kind):
        sentence = str(element.value).replace("\\", "")
        for found in MOMENT.finditer(sentence):
            before, after = sentence[: found.start()], sentence[found.end() :]
            assert after.startswith(" UTC") or " UTC" in after[:60], (screen, sentence)
            assert len(before.split()) > 1, (screen, sentence)


def origin_opens(screen: str, test: AppTest) -> None:
    """Query, state and rows, once somebody opens them."""
    what = SOURCES[screen]
    assert f"Where this comes from: {what}" in [part.label for part in test.expander], screen
    before = len(test.dataframe)
    test.session_state[f"source of {what}"] = True
    test.run()
    assert not test.exception, screen
    assert "Read from the store in the state" in said(test), screen
    assert len(test.dataframe) > before, f"{screen} shows the rows below {what}"
    assert any(block.value.startswith(("quaestor ", "select ")) for block in test.code), screen


def test_what_changed_is_the_default_view(filled: Filled) -> None:
    for screen, name in (("iteration", filled.second), ("payments", filled.second), ("inventory", filled.graph)):
        test = opened(screen, iteration=short(name))
        (part,) = (part for part in test.expander if part.label.startswith("What changed"))
        assert part.proto.expanded, screen
        assert "this" in table(test, "parent"), screen


def test_the_rows_below_the_bound_are_the_episodes(settings: Settings, filled: Filled) -> None:
    certificate = report_of(settings, filled.graph).certificate
    assert certificate is not None
    test = opened("certificates", iteration=short(filled.graph))
    assert "Shaded: the 95% interval" in said(test).replace("\\", "")
    test.session_state["source of this certificate"] = True
    played = table(test.run(), "episode")
    assert len(played) == certificate.episodes
    assert played["value"].mean() == pytest.approx(certificate.nominal)


def test_the_rows_below_the_plays_give_the_means_that_are_drawn(filled: Filled) -> None:
    test = opened("inventory", iteration=short(filled.graph))
    test.session_state["source of these plays"] = True
    rows = table(test.run(), "served")
    assert rows["policy"].value_counts().to_dict() == {"candidate": 3, "incumbent": 3}
    drawn = [json.loads(chart.proto.spec) for chart in test.get("vega_lite_chart")]
    assert any("cost per store and period" in json.dumps(spec) for spec in drawn)
    assert (rows["cost"] == rows[["holding cost", "underage cost", "purchase cost"]].sum(axis=1)).all() or (
        (rows["cost"] - rows[["holding cost", "underage cost", "purchase cost"]].sum(axis=1)).abs().max() < 1e-9
    )


def test_a_check_that_stops_greys_a_certificate(settings: Settings, filled: Filled) -> None:
    certificate = report_of(settings, filled.graph).certificate
    assert certificate is not None
    bright = opened("certificates", iteration=short(filled.graph)).get("vega_lite_chart")[0].proto.spec
    expire(settings, filled.graph, certificate.as_json())
    test = opened("certificates", iteration=short(filled.graph))
    assert "In grey" in said(test)
    assert "Certificate: stop" in said(test)
    grey = test.get("vega_lite_chart")[0].proto.spec
    assert "#D55E00" in bright
    assert "#D55E00" not in grey


def test_figures_do_not_depend_on_what_is_shown(decided: Decided) -> None:
    listed = opened("iterations", system="cards")
    before = listed.header[0].value
    listed.selectbox[1].set_value("live").run()
    assert listed.header[0].value == before
    assert listed.query_params["stage"] == "live"
    arrived = opened("feedback_health", system="bandit")
    assert not arrived.warning
    assert arrived.header[0].value == opened("feedback_health").header[0].value
    assert next(box for box in arrived.selectbox if box.label == "System").value == "bandit"
    assert "The link names" in opened("feedback_health", system="=cmd()").warning[0].value


def test_rows_carry_what_one_chooses_by(filled: Filled) -> None:
    rows = frames.listing(all_iterations(), {}, utc_now())
    wanted = {"iteration", "stage", "verdict", "gain", "gain from", "gain to", "age of its data (days)"}
    assert wanted <= set(rows.columns)
    live = table(opened("overview"), "live since (UTC)")
    assert {"gain when judged", "age of its data (days)"} <= set(live.columns)


def test_the_review_is_a_page_and_a_roll_back_is_always_there(
    settings: Settings, decided: Decided, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUAESTOR_CONSOLE_LOCAL_APPROVER", "1")
    stop = {"action_mix": {"a0": 1.0}, "alarms": ["The action mix has collapsed."]}
    keep(settings.store, decided.waits, HEALTH, stop, decided.live)
    test = opened("act", iteration=short(decided.waits))
    heads = [head.value for head in test.subheader]
    assert heads[:3] == ["What would change", "What guards it", "What happens next"]
    promote = next(button for button in test.button if button.label == "Promote")
    assert promote.disabled
    assert "The action mix has collapsed" in test.warning[-1].value.replace("\\", "")
    promoted = table(test, "what")
    assert len(promoted)
    live = opened("act", system="cards")  # something was live before there, whatever its checks say
    back = next(button for button in live.button if button.label.startswith("Make "))
    assert not back.disabled


def test_long_work_never_runs_in_the_browsers_run() -> None:
    """Screens import no flow, no model and no process; one file starts processes, one looks in a thread."""
    starting = set()
    for path in sorted((ROOT / "app").rglob("*.py")):
        names = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert not names & {"flows", "models", "torch", "prefect", "multiprocessing"}, path
        starting |= {path.name} if "subprocess" in names else set()
    assert starting == {"work.py"}


def test_alarms_on_the_overview_are_those_of_the_command_line(settings: Settings, filled: Filled) -> None:
    from app.watching import watch
    from quaestor.alerts.collect import standing
    from quaestor.alerts.limits import Alerts

    keep(settings.store, filled.second, HEALTH, {"action_mix": {}, "alarms": ["It forgets."]}, filled.first)
    opened("overview")
    while watch().now()[1]:
        pass
    shown = table(opened("overview"), "sentence")["sentence"].tolist()
    with settings.store.read() as connection:
        wanted = [alarm.sentence for alarm in standing(connection, Alerts(), {}, utc_now())]
    assert any("It forgets." in sentence for sentence in shown)
    assert {sentence[:40] for sentence in shown} >= {
        sentence[:40] for sentence in wanted if "hours old" not in sentence
    }
