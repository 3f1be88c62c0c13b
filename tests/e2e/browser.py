"""A headless browser, and what is asked of each page that it shows."""

import contextlib
import shutil

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

PROGRAMS = ("chromium-headless-shell", "chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-dev-shm-usage"]
AXE = Axe()


@contextlib.contextmanager
def chromium():
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program, "no browser: deploy/local/deps.sh test brings chromium-headless-shell"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


class Watched:
    """A page in a context of its own; nothing may fail or leave in it, but what
    `allows` has a part of."""

    def __init__(self, browser, origin, **settings):
        self.origin, self.allows, self.seen = origin, [], []
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **settings})
        self.page = self.context.new_page()
        self.page.set_default_timeout(10000)
        self.page.on("pageerror", lambda error: self.seen.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.seen.append(f"dialog: {dialog.message}"),
                                               dialog.dismiss()))
        self.page.on("console", lambda message: message.type in ("error", "warning") and
                     self.seen.append(f"console: {message.text}"))
        self.page.on("request", lambda request: request.url.startswith(origin) or
                     self.seen.append(f"elsewhere: {request.url}"))

    def close(self):
        self.context.close()
        bad = [text for text in self.seen if not any(part in text for part in self.allows)]
        assert not bad, "\n".join(bad)

    def axe(self):
        """No violation of axe's rules on what is shown now."""
        found = AXE.run(self.page)
        assert found.violations_count == 0, found.generate_report()
