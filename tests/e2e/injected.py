"""What was done to the system, and when: a test's timetable.  Whoever injects a fault
notes it here, so that a run which injected nothing is told from one that survived."""

import os
import time

begun = time.monotonic()
notes = []  # (seconds since `begin`, what)
recoveries = []  # seconds until the system worked again, in order
remarks = []  # what who reads the table should know
planted = []  # what the checker is to find, in a test that shows that it does


def begin():
    global begun
    begun = time.monotonic()
    notes.clear()
    recoveries.clear()
    remarks.clear()
    planted.clear()


def note(what):
    notes.append((time.monotonic() - begun, what))
    print(f"  {notes[-1][0]:6.1f} s  {what}")


def recovered(seconds):
    recoveries.append(seconds)
    print(f"            works again after {seconds:.1f} s")


def since_last():
    return time.monotonic() - begun - notes[-1][0]


def fair(seconds):
    """A bound on time, longer where others work on this machine; at most four times."""
    return seconds * min(4, max(1, os.getloadavg()[0] / os.cpu_count()))
