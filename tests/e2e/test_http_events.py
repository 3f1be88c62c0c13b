"""Live events: each finished run once, in order, resumable at any replica."""

import json
import re
import resource
import signal
import socket
import time
import uuid

import catalogues
import checker
import pytest
import tokens
from adapters import API, Adapter, event_id, offsets_of, pair
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from programs import wait_for

SCHEDULE = catalogues.schedule_rid("stale")
OTHER = catalogues.schedule_rid("fresh")
FAILING = catalogues.schedule_rid("no-spec")
RESULTS = "schedule-run-results"
PARTITIONS = 4


@pytest.fixture(scope="module")
def system(fresh_system):
    fresh_system.init(PARTITIONS)
    fresh_system.apply(catalogues.outcomes())
    fresh_system.worker()
    return fresh_system


@pytest.fixture(scope="module")
def replicas(system):
    return pair(system)


@pytest.fixture
def streams():
    """Opened by a test, closed after it."""
    opened = []
    yield lambda stream: opened.append(stream) or stream
    for stream in opened:
        stream.close()


def results(n, schedule=SCHEDULE, size=0):
    """Results as a worker publishes them, straight into the topic."""
    producer = Producer({"bootstrap.servers": results.bootstrap, "linger.ms": 5,
                         "queue.buffering.max.messages": 1000000,
                         "partitioner": "murmur2_random"})
    rids = []
    for i in range(n):
        rid = schedule if isinstance(schedule, str) else schedule[i % len(schedule)]
        request = str(uuid.uuid4())
        run = checker.run_rid(rid, request)
        rids.append(run)
        producer.produce(RESULTS, key=rid.encode(), value=checker.encode("schedule_run", {
            "rid": run, "requestId": request, "scheduleRid": rid,
            "scheduleVersionRid": catalogues.version_rid("stale"),
            "createdTime": 1700000000000 + i, "createdBy": catalogues.OWNER, "trigger": None,
            "finishedTime": 1700000001000 + i,
            "result": {"errorName": "Internal", "description": "d" * size},
            "why": {"phase": 1, "cause": "test", "selected": 0, "running": 0, "upToDate": 0,
                    "blocked": 0, "lists": {}}}))
        producer.poll(0)
    producer.flush(60)
    return rids


@pytest.fixture(autouse=True)
def bootstrap(servers):
    results.bootstrap = servers.bootstrap


def test_a_finished_run_comes_to_all_replicas(replicas, streams):
    a, b = (streams(replica.events()) for replica in replicas)
    run = replicas[0].run(SCHEDULE, Prefer="wait=30").json()
    for stream, replica in zip((a, b), replicas):
        [event] = stream.wait_events(1)
        assert event.kind == "scheduleRun" and event.data == run
        assert len(event.id) <= 256
        got = replica.call("GET", f"{API}/schedules/{SCHEDULE}/runs/{run['rid']}")
        assert got.json() == event.data
    assert a.lines[0] == "retry: 2000"
    assert a.answer.headers["Content-Type"] == "text/event-stream"
    assert a.answer.headers["Cache-Control"] == "no-store, no-transform"
    assert a.answer.headers["X-Accel-Buffering"] == "no"


def test_resumes_at_the_other_replica(replicas, streams):
    first = streams(replicas[0].events())
    before = results(20, [SCHEDULE, OTHER])
    first.wait_events(20)
    first.close()
    after = results(30, [SCHEDULE, OTHER])
    second = streams(replicas[1].events(Last_Event_ID=first.last_id))
    second.wait_events(30)
    rids = second.rids()
    assert sorted(rids) == sorted(after)
    for schedule in (0, 1):
        mine = after[schedule::2]
        assert [rid for rid in rids if rid in mine] == mine
    assert sorted(first.rids()) == sorted(before)


def test_resumes_before_the_first_event(replicas, streams):
    first = streams(replicas[0].events())
    first.wait(lambda s: s.last_id, "an id before any event")
    first.close()
    missed = results(3)
    second = streams(replicas[1].events(Last_Event_ID=first.last_id))
    second.wait_events(3)
    assert second.rids() == missed


def test_the_id_of_each_event_resumes_behind_it(replicas, streams):
    stream = streams(replicas[0].events())
    made = results(12, [SCHEDULE, OTHER, FAILING])
    stream.wait(lambda s: set(made) <= set(s.rids()), "all of them")
    events = stream.events
    for i, event in enumerate(events):
        again = streams(replicas[i % 2].events(Last_Event_ID=event.id))
        again.wait_events(len(events) - i - 1)
        assert sorted(again.rids()) == sorted(e.data["rid"] for e in events[i + 1:])
        again.close()


