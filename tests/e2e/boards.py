"""The dashboard page's tests: an adapter that serves it, and browsers on it."""

import re

import pytest
from browser import Watched, chromium
from http_api import Api, ok
from programs import ROOT

import catalogues
from catalogues import dataset, schedule_rid, stored

TEAM = "/team/a"  # a proxy's part of the path
HOSTILE = "<img src=x onerror=alert(1)>"


NIGHT = "nightly-report"


def shop():
    """Orders become revenue, revenue a report; prices have moved, the churn
    model has new logic, and two things can't be built at all."""
    def built(name, inputs, logic="v1", **more):
        return stored(f"{name}-1", (logic, {one: f"{one}-1" for one in inputs}), **more)

    made = {
        "orders-clean": ["orders"], "customers-clean": ["customers"],
        "order-lines": ["orders-clean", "prices"], "revenue-daily": ["order-lines"],
        "revenue-monthly": ["revenue-daily"], "churn-model": ["customers-clean", "orders-clean"],
        "forecast": ["churn-model", "revenue-daily"], "report-finance": ["forecast", "revenue-monthly"],
    }
    datasets = {dataset(name): stored(f"{name}-1") for name in ("orders", "customers")}
    datasets[dataset("prices")] = stored("prices-2")
    datasets |= {dataset(name): built(name, inputs) for name, inputs in made.items()}
    datasets |= {dataset(name): stored(f"{name}-1") for name in ("left", "right", "lost")}
    datasets[dataset("secret")] = built("secret", ["orders"], project=catalogues.OTHER_PROJECT)
    specs = [catalogues.job_spec(name, inputs, logic="v2" if name == "churn-model" else "v1")
             for name, inputs in (made | {"secret": ["orders"]}).items()]
    specs += [catalogues.job_spec("left", ["right"]), catalogues.job_spec("right", ["left"]),
              catalogues.job_spec("lost", ["missing"])]

    def at(cron):
        return {"type": "time", "cronExpression": cron, "timeZone": "Europe/Berlin"}

    def updated(name):
        return {"type": "datasetUpdated", "datasetRid": dataset(name), "branchName": "master"}

    def upstream(name):
        return {"target": {"type": "upstream", "targetRids": [dataset(name)], "ignoredRids": []}}

    def scheduled(name, targets, trigger=None, **more):
        one = catalogues.schedule(name, targets, **more)
        one["versions"][0]["trigger"] = trigger
        return one

    schedules = [
        scheduled("orders-hourly", ["orders-clean"], at("0 * * * *")),
        scheduled("lines", ["order-lines", "orders-clean"],
                  {"type": "or", "triggers": [updated("orders"), updated("prices")]}),
        scheduled("revenue", ["revenue-daily", "revenue-monthly"], updated("order-lines")),
        scheduled("after-revenue", ["forecast"],
                  {"type": "scheduleSucceeded", "scheduleRid": schedule_rid("revenue")}),
        scheduled(NIGHT, [], at("30 2 * * *"), **upstream("report-finance")),
        scheduled("forecast-weekly", [], at("0 6 * * MON"), paused=True, **upstream("forecast")),
        scheduled("loop", ["left", "right"]), scheduled("fresh", ["orders-clean"]),
    ]
    return {"projects": {catalogues.PROJECT: {}, catalogues.OTHER_PROJECT: {}}, "users": catalogues.users(),
            "datasets": datasets, "jobSpecs": specs, "schedules": schedules}


ROUTE = re.compile(r'\{ "(GET|POST)", PAGE_(?:DATA "([^"]*)"|REDRIVE), SCOPE_(READ|WRITE)')


def page_routes():
    """(method, path with its variables, scope) of all that the page is told."""
    code = re.sub(r"\s+", " ", (ROOT / "producer/api/routes.c").read_text())
    found = [(method, path or "letters/redrive", scope) for method, path, scope in ROUTE.findall(code)]
    assert len(found) == len(re.findall(r'\{ "\w+", PAGE_(?:DATA|REDRIVE)', code)) > 0
    return found


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
