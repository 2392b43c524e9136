"""The page in a real browser: no console error, no request, figures that can be seen, tables that sort."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import make_run

from certify.records import Run
from certify.report import write_report

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# CERTIFY_REPORT_RUN=FOLDER adds the report of a run that was really made; the folder itself is left alone.
REAL = [folder for folder in [os.environ.get("CERTIFY_REPORT_RUN")] if folder]
DESKTOP, PHONE = (1280, 900), (390, 800)


def chromium() -> str:
    """The browser, or a skip that says what is missing. In CI there is no skip: the test then fails."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if os.environ.get("CI") == "true":
        assert found, "CI=true and no chromium on PATH; install the Debian package chromium"
        return found
    if not found:
        pytest.skip("no chromium on PATH; install the Debian package chromium to run this test")
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    return found


def look_at(folder: Path, executable: str) -> None:
    """Write the report of any run folder and check it in the browser, at desktop and at phone width."""
    from playwright.sync_api import sync_playwright

    path = write_report(Run.open(folder))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        try:
            for width, height in (DESKTOP, PHONE):
                page = browser.new_page(viewport={"width": width, "height": height})
                complaints: list[str] = []
                requests: list[str] = []
                page.on("console", lambda message, told=complaints: told.append(f"{message.type}: {message.text}"))
                page.on("pageerror", lambda error, told=complaints: told.append(str(error)))
                page.on("request", lambda request, asked=requests: asked.append(request.url))
                page.goto(path.resolve().as_uri())
                assert requests == [path.resolve().as_uri()]
                figures_are_seen(page)
                tables_sort(page)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
                assert complaints == []
                page.close()
        finally:
            browser.close()


def figures_are_seen(page: Any) -> None:
    """Every figure has a size, something drawn in it, and words for those who do not see it."""
    plots = page.locator("svg.plot")
    assert plots.count() > 0
    for index in range(plots.count()):
        plot = plots.nth(index)
        box = plot.bounding_box()
        assert plot.is_visible() and box is not None and box["width"] > 100 and box["height"] > 50, (index, box)
        assert plot.locator("path").count() > 3
        assert plot.get_attribute("aria-label")


def tables_sort(page: Any) -> None:
    """A click sorts by the column, a second click the other way round, and missing values stay last.

    Every column of the first table is tried, the first and the last of the others.
    """
    tables = page.locator("table:has(th button):visible")
    assert tables.count() > 0
    for index in range(tables.count()):
        table = tables.nth(index)
        heads = table.locator("thead th")
        for column in range(0, heads.count(), 1 if index == 0 else max(1, heads.count() - 1)):
            numeric = heads.nth(column).get_attribute("data-number") is not None
            orders = []
            for _ in range(2):
                heads.nth(column).locator("button").click()
                orders.append(heads.nth(column).get_attribute("aria-sort"))
                cells = table.evaluate(
                    "(table, column) => [...table.tBodies[0].rows].map(row => row.cells[column].getAttribute('data-sort'))",
                    column,
                )
                present = [float(cell) if numeric else cell.lower() for cell in cells if cell is not None]
                assert cells[: len(present)].count(None) == 0, "a missing value stands before others"
                assert present == sorted(present, reverse=orders[-1] == "descending")
            assert sorted(orders) == ["ascending", "descending"]


@pytest.mark.browser
@pytest.mark.parametrize("what", ["pruned", "compared", *REAL])
def test_report_in_a_browser(what: str, tmp_path: Path) -> None:
    executable = chromium()
    if what in REAL:
        shutil.copytree(what, tmp_path / "run")
    else:
        make_run(tmp_path / "run", compare=what == "compared", labels=what != "compared")
    look_at(tmp_path / "run", executable)
