"""A worker and an adapter at work for long, a thousand clients at its events: neither grows.
MINUTES=10 RATE=1000, `make soak`."""

import asyncio
import os
import pathlib
import threading

import campaign
import catalogues
import injected
from cluster import free_ports
from injected import fair
from programs import wait_for

MINUTES = float(os.environ.get("MINUTES") or 10)
RATE = int(os.environ.get("RATE") or 1000)
CLIENTS = 1000
SAMPLES = 30  # in a third of the time
EVENT = b"\nevent: scheduleRun"


class Audience:
    """Clients of the event stream, each of one schedule's, on a thread of their own."""

    def __init__(self, port, token):
        self.port, self.token = port, token
        self.events = [0] * CLIENTS
        self.ended = []  # whose stream has
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.begin(), self.loop).result(fair(120))

    async def begin(self):
        self.tasks = []
        for i in range(CLIENTS):
            streams = await asyncio.open_connection("127.0.0.1", self.port)
            self.tasks.append(asyncio.create_task(self.listen(i, *streams)))

    async def listen(self, i, reader, writer):
        rid = campaign.SCHEDULES[i % len(campaign.SCHEDULES)]
        writer.write(f"GET /api/v2/orchestration/runEvents?scheduleRid={rid} HTTP/1.1\r\nHost: x\r\n"
                     f"Authorization: Bearer {self.token}\r\n\r\n".encode())
        left = b""
        while data := await reader.read(1 << 16):
            data = left + data
            self.events[i] += data.count(EVENT)
            left = data[1 - len(EVENT):]
        self.ended.append(i)

    def stop(self):
        async def end():
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
        asyncio.run_coroutine_threadsafe(end(), self.loop).result(60)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


def sample(daemon):
    """Kilobytes of memory, open files, threads."""
    place = pathlib.Path(f"/proc/{daemon.process.pid}")
    status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines() if ":\t" in line)
    return int(status["VmRSS"].split()[0]), len(os.listdir(place / "fd")), int(status["Threads"])


def test_nothing_grows(system):
    system.init(partitions=4)
    system.apply(catalogues.many(60))
    worker = system.worker().wait_ready()
    tokens = system.directory / "tokens"
    tokens.write_text(f"full {catalogues.OWNER} api:orchestration-read api:orchestration-write\n")
    tokens.chmod(0o600)
    (port,) = free_ports(1)
    adapter = system.adapter(http__auth="token-file", http__token__file=str(tokens), http__drain="0",
                             http__listen=f"127.0.0.1:{port}").wait_ready()
    audience = Audience(port, "full")
    stream = campaign.Stream(system.bootstrap, rate=RATE)
    taken = {"worker": [], "adapter": []}
    try:
        wait_for("all of them to hear of a run", lambda: all(audience.events), fair(60))
        for third in range(3):
            before = list(audience.events)
            for _ in range(SAMPLES):
                threading.Event().wait(MINUTES * 20 / SAMPLES)
                taken["worker"].append(sample(worker))
                taken["adapter"].append(sample(adapter))
            assert all(now > then for now, then in zip(audience.events, before)) and not audience.ended
            for name, samples in taken.items():
                print(f"    {injected.time.monotonic() - injected.begun:5.0f} s  {name}: memory, files, threads at most "
                      f"{[max(of) for of in zip(*samples[-SAMPLES:])]}")
    finally:
        asked = stream.stop()
        audience.stop()
    system.wait_drained()
    system.judge(asked)
    print(f"    {len(asked)} requests, {sum(audience.events)} events for {CLIENTS} clients")
    dropped = adapter.metric('schedrun_sse_events_total{result="dropped"}')
    assert not dropped, dropped
    for name, samples in taken.items():
        middle, last = samples[SAMPLES:2 * SAMPLES], samples[2 * SAMPLES:]
        for what, then, now in zip(("memory", "files", "threads"), zip(*middle), zip(*last)):
            room = max(then) // 20 + 4096 if what == "memory" else 8 if what == "files" else 1
            assert max(now) <= max(then) + room, (name, what, max(then), max(now))
    assert worker.stop() == 0 and adapter.stop() == 0
