"""One headless Chromium of Debian's for all browser tests, driven by Playwright."""
import os

import pytest

CHROMIUM = os.environ.get("STREAMHOLD_CHROMIUM", "/usr/bin/chromium")
# The tests' machine has no network: nothing may be fetched in the background.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


# Per module: while Playwright is there, asyncio.run() of other tests cannot be used.
@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    context = chromium.new_context()
    context.set_default_timeout(15000)
    yield context.new_page()
    context.close()
