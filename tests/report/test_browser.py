"""The page in a real browser: it draws, switches, fits a phone, and runs nothing but its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest

from comparisons import make_comparison
from normcraft.report import render_html

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs chromium and chromedriver",
    ),
]

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage"
)
HOSTILE = "</script><img src=x onerror='window.hacked=1'>"


class Browser:
    """As much of the WebDriver protocol as these tests need."""

    def __init__(self, port, profile):
        self.base = f"http://127.0.0.1:{port}/session"
        options = {"args": [*FLAGS.split(), f"--user-data-dir={profile}"]}
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self._post("", {"capabilities": {"alwaysMatch": capabilities}})
        self.base += f"/{session['sessionId']}"

    def _post(self, path, body):
        data = json.dumps(body).encode()
        request = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, path):
        self._post("/url", {"url": path.as_uri()})

    def run(self, script):
        return self._post("/execute/sync", {"script": script, "args": []})

    def wait(self, script):
        deadline = time.monotonic() + 30
        while not self.run(f"return {script}"):
            assert time.monotonic() < deadline, script
            self.next_frame()

    def next_frame(self):
        script = "const done = arguments[0]; requestAnimationFrame(() => setTimeout(done, 50));"
        self._post("/execute/async", {"script": script, "args": []})

    def devtools(self, command, **parameters):
        self._post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def log(self):
        return [entry["message"] for entry in self._post("/se/log", {"type": "browser"})]

    def close(self):
        request = urllib.request.Request(self.base, method="DELETE")
        urllib.request.urlopen(request, timeout=60).close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        listening(port)
        found = Browser(port, tmp_path_factory.mktemp("profile"))
        yield found
        found.close()
    finally:
        driver.terminate()
        driver.wait(timeout=30)


def listening(port):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as attempt:
            if not attempt.connect_ex(("127.0.0.1", port)):
                return
    pytest.fail("chromedriver did not start")


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    summary, arms, records = make_comparison(
        names=("none", "after_activation", HOSTILE), rates=(0.01, 0.05), notes=(HOSTILE,)
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(summary, arms, records), encoding="utf-8")
    browser.open(path)
    browser.wait(f"document.querySelectorAll('{DRAWN}').length === 3")
    return browser


DRAWN = "[data-figure] svg.main-svg:first-of-type"


def test_all_figures_are_drawn_and_nothing_foreign_runs(opened):
    assert opened.run("return document.querySelectorAll('.plot .trace').length") > 10
    assert opened.run("return window.hacked") is None
    assert opened.run("return document.images.length") == 0
    assert opened.run("return performance.getEntriesByType('resource').length") == 0
    assert opened.log() == []
    names = opened.run(
        "return [...document.querySelectorAll('.annotation-text')].map(e => e.textContent)"
    )
    assert HOSTILE in names


def test_score_and_loss_are_switched(opened):
    both = "document.querySelectorAll('[data-figure=score],[data-figure=loss]')"
    shown = f"return [...{both}].map(each => each.hidden)"
    assert opened.run(shown) == [False, True]
    opened.run("document.querySelector('[name=quantity][value=loss]').click()")
    opened.wait(f"document.querySelectorAll('{DRAWN}').length === 4")
    assert opened.run(shown) == [True, False]
    assert opened.run("return document.querySelector('[data-figure=loss]').clientHeight") > 200
    opened.run("document.querySelector('[name=quantity][value=score]').click()")
    assert opened.run(shown) == [False, True]


@pytest.mark.parametrize("arm", [1, 2])
def test_an_arm_is_hidden_and_shown_again(opened, arm):
    count = "document.querySelectorAll('[data-figure=score] .scatterlayer .trace').length"
    before = opened.run(f"return {count}")
    press = f"document.querySelectorAll('[data-arm]')[{arm}].click()"
    opened.run(press)
    opened.wait(f"{count} < {before}")
    opened.run(press)
    opened.wait(f"{count} === {before}")


def test_the_figures_follow_a_change_of_color_scheme(opened):
    ink = "document.querySelector('[data-figure=score]')._fullLayout.font.color"
    seen = set()
    for scheme in ("light", "dark"):
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        opened.devtools("Emulation.setEmulatedMedia", features=media)
        opened.wait(
            f"{ink} === getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()"
        )
        seen.add(opened.run(f"return {ink}"))
    assert len(seen) == 2


@pytest.mark.parametrize("width", [360, 1280, 2560])
def test_the_page_fits_its_window(opened, width):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    opened.devtools("Emulation.setDeviceMetricsOverride", **metrics)
    opened.wait(f"innerWidth === {width} && document.documentElement.scrollWidth <= {width}")
    opened.devtools("Emulation.clearDeviceMetricsOverride")


def test_the_code_is_copied_or_selected(opened):
    opened.run("document.querySelector('.copy').click()")
    opened.wait("document.querySelector('#status').textContent !== ''")
