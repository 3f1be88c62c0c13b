"""Every outcome that manual targets can have, through Kafka and Redis."""

import catalogues
import checker
from load import Load, request


def test_each_outcome_with_its_description(system):
    system.init()
    system.apply(catalogues.outcomes())
    system.worker().wait_ready()
    load = Load(system.bootstrap)
    expected = {}
    for i, (name, fields, *outcome) in enumerate(catalogues.OUTCOMES):
        datum = request(catalogues.schedule_rid(name), f"outcome-{i}", **fields)
        expected[datum["requestId"]] = outcome
        load.send(datum)
    asked = load.flush()
    system.wait_drained()
    verdict = system.judge(asked)
    assert verdict.results == len(catalogues.OUTCOMES)
    seen = {}
    for message in checker.read_topic(system.bootstrap, "schedule-run-results"):
        run = checker.decode("schedule_run", message.value())
        seen[run["requestId"]] = [
            checker.result_type(run["result"]), run["why"]["cause"],
            run["result"].get("errorName"), run["result"].get("description")]
    assert seen == expected
