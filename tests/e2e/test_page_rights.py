"""Each thing that the page is told, asked for with each kind of token, in each
mode of the page."""

import pytest
from boards import NIGHT, Dashboard, page_routes, shop
from catalogues import PROJECT, dataset, schedule_rid

ROUTES = page_routes()
SOME_LETTER = {"letters": ["0:0"], "dryRun": True}
# Which of the tokens have what a route asks for.
MAY = {"READ": {"full", "reader", "viewer", "stranger"}, "WRITE": {"full", "writer", "viewer", "stranger"}}


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init()
    fresh_system.apply(shop())
    fresh_system.worker().wait_ready()
    return fresh_system


@pytest.fixture(scope="module")
def boards(system):
    """By http.page, and in them a run that all know."""
    made = {mode: Dashboard(system, f"http-{mode}", http__page=mode) for mode in ("write", "read", "off")}
    made["run"] = made["write"].finish("orders-hourly")
    return made


def ask(board, run, method, path, token):
    named = path.format(runRid=run["rid"], scheduleRid=schedule_rid(NIGHT), datasetRid=dataset("orders"))
    body = {"json": SOME_LETTER} if path == "letters/redrive" else {}
    return board.call(method, f"/dashboard/{named}", token=token, **body)


@pytest.mark.parametrize("method, path, scope", ROUTES, ids=[route[1] for route in ROUTES])
def test_a_route_with_each_token_in_each_mode(boards, method, path, scope):
    run = boards["run"]
    for mode in ("write", "read", "off"):
        for token in (None, "no-such", "full", "reader", "writer", "viewer", "stranger"):
            answer = ask(boards[mode], run, method, path, token)
            at = (mode, token, answer.status_code, answer.text[:200])
            if mode == "off":
                assert answer.status_code == 404 and not answer.content, at
            elif path == "letters/redrive" and mode == "read":
                assert answer.status_code == 404, at  # as if it was not there, to anybody
            elif token in (None, "no-such"):
                assert answer.status_code == 401 and "WWW-Authenticate" in answer.headers, at
            elif token not in MAY[scope]:
                assert answer.status_code == 403, at
                assert answer.json()["parameters"]["missingScope"].endswith(scope.lower()), at
            elif token == "stranger" and "{" in path:
                assert answer.status_code == 404, at
            else:
                assert answer.status_code == 200, at
            if token != "full" and token != "reader" and token != "viewer" and answer.status_code != 404:
                # Who may see nothing is told of nothing, by no name of it.
                for name in (run["rid"], schedule_rid(NIGHT), schedule_rid("orders-hourly"), dataset("orders"), PROJECT):
                    assert name not in answer.text, at


def test_files_need_no_token_and_reading_mode_offers_nothing_that_changes(boards):
    for mode, status in (("write", 200), ("read", 200), ("off", 404)):
        assert boards[mode].call("GET", "/", token=None).status_code == status
        assert boards[mode].call("GET", "/page/main.js", token=None).status_code == status
    assert boards["read"].tell("overview")["page"] == "read"
    # What a token may do the API decides, whatever the page offers.
    assert boards["read"].finish("fresh")["result"]["type"] == "ignored"
