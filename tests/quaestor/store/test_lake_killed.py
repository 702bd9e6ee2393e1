"""A lake whose PostgreSQL is killed in the middle of ingest: a sentence, and nothing is torn, lost or doubled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quaestor.errors import QuaestorError
from quaestor.log.ingest import ingest_file
from quaestor.settings import Settings
from quaestor.store import events, files
from tests.lake import Catalog
from tests.quaestor.events import decision, write

pytestmark = pytest.mark.slow

ROWS = 200
MOMENTS: dict[str, tuple[Any, str]] = {
    "before rows are compared": (events.DecisionIntake, "finish"),
    "after the file is noted": (files, "record"),
}


def killing(catalog: Catalog, plain: Callable[..., Any], after: bool) -> Callable[..., Any]:
    """The same function, with its database killed before or after it."""

    def killed(*arguments: Any) -> Any:
        found = plain(*arguments) if after else None
        catalog.kill()
        return found if after else plain(*arguments)

    return killed


def test_a_killed_database_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog()
    try:
        catalog.start()
        store = Settings(data=tmp_path / "data", store_at=catalog.create()).store
        for number, (moment, (where, name)) in enumerate(MOMENTS.items()):
            path = write(tmp_path, f"{number}.parquet", [decision(ROWS * number + n) for n in range(ROWS)])
            with monkeypatch.context() as patch:
                patch.setattr(where, name, killing(catalog, getattr(where, name), moment.startswith("after")))
                with pytest.raises(QuaestorError):
                    ingest_file(store, "decisions", path)
            catalog.start()
            assert ingest_file(store, "decisions", path).added == ROWS, moment
        with store.read() as connection:
            found = connection.execute("select count(*), count(distinct event_id) from decisions").fetchone()
            assert connection.execute("select count(*) from ingested_files").fetchone() == (len(MOMENTS),)
        assert found == (ROWS * len(MOMENTS), ROWS * len(MOMENTS))
    finally:
        catalog.remove()
