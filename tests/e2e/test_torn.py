"""A commit that the network delivers late must not commit the next transaction.

The proxy holds EndTxn of transaction n until the client has given up on it, for
want of an answer or since its connection is gone, and has committed n by a
second EndTxn.  Transaction n+1 has its offsets but not yet
its results when the first EndTxn is let go, and the worker is killed there.
Within one producer epoch that commits the half of n+1 that is there: its offset
moves, its result never comes.  The rebuild rule bumps the epoch in between, so
the late EndTxn is fenced.
"""

import catalogues
import checker
import injected
import pytest
from load import Load, request
from proxy import ADD_PARTITIONS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT, Proxy


def late_commit(system, environment, cut):
    """Plays it through; returns what was asked.  `cut`: the client's connection is
    lost at once, and its second EndTxn is answered in no time at all."""
    system.init(partitions=1)
    system.apply(catalogues.outcomes())
    proxy = Proxy(("127.0.0.1", system.cluster.proxied_port), system.cluster.proxy_port,
                  kafka=True)
    load = Load(system.bootstrap)
    schedule = catalogues.schedule_rid("stale")
    proxy.hold(END_TXN, [True])
    worker = system.worker(program=system.faulty("schedrun-worker"), environment=environment,
                           **{"bootstrap.servers": f"127.0.0.1:{proxy.port}",
                              "session.timeout.ms": 6000}).wait_ready()
    try:
        load.send(request(schedule, "in transaction n"))
        load.flush()
        end_txn = proxy.wait_held(1)[0]
        if cut:
            end_txn.cut()
        proxy.hold(ADD_PARTITIONS_TO_TXN, [True])
        load.send(request(schedule, "in transaction n+1"))
        asked = load.flush()
        proxy.wait_held(2)
        proxy.wait_answered(TXN_OFFSET_COMMIT, 2)
        end_txn.release()
        worker.kill()
    finally:
        proxy.close()
    system.worker("worker-1").wait_ready()
    system.wait_drained()
    return asked


WAYS = pytest.mark.parametrize("cut", [False, True], ids=["slow", "cut"])


@WAYS
def test_stays_invisible(system, cut):
    asked = late_commit(system, {}, cut)
    system.judge(asked)


@WAYS
def test_is_seen_without_the_rebuild_rule(system, cut):
    """The same must find the fault, or it proves nothing."""
    injected.planted.append("lost")
    asked = late_commit(system, {"SCHEDRUN_KEEP_SUSPECT": "1"}, cut)
    verdict = checker.judge_topics(system.bootstrap, asked)
    assert verdict.counts["lost"] > 0, str(verdict)
