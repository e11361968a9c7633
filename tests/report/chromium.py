"""A headless Chromium for tests, and what it measures of a page."""

import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Text of ours on a ground from which it does not stand out: WCAG's ratio of luminances, 4.5.
FAINT = """() => {
  const channels = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((c) => c / 255).map(
      (c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const rgba = channels(getComputedStyle(one).backgroundColor);
      if (rgba.length === 3 || rgba[3] === 1) return rgba;
    }
    return [255, 255, 255];
  };
  const own = document.querySelectorAll(
    ":is(.cell_output, .claims) :is(td, th), .filters *, .explorer *, figcaption");
  return [...own].filter((e) => e.textContent.trim() && e.checkVisibility()).filter((e) => {
    const [a, b] = [luminance(channels(getComputedStyle(e).color)), luminance(ground(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
  }).map((e) => e.outerHTML.slice(0, 80));
}"""
# Elements that reach beyond the right edge, where the page as a whole is too wide.
WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")].filter(
    (e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))"""


@contextmanager
def launched():
    """A headless Chromium, playwright's own or the system's."""
    with sync_playwright() as playwright:
        found = [playwright.chromium.executable_path, *filter(None, map(shutil.which, NAMES))]
        there = [path for path in found if Path(path).is_file()]
        if not there:
            pytest.skip("no Chromium: playwright install chromium, or apt-get install chromium")
        chromium = playwright.chromium.launch(executable_path=there[0])
        yield chromium
        chromium.close()


@contextmanager
def opened(chromium):
    """A page with a state of its own; no word of it may fail."""
    page, failed = chromium.new_page(), []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.on("console", lambda m: failed.append(m.text) if m.type == "error" else None)
    page.on("requestfailed", lambda request: failed.append(request.url))
    yield page
    page.close()
    assert not failed


def expect(browser, data, query):
    """The explorer shows a query and what both arms retrieved for it, under their names."""
    explorer, arms = browser.locator(".explorer"), ("no memory", "memory (R_M = 1)")
    assert f"query {query['query']}" in explorer.locator("figcaption").inner_text()
    query_image, *found = explorer.locator(".result img").all()
    assert query_image.get_attribute("src") == data["images"][query["image"]]
    results = [r for arm in arms for r in query["retrieved"][arm]]
    assert [image.get_attribute("src") for image in found] == [
        data["images"][r["image"]] for r in results
    ]
    for item, result in zip(explorer.locator(".result li").all(), results, strict=True):
        word = "✓ correct" if result["correct"] else "✗ incorrect"
        lines = [word, data["names"][str(result["label"])], f"{result['similarity']:.3f}"]
        assert item.inner_text().split("\n") == lines
