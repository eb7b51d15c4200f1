"""A headless Chromium, as much of it as tests need: the WebDriver protocol over plain HTTP."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

INSTALLED = bool(shutil.which("chromium") and shutil.which("chromedriver"))
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage"
)
# As WebDriver codes them.
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Space": "\ue00d", "Left": "\ue012", "Right": "\ue014"}


@contextmanager
def browsing(profile) -> Iterator[Browser]:
    """A browser with a profile of its own, closed at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _await(port)
        browser = Browser(port, profile)
        yield browser
        browser.close()
    finally:
        driver.terminate()
        driver.wait(timeout=30)


def _await(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as attempt:
            if not attempt.connect_ex(("127.0.0.1", port)):
                return
    raise TimeoutError("chromedriver did not start")


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
        return self._post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def log(self):
        return [entry["message"] for entry in self._post("/se/log", {"type": "browser"})]

    def close(self):
        request = urllib.request.Request(self.base, method="DELETE")
        urllib.request.urlopen(request, timeout=60).close()

    def size(self, width, height=800):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.devtools("Emulation.setDeviceMetricsOverride", **metrics)

    def scheme(self, name):
        media = [{"name": "prefers-color-scheme", "value": name}]
        self.devtools("Emulation.setEmulatedMedia", features=media)

    def press(self, *keys):
        codes = [KEYS.get(key, key) for key in keys]
        strokes = [{"type": kind, "value": c} for c in codes for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keyboard", "actions": strokes})

    def point_at(self, x, y):
        """Moves the mouse there, in pixels of the window, by way of its neighbourhood."""
        at = {"type": "pointerMove", "duration": 50, "y": round(y), "origin": "viewport"}
        moves = [at | {"x": round(x) + by} for by in (3, 0)]
        self._act({"type": "pointer", "id": "mouse", "actions": moves})

    def _act(self, source):
        self._post("/actions", {"actions": [source]})