def test_what_the_ring_does_not_hold_comes_from_kafka(system, replicas, streams):
    """More resume at once than there are readers."""
    schedules = [catalogues.schedule_rid(f"x{i}") for i in range(20)] + [SCHEDULE]
    made = results(8000, schedules)
    late = Adapter(system, "http-late", http__auth="none")
    try:
        start = event_id([0] * PARTITIONS)
        all_of_them = [streams(late.events(Last_Event_ID=start)) for _ in range(10)]
        more = results(100, schedules)
        for stream in all_of_them:
            stream.wait(lambda s: set(more) <= set(s.rids()[-2000:]), "the last ones", 60)
            rids = stream.rids()
            place = {rid: i for i, rid in enumerate(rids)}
            assert len(place) == len(rids)
            assert set(made) | set(more) <= set(rids)
            for i in range(len(schedules)):
                mine = [place[rid] for rid in made[i::len(schedules)] + more[i::len(schedules)]]
                assert mine == sorted(mine)
            offsets = [offsets_of(event.id) for event in stream.events]
            assert all(x <= y for before, after in zip(offsets, offsets[1:])
                       for x, y in zip(before, after))
        assert late.daemon.metric("schedrun_sse_subscribers") == 10
    finally:
        assert late.daemon.stop() == 0


def test_ids_that_are_not_ours_begin_now(replicas, streams):
    """A browser repeats them for ever: a gap, then what comes."""
    now = streams(replicas[0].events())
    now.wait(lambda s: s.last_id, "the id of now")
    absent = [streams(replicas[0].events(Last_Event_ID=value)) for value in ("", " ", "\t ")]
    strange = [streams(replicas[0].events(Last_Event_ID=value)) for value in (
        "x", "AQ", "====", event_id([1, 2])[:-1], event_id([1, 2]) + "A", "Ag" + event_id([1])[2:],
        "AYCAgIAQAA", "AQEA+/", "<x>", "a b", "é".encode().decode("latin-1"), "AQ" * 500)]
    for stream in strange:
        [gap] = stream.wait_events(1)
        assert gap.kind == "gap" and gap.id == now.last_id
        assert gap.data["resumedAt"][:10] == time.strftime("%Y-%m-%d", time.gmtime())
    rids = results(1)
    for stream in absent:
        assert [event.data["rid"] for event in stream.wait_events(1)] == rids
    for stream in strange:
        assert stream.wait_events(2)[1].data["rid"] == rids[0]


def test_filters(replicas, streams):
    one = streams(replicas[0].events(f"?scheduleRid={SCHEDULE}"))
    two = streams(replicas[0].events(f"?scheduleRid={SCHEDULE}&scheduleRid={OTHER}"
                                     f"&scheduleRid={OTHER}"))
    everything = streams(replicas[0].events())
    nothing = streams(replicas[0].events(token="stranger"))
    viewer = streams(replicas[0].events(token="viewer"))
    made = results(30, [SCHEDULE, OTHER, FAILING])
    everything.wait_events(30)
    viewer.wait_events(30)
    two.wait_events(20)
    one.wait_events(10)
    assert one.rids() == made[0::3]
    assert sorted(two.rids()) == sorted(made[0::3] + made[1::3])
    assert not nothing.events


@pytest.mark.parametrize("query, token, status, name", [
    (f"?scheduleRid={SCHEDULE}", "stranger", 404, "ScheduleNotFound"),
    (f"?scheduleRid={SCHEDULE}&scheduleRid={catalogues.schedule_rid('unknown')}", "full", 404,
     "ScheduleNotFound"),
    (f"?scheduleRid={catalogues.dataset('raw')}", "full", 404, "ScheduleNotFound"),
    ("?scheduleRid=nonsense", "full", 400, "Default:InvalidArgument"),
    ("?" + "&".join(f"scheduleRid={catalogues.schedule_rid(f's{i}')}" for i in range(101)), "full",
     400, "Default:InvalidArgument"),
    ("", None, 401, "MissingCredentials"),
])
def test_refusals(replicas, query, token, status, name):
    answer = replicas[0].call("GET", f"{API}/runEvents{query}", token)
    assert answer.status_code == status
    assert answer.json()["errorName"] == name


