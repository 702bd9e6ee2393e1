"""The console in a real browser: every screen draws, moves are made by those who may, and nobody else is asked."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from itsdangerous import URLSafeTimedSerializer
from playwright.sync_api import Browser, Page

from app.acting import confirmation
from app.console import SCREENS
from app.queries.iterations import all_iterations
from app.style import short
from quaestor.registry.report import reports
from quaestor.settings import Settings
from quaestor.store import audit
from tests.app.browser import browsing, chromium, console, free_port, nameless, settled, violations
from tests.app.decided import FORMULA, SCRIPT, Decided
from tests.app.filled import HOSTILE
from tests.app.provider import COOKIE_SECRET, provider
from tests.app.screenshots import LOOKS, TOUR, pictures, tour

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

ACTING = {"QUAESTOR_CONSOLE_LOCAL_APPROVER": "1"}
CHARTS = {
    "overview": 0, "iterations": 1, "iteration": 2, "side_by_side": 2, "act": 1, "payments": 5, "decisions": 0,
    "inventory": 2, "certificates": 1, "feedback_health": 1,
}  # fmt: skip
"""Each screen and the least number of charts it draws on the filled store."""
TITLES = {name: title for group in SCREENS.values() for name, title in group.items()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@dataclass(frozen=True)
class Served:
    """A console whose operator may act, on a store of its own; what one test moves there it moves back."""

    address: str
    settings: Settings
    decided: Decided


@pytest.fixture(scope="module")
def shop(decided_template: tuple[Path, Decided], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    data, ids = decided_template
    shutil.copytree(data, folder / "data")
    with console(folder / "data", folder, {**ACTING, "QUAESTOR_ACTOR": "tester"}) as address:
        yield Served(address, Settings(data=folder / "data", actor="tester"), ids)


@pytest.fixture
def served(shop: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """The same, with this process's own queries about the same store."""
    monkeypatch.setenv("QUAESTOR_DATA", str(shop.settings.data))
    return shop


def live(settings: Settings, system: str = "bandit") -> str | None:
    with settings.store.read() as connection:
        return audit.live(connection, system)


