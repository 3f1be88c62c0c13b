"""A request that comes again in another partition is dropped only once the first one is
decided: until then its partition waits, alone.

The proxy holds the EndTxn of the first one's worker.  Then Redis's state is made what it is
after it has gone back and a worker that lost the repeat's partition has claimed there yet:
the repeat has the claim.  The first one's worker dies, so both are read again.  Were the
repeat dropped by then, neither would have a result.
"""

import catalogues
import checker
from load import TOPIC, Load, request
from programs import GROUP, wait_for
from proxy import END_TXN, Proxy

PARTITIONS = range(4)
DROPPED = 'schedrun_duplicates_total{place="cross_partition"}'


def owned(worker):
    """The partitions of which it tells the lag."""
    series = f'schedrun_consumer_lag_records{{topic="{TOPIC}",partition="%d"}}'
    return [p for p in PARTITIONS if worker.metric(series % p) is not None]


def read_up_to(system, partition):
    return checker.committed_offsets(system.bootstrap, GROUP, TOPIC).get(partition) or 0


def claim_of(partition, timestamp_ms):
    """As docs/delivery.md, section 2, without its fingerprint: the first record's."""
    return partition.to_bytes(2, "big") + bytes(6) + timestamp_ms.to_bytes(6, "big")


def time_of_first(system, partition):
    """In ms: the broker's, of the first record of the partition."""
    [message, *_] = [message for message in checker.read_topic(system.bootstrap, TOPIC)
                     if (message.partition(), message.offset()) == (partition, 0)]
    return message.timestamp()[1]


def give_claim_to(store, there, here, timestamp_ms):
    """The claim of `there`'s first record becomes that of `here`'s."""
    [(key, run, value)] = [(key, run, value) for key in store.keys("schedrun:c:*")
                           for run, value in store.hgetall(key).items()
                           if value[:8] == claim_of(there, 0)[:8]]
    store.hset(key, run, claim_of(here, timestamp_ms) + value[14:])


def test_a_repeat_waits_until_the_first_one_is_decided(system):
    system.init(partitions=len(PARTITIONS))
    system.apply(catalogues.many(4))
    proxy = Proxy(("127.0.0.1", system.cluster.proxied_port), system.cluster.proxy_port,
                  kafka=True)
    first = system.worker("worker-1", **{"bootstrap.servers": f"127.0.0.1:{proxy.port}",
                                         "session.timeout.ms": 6000}).wait_ready()
    second = system.worker("worker-2", **{"session.timeout.ms": 6000}).wait_ready()
    wait_for("two partitions each",
             lambda: len(owned(first)) == len(owned(second)) == 2)
    there = owned(first)[0]
    here, beside = owned(second)
    load = Load(system.bootstrap)
    again = request(catalogues.schedule_rid("s0"), "again")
    others = [request(catalogues.schedule_rid(f"s{i}")) for i in (1, 2, 3)]
    try:
        proxy.hold(END_TXN, [True])
        load.send(again, partition=there)
        load.flush()
        proxy.wait_held(1)
        load.send(again, partition=here)
        load.send(others[0], partition=here)
        load.flush()
        wait_for("the repeat to wait", lambda: "cross_partition_wait" in second.log())
        load.send(others[1], partition=beside)
        load.flush()
        wait_for("the partition beside it", lambda: read_up_to(system, beside) > 0)
        assert read_up_to(system, here) == 0 and second.metric(DROPPED) == 0
        give_claim_to(system.cluster.redis(), there, here, time_of_first(system, here))
        first.kill()
    finally:
        proxy.close()
    system.wait_drained()
    second.wait_metric(DROPPED, 1)
    # What was decided long ago waits for nobody.
    load.send(again, partition=beside)
    load.send(others[2], partition=beside)
    asked = load.flush()
    system.wait_drained()
    second.wait_metric(DROPPED, 2)
    assert system.judge(asked).results == 4
    assert second.log().count("cross_partition_wait") == 1, second.tail()
