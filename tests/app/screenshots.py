"""Pictures of every screen for review: `python -m tests.app.screenshots [--out FOLDER] [--data FOLDER]`.

Light and dark, at 1280 pixels and on a phone. Fails where a screen raises, the browser complains, or anything but this
machine is asked. Without a data folder it fills one like the demo's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser

from app.console import SCREENS
from quaestor.settings import Settings
from tests.app.browser import Heard, chromium, console, settled
from tests.app.decided import decide
from tests.app.filled import fill

SIZES = {"1280": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
LOOKS = tuple(product(("light", "dark"), SIZES))
"""Every theme at every size."""
SPARE = 400
"""Pixels kept free below a screen's end."""


def pictures(
    address: str, out: Path, browser: Browser, looks: Sequence[tuple[str, str]] = LOOKS
) -> tuple[list[Path], list[str]]:
    """Writes a picture of every screen in these looks; returns them, and what was wrong on the way."""
    out.mkdir(parents=True, exist_ok=True)
    made, wrong = [], []
    for theme, size in looks:
        viewport, heard = SIZES[size], Heard()
        context = browser.new_context(viewport=viewport, color_scheme=theme)  # type: ignore[arg-type]
        page = context.new_page()
        heard.listen(page)
        for screen in (name for group in SCREENS.values() for name in group):
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            page.goto(f"{address}/{'' if screen == 'overview' else screen.replace('_', '-')}")
            settled(page)
            height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
            page.set_viewport_size({"width": viewport["width"], "height": int(height) + SPARE})
            settled(page)
            made.append(out / f"{screen}-{theme}-{size}.png")
            page.screenshot(path=made[-1])
            wide = page.evaluate("document.documentElement.scrollWidth")
            wrong += [f"{made[-1].name} is {wide} pixels wide"] if wide > viewport["width"] else []
            wrong += [f"{made[-1].name} shows an exception"] if page.get_by_test_id("stException").count() else []
        wrong += [f"{theme}, {size}: {said}" for said in heard.complaints]
        wrong += [f"{theme}, {size}: asked {host}" for host in heard.hosts - {"localhost"}]
        context.close()
    return made, wrong


def main() -> None:
    """Reads the options, takes the pictures and says where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("screenshots"), help="the folder for the pictures")
    parser.add_argument("--data", type=Path, help="a data folder to show; without one a small one is made up")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = given.data
        if data is None:
            settings = Settings(data=Path(folder) / "data", actor="tester")
            fill(settings, Path(folder) / "incoming")
            decide(settings, Path(folder) / "incoming")
            data = settings.data
        acting = {"QUAESTOR_CONSOLE_LOCAL_APPROVER": "1"}
        with console(data, Path(folder), acting) as address, chromium() as browser:
            made, wrong = pictures(address, given.out, browser)
    print(f"{len(made)} pictures in {given.out}")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