def go(page: Page, screen: str) -> None:
    """Clicks through to a screen, as a reader does."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=TITLES[screen], exact=True).click()
    settled(page)
    page.get_by_test_id("stHeading").first.wait_for()


def promote(page: Page, iteration_id: str) -> None:
    """Fills in the form of the review page and sends it."""
    iteration = next(each for each in all_iterations() if each.iteration_id == iteration_id)
    page.get_by_role("textbox", name="Reason, kept in the audit trail").first.fill("the team agrees")
    page.get_by_role("textbox", name="Type ").fill(confirmation(iteration))
    page.get_by_role("button", name="Promote", exact=True).click()
    page.get_by_test_id("stAlertContentSuccess").wait_for()


def test_an_operator_clicks_through_promotes_rolls_back_and_takes_the_bundle(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    settings, decided, address = served.settings, served.decided, served.address
    with browsing(browser, accept_downloads=True) as (page, heard):
        page.goto(address)
        for screen, charts in CHARTS.items():
            go(page, screen)
            assert page.get_by_test_id("stException").count() == 0, screen
            if charts:  # each is drawn when its part of the page's code has come
                page.get_by_test_id("stVegaLiteChart").nth(charts - 1).wait_for()
            settled(page)
            for chart in page.get_by_test_id("stVegaLiteChart").all():
                drawn = chart.locator("canvas, svg").first
                box = drawn.bounding_box()
                assert box is not None, screen
                assert min(box["width"], box["height"]) > 60, screen
            assert nameless(page) == [], screen
        page.goto(f"{address}/iteration?iteration={short(decided.waits)}")
        settled(page)
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Bundle", exact=True).click()
        taken = tmp_path / "taken.zip"
        waiting.value.save_as(taken)
        with zipfile.ZipFile(taken) as archive:
            assert json.loads(archive.read("manifest.json"))["iteration_id"] == decided.waits
        page.get_by_role("link", name="Act on it →").click()
        settled(page)
        promote(page, decided.waits)
        assert live(settings) == decided.waits
        page.get_by_role("button", name="Roll bandit back").click()
        page.get_by_role("button", name=f"Make 0 · {short(decided.live)} live again").click()
        page.get_by_text("is live in bandit again").wait_for()
        assert live(settings) == decided.live
    assert not heard.complaints
    assert heard.hosts == {"localhost"}
    with settings.store.read() as connection:
        newest = audit.trail(connection, "bandit").tail(2)
    assert newest["action"].to_list() == ["promote", "rollback"]
    assert newest["actor"].to_list() == ["tester", "tester"]


def test_who_signs_in_acts_by_their_role_and_a_forged_session_not_at_all(
    browser: Browser, settings: Settings, decided: Decided, tmp_path: Path
) -> None:
    """A provider on this machine; the same console for an approver, a viewer, and cookies that nobody issued."""
    port = free_port()
    acting = {"QUAESTOR_CONSOLE_APPROVERS": "ann@example.org", "QUAESTOR_CONSOLE_LOCAL_APPROVER": "1"}
    with provider(sub="1", email="ann@example.org", email_verified=True) as signing:
        secrets = f"--secrets.files={signing.secrets(tmp_path, port)}"
        with console(settings.data, tmp_path, acting, (secrets,), port) as address:
            act = f"{address}/act?iteration={short(decided.waits)}"
            context = browser.new_context()

            def visit(cookies: dict[str, str] | None = None) -> Page:
                """Somebody else's visit, but for the console's scripts, which the browser knows already."""
                context.clear_cookies()
                named = [{"name": name, "value": value, "url": address} for name, value in (cookies or {}).items()]
                context.add_cookies(named)  # type: ignore[arg-type]
                page = context.new_page()
                page.goto(act)
                settled(page)
                return page

            claims = {"email": "ann@example.org", "email_verified": True, "sub": "1", "iat": 4102444800}
            cookie = json.dumps({**claims, "origin": address, "is_logged_in": True, "provider": "default"})
            for secret in ("another secret", ""):
                forged = URLSafeTimedSerializer(secret, salt="_streamlit_user").dumps(cookie)
                page = visit({"_streamlit_user": forged})
                assert page.get_by_text("Sign in to look at this console.").count()
                assert page.get_by_role("button", name="Promote").count() == 0
            elsewhere = cookie.replace(address, "http://evil.example")
            genuine = URLSafeTimedSerializer(COOKIE_SECRET, salt="_streamlit_user").dumps(elsewhere)
            assert visit({"_streamlit_user": genuine}).get_by_role("button", name="Promote").count() == 0
            page = visit()
            assert page.get_by_test_id("stHeading").get_by_text("bandit").count() == 0, "nothing before signing in"
            page.get_by_role("button", name="Sign in").click()
            page.get_by_text("ann@example.org, approver").first.wait_for()
            page.goto(act)
            settled(page)
            promote(page, decided.waits)
            signing.claims = {"sub": "2", "email": "vic@example.org", "email_verified": True}
            viewer = visit()
            viewer.get_by_role("button", name="Sign in").click()
            viewer.get_by_text("vic@example.org, viewer").first.wait_for()
            viewer.goto(act)
            settled(viewer)
            assert viewer.get_by_text("You may look, not act.").count()
            assert viewer.get_by_role("button", name="Promote").count() == 0
    assert live(settings) == decided.waits
    with settings.store.read() as connection:
        assert audit.trail(connection, "bandit")["actor"][-1] == "ann@example.org"


def test_links_open_what_they_name_and_hostile_names_stay_text(browser: Browser, served: Served) -> None:
    decided, address = served.decided, served.address
    with browsing(browser, accept_downloads=True) as (page, heard):
        page.goto(f"{address}/payments?system=bandit&iteration={short(decided.waits)}")
        settled(page)
        chosen = page.get_by_test_id("stSelectbox").nth(1)
        assert short(decided.waits) in (chosen.text_content() or "") + chosen.locator("input").input_value()
        page.goto(f"{address}/iteration?iteration=zzzz")
        settled(page)
        assert page.get_by_text("The link names").count()
        page.goto(f"{address}/payments?system=bazaar")
        settled(page)
        assert page.get_by_text(HOSTILE[:10]).count()
        assert page.locator("img[src*='evil']").count() == 0
        page.goto(f"{address}/decisions?system=bandit&event={decided.hostile_event}")
        settled(page)
        assert page.get_by_test_id("stHeading").first.text_content()
        page.get_by_test_id("stDataFrame").nth(1).hover()
        with page.expect_download() as waiting:
            # By an event and not the mouse: the toolbar goes when a busy machine lets the mouse leave the table.
            page.get_by_role("button", name="Download as CSV: Features as they were used").dispatch_event("click")
        rows = list(csv.reader(Path(waiting.value.path()).read_text(encoding="utf-8-sig").splitlines()))
        assert [f"'{FORMULA}"] in [row[-1:] for row in rows], "a spreadsheet takes it for text"
        page.goto(f"{address}/decisions?system=bandit&event=21-1")
        settled(page)
        assert page.title() != "owned"
        assert SCRIPT not in page.content()
    assert not heard.complaints
    assert heard.hosts == {"localhost"}, "nothing was fetched for it"


def test_pictures_of_every_screen_are_taken_without_a_complaint(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    """Each theme and each size once, without a barrier that axe can find; all four together where a folder is named, as
    for `make screenshots`."""
    named = os.environ.get("QUAESTOR_SCREENSHOTS")
    out = Path(named or tmp_path / "screenshots")
    looks = LOOKS if named else (("light", "1280"), ("dark", "phone"))
    made, wrong = pictures(served.address, out, browser, looks, violations)
    with served.settings.store.read() as connection:
        known = reports(connection)
    toured = tour(served.address, out / "tour", browser, known)
    assert wrong == []
    assert {path.stem for path in toured} == set(TOUR)
    assert len(made) == len(TITLES) * len(looks)
    assert all(path.stat().st_size > 10_000 for path in made)


def test_another_host_name_is_refused(served: Served) -> None:
    port = urlsplit(served.address).port
    upgrade = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: evil.example:{port}\r\nOrigin: http://evil.example\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with socket.create_connection(("localhost", port), timeout=10) as wire:
        wire.sendall(upgrade.encode())
        status = wire.recv(64).split(b"\r\n")[0]
    assert b" 4" in status, status
