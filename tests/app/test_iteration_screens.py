"""The screens of iterations, payments, decisions and moves: what they say is what the store holds."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from app import frames, lineage, parted, payments_frames
from app.acting import confirmation
from app.decision_page import certificate_digest, decision_page
from app.health import health
from app.queries.iterations import all_iterations
from app.queries.overview import overview
from app.queries.payments import explained
from app.queries.record import record
from app.screens.iteration import archive_of
from app.style import plain, short
from quaestor.cli.app import app as command_line
from quaestor.clock import utc_now
from quaestor.export.explanation import explain_decision
from quaestor.registry.judging import EVALUATION, keep
from quaestor.settings import Settings
from quaestor.store import audit
from tests.app.decided import FORMULA, HOSTILE_FILE, SCRIPT, Decided
from tests.app.filled import Filled, payments_evaluation
from tests.app.test_screens import commands, opened, report_of, said
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def live(settings: Settings, system: str = "bandit") -> str | None:
    with settings.store.read() as connection:
        return audit.live(connection, system)


def test_the_list_filters_and_names_every_iteration(settings: Settings, filled: Filled) -> None:
    test = opened("iterations", system="cards")
    assert test.header[0].value.startswith(plain("cards: 3 iterations"))
    table = test.dataframe[0].value
    assert [row.split(" · ")[1] for row in table["iteration"]] == [
        short(n) for n in (filled.second, filled.first, filled.rule)
    ]
    value, lower, upper = report_of(settings, filled.first).evaluation.gain  # type: ignore[union-attr]
    assert tuple(table.loc[1, ["gain", "gain from", "gain to"]]) == (value, lower, upper)
    assert table["page"].tolist()[0] == f"iteration?iteration={short(filled.second)}"
    test.selectbox[1].set_value("live").run()
    assert test.dataframe[0].value["stage"].tolist() == ["live"]
    test.text_input[0].set_value("no such policy").run()
    assert "No iteration is like that" in said(test)


def test_the_lineage_joins_every_child_to_its_parent(filled: Filled) -> None:
    mine = [each for each in all_iterations() if each.report.system == "cards"]
    nodes, edges = lineage.nodes(mine), lineage.edges(mine)
    assert nodes["generation"].to_list() == [0, 1, 2]
    assert edges.rows() == [(1, 1, 0, 0), (2, 2, 1, 1)]
    assert set(nodes["stage"]) == {"retired", "live", "needs more evidence"}


def test_an_iterations_page_opens_with_what_changed(settings: Settings, filled: Filled) -> None:
    test = opened("iteration", iteration=short(filled.second))
    assert test.header[0].value == plain(report_of(settings, filled.second).sentence())
    opened_first = next(part for part in test.expander if "What changed" in part.label)
    assert opened_first.proto.expanded
    difference = test.dataframe[0].value
    assert difference[difference["what"] == "policy"]["this"].iloc[0] == "logistic oracle, gain 0.001"
    assert "Certificate" in said(test)
    assert f"quaestor export {short(filled.second)}" in commands(test)


def test_a_page_names_what_is_not_there_and_how_to_get_it(filled: Filled) -> None:
    test = opened("iteration", iteration=short(filled.hostile))
    assert "It has not been evaluated" in said(test)
    assert any(command.startswith("quaestor certify") for command in commands(test))
    assert any(command.startswith("quaestor evaluate") for command in commands(test))


def test_the_bundle_is_offered_and_nothing_outside_the_bundles_is(settings: Settings, decided: Decided) -> None:
    (chosen,) = (each for each in all_iterations() if each.iteration_id == decided.waits)
    archive = archive_of(chosen)
    assert archive is not None
    assert archive.is_relative_to(settings.bundles)
    (settings.data / "secret.zip").write_bytes(b"not a bundle")
    for folder in ("bundles/../secret", "secret", "bundles/bandit/..", "/etc/passwd"):
        moved = replace(chosen, report=replace(chosen.report, bundle=str(settings.data / folder)))
        assert archive_of(moved) is None, folder


def test_two_side_by_side_are_compared_where_they_were_and_told_how_where_not(filled: Filled, decided: Decided) -> None:
    test = opened("side_by_side", iterations=f"{short(decided.waits)},{short(decided.live)}")
    assert not test.exception
    assert "is not clearly different from" in test.header[0].value
    assert any("of decisions change" in text.value for text in test.text)
    test = opened("side_by_side", iterations="zzzz,yyyy")
    assert "The link names" in test.warning[0].value


@pytest.fixture
def filled(decided: Decided) -> Filled:
    """The ids of the filled store, which the decided one is made of."""
    ids = {}
    for each in all_iterations():
        ids[(each.report.system, each.number)] = each.iteration_id
    return Filled(ids["cards", 0], ids["cards", 1], ids["cards", 2], ids["shops", 0], ids["shops", 1], ids["bazaar", 0])


def test_iterations_that_never_met_are_not_ranked(filled: Filled) -> None:
    test = opened("side_by_side", iterations=f"{short(filled.first)},{short(filled.second)}")
    assert "were not compared with each other" in test.header[0].value
    expected = f"quaestor evaluate --candidate {short(filled.first)} --incumbent {short(filled.second)}"
    assert expected in commands(test)
    assert "different incumbents" in said(test)


def test_payments_shows_segments_trade_off_and_delays(settings: Settings, decided: Decided) -> None:
    test = opened("payments", iteration=short(decided.waits))
    assert not test.exception
    kept = record(decided.waits, decided.live)
    assert kept.segments is not None
    assert test.selectbox[2].options == ["level"]
    assert "What lies below the line" in said(test)
    figures = {metric.label: metric.value for metric in test.metric}
    assert figures["Rounds compared"] == "3,000"


def test_one_number_is_said_alike_everywhere(settings: Settings, decided: Decided) -> None:
    """The gain on the screens, on the printable page and by segment is the report's own."""
    report = report_of(settings, decided.waits)
    assert report.evaluation is not None
    value, lower, upper = report.evaluation.gain
    wanted = f"{value:.4g}"
    for screen in ("iteration", "payments"):
        test = opened(screen, iteration=short(decided.waits))
        assert {m.label: m.value for m in test.metric}["Gain (reward a round)"] == wanted
    kept = record(decided.waits, decided.live)
    assert kept.segments is not None
    everything = parted.one([kept.segments.everything], "gain").row(0, named=True)
    assert (everything["value"], everything["lower"], everything["upper"]) == pytest.approx((value, lower, upper))
    store = overview()
    (chosen,) = (each for each in store.iterations if each.iteration_id == decided.waits)
    page = decision_page(chosen, health(chosen, store.newest), pl.DataFrame(), kept.entries, utc_now())
    assert f"<td>{wanted} reward a round</td>" in page
    assert certificate_digest(chosen) in page
    assert "waits for approval" in page
    told = json.loads(CliRunner().invoke(command_line, ["iterations", "--system", "bandit", "--json"]).stdout)
    (row,) = (each for each in told if each["iteration_id"] == decided.waits)
    assert row["evaluation"]["difference"]["value"] == value


