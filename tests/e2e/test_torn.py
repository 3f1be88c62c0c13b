"""A commit that the network delivers late must not commit the next transaction.

The proxy holds EndTxn of transaction n until the client has given up on it, has
committed n by a second EndTxn, and stands before the commit of n+1; then it lets
the first one go.  Clients of one producer epoch are torn by it: half of n+1 becomes
visible, and n+1 is done again.  The rebuild rule bumps the epoch in between.
"""

import catalogues
import checker
from load import Load, request
from proxy import END_TXN, Proxy

HOLD_FIRST_AND_THIRD = [True, False, True]


def late_commit(system, environment):
    """Plays it through; returns what was asked and the late EndTxn's answer."""
    system.init(partitions=1)
    system.apply(catalogues.outcomes())
    proxy = Proxy(("127.0.0.1", system.cluster.proxied_port), system.cluster.proxy_port,
                  kafka=True)
    load = Load(system.bootstrap)
    schedule = catalogues.schedule_rid("stale")
    proxy.hold(END_TXN, HOLD_FIRST_AND_THIRD)
    system.worker(program=system.faulty("schedrun-worker"), environment=environment,
                  **{"bootstrap.servers": f"127.0.0.1:{proxy.port}"}).wait_ready()
    try:
        load.send(request(schedule, "in transaction n"))
        load.flush()
        proxy.wait_held(1)
        load.send(request(schedule, "in transaction n+1"))
        asked = load.flush()
        first, third = proxy.wait_held(2)
        first.release()
        third.release()
        system.wait_drained()
    finally:
        system.stop()
        proxy.close()
    return asked


def test_stays_invisible(system):
    asked = late_commit(system, {})
    system.judge(asked)


def test_is_seen_without_the_rebuild_rule(system):
    """The same must find the fault, or it proves nothing."""
    asked = late_commit(system, {"SCHEDRUN_KEEP_SUSPECT": "1"})
    verdict = checker.judge_topics(system.bootstrap, asked)
    assert verdict.counts["doubled"] > 0, str(verdict)
