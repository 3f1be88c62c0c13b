"""Workers that lose their membership must not write for partitions that others have."""

import catalogues
from load import Load, request
from programs import wait_for

SCHEDULE = catalogues.schedule_rid("stale")


def test_a_batch_that_is_cut_after_the_membership_was_lost(system):
    """The worker hangs between its poll and the cut until the group has given its
    partition away.  A generation that is asked for then is none, and Kafka takes
    offsets without a generation from anybody."""
    system.init(partitions=1)
    system.apply(catalogues.outcomes())
    hurried = {"session.timeout.ms": 6000, "max.poll.interval.ms": 6000}
    slow = system.worker("worker-1", program=system.faulty("schedrun-worker"),
                         environment={"SCHEDRUN_SLOW_CUT": "10000"}, **hurried).wait_ready()
    load = Load(system.bootstrap)
    load.send(request(SCHEDULE, "cut too late"))
    asked = load.flush()
    system.worker("worker-2", **hurried)
    wait_for("the slow worker to give the batch up",
             lambda: "the membership under which" in slow.log(), 30)
    system.wait_drained()
    system.judge(asked)
