"""Migrations run on a DuckDB file and on a lake alike."""

from __future__ import annotations

import re

from quaestor.store.migration import migrations


def test_migrations_rest_on_nothing_that_a_lake_lacks() -> None:
    lacking = re.compile(r"primary key|\bunique\b|\bsequence\b|nextval|\bindex\b|references|\benum\b", re.IGNORECASE)
    for version, script in migrations().items():
        found = lacking.search(re.sub(r"--.*", "", script))
        assert found is None, f"migration {version} uses {found and found.group()!r}, which DuckLake does not have"


def test_migrations_are_numbered_without_a_gap() -> None:
    assert sorted(migrations()) == list(range(1, len(migrations()) + 1))
