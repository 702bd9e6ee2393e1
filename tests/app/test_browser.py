"""The console in a real browser: every screen draws, follows its links, and asks nobody but this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright

from app.style import short
from quaestor.settings import Settings
from tests.app.filled import HOSTILE, Filled
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SCREENS = {
    "Overview": 0,
    "Payments": 4,
    "Inventory": 8,
    "Certificates": 1,
    "Feedback health": 1,
}
"""Each screen and the least number of charts it draws on the filled store."""

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Heard:
    """What a page asked for and complained about."""

    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)


def test_every_screen_draws_in_a_browser(settings: Settings, filled: Filled, tmp_path: Path) -> None:
    with console(settings, tmp_path) as address, browsing() as (page, heard):
        page.goto(address)
        for screen, charts in SCREENS.items():
            page.get_by_test_id("stSidebarNav").get_by_role("link", name=screen, exact=True).click()
            settled(page)
            page.get_by_test_id("stHeading").first.wait_for()
            assert page.get_by_test_id("stException").count() == 0, screen
            if charts:  # each is drawn when its part of the page's code has come
                page.get_by_test_id("stVegaLiteChart").nth(charts - 1).wait_for()
            for chart in page.get_by_test_id("stVegaLiteChart").all():
                drawn = chart.locator("canvas, svg").first
                drawn.wait_for(state="attached")
                box = drawn.bounding_box()
                assert box is not None, screen
                assert min(box["width"], box["height"]) > 100, screen
    assert not heard.complaints
    assert heard.hosts == {"localhost"}


def test_a_link_opens_what_it_names(settings: Settings, filled: Filled, tmp_path: Path) -> None:
    with console(settings, tmp_path) as address, browsing() as (page, heard):
        page.goto(f"{address}/payments?system=cards&iteration={short(filled.first)}")
        settled(page)
        chosen = page.get_by_test_id("stSelectbox").nth(1)
        assert short(filled.first) in (chosen.text_content() or "") + chosen.locator("input").input_value()
        page.goto(address)
        settled(page)
        page.get_by_role("link", name=f"Look at 1 · {short(filled.graph)}").first.click()
        page.wait_for_url(f"**/inventory?*iteration={short(filled.graph)}*")
        settled(page)
        assert page.get_by_test_id("stException").count() == 0
    assert heard.hosts == {"localhost"}


def test_a_hostile_name_is_shown_as_text(settings: Settings, filled: Filled, tmp_path: Path) -> None:
    with console(settings, tmp_path) as address, browsing() as (page, heard):
        page.goto(f"{address}/payments?system=bazaar")
        settled(page)
        assert page.get_by_text(HOSTILE[:10]).count()
        assert page.locator("img[src*='evil']").count() == 0
    assert heard.hosts == {"localhost"}, "nothing was fetched for it"


def test_another_host_name_is_refused(settings: Settings, tmp_path: Path) -> None:
    with console(settings, tmp_path) as address:
        port = urlsplit(address).port
        upgrade = (
            f"GET /_stcore/stream HTTP/1.1\r\nHost: evil.example:{port}\r\nOrigin: http://evil.example\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        with socket.create_connection(("localhost", port), timeout=10) as wire:
            wire.sendall(upgrade.encode())
            status = wire.recv(64).split(b"\r\n")[0]
    assert b" 4" in status, status


@contextmanager
def console(settings: Settings, folder: Path) -> Iterator[str]:
    """The console's server over the test's own store; its address."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app/console.py", "--server.port", str(port)]
    environment = {**os.environ, "QUAESTOR_DATA": str(settings.data)}
    with (folder / "console.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while not _answers(f"http://localhost:{port}/_stcore/health"):
                assert server.poll() is None, (folder / "console.log").read_text()
                assert time.monotonic() < deadline, "the console did not answer within a minute"
                time.sleep(0.2)
            yield f"http://localhost:{port}"
        finally:
            server.terminate()
            server.wait(timeout=20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@contextmanager
def browsing() -> Iterator[tuple[Page, Heard]]:
    """A page of a real Chromium, and what it asks for and complains about meanwhile."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("QUAESTOR_REQUIRE_BROWSER") == "1":
            pytest.fail("expected Chromium on the path, found none: install Debian's package `chromium`")
        pytest.skip("no Chromium on the path (Debian's package `chromium` has it)")
    heard = Heard()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.on("request", lambda request: heard.hosts.add(urlsplit(request.url).hostname or "none"))
        page.on("console", lambda said: heard.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: heard.complaints.append(str(error)))
        yield page, heard
        browser.close()


def settled(page: Page) -> None:
    """Waits until the screen has run to its end."""
    page.get_by_test_id("stApp").wait_for()
    page.wait_for_function("document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'")
    page.wait_for_timeout(500)