def test_the_printed_page_holds_no_script_and_nothing_remote(filled: Filled) -> None:
    store = overview()
    (hostile,) = (each for each in store.iterations if each.iteration_id == filled.hostile)
    entries = record(filled.hostile, None).entries
    page = decision_page(hostile, health(hostile, store.newest), frames.changes(hostile, None), entries, utc_now())
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;img src=http://evil.example" in page


def test_a_decision_is_explained_as_the_command_line_does(settings: Settings, decided: Decided) -> None:
    test = opened("decisions", system="bandit", event=decided.event)
    assert not test.exception
    explanation = explain_decision(settings.store, settings.data, decided.event, "bandit")
    assert test.header[0].value == plain(explanation.sentence())
    assert "derived again exactly" in test.header[0].value
    assert explanation.driven() in [text.value for text in test.text]
    rows = test.dataframe[0].value
    assert list(rows.itertuples(index=False, name=None)) == [tuple(row) for row in explanation.rows()]
    laid = payments_frames.cut(explanation)
    taken = laid.filter(pl.col("taken") == "taken").row(0, named=True)
    assert explanation.draw is not None
    assert taken["start"] <= explanation.draw <= taken["stop"] + 1e-9, "the draw falls into the action taken"


def test_an_event_that_is_not_there_says_so(decided: Decided) -> None:
    test = opened("decisions", system="bandit", event="=nope()")
    assert "The link or the search names" in test.warning[0].value
    test.text_input[0].set_value(decided.event).run()
    assert not test.warning
    assert test.query_params["event"] == decided.event
    assert "The link names the system" in opened("decisions", system="nowhere").warning[0].value


