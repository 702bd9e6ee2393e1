"""Pictures of every screen for review: `python -m tests.app.screenshots [--out FOLDER] [--data FOLDER] [--tour]`.

Light and dark, at 1280 pixels and on a phone; with --tour the five pictures that answer a first-time analyst's
questions. Fails where a screen raises, the browser complains, or anything but this machine is asked. Without a data
folder it fills one like the demo's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, Page

from app.console import SCREENS
from quaestor.registry.report import IterationReport, reports
from quaestor.settings import Settings
from tests.app.browser import Heard, chromium, console, settled
from tests.app.decided import decide
from tests.app.filled import fill

SIZES = {"1280": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
LOOKS = tuple(product(("light", "dark"), SIZES))
"""Every theme at every size."""
TALL = 8000
"""Pixels in which every screen is seen to its end; the picture ends where the screen does."""

REFUSED = ("needs more evidence", "rejected by the gate")
TOUR = {
    "what-changed": ("iteration", "waiting", "What changed from"),
    "is-it-better": ("side-by-side", "waiting", None),
    "is-it-safe": ("certificates", "waiting", None),
    "why-was-it-refused": ("iteration", "refused", None),
    "what-do-i-do-now": ("overview", None, None),
}
"""The questions of a first-time analyst: the screen that answers, of which iteration, and from which words on."""


def tour(address: str, out: Path, browser: Browser, iterations: Sequence[IterationReport]) -> list[Path]:
    """Writes one picture for each question, of the newest iteration that waits or that was refused."""
    out.mkdir(parents=True, exist_ok=True)
    stages = {"waiting": ("waits for approval",), "refused": REFUSED}
    chosen = {
        name: [each for each in iterations if each.stage in wanted and each.evaluation][-1]
        for name, wanted in stages.items()
    }
    page, made = browser.new_page(viewport={"width": 1280, "height": 960}), []
    for question, (screen, which, words) in TOUR.items():
        named = ""
        if which is not None:
            one, other = chosen[which].iteration_id[:12], str(chosen[which].incumbent_id)[:12]
            named = f"?iterations={one},{other}" if screen == "side-by-side" else f"?iteration={one}"
        page.goto(f"{address}/{'' if screen == 'overview' else screen}{named}")
        settled(page)
        if words is not None:
            page.get_by_text(words).first.evaluate("one => one.scrollIntoView()")
            page.evaluate("document.querySelector('[data-testid=stMain]').scrollBy(0, -90)")  # from under the header
            settled(page)
        made.append(out / f"{question}.png")
        page.screenshot(path=made[-1])
    return made


def pictures(
    address: str,
    out: Path,
    browser: Browser,
    looks: Sequence[tuple[str, str]] = LOOKS,
    look: Callable[[Page], Sequence[str]] = lambda page: (),
) -> tuple[list[Path], list[str]]:
    """Writes a picture of every screen in these looks; returns them, and what was wrong on the way. look: finds more
    that is wrong with a page."""
    out.mkdir(parents=True, exist_ok=True)
    made, wrong = [], []
    for theme, size in looks:
        viewport, heard = SIZES[size], Heard()
        tall = {**viewport, "height": TALL}
        context = browser.new_context(viewport=tall, color_scheme=theme)  # type: ignore[arg-type]
        page = context.new_page()
        heard.listen(page)
        for screen in (name for group in SCREENS.values() for name in group):
            page.goto(f"{address}/{'' if screen == 'overview' else screen.replace('_', '-')}")
            settled(page)
            height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
            made.append(out / f"{screen}-{theme}-{size}.png")
            shown = min(TALL, max(viewport["height"], int(height)))
            page.screenshot(path=made[-1], clip={"x": 0, "y": 0, "width": viewport["width"], "height": shown})
            wide = page.evaluate("document.documentElement.scrollWidth")
            wrong += [f"{made[-1].name} is {wide} pixels wide"] if wide > viewport["width"] else []
            wrong += [f"{made[-1].name}: {said}" for said in look(page)]
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
    parser.add_argument("--tour", action="store_true", help="the five pictures of the tour instead of every screen")
    given = parser.parse_args()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        data = given.data
        if data is None:
            settings = Settings(data=Path(folder) / "data", actor="tester")
            fill(settings, Path(folder) / "incoming")
            decide(settings, Path(folder) / "incoming")
            data = settings.data
        acting = {"QUAESTOR_CONSOLE_LOCAL_APPROVER": "1"}
        with console(data, Path(folder), acting) as address, chromium() as browser:
            if given.tour:
                with Settings(data=data).store.read() as connection:
                    known = reports(connection)
                made = tour(address, given.out, browser, known)
            else:
                made, wrong = pictures(address, given.out, browser)
    print(f"{len(made)} pictures in {given.out}")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