def test_the_profile_is_the_requests(replicas, streams):
    shapes = {profile: streams(replicas[0].events(Schedrun_Contract=profile))
              for profile in ("doc", "ga", "ga-upper")}
    replicas[0].run(FAILING)
    [doc], [ga], [upper] = (shapes[p].wait_events(1) for p in ("doc", "ga", "ga-upper"))
    assert ga.data["result"]["errorName"] == "JobSpecNotFound"
    assert doc.data["result"]["error"]["errorName"] == "JobSpecNotFound"
    assert upper.data["result"]["errorName"] == "JOBSPECNOTFOUND"
    assert "error" not in ga.data["result"]


def test_head_has_the_headers_only(replicas):
    answer = replicas[0].call("HEAD", f"{API}/runEvents")
    assert answer.status_code == 200 and answer.content == b""
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in answer.headers
    replicas[0].daemon.wait_metric("schedrun_sse_subscribers", 0)


def offsets(servers):
    """Start and end of each partition of the results."""
    consumer = Consumer({"bootstrap.servers": servers.bootstrap, "group.id": "offsets"})
    try:
        return [consumer.get_watermark_offsets(TopicPartition(RESULTS, p), timeout=20)
                for p in range(PARTITIONS)]
    finally:
        consumer.close()


def test_a_place_that_the_log_no_longer_holds(system, servers, replicas, streams):
    """Retention has taken records: a gap, then the oldest held; and on."""
    results(40, [SCHEDULE, OTHER, FAILING])
    ends = [end for _, end in offsets(servers)]
    admin = AdminClient({"bootstrap.servers": servers.bootstrap, "log_level": 0})
    for future in admin.delete_records([TopicPartition(RESULTS, p, max(0, end - 2))
                                        for p, end in enumerate(ends)]).values():
        future.result(20)
    held = sum(end - start for start, end in offsets(servers))
    fresh = Adapter(system, "http-gap", http__auth="none")
    stream = streams(fresh.events(Last_Event_ID=event_id([0] * PARTITIONS)))
    stream.wait_events(1 + held)
    gap, *rest = stream.events
    assert gap.kind == "gap" and set(gap.data) == {"resumedAt"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", gap.data["resumedAt"])
    assert offsets_of(gap.id) == [start for start, _ in offsets(servers)]
    assert all(event.kind == "scheduleRun" for event in rest)
    again = streams(fresh.events(Last_Event_ID=gap.id))  # no gap twice
    again.wait_events(held)
    assert again.rids() == stream.rids()
    # Beyond the end, and in more partitions than there are: another log's place.
    for place in ([10 ** 9] * PARTITIONS, [0] * (PARTITIONS + 3)):
        other = streams(fresh.events(Last_Event_ID=event_id(place)))
        other.wait_events(1 + held)
        assert [e.kind for e in other.events].count("gap") == 1
        assert other.events[0].kind == "gap"
    # From a replica whose ring still has it all, nothing is missing.
    whole = streams(replicas[0].events(Last_Event_ID=event_id([0] * PARTITIONS)))
    whole.wait_events(40)
    assert not any(event.kind == "gap" for event in whole.events)
    assert fresh.daemon.stop() == 0


def subscribe(adapter, receive_buffer):
    """A bare socket that has asked for events."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    reader.settimeout(30)
    reader.connect(("127.0.0.1", adapter.port))
    reader.sendall(f"GET {API}/runEvents HTTP/1.0\r\nAuthorization: Bearer full\r\n\r\n".encode())
    return reader


def test_a_burst_waits_for_those_who_read(system):
    """Three times what a reader may lag, at once; he takes 1.6 MB/s at most."""
    adapter = Adapter(system, "http-burst")
    reader = subscribe(adapter, 65536)
    adapter.daemon.wait_metric("schedrun_sse_subscribers", 1)
    made = results(900, [SCHEDULE, OTHER, FAILING], size=4000)
    got = bytearray()
    while not (got.endswith(b"\n\n") and got.count(b"event: scheduleRun") == 900):
        chunk = reader.recv(16384)
        assert chunk, f"cut after {got.count(b'event: scheduleRun')} events"
        got += chunk
        time.sleep(0.01)  # his pace
    seen = re.findall(rb'data: {"rid":"([^"]+)"', got)
    assert sorted(rid.decode() for rid in seen) == sorted(made)
    assert adapter.daemon.metric('schedrun_sse_events_total{result="dropped"}') == 0
    reader.close()
    assert adapter.daemon.stop() == 0


def test_a_slow_reader_is_cut_and_resumes(system, streams):
    adapter = Adapter(system, "http-slow")
    quick = streams(adapter.events())
    slow = subscribe(adapter, 8192)
    adapter.daemon.wait_metric("schedrun_sse_subscribers", 2)
    made = results(600, [SCHEDULE, OTHER, FAILING], size=4000)
    quick.wait(lambda s: set(made) <= set(s.rids()), "all of them")
    adapter.daemon.wait_metric("schedrun_sse_subscribers", 1)
    assert adapter.daemon.metric('schedrun_sse_events_total{result="dropped"}') > 0
    assert adapter.daemon.metric("process_resident_memory_bytes") < 200e6
    got = b""
    try:
        while chunk := slow.recv(65536):
            got += chunk
    except ConnectionResetError:
        pass
    slow.close()
    blocks = [dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
              for block in got.decode(errors="replace").split("\r\n\r\n", 1)[1].split("\n\n")[:-1]]
    seen = [json.loads(b["data"])["rid"] for b in blocks if b.get("event") == "scheduleRun"]
    last = [b["id"] for b in blocks if "id" in b][-1]
    assert len(seen) < 600
    rest = streams(adapter.events(Last_Event_ID=last))
    rest.wait(lambda s: len(s.rids()) + len(seen) >= 600, "the rest")
    assert sorted(set(seen) | set(rest.rids())) == sorted(made)
    assert adapter.daemon.stop() == 0


def test_a_right_that_is_lost_ends_the_sight(system, streams):
    """Seen is what may be seen when it is sent, to catalogue.poll."""
    catalogue = catalogues.outcomes()
    catalogue["users"][catalogues.VIEWER]["roles"][catalogues.OTHER_PROJECT] = "viewer"
    catalogue["schedules"].append(catalogues.schedule(
        "marked", ["elsewhere"], scope={"type": "project",
                                        "projectRids": [catalogues.OTHER_PROJECT]}))
    marked = catalogues.schedule_rid("marked")
    system.apply(catalogue)
    adapter = Adapter(system, "http-rights", catalogue__poll="10ms")
    viewer = streams(adapter.events(token="viewer"))
    before = results(5) + results(1, marked)
    viewer.wait(lambda s: set(before) <= set(s.rids()), "what it may see")
    del catalogue["users"][catalogues.VIEWER]["roles"][catalogues.PROJECT]
    system.apply(catalogue)
    hidden, mark = results(20), results(1, marked)
    viewer.wait(lambda s: mark[0] in s.rids(), "the mark behind what is hidden")
    assert not set(hidden) & set(viewer.rids())
    assert adapter.call("GET", f"{API}/runEvents?scheduleRid={SCHEDULE}",
                        "viewer").status_code == 404
    system.apply(catalogues.outcomes(), "--prune")
    assert adapter.daemon.stop() == 0


def test_the_tokens_end_is_the_streams(system, tmp_path):
    key = tokens.Key("k")
    keys = tmp_path / "keys.json"
    keys.write_text(tokens.key_set(key))
    adapter = Adapter(system, "http-jwt", http__auth="jwt", http__jwks=str(keys),
                      http__issuer=tokens.ISSUER, http__audience=tokens.AUDIENCE)
    ends = int(time.time()) + 3
    stream = adapter.events(token=key.token(exp=ends))
    kept = adapter.events(token=key.token(exp=ends + 600))
    stream.wait_end(10)
    assert abs(time.time() - ends) < 1.5
    assert [(e.kind, e.data) for e in stream.events] == [("end", {"reason": "TOKEN_EXPIRED"})]
    assert not kept.ended
    kept.close()
    assert adapter.daemon.stop() == 0


def test_who_is_let_in_no_more_hears_no_more(system, streams, tmp_path):
    """A token that is taken out of the file, given to another, or cut in its scopes."""
    file = tmp_path / "tokens"

    def write(**lines):
        file.write_text("".join(f"{token} {' '.join(words)}\n" for token, words in lines.items()))

    kept, taken = (catalogues.OWNER, "api:orchestration-read"), (catalogues.VIEWER, "api:orchestration-read")
    write(kept=kept, gone=taken, moved=taken, cut=taken + ("api:orchestration-write",))
    file.chmod(0o600)
    adapter = Adapter(system, "http-revoked", http__token__file=str(file))
    stays, *ended = [streams(adapter.events(token=token)) for token in ("kept", "gone", "moved", "cut")]
    write(kept=kept, moved=kept, cut=taken)
    adapter.daemon.signal(signal.SIGHUP)
    for stream in ended:
        stream.wait_end(5)
        assert [(e.kind, e.data) for e in stream.events] == [("end", {"reason": "TOKEN_REVOKED"})]
    [run] = results(1)
    stays.wait(lambda s: run in s.rids(), "what comes after that")
    assert not any(run in stream.rids() for stream in ended)
    file.write_text("no token")  # can't be read: what was valid stays so
    adapter.daemon.signal(signal.SIGHUP)
    wait_for("it to be told", lambda: "tokens_not_reloaded" in adapter.daemon.log(), 10)
    [run] = results(1)
    stays.wait(lambda s: run in s.rids(), "what comes after a fault")
    assert adapter.daemon.stop() == 0


def test_another_key_set_is_asked_of_each_stream(system, streams, tmp_path):
    key, other = tokens.Key("k"), tokens.Key("other")
    keys = tmp_path / "keys.json"
    keys.write_text(tokens.key_set(key))
    adapter = Adapter(system, "http-keys", http__auth="jwt", http__jwks=str(keys),
                      http__issuer=tokens.ISSUER, http__audience=tokens.AUDIENCE)
    stream = streams(adapter.events(token=key.token()))
    for keeps in (True, False):
        keys.write_text(tokens.key_set(*([key] if keeps else []), other))
        adapter.daemon.signal(signal.SIGHUP)
        stream.wait_end(5)
        assert [(e.kind, e.data) for e in stream.events] == [("end", {"reason": "KEYS_CHANGED"})]
        stream = streams(adapter.events(token=key.token()))
        assert stream.status == (200 if keeps else 401)
    assert adapter.daemon.stop() == 0


def test_what_fired_stands_beside_the_run(system, replicas, streams):
    """In a field of its own: the run's form is others'."""
    stream = streams(replicas[0].events())
    fired = 'time: 0 2 * * * UTC, "quoted"\nnext line'
    assert system.run("submit", SCHEDULE, "--trigger", fired, "--wait", "30s").returncode == 0
    stream.wait_events(1)
    [line] = [line for line in stream.lines if line.startswith("trigger: ")]
    assert json.loads(line.removeprefix("trigger: ")) == fired
    rid = stream.rids()[0]
    assert "trigger" not in stream.events[0].data
    shown = system.run("run", "get", rid, "-o", "json")
    assert json.loads(shown.stdout)["trigger"] == fired


def test_comments_keep_it_alive(replicas, streams):
    """And tell a quiet reader how far it is."""
    stream = streams(replicas[0].events(f"?scheduleRid={SCHEDULE}"))
    begun = time.monotonic()
    results(5, OTHER)
    stream.wait(lambda s: ": keep-alive" in s.lines, "a comment", 20)
    assert 13 < time.monotonic() - begun < 17
    assert not stream.events
    wait_for("its place", lambda: offsets_of(stream.last_id))
    again = streams(replicas[1].events(Last_Event_ID=stream.last_id))
    [rid] = results(1)
    again.wait_events(1)
    assert again.rids() == [rid]


def test_no_more_than_2000_streams(system):
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(
        resource.RLIMIT_NOFILE)[1]))
    adapter = Adapter(system, "http-many")
    request = f"GET {API}/runEvents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer full\r\n\r\n"
    opened = []
    for _ in range(2000):
        opened.append(socket.create_connection(("127.0.0.1", adapter.port)))
        opened[-1].sendall(request.encode())
    adapter.daemon.wait_metric("schedrun_sse_subscribers", 2000)
    refused = adapter.call("GET", f"{API}/runEvents")
    assert refused.status_code == 503 and refused.headers["Retry-After"] == "1"
    assert refused.headers["Connection"] == "close"
    made = results(10)
    for stream in opened:
        stream.settimeout(30)
        got = b""
        while got.count(b"event: scheduleRun") < 10:
            got += stream.recv(65536)
        assert all(rid.encode() in got for rid in made)
    for stream in opened[:10]:
        stream.close()
    adapter.daemon.wait_metric("schedrun_sse_subscribers", 1990)
    assert adapter.call("HEAD", f"{API}/runEvents").status_code == 200
    for stream in opened:
        stream.close()
    adapter.daemon.wait_metric("schedrun_sse_subscribers", 0)
    assert adapter.daemon.stop() == 0
