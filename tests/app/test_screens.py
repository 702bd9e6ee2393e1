"""Every screen on an empty, a filled, a broken and a busy store: what it says is what the store holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import console
from app.style import plain, short
from quaestor.registry.judging import EVALUATION, SEGMENTS, keep
from quaestor.registry.promotion import reject
from quaestor.registry.report import IterationReport, reports
from quaestor.settings import Settings
from quaestor.store import audit, health
from tests.app.filled import HOSTILE, Filled, expire
from tests.conftest import ROOT

SCREENS = tuple(name for group in console.SCREENS.values() for name in group)
HOLD = "import sys; from quaestor.store import Store; from pathlib import Path\n"


def opened(screen: str, **address: str) -> AppTest:
    """A screen as a reader finds it at an address, through the console's own navigation."""
    test = AppTest.from_file(str(ROOT / "app" / "console.py"), default_timeout=30).run()
    for name, value in address.items():
        test.query_params[name] = value
    return test.switch_page(f"screens/{screen}.py").run()


def tour() -> Iterator[tuple[str, AppTest]]:
    """Every screen in one session, as a reader clicks through them."""
    test = AppTest.from_file(str(ROOT / "app" / "console.py"), default_timeout=30).run()
    for screen in SCREENS:
        test.query_params.clear()
        yield screen, test.switch_page(f"screens/{screen}.py").run()


def said(test: AppTest) -> str:
    """Everything a screen says in words."""
    kinds = (test.header, test.subheader, test.text, test.markdown, test.caption, test.warning, test.info, test.error)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def table(test: AppTest, column: str) -> Any:
    """The first table of a screen with a column of this name, as a frame."""
    return next(frame.value for frame in test.dataframe if column in frame.value)


def commands(test: AppTest) -> list[str]:
    """The commands that a screen names."""
    return [block.value for block in test.code]


def report_of(settings: Settings, iteration_id: str) -> IterationReport:
    with settings.store.read() as connection:
        (found,) = (report for report in reports(connection) if report.iteration_id == iteration_id)
    return found


@pytest.mark.parametrize("made", [False, True], ids=["no store", "empty store"])
def test_an_empty_store_says_what_to_do_next(settings: Settings, made: bool) -> None:
    if made:
        with settings.store.read():
            pass
    for screen, test in tour():
        assert not test.exception, screen
        assert test.info[0].value, screen
        assert "What to do next" in said(test), screen
        assert any(command.startswith(("make demo", "quaestor ingest")) for command in commands(test)), screen
    assert settings.store.path.exists() == made, "a console that only reads makes no store"


def test_every_screen_shows_a_filled_store_without_a_trace(filled: Filled) -> None:
    for screen, test in tour():
        assert not test.exception, screen
        assert not test.error, screen
        assert not test.warning, screen
        assert test.header, "the first line is a sentence"


def test_the_overview_begins_with_the_sentence_of_what_waits(settings: Settings, filled: Filled) -> None:
    test = opened("overview")
    assert test.header[0].value == plain(report_of(settings, filled.graph).sentence())
    assert report_of(settings, filled.second).sentence() in [text.value for text in test.text]
    assert f"quaestor promote {short(filled.graph)} --reason '…'" in commands(test)
    live = table(test, "live since (UTC)")
    assert dict(zip(live["system"], live["iteration"], strict=True)) == {
        "cards": f"1 · {short(filled.first)}",
        "shops": f"0 · {short(filled.base_stock)}",
    }
    with settings.store.read() as connection:
        newest = audit.trail(connection)["reason"][-1]
        waiting = health.figures(connection)["rows"]["quarantine"]
    assert table(test, "reason")["reason"].iloc[0] == newest
    assert waiting == 1


def test_an_iteration_is_found_by_its_link_and_shown_as_reported(settings: Settings, filled: Filled) -> None:
    test = opened("payments", iteration=short(filled.first))
    report = report_of(settings, filled.first)
    assert test.header[0].value == plain(report.sentence())
    assert test.selectbox[0].value == "cards"
    assert {f"• {reason}" for reason in report.reasons} <= {text.value for text in test.text}
    figures = {metric.label: metric.value for metric in test.metric}
    assert figures["Gain (reward a round)"] == "0.14"
    assert figures["95% interval"] == "0.13 to 0.15"
    assert figures["Rounds compared"] == "20,000"
    assert figures["True share of the gap"] == "91.1%"
    overlap = next(frame.value for frame in test.dataframe if "figure" in frame.value)
    assert "5,000" in overlap["candidate"].tolist()
    assert "better" in said(test)
    by_action = table(test, "Brier score")
    assert by_action.to_numpy().tolist() == [["token", 0.17, 0.009], ["card", 0.15, 0.004]]


def test_choosing_another_iteration_changes_screen_and_address(settings: Settings, filled: Filled) -> None:
    test = opened("payments")
    assert test.header[0].value == plain(report_of(settings, filled.second).sentence())
    assert "not clear yet" in said(test)
    test.selectbox[1].set_value(filled.first).run()
    assert test.header[0].value == plain(report_of(settings, filled.first).sentence())
    assert test.query_params["iteration"] == short(filled.first)
    test.selectbox[0].set_value("bazaar").run()
    assert test.header[0].value == plain(report_of(settings, filled.hostile).sentence())
    assert not test.exception
    assert not test.warning


