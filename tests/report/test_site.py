"""Tests of the report: built at profile smoke, read as files and in a browser."""

import base64
import importlib
import json
import re
import shutil
import types
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

import xbmlib.report.site
import xbmlib.study.execution
from tests.report import chromium
from tests.report.pages import report, shown, soup
from xbmlib import datasets
from xbmlib.report import api, claims, notebooks
from xbmlib.report.site import ReportError, build
from xbmlib.study.execution import SOURCES
from xbmlib.study.figures import ablation_memory_ratio, retrievals
from xbmlib.study.plan import NOTEBOOKS
from xbmlib.study.profiles import DATA, PROFILES
from xbmlib.training.callbacks.neighbours import TOP
from xbmlib.training.trainer import Trainer

# Attributes whose file a browser loads by itself, and those of links that do so by their kind.
LOADED = ("src", "srcset", "poster", "data", "background")
# The pages whose scripts load more once the page is there.
SCRIPTED = {"explorer.html", "search.html"}
LOADED_LINKS = {"stylesheet", "icon", "shortcut", "preload", "modulepreload", "manifest"}
# Notebooks that no profile executes: those that the site does, and those that nothing does here.
OTHERS, SOURCE_ONLY = notebooks.without_profile()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(smoke, tmp_path_factory):
    """A copy of the results of profile smoke, with every notebook executed."""
    return Path(shutil.copytree(smoke[0], tmp_path_factory.mktemp("report") / "root"))


@pytest.fixture(scope="module")
def site(root):
    """The built site."""
    done = report(root)
    assert done.returncode == 0, done.stderr
    index = root / "build" / "report" / "index.html"
    assert done.stdout.strip().endswith(str(index)) and not done.stderr
    return index.parent


@pytest.mark.parametrize("name", [*NOTEBOOKS, *OTHERS, *SOURCE_ONLY])
def test_every_notebook_has_its_page(site, name):
    """Oracle: the notebook's own title; the first page links to it."""
    title = nbformat.read(SOURCES / f"{name}.ipynb", 4).cells[0].source.splitlines()[0]
    heading = soup(site / "notebooks" / f"{name}.html").h1
    heading.find(class_="headerlink").decompose()
    assert heading.get_text() == title.removeprefix("# ")
    links = [a.get("href") for a in soup(site / "index.html").select(".sidebar-tree a")]
    assert f"notebooks/{name}.html" in links and "explorer.html" in links


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_outputs_are_shown(site, name):
    """Oracle: the executed notebook's figures, byte by byte, and its tables."""
    page = soup(site / "notebooks" / f"{name}.html")
    executed = nbformat.read(
        site.parents[1] / "results" / "notebooks" / "smoke" / f"{name}.ipynb", 4
    )
    outputs = [o.get("data", {}) for c in executed.cells for o in c.get("outputs", [])]
    images = page.select(".cell_output img")
    assert [(site / "notebooks" / image["src"]).read_bytes() for image in images] == [
        base64.b64decode(data["image/png"]) for data in outputs if "image/png" in data
    ]
    assert len(page.select(".cell_output table")) == sum("text/html" in d for d in outputs)


@pytest.mark.parametrize("name", OTHERS)
def test_outputs_without_a_profile_are_shown(site, name):
    """Oracle: the files that the notebook exports, byte by byte; its calls for tables."""
    page = soup(site / "notebooks" / f"{name}.html")
    images = [
        (site / "notebooks" / image["src"]).read_bytes()
        for image in page.select(".cell_output img")
    ]
    exported = (site.parents[1] / "figures" / "benchmarks").glob("*.png")
    files = {p.read_bytes() for p in exported if f"{p.stem}_".startswith(f"{name}_")}
    source = "".join(cell.source for cell in nbformat.read(SOURCES / f"{name}.ipynb", 4).cells)
    assert files and len(images) == len(files) + source.count("widgets.explore")
    assert files <= set(images)
    calls = re.findall(r"notebook\.(?:tabulate|compare|conclude)\(", source)
    assert calls and len(page.select(".cell_output table")) >= len(calls)


