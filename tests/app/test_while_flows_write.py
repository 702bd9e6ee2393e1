"""A hundred refreshes of every screen in turn, and moves from the review page, while another process writes all the
time: never an error."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.acting import confirmation
from app.console import SCREENS
from app.queries.iterations import all_iterations
from app.style import short
from quaestor.settings import Settings
from quaestor.store import audit
from tests.app.decided import Decided
from tests.app.test_screens import HOLD, opened, started

WRITING = HOLD + (
    "import time\n"
    "from quaestor.store import audit\n"
    "store = Store(Path(sys.argv[1]))\n"
    "print('writing', flush=True)\n"
    "while True:\n"
    "    with store.write() as connection:\n"
    "        audit.add(connection, audit.Entry('writer', 'note', 'cards', '', 'another one'))\n"
    "    time.sleep(0.1)\n"
)
REFRESHES, MOVE_EVERY = 100, 20


@pytest.mark.slow
def test_a_hundred_refreshes_and_moves_while_flows_write(
    settings: Settings, decided: Decided, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUAESTOR_CONSOLE_LOCAL_APPROVER", "1")
    names = [name for group in SCREENS.values() for name in group]
    (waits,) = (each for each in all_iterations() if each.iteration_id == decided.waits)
    before, moves = entries(settings), 0
    with started(WRITING, settings.store.path):
        tests = {
            name: opened(name, iteration=short(decided.waits)) if name == "act" else opened(name) for name in names
        }
        for number in range(REFRESHES):
            name = names[number % len(names)]
            clean(tests[name].run(), (name, number))
            if number % MOVE_EVERY == MOVE_EVERY - 1:
                moved = back(tests["act"]) if moves % 2 else promoted(tests["act"], confirmation(waits))
                clean(moved, ("act", number))
                assert "live in bandit" in moved.success[0].value, number
                moves += 1
    assert moves == REFRESHES // MOVE_EVERY
    with settings.store.read() as connection:
        done = audit.trail(connection, "bandit").tail(moves)["action"].to_list()
        live = audit.live(connection, "bandit")
    assert done == ["promote", "rollback"] * (moves // 2) + ["promote"] * (moves % 2)
    assert live == (decided.waits if moves % 2 else decided.live)
    assert entries(settings) > before + moves + 10, "the other process wrote meanwhile"


def promoted(test: AppTest, typed: str) -> AppTest:
    """Promotes as a person does on the review page; on the record it may have been rolled back before."""
    if test.toggle:
        test.toggle[0].set_value(True).run()
    next(field for field in test.text_input if field.label.startswith("Reason, kept")).set_value("agreed")
    next(field for field in test.text_input if field.label.startswith("Type")).set_value(typed)
    return next(button for button in test.button if button.label == "Promote").click().run()


def back(test: AppTest) -> AppTest:
    """Rolls back as a person does."""
    return next(button for button in test.button if button.label.startswith("Make ")).click().run()


def clean(test: AppTest, where: tuple[str, int]) -> None:
    assert not test.exception, where
    assert not test.error, (where, test.error[0].value)
    assert not [said for said in test.warning if "busy" in said.value], where


def entries(settings: Settings) -> int:
    with settings.store.read() as connection:
        found = connection.execute("select count(*) from audit").fetchone()
    assert found is not None
    return int(found[0])
