"""JupyterLab on loopback and a headless Chromium, for the tests that act as a person would."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import nbformat

COURSE = Path(__file__).resolve().parents[2]
PATIENCE = 60_000  # milliseconds; a busy machine is slow, not wrong


def missing() -> str:
    """What these tests lack on this machine, or "". They take minutes and a quiet machine, so they are asked for."""
    if not os.environ.get("OCRKIT_BROWSER"):
        return "set OCRKIT_BROWSER=1 to run the tests in a real browser"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed: pip install playwright"
    return "" if chromium() else "there is no Chromium: apt-get install chromium"


def chromium() -> str | None:
    """The browser of this system."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def browser_page(shots: Path, width: int = 1300, height: int = 1250) -> Iterator:
    """A page of a headless Chromium, `width` x `height` pixels; where a test fails, `shots/failure.png` shows it."""
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start for root, which is who runs in a container.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", *quiet])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        try:
            yield page
        except Exception:
            page.screenshot(path=shots / "failure.png")
            raise
        finally:
            browser.close()


@contextmanager
def jupyter_lab(root: Path) -> Iterator[str]:
    """JupyterLab over the folder `root`, on a free port of loopback; gives the address of a notebook in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, home = secrets.token_hex(8), root / ".jupyter-home"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"]
    command += [f"--IdentityProvider.token={token}", "--LabApp.expose_app_in_browser=True"]
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(home), "JUPYTERLAB_SETTINGS_DIR": str(home)}
    # Without an answer it would ask whether to fetch news about Jupyter.
    answer = home / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    answer.parent.mkdir(parents=True, exist_ok=True)
    answer.write_text('{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8")
    environment["PYTHONPATH"] = os.pathsep.join([str(COURSE), *filter(None, [os.environ.get("PYTHONPATH")])])
    with open(root / "lab.log", "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(f"{address}/api/status?token={token}", server, root / "lab.log")
        yield f"{address}/lab/tree/{{}}?token={token}&reset"
    finally:
        server.terminate()
        server.wait(30)


def _wait(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(PATIENCE // 200):
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab stopped: {log.read_text(errors='replace')[-2000:]}")
        try:
            with urlopen(address, timeout=2):
                return
        except (URLError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not answer: {log.read_text(errors='replace')[-2000:]}")


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of code cells, which the course's kernel runs without a question."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel}, cells=[*map(nbformat.v4.new_code_cell, cells)])
    nbformat.write(book, path)


_KERNEL = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"


def open_notebook(page, address: str) -> None:
    """Open a notebook and wait until it has a kernel."""
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_function(f"() => {_KERNEL}")
    page.keyboard.press("Control+b")  # the file list


def run_all(page, restart: bool = False) -> None:
    """Run all cells, after a restart of the kernel if wanted, and wait until the last one is done.

    By JupyterLab's own command, which says whether all went well. It is given only once the kernel is connected:
    an order that comes sooner is dropped without a word.
    """
    if restart:
        page.evaluate(f"() => {_KERNEL}.restart()")
    page.wait_for_function(f"() => {_KERNEL}.connectionStatus === 'connected'")
    if not page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')"):
        raise AssertionError("a cell failed; failure.png shows it")