@pytest.mark.parametrize("name", [*NOTEBOOKS, *OTHERS])
def test_every_figure_has_a_caption(site, name):
    """Oracle: the alternative text, which no other figure of the page has, ends as the caption."""
    images = soup(site / "notebooks" / f"{name}.html").select(".cell_output img")
    assert images and len({image["alt"] for image in images}) == len(images)
    captions = [
        image.find_parent("figure").select_one(".caption-text").get_text() for image in images
    ]
    if name == "retrievals":
        assert captions == [f"The four nearest images: {data}" for data in DATA]
    else:
        for image, caption in zip(images, captions, strict=True):
            words = caption.split()
            assert len(words) > 10 and image["alt"].split()[-5:] == words[-5:]


def test_claims_are_the_stored_verdicts(site):
    """Oracle: the JSON of the verdicts, cell by cell; every other claim of the paper is open."""
    folder = site.parents[1] / "results" / "verdicts"
    paths = [folder / "smoke" / f"{name}.json" for name in NOTEBOOKS]
    paths += (folder / "benchmarks").glob("*.json")
    stored = {
        verdict["claim"]: (verdict, path.stem)
        for path in paths
        for verdict in json.loads(path.read_text())
    }
    seen = set()
    for row in soup(site / "index.html").select("table.claims tbody tr"):
        outcome, text, paper, ours, data = (td.get_text().strip() for td in row.find_all("td"))
        (claim,) = [claim for claim in stored if text.startswith(claim)] or [None]
        if claim is None:
            assert outcome == "– not testable here" and row.a is None
            continue
        (verdict, name), seen = stored[claim], seen | {claim}
        assert outcome == f"{claims.MARKS[verdict['outcome']]} {verdict['outcome']}"
        assert verdict["rule"] in text and paper == verdict["paper"] and ours == verdict["ours"]
        assert data == f"{verdict['data']}; n = {verdict['seeds']}"
        assert row.a["href"] == f"notebooks/{name}.html"
    assert seen == stored.keys()


def test_nothing_is_loaded_from_a_network(site):
    """Oracle: every file that a page or style sheet loads lies in the site."""
    found = []
    for page in site.rglob("*.html"):
        for tag in soup(page).find_all():
            kinds = set(tag.get("rel", [])) if tag.name == "link" else set()
            names = (*LOADED, "href") if kinds & LOADED_LINKS else LOADED
            found += [(page, tag[name]) for name in names if tag.name != "a" and tag.get(name)]
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        urls = re.findall(r"""(?:url\(|@import\s)\s*['"]?([^'")]+)""", text)
        found += [(sheet, url) for url in urls]
    assert len(found) > 5 * len(NOTEBOOKS)
    for page, address in found:
        parts = urlsplit(address)
        assert parts.scheme in ("", "data") and not parts.netloc, (page, address)
        assert parts.scheme or (page.parent / unquote(parts.path)).is_file(), (page, address)


