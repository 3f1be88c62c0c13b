"""A commit that the network delivers late must not commit the next transaction.

The proxy holds EndTxn of transaction n until the client has given up on it and
has committed n by a second EndTxn.  Transaction n+1 has its offsets but not yet
its results when the first EndTxn is let go, and the worker is killed there.
Within one producer epoch that commits the half of n+1 that is there: its offset
moves, its result never comes.  The rebuild rule bumps the epoch in between, so
the late EndTxn is fenced.
"""

import catalogues
import checker
from load import Load, request
from proxy import ADD_PARTITIONS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT, Proxy


def late_commit(system, environment):
    """Plays it through; returns what was asked."""
    system.init(partitions=1)
    system.apply(catalogues.outcomes())
    proxy = Proxy(("127.0.0.1", system.cluster.proxied_port), system.cluster.proxy_port,
                  kafka=True)
    load = Load(system.bootstrap)
    schedule = catalogues.schedule_rid("stale")
    proxy.hold(END_TXN, [True])
    worker = system.worker(program=system.faulty("schedrun-worker"), environment=environment,
                           **{"bootstrap.servers": f"127.0.0.1:{proxy.port}"}).wait_ready()
    try:
        load.send(request(schedule, "in transaction n"))
        load.flush()
        proxy.wait_held(1)
        proxy.hold(ADD_PARTITIONS_TO_TXN, [True])
        load.send(request(schedule, "in transaction n+1"))
        asked = load.flush()
        end_txn, _ = proxy.wait_held(2)
        proxy.wait_answered(TXN_OFFSET_COMMIT, 2)
        end_txn.release()
        worker.kill()
    finally:
        proxy.close()
    system.worker("worker-1").wait_ready()
    system.wait_drained()
    return asked


def test_stays_invisible(system):
    asked = late_commit(system, {})
    system.judge(asked)


def test_is_seen_without_the_rebuild_rule(system):
    """The same must find the fault, or it proves nothing."""
    asked = late_commit(system, {"SCHEDRUN_KEEP_SUSPECT": "1"})
    verdict = checker.judge_topics(system.bootstrap, asked)
    assert verdict.counts["lost"] > 0, str(verdict)