def test_hostile_names_are_inert_on_screens_and_in_exports(decided: Decided) -> None:
    test = opened("decisions", system="bandit", event=decided.hostile_event)
    assert not test.exception
    features = next(frame.value for frame in test.dataframe if "feature" in frame.value)
    assert f"'{FORMULA}" in features["value"].tolist()
    marked = [*test.markdown, *test.header, *test.caption]
    assert not any(SCRIPT in element.value for element in marked)
    assert explained("21-1", "bandit").features["category_merchant"] == SCRIPT
    tables = [frame.value for frame in opened("feedback_health").dataframe]
    cells = [str(cell) for table in tables for cell in table.to_numpy().ravel()]
    assert f"'{HOSTILE_FILE}" in cells
    assert HOSTILE_FILE not in cells


def test_a_viewer_sees_the_review_and_the_commands_but_no_form(decided: Decided) -> None:
    test = opened("act", iteration=short(decided.waits))
    assert not test.exception
    assert "You may look, not act" in test.info[0].value
    assert [button.label for button in test.button] == ["Refresh"]
    assert f"quaestor promote {short(decided.waits)} --reason '…'" in commands(test)[-1]


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console's own operator may act."""
    monkeypatch.setenv("QUAESTOR_CONSOLE_LOCAL_APPROVER", "1")


def press(test: AppTest, label: str) -> AppTest:
    return next(button for button in test.button if button.label.startswith(label)).click().run()


def reason(test: AppTest, label: str, text: str) -> None:
    next(field for field in test.text_input if field.label.startswith(label)).set_value(text)


def test_an_operator_promotes_with_reason_and_confirmation(
    settings: Settings, decided: Decided, operator: None
) -> None:
    test = opened("act", iteration=short(decided.waits))
    press(test, "Promote")
    assert "Give a reason" in test.error[0].value
    assert live(settings) == decided.live
    (chosen,) = (each for each in all_iterations() if each.iteration_id == decided.waits)
    reason(test, "Reason, kept", "agreed")
    reason(test, "Type", confirmation(chosen))
    press(test, "Promote")
    assert "is live in bandit" in test.success[0].value
    assert live(settings) == decided.waits
    assert "It is live already" in said(test)
    press(test, "Make 0")
    assert live(settings) == decided.live


def test_what_the_gate_refuses_takes_an_override(settings: Settings, filled: Filled, operator: None) -> None:
    test = opened("act", iteration=short(filled.second))
    assert "Promote is refused" in test.warning[0].value
    button = next(button for button in test.button if button.label == "Promote")
    assert button.disabled
    test.toggle[0].set_value(True).run()
    reason(test, "Reason, kept", "the board wants it")
    reason(test, "Type", short(filled.second)[:6])
    press(test, "Promote")
    assert live(settings, "cards") == filled.second


def test_a_forged_role_in_the_session_changes_nothing(settings: Settings, decided: Decided) -> None:
    test = AppTest.from_file(str(ROOT / "app" / "console.py"), default_timeout=30).run()
    for name, value in {"role": "approver", "person": "root", "is_logged_in": True, "act override": True}.items():
        test.session_state[name] = value
    test.query_params["iteration"] = short(decided.waits)
    test.switch_page("screens/act.py").run()
    assert "You may look, not act" in test.info[0].value
    assert live(settings) == decided.live


def test_a_check_that_stops_greys_the_figures(settings: Settings, filled: Filled) -> None:
    evaluation = payments_evaluation(filled.first, 0.001, 0.006).as_json()
    stop = {"name": "logging balance", "status": "stop", "sentence": "Actions were not drawn as logged."}
    keep(settings.store, filled.second, EVALUATION, {**evaluation, "diagnostics": [stop]}, filled.first)
    test = opened("iteration", iteration=short(filled.second))
    assert "In grey" in said(test)
    assert "Logging balance: stop" in said(test)
    drawn = json.dumps([json.loads(chart.proto.spec) for chart in test.get("vega_lite_chart")[:1]])
    assert '"value": "#B5B5B5"' in drawn


def test_hostile_addresses_are_dead_links(filled: Filled) -> None:
    names = ("../admin", "<img onerror=1>", "x" * 3000, "\u202e")
    for screen, name in zip(("iteration", "payments", "act", "certificates"), names, strict=True):
        test = opened(screen, iteration=name)
        assert not test.exception
        assert "The link names" in test.warning[0].value
        assert "<img" not in test.warning[0].value.replace("\\<", "")
        assert len(test.warning[0].value) < 5000
