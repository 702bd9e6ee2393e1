"""People are told of an alarm once when it rises and once when it is over, whatever the store was asked meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from quaestor.alerts import known
from quaestor.alerts.alarm import Alarm
from quaestor.alerts.telling import CALM, Known, news
from quaestor.settings import Settings

START = datetime(2026, 3, 1)
LOOK = timedelta(minutes=10)


def alarm(about: str, status: str = "watch", sentence: str = "It is so.") -> Alarm:
    return Alarm("freshness", "shop", about, status, sentence)  # type: ignore[arg-type]


def test_nothing_is_told_while_all_is_well() -> None:
    assert news((), (), START).message() is None


def test_an_alarm_is_told_once_though_its_figures_move() -> None:
    first = news((), [alarm("decisions", sentence="3 hours old")], START)
    assert first.message() == ("Quaestor: 1 new", "[watch] 3 hours old")
    again = news(first.told(), [alarm("decisions", sentence="4 hours old")], START + LOOK)
    assert again.message() is None
    assert again.kept[0].first_at == START


def test_what_could_not_be_told_is_told_next_time() -> None:
    first = news((), [alarm("decisions")], START)
    assert news(first.pending(), [alarm("decisions")], START + LOOK).message() is not None
    over = news(first.told(), (), START + 2 * CALM)
    assert news(over.pending(), (), START + 3 * CALM).message() == over.message()


def test_graver_is_news_and_milder_is_not() -> None:
    told = news((), [alarm("decisions")], START).told()
    graver = news(told, [alarm("decisions", "stop")], START + LOOK)
    assert graver.message() == ("Quaestor: 1 new", "[stop] It is so.")
    assert news(graver.told(), [alarm("decisions")], START + 2 * LOOK).message() is None


@given(st.lists(st.sets(st.sampled_from("abc")), min_size=1, max_size=40))
def test_rising_and_ending_take_turns_and_flapping_is_not_told(looks: list[set[str]]) -> None:
    standing: tuple[Known, ...] = ()
    state = dict.fromkeys("abc", "well")
    for number, found in enumerate(looks):
        fresh = news(standing, [alarm(about) for about in sorted(found)], START + number * LOOK)
        for each in fresh.risen:
            assert state[each.alarm.about] == "well"
            state[each.alarm.about] = "alarm"
        for each in fresh.over:
            assert state[each.alarm.about] == "alarm"
            since = looks[max(0, number - int(CALM / LOOK) + 1) : number + 1]
            assert all(each.alarm.about not in look for look in since)
            state[each.alarm.about] = "well"
        standing = fresh.told()
        assert {each.alarm.about for each in standing} >= found


def test_the_store_keeps_what_stands_and_what_is_over(settings: Settings) -> None:
    from quaestor.store import alarms

    fresh = news((), [alarm("decisions"), alarm("outcomes", "stop")], START)
    with settings.store.write() as connection:
        known.keep(connection, fresh.told(), START)
        assert set(known.read(connection)) == set(fresh.told())
        later = news(known.read(connection), [alarm("outcomes", "stop")], START + 2 * CALM)
        known.keep(connection, later.told(), START + 2 * CALM)
        assert [each.alarm.about for each in known.read(connection)] == ["outcomes"]
        assert alarms.past(connection)["about"].to_list() == ["decisions"]
        assert alarms.last_look(connection) == START + 2 * CALM
