"""The dashboard page's tests: an adapter that serves it, and browsers on it."""

import pytest
from browser import Watched, chromium
from http_api import Api, ok

from catalogues import schedule_rid

TEAM = "/team/a"  # a proxy's part of the path
HOSTILE = "<img src=x onerror=alert(1)>"


class Dashboard(Api):
    def __init__(self, system, name="http-1", **settings):
        super().__init__(system, name, **{"http__base__path": TEAM + "/", "http__page": "write", **settings})
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.origin}{TEAM}/"

    def call(self, method, path, **more):
        return super().call(method, TEAM + path, **more)

    def tell(self, path, **more):
        """What the page is told."""
        return ok(self.call("GET", f"/dashboard/{path}", **more))

    def finish(self, name, **more):
        """A run of the schedule with its result."""
        return ok(self.run(schedule_rid(name), wait=30, **more))


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def watched(browser, board):
    opened = []

    def make(token="full", path="", **settings):
        one = Watched(browser, board.origin, **settings)
        opened.append(one)
        one.page.goto(f"{board.url}{f'#token={token}' if token else ''}")
        if path:
            go(one.page, path)
        return one

    yield make
    for one in opened:
        one.close()


def go(page, path):
    page.evaluate("(path) => { location.hash = path }", f"#/{path}")


def row(page, run):
    return page.locator(f"#rows li[data-rid='{run['rid']}']")