def test_explorer_agrees_with_brute_force(site, tmp_path):
    """Oracle: both models trained again; every similarity in float64, sorted; the stored images.

    Of two neighbours closer than float32 tells apart either may come first.
    """
    hanzi = shown(site, "hanzi")
    data = datasets.load("hanzi", "smoke")
    images = [
        torch.tensor(np.array(Image.open(BytesIO(base64.b64decode(uri.split(",")[1])))))
        for uri in hanzi["images"]
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    correct = {}
    for arm, ratio in retrievals.RATIOS.items():
        e = ablation_memory_ratio.point(PROFILES["smoke"], "hanzi", ratio, 0)
        trainer = Trainer(e, data, tmp_path / "none")
        trainer.train()
        embeddings = trainer.embed(data.query).double()
        for query in hanzi["queries"]:
            at = query["query"]
            s = embeddings @ embeddings[at]
            s[at] = -torch.inf
            best = s.topk(TOP)
            results = query["retrieved"][arm]
            found = [r["similarity"] for r in results]
            assert found == pytest.approx(best.values.tolist(), abs=1e-4)
            for result, value, image in zip(results, *map(list, best), strict=True):
                same = (data.query.images == 255 - images[result["image"]]).flatten(1).all(1)
                assert (s[same] - value).abs().min() < 1e-6
                assert result["label"] in data.query.labels[same]
                assert result["correct"] == (result["label"] == query["label"])
                assert (s - value).abs().sort().values[1] < 1e-6 or same[image]
            assert torch.equal(255 - images[query["image"]], data.query.images[at, 0])
            assert query["label"] == int(data.query.labels[at])
            correct[at, arm] = results[0]["correct"]
    torch.set_num_threads(threads)
    for query in hanzi["queries"]:
        at = query["query"]
        assert (
            query["kind"]
            == retrievals.KINDS[correct[at, "no memory"], correct[at, "memory (R_M = 1)"]]
        )


def test_an_unfinished_notebook_is_refused(root, site, monkeypatch):
    """Oracle: one line names the notebook and the remedy; only the previous site remains."""
    for module in (xbmlib.report.site, xbmlib.study.execution):
        monkeypatch.setattr(module, "ROOT", root)
    path = root / "results" / "notebooks" / "smoke" / f"{NOTEBOOKS[0]}.ipynb"
    whole = path.read_bytes()
    path.unlink()
    done = report(root)
    assert done.returncode != 0
    messages = [done.stderr.strip()]
    for noted in ({"exception": True, "end_time": "2020"}, {"exception": None, "end_time": None}):
        notebook = nbformat.reads(whole, 4)
        notebook.metadata.papermill = noted
        nbformat.write(notebook, path)
        with pytest.raises(ReportError) as caught:
            build("smoke")
        messages.append(str(caught.value))
    path.write_bytes(whole)
    remedy = "run python -m xbmlib.study smoke"
    assert messages == [f"{path} does not exist: {remedy}"] + 2 * [
        f"{path} was not executed to its end: {remedy}"
    ]
    assert [p.name for p in site.parent.iterdir()] == ["report"]
    assert (site / "index.html").is_file()


@pytest.mark.parametrize("page", api.PAGES)
def test_every_public_name_is_shown_with_its_example(site, page):
    """Oracle: the modules' ``__all__``, and the examples of the docstrings themselves."""
    html = soup(site / "api" / f"{page}.html")
    shown, text = {tag["id"] for tag in html.select("dt.sig[id]")}, html.get_text()
    assert shown
    for name in api.PAGES[page][1]:
        module = importlib.import_module(name)
        for one in getattr(module, "__all__", []):
            value = getattr(module, one)
            if isinstance(value, types.GenericAlias):  # such as `Row`: it has no docstring
                continue
            assert f"{name}.{one}" in shown
            for line in (value.__doc__ or "").splitlines():
                assert ">>> " not in line or line.strip() in text, line


@pytest.fixture(scope="module")
def launched():
    """A headless Chromium."""
    with chromium.launched() as browser:
        yield browser


@pytest.fixture
def browser(launched):
    """A page of it; no error of the page may pass."""
    with chromium.opened(launched) as page:
        yield page


def test_no_link_is_broken(site):
    """Oracle: the files of the site, and the ids in them."""
    ids = {
        page: {tag["id"] for tag in soup(page).find_all(id=True)} for page in site.rglob("*.html")
    }
    followed = 0
    for page in ids:
        for a in soup(page).select("a[href]"):
            parts = urlsplit(a["href"])
            if parts.scheme or a["href"] == "#":
                assert parts.scheme in ("", "https"), a
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target in ids or target.is_file(), (page, a)
            assert not parts.fragment or unquote(parts.fragment) in ids[target], (page, a)
            followed += 1
    assert followed > 20 * len(NOTEBOOKS)


def test_pages_open_from_disk_at_every_width_and_in_the_dark(site, browser):
    """Oracle: the browser's own measures and requests; a page made too wide and too faint fails."""
    requested = []
    browser.on("request", lambda request: requested.append(request.url))
    for page in sorted(site.rglob("*.html")):
        browser.goto(page.as_uri())
        if page.name in SCRIPTED:  # half a second without a request, which no other page makes
            browser.wait_for_load_state("networkidle")
        for width in (1280, 390):
            browser.set_viewport_size({"width": width, "height": 900})
            assert browser.evaluate(chromium.WIDE) == [], (page, width)
        for scheme in ("light", "dark"):
            browser.emulate_media(color_scheme=scheme)
            assert browser.evaluate(chromium.FAINT) == [], (page, scheme)
        for image in soup(page).select(".cell_output img, img.headline"):
            assert image["alt"].strip() and not image["alt"].startswith(".."), (page, image)
    assert len(requested) > 5 * len(NOTEBOOKS)
    assert {urlsplit(url).scheme for url in requested} <= {"file", "data"}
    browser.goto((site / "index.html").as_uri())
    browser.add_style_tag(content=".main { min-width: 1999px; } .claims td { color: #555; }")
    assert browser.evaluate(chromium.WIDE) and browser.evaluate(chromium.FAINT)
    browser.goto(f"{(site / 'search.html').as_uri()}?q=drift")
    browser.locator("#search-results a[href*='notebooks/drift_curves']").first.wait_for()


def test_claims_are_filtered_and_sorted(site, browser):
    """Oracle: Python's own filter and order of what the table shows without its script."""
    rows = [
        [td.get_text().strip() for td in row.find_all("td")]
        for row in soup(site / "index.html").select("table.claims")[0].select("tbody tr")
    ]
    browser.goto((site / "index.html").as_uri())
    table, bar = browser.locator("table.claims").first, browser.locator(".filters").first

    def shown():
        visible = table.locator("tbody tr:visible").all()
        return [[td.text_content().strip() for td in row.locator("td").all()] for row in visible]

    assert shown() == rows
    for heading, column in (("claim", 1), ("outcome", 0)):
        button = table.locator("th button", has_text=heading).first
        for reverse in (False, True):
            button.click()
            cells = [row[column] for row in shown()]
            assert cells == sorted(cells, key=str.lower, reverse=reverse), heading
    verdict = rows[0][0].split(" ", 1)[1]
    bar.get_by_label("Verdict").select_option(verdict)
    assert {row[0] for row in shown()} == {rows[0][0]}
    number = sum(row[0] == rows[0][0] for row in rows)
    assert bar.locator("output").inner_text() == f"{number} of {len(rows)} claims"
    bar.get_by_label("Verdict").select_option("")
    word = rows[-1][1].split()[2]
    bar.get_by_label("Filter by words").fill(word.upper())
    wanted = [row for row in rows if word.lower() in " ".join(row).lower()]
    assert sorted(shown()) == sorted(wanted)


@pytest.mark.parametrize("name", ["hanzi", "emoji", "hangul"])
def test_a_click_shows_what_was_retrieved(site, browser, name):
    """Oracle: the explorer's data; a click, the arrow keys, the choice of kind, and the address."""
    data = shown(site, name)
    loaded = []
    browser.on("request", lambda request: loaded.append(Path(urlsplit(request.url).path).stem))
    browser.goto((site / "explorer.html").as_uri())
    explorer = browser.locator(".explorer")
    explorer.get_by_role("radio", name=name).check()
    browser.locator(f".result a[href^='#{name}-']").wait_for()
    assert [one for one in loaded if one.startswith("retrievals_")] == list(
        dict.fromkeys(["retrievals_hanzi", f"retrievals_{name}"])
    )
    for kind in reversed(data["kinds"]):
        queries = [q for q in data["queries"] if q["kind"] == kind]
        if not queries:
            continue
        explorer.locator("select").select_option(kind)
        assert explorer.locator(".queries img").count() == len(queries) > 2
        chromium.expect(browser, data, queries[0])
        explorer.locator(".queries label").nth(1).click()
        chromium.expect(browser, data, queries[1])
        browser.keyboard.press("ArrowRight")
        chromium.expect(browser, data, queries[2])
    address = browser.url
    assert address.endswith(f"#{name}-{queries[2]['query']}")
    browser.goto("about:blank")
    browser.goto(address)
    browser.locator(f".result a[href='#{urlsplit(address).fragment}']").wait_for()
    chromium.expect(browser, data, queries[2])
    browser.keyboard.press("ArrowLeft")
    chromium.expect(browser, data, queries[1])


def test_arms_stand_side_by_side_where_there_is_room(site, browser):
    """Oracle: the boxes of both arms: beside each other from 900 px, below each other under it."""
    browser.goto((site / "explorer.html").as_uri())
    arms = browser.locator(".result section")
    arms.nth(1).wait_for()
    for width, beside in ((1280, True), (900, True), (899, False), (390, False)):
        browser.set_viewport_size({"width": width, "height": 900})
        one, other = (arms.nth(i).bounding_box() for i in (0, 1))
        assert (one["y"] == other["y"]) == beside and (one["x"] < other["x"]) == beside
