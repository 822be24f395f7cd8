"""The overview's page in a real browser, at a desk's and at a phone's size, by day and by night."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from penguinctl.page.document import document
from tests.penguinctl.sample_overview import FLEETS, HOSTILE

pytestmark = pytest.mark.timeout(180)
DESK, PHONE = (1280, 900), (390, 844)
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
# Where elements are, as the person sees them.
SMALL_TEXTS = """
return [...document.querySelectorAll('td, th, dt, dd, h1, h2, li, p')].filter(
  e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'none'
).map(e => e.outerHTML.slice(0, 120));
"""
OVERLAPS = """
const found = [], cells = [...document.querySelectorAll('tr')].map(
  row => [...row.children].filter(e => getComputedStyle(e).display !== 'none'));
for (const row of cells) for (let i = 1; i < row.length; i++) {
  const a = row[i - 1].getBoundingClientRect(), b = row[i].getBoundingClientRect();
  if (a.right > b.left + 1) found.push(row[i].outerHTML.slice(0, 80));
}
return found;
"""
PICTURES = """
return [...document.querySelectorAll('svg')].map(e => e.getBoundingClientRect()).filter(
  r => r.width < 5 || r.height < 5).length;
"""
CONTRAST = """
function parts(c) { return c.match(/[\\d.]+/g).slice(0, 3).map(Number); }
function light(c) { return parts(c).map(v => { v /= 255;
  return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; })
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0); }
function ground(e) { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
  if (!c.startsWith('rgba(0, 0, 0, 0')) return c; } return 'rgb(255, 255, 255)'; }
let least = 21;
for (const e of document.querySelectorAll('td, th, dt, dd, small, h1, h2, li, p, .most, .ends')) {
  const a = light(getComputedStyle(e).color), b = light(ground(e));
  least = Math.min(least, (Math.max(a, b) + .05) / (Math.min(a, b) + .05));
}
return least;
"""


@pytest.fixture(scope="module")
def home():
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser(home):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={home}/profile"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(home)}
    driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver", env=environment))
    yield driver
    driver.quit()


def opened(browser, home, fleet, size, scheme="light"):
    page = home / f"{fleet}.html"
    text = document(
        FLEETS[fleet](), server="penguind.example.com:7443", selectors="", now=datetime.now(UTC)
    )
    page.write_text(text, encoding="utf-8")
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(page.as_uri())
    return browser


@pytest.mark.parametrize("fleet", FLEETS)
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_everything_fits_and_nothing_is_wrong(browser, home, fleet, size):
    page = opened(browser, home, fleet, size)
    broad = page.execute_script("return document.documentElement.scrollWidth")
    assert broad <= size[0]
    assert page.execute_script(SMALL_TEXTS) == []
    assert page.execute_script(OVERLAPS) == []
    assert page.execute_script(PICTURES) == 0
    assert page.get_log("browser") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_by_day_and_by_night(browser, home, scheme):
    page = opened(browser, home, "large", DESK, scheme)
    assert page.execute_script(CONTRAST) >= 4.5


def test_words_of_devices_are_words(browser, home):
    page = opened(browser, home, "hostile", DESK)
    assert page.execute_script("return document.scripts.length + document.images.length") == 0
    shown = page.execute_script("return document.body.innerText")
    assert "<script>alert(1)</script>" in shown
    assert HOSTILE[55] not in shown
    assert "\\u202egnp.evil" in shown


def test_nothing_is_asked_of_anybody(browser, home):
    page = opened(browser, home, "large", DESK)
    asked = "return performance.getEntriesByType('resource').length"
    assert page.execute_script(asked) == 0
    page.execute_script(
        "const e = document.createElement('img'); e.src = 'https://example.com/x.png';"
        "document.body.append(e);"
    )
    (violation,) = [one["message"] for one in page.get_log("browser")]
    assert "Content Security Policy" in violation


def test_pictures_say_in_words_what_they_show(browser, home):
    page = opened(browser, home, "large", DESK)
    titles = page.execute_script(
        "return [...document.querySelectorAll('svg[role=img] title')].map(e => e.textContent)"
    )
    assert "firewall-disabled: 31 fail, 326 pass, of 7 it is not known" in titles
    assert len(titles) > 15
    heads = page.execute_script("return document.querySelectorAll('th[scope=col]').length")
    assert heads == 14


def test_it_can_be_looked_at(browser, home):
    for size, scheme in itertools.product((DESK, PHONE), ("light", "dark")):
        page = opened(browser, home, "large", size, scheme)
        shot = page.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        assert len(shot["data"]) > 20_000
        if folder := os.environ.get("PENGUINDOME_SHOTS"):
            name = f"{'desk' if size == DESK else 'phone'}-{scheme}.png"
            (Path(folder) / name).write_bytes(base64.b64decode(shot["data"]))
