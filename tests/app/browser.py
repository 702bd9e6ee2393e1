"""The console in a real Chromium: its server over a store, pages that note what they ask for, and waiting for them."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, sync_playwright

from tests.conftest import ROOT

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WANTED = "Debian's package `chromium`, or `playwright install chromium` elsewhere"


PATIENCE, LOOK_EVERY = 60_000, 50
"""Milliseconds: how long a screen may take on a busy machine, and between two looks at it."""
STILL = """() => {
    const one = name => [...document.querySelectorAll(`[data-testid=${name}]`)];
    const done = one('stApp').some(app => app.dataset.testScriptState === 'notRunning')
        && one('stSkeleton').length === 0
        && one('stVegaLiteChart').every(chart => chart.querySelector('canvas, svg'));
    window.still = done ? (window.still || 0) + 1 : 0;
    return window.still > 4;
}"""
_OWN_SERVER = re.compile(r"/[a-z-]+/_stcore/(health|host-config)")


@dataclass
class Heard:
    """What a page asked for and complained about."""

    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        """Notes every request and every complaint of a page."""
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or "none"))
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _said(self, said: ConsoleMessage) -> None:
        at = str(said.location.get("url", ""))
        # A page that is opened by its own address looks for its server below that address first.
        if said.type == "error" and not _OWN_SERVER.fullmatch(urlsplit(at).path):
            self.complaints.append(f"{said.text} ({at})")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@contextmanager
def console(
    data: Path,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    port: int | None = None,
) -> Iterator[str]:
    """The console's server over a data folder, its log in `folder`; its address."""
    port = port or free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app/console.py", "--server.port", str(port), *options]
    surroundings = {**os.environ, "QUAESTOR_DATA": str(data.absolute()), **(environment or {})}
    with (folder / "console.log").open("ab") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=surroundings, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while not _answers(f"http://localhost:{port}/_stcore/health"):
                assert server.poll() is None, (folder / "console.log").read_text()
                assert time.monotonic() < deadline, "the console did not answer within a minute"
                time.sleep(0.2)
            yield f"http://localhost:{port}"
        finally:
            server.terminate()
            server.wait(timeout=60)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A real Chromium: the system's, or playwright's own. Skips loudly where there is none, or fails where one is
    required."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(playwright), args=list(QUIET))
        yield browser
        browser.close()


def executable(playwright: Playwright) -> str:
    """Where Chromium is."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), playwright.chromium.executable_path)
    if not Path(found).exists():
        if os.environ.get("QUAESTOR_REQUIRE_BROWSER") == "1":
            pytest.fail(f"expected Chromium, found none: install {WANTED}")
        pytest.skip(f"NO BROWSER TEST WAS RUN: there is no Chromium here ({WANTED})")
    return found


@contextmanager
def browsing(browser: Browser, **context: Any) -> Iterator[tuple[Page, Heard]]:
    """A page of a browser, and what it asks for and complains about meanwhile."""
    heard = Heard()
    surroundings = browser.new_context(**{"viewport": {"width": 1280, "height": 1000}, **context})
    page = surroundings.new_page()
    page.add_init_script("delete window.showSaveFilePicker")  # it would open a dialogue that nobody answers
    heard.listen(page)
    yield page, heard
    surroundings.close()


def settled(page: Page) -> None:
    """Waits until the screen has run to its end and every chart on it is drawn, and stays so for a moment."""
    page.evaluate("window.still = 0")
    page.wait_for_function(STILL, polling=LOOK_EVERY, timeout=PATIENCE)


def nameless(page: Page) -> list[str]:
    """What can be pressed, filled in or looked at on a page and has no name that a screen reader could say."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(
            'button, input, textarea, a[href], [role=button], [data-testid=stVegaLiteChart], '
            + '[data-testid=stDataFrame]')]
        .filter(one => one.offsetParent !== null && one.getAttribute('aria-hidden') !== 'true')
        .filter(one => {
            const by = one.getAttribute('aria-labelledby');
            const told = one.getAttribute('aria-label') || one.title || one.innerText || one.placeholder
                || (by && document.getElementById(by.split(' ')[0])?.innerText)
                || [...(one.labels || [])].map(label => label.innerText).join('')
                || one.closest('[aria-label]')?.getAttribute('aria-label')
                || one.querySelector('[aria-label]')?.getAttribute('aria-label');
            return !(told || '').trim();
        }).map(one => one.outerHTML.slice(0, 200))"""
    )
    return found


def violations(page: Page) -> list[str]:
    """What axe finds on a page against WCAG 2.2 AA and good practice; the screen's own name, rule and element.

    Streamlit parts the links of its navigation into groups by elements that a list may not hold; that is not ours.
    """
    if importlib.util.find_spec("axe_playwright_python") is None:
        if os.environ.get("QUAESTOR_REQUIRE_BROWSER") == "1":
            pytest.fail("expected axe-playwright-python, found none: install the extra dev")
        pytest.skip("NOBODY LOOKED FOR BARRIERS: axe-playwright-python is not installed (extra dev)")
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context={"exclude": [["[data-testid=stSidebarNav]"]]}).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:160]}: {' '.join(node.get('failureSummary', '').split())[:300]}"
        for rule in found
        for node in rule["nodes"]
    ]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