@pytest.mark.parametrize("address", [{"iteration": "nope"}, {"system": "nowhere"}, {"iteration": ""}])
def test_a_dead_link_says_so(filled: Filled, address: dict[str, str]) -> None:
    test = opened("payments", **address)
    assert not test.exception
    assert "The link names" in test.warning[0].value
    test.selectbox[1].set_value(filled.rule).run()
    assert not test.warning, "once another is chosen, the link is forgotten"


def test_a_name_from_the_store_stays_plain_text(filled: Filled) -> None:
    for screen in ("overview", "payments"):
        test = opened(screen, system="bazaar") if screen == "payments" else opened(screen)
        marked = [*test.markdown, *test.header, *test.caption, *test.subheader, *test.warning]
        assert not any(HOSTILE in element.value or "![x](" in element.value for element in marked)


def test_the_bounds_shown_are_the_certificates(settings: Settings, filled: Filled) -> None:
    for iteration_id in (filled.graph, filled.first):
        certificate = report_of(settings, iteration_id).certificate
        assert certificate is not None
        test = opened("certificates", iteration=short(iteration_id))
        shown = test.dataframe[0].value
        assert shown["budget"].tolist() == list(certificate.params.budgets)
        assert shown["certified bound"].tolist() == list(certificate.bounds)
        facts = dict(test.dataframe[1].value.itertuples(index=False))
        assert facts["digest of the episode values"] == certificate.costs_digest
        assert facts["expires at"] == f"{certificate.expires_at} UTC"
        assert all(f"• {limit}" in said(test) for limit in certificate.subject.not_covered)
        assert f"{certificate.bounds[-1]:.4g}" in test.header[0].value.replace("\\", "")


@pytest.mark.slow
def test_an_expired_certificate_says_so_wherever_it_is_shown(settings: Settings, filled: Filled) -> None:
    certificate = report_of(settings, filled.graph).certificate
    assert certificate is not None
    expire(settings, filled.graph, certificate.as_json())
    warned = opened("certificates", iteration=short(filled.graph)).warning
    assert any("This certificate expired" in warning.value for warning in warned)
    assert "Certificate: stop" in said(opened("inventory"))


def test_what_a_person_closed_is_not_offered_again(settings: Settings, filled: Filled) -> None:
    reject(settings.store, filled.graph, "tester", "too dear")
    assert not any("promote" in command for command in commands(opened("overview")))


@pytest.mark.slow
def test_a_broken_iteration_says_so_and_hides_no_other(settings: Settings, filled: Filled) -> None:
    keep(settings.store, filled.graph, EVALUATION, {"unheard_of": 1}, filled.base_stock)
    for screen, test in tour():
        assert not test.exception, screen
        assert not test.error, screen
        assert test.header, screen
    test = opened("iteration", iteration=short(filled.graph))
    assert "cannot be read" in test.header[0].value
    assert "unheard" in said(test).replace("\\", "")
    assert "Evidence: stop" in said(test)
    other = opened("iteration", iteration=short(filled.first))
    assert other.header[0].value == plain(report_of(settings, filled.first).sentence())


@pytest.mark.slow
def test_other_evidence_that_cannot_be_read_is_one_sentence(settings: Settings, filled: Filled) -> None:
    keep(settings.store, filled.second, SEGMENTS, {"unheard_of": 1}, filled.first)
    for screen in ("iteration", "payments"):
        test = opened(screen, iteration=short(filled.second))
        assert not test.exception, screen
        assert "unheard" in test.error[0].value, screen


@pytest.fixture
def held(settings: Settings, filled: Filled, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the store for writing until it is told to go on."""
    monkeypatch.setenv("QUAESTOR_PATIENCE", "0.2")
    code = HOLD + "with Store(Path(sys.argv[1])).write():\n    print('held', flush=True)\n    sys.stdin.readline()"
    with started(code, settings.store.path) as other:
        yield other


@contextmanager
def started(code: str, *arguments: Any) -> Iterator[subprocess.Popen[str]]:
    """A Python process of its own, past its first line of output, ended with the block."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_busy_store_is_one_plain_sentence_and_opens_when_it_is_free(held: subprocess.Popen[str]) -> None:
    for screen, test in tour():
        assert not test.exception, screen
        assert not test.error, screen
        assert [warning.value for warning in test.warning] == [
            "The store is busy: another process has held it for 0.2 s. Try again in a moment."
        ]
    held.communicate("\n")
    next(button for button in test.button if button.label == "Try again").click().run()
    assert not test.warning
    assert test.header


@pytest.mark.slow
def test_the_console_opens_while_another_process_writes(settings: Settings, filled: Filled) -> None:
    code = HOLD + (
        "import time\nstore = Store(Path(sys.argv[1]))\nprint('writing', flush=True)\n"
        "while True:\n    with store.write() as c: c.execute('update audit set actor = actor')\n    time.sleep(0.01)"
    )
    with started(code, settings.store.path):
        test = opened("overview")
        for _ in range(5):
            test.run()
            assert not test.exception
            assert not test.warning
            assert not test.error
            assert test.header
