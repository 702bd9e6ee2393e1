"""A data subject that is forgotten leaves nothing behind but the fact, and does not come back."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from quaestor.clock import told_by
from quaestor.errors import UsageError
from quaestor.export.from_iteration import GOLDEN_ROWS
from quaestor.log.ingest import ingest_file
from quaestor.log.subjects import KEY_FILE, KEY_VARIABLE, subject_hash
from quaestor.registry import iteration as registry
from quaestor.registry.forgetting import forget_subject
from quaestor.registry.iteration import Inputs
from quaestor.registry.staleness import changed_since, staleness
from quaestor.settings import Settings
from quaestor.store import audit, bundles, iterations
from tests.quaestor.events import START, decision, outcome, write

MARK = "a-word-that-only-she-has"


def _filled(settings: Settings, folder: Path) -> None:
    """Twenty decisions about two people, their outcomes, and a bad row of hers."""
    about = [
        decision(n, event_id=f"{'hers' if n % 4 == 0 else 'his'}-{n}", subject="her" if n % 4 == 0 else "him",
                 category_issuer=MARK if n % 4 == 0 else "bank")
        for n in range(20)
    ]  # fmt: skip
    bad = {**about[0], "event_id": "hers-bad", "propensity": 2.0}
    ingest_file(settings.store, "decisions", write(folder, "d.parquet", [*about, bad]))
    told = [outcome(n, event_id=row["event_id"]) for n, row in enumerate(about)]
    ingest_file(settings.store, "outcomes", write(folder, "o.parquet", told))


def _learnt(settings: Settings) -> str:
    as_of = START.replace(tzinfo=None) + timedelta(days=3)
    data = {"digest": "d", "as_of": as_of.isoformat(), "attribution_hours": 24.0}
    inputs = Inputs("shop", "a policy", {}, data, 0, "code")
    return registry.register(settings.store, settings.data, inputs, {"f": b"x"}, None, "ann").iteration_id


def test_folders_that_keep_a_row_as_a_golden_choice_are_named(settings: Settings, tmp_path: Path) -> None:
    _filled(settings, tmp_path)
    folders = {}
    for name in ("hers-4", "his-1"):
        golden = json.dumps([{"event_id": name}, {"event_id": "his-2"}]).encode()
        inputs = Inputs("shop", f"learnt from {name}", {}, {"digest": "d"}, 0, "code")
        made = registry.register(settings.store, settings.data, inputs, {GOLDEN_ROWS: golden}, None, "ann")
        folders[name] = str(made.folder)
        with settings.store.write() as connection:
            bundles.add(connection, name, made.iteration_id, f"bundle of {name}", START.replace(tzinfo=None))
    gone = forget_subject(settings.store, "shop", "her", "ann", "asked")
    assert gone.golden == (folders["hers-4"], "bundle of hers-4")
    assert "bundle of hers-4" in gone.sentence()
    assert forget_subject(settings.store, "shop", "him", "ann", "asked").golden[-1] == "bundle of his-1"


def test_subjects_are_kept_as_hashes_under_a_key_outside_the_store(settings: Settings, tmp_path: Path) -> None:
    _filled(settings, tmp_path)
    with settings.store.read() as connection:
        kept = {row[0] for row in connection.execute("select distinct subject from decisions").fetchall()}
        (quarantined,) = connection.execute("select content->>'subject' from quarantine").fetchone() or ("",)
    assert len(kept) == 2
    assert all(len(name) == 32 for name in kept)
    assert quarantined in kept
    assert (settings.data / KEY_FILE).stat().st_mode & 0o077 == 0
    assert subject_hash("her", b"one key") != subject_hash("her", b"another")


def test_a_key_that_can_be_guessed_is_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "short")
    with pytest.raises(UsageError, match="32 characters"):
        _filled(settings, tmp_path)


def test_forgetting_leaves_no_byte_of_the_rows_and_marks_who_learnt_from_them(
    settings: Settings, tmp_path: Path
) -> None:
    _filled(settings, tmp_path)
    name = _learnt(settings)
    gone = forget_subject(settings.store, "shop", "her", "ann", "asked on 3 May")
    assert gone.rows == {"outcomes": 5, "decisions": 5, "quarantine": 1}
    assert gone.iterations == {name: 5}
    with settings.store.read() as connection:
        assert connection.execute("select count(*) from decisions where event_id like 'hers%'").fetchone() == (0,)
        assert connection.execute("select count(*), count(distinct event_id) from outcomes").fetchone() == (15, 15)
        assert connection.execute("select sum(rounds) from round_hours where delay is null").fetchone() == (15,)
        row = iterations.by_prefix(connection, name)
        changed = changed_since(connection, "shop", json.loads(row.manifest)["data"], row.created_at)
        trail = audit.trail(connection).filter(action="forget")
    assert trail.select("actor", "iteration_id", "reason").rows() == [("ann", name, "asked on 3 May")]
    said = staleness(changed, row.created_at)
    assert said is not None
    assert "5 rounds were forgotten of the records it rests on" in said
    for path in settings.data.rglob("*"):
        if path.is_file():
            assert MARK.encode() not in path.read_bytes(), path


def test_what_was_forgotten_does_not_come_back_and_what_is_new_does(settings: Settings, tmp_path: Path) -> None:
    _filled(settings, tmp_path)
    with told_by(lambda: START.replace(tzinfo=None) + timedelta(days=1)):
        forget_subject(settings.store, "shop", "her", "ann", "asked")
    old, new = decision(4, event_id="hers-4", subject="her"), decision(4000, event_id="hers-4000", subject="her")
    again = ingest_file(settings.store, "decisions", write(tmp_path, "again.parquet", [old, new, decision(1)]))
    assert (again.added, again.refused) == (2, {"forgotten": 1})
    with settings.store.read() as connection:
        kept = connection.execute("select content from quarantine where code = 'forgotten'").fetchall()
    assert "hers" not in str(kept)
    assert forget_subject(settings.store, "shop", "nobody", "ann", "asked").rows["decisions"] == 0


def test_a_mistyped_system_is_refused_and_an_unknown_subject_is_not(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds nothing yet"):
        forget_subject(settings.store, "shop", "her", "ann", "asked")
    _filled(settings, tmp_path)
    with pytest.raises(UsageError, match=r"No system 'shpo'.*nobody was forgotten.*Did you mean 'shop'\?"):
        forget_subject(settings.store, "shpo", "her", "ann", "asked")
    with settings.store.read() as connection:
        assert audit.trail(connection).is_empty()
        assert connection.execute("select count(*) from forgotten").fetchone() == (0,)
    for _ in range(2):
        assert sum(forget_subject(settings.store, "shop", "nobody", "ann", "asked").rows.values()) == 0


def test_a_system_of_which_nothing_is_left_may_be_named_again(settings: Settings, tmp_path: Path) -> None:
    ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", [decision(1, subject="her")]))
    assert forget_subject(settings.store, "shop", "her", "ann", "asked").rows["decisions"] == 1
    assert sum(forget_subject(settings.store, "shop", "her", "ann", "asked again").rows.values()) == 0
