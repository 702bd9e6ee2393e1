"""A hundred refreshes of every screen in turn while another process writes all the time: never an error."""

from __future__ import annotations

import pytest

from app.console import SCREENS
from quaestor.settings import Settings
from tests.app.filled import Filled
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
REFRESHES = 100


@pytest.mark.slow
def test_a_hundred_refreshes_while_flows_write(settings: Settings, filled: Filled) -> None:
    names = [name for group in SCREENS.values() for name in group]
    with settings.store.read() as connection:
        before = connection.execute("select count(*) from audit").fetchone()
    with started(WRITING, settings.store.path):
        tests = {name: opened(name) for name in names}
        for number in range(REFRESHES):
            name = names[number % len(names)]
            test = tests[name].run()
            assert not test.exception, (name, number)
            assert not test.error, (name, number, test.error[0].value)
            assert not [said for said in test.warning if "busy" in said.value], (name, number)
    with settings.store.read() as connection:
        after = connection.execute("select count(*) from audit").fetchone()
    assert before is not None
    assert after is not None
    assert after[0] > before[0] + 10, "the other process wrote meanwhile"
