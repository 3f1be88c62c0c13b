"""Confluent's own serializers for Python, in their own environment.

exchange.py REGISTRY BOOTSTRAP SEND|READ NAME...: sends a request of each name, or prints
the outcomes of these, read from the results."""

import json
import pathlib
import sys
import time
import uuid

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

SCHEDULE = "ri.scheduler.main.schedule.stale"
SCHEMA = (pathlib.Path(__file__).resolve().parents[2] / "schemas/run_request.avsc").read_text()
TOPIC, RESULTS = "schedule-run-requests", "schedule-run-results"


def send(client, bootstrap, names):
    serialize = AvroSerializer(client, SCHEMA)  # it registers, as its default is
    producer = Producer({"bootstrap.servers": bootstrap})
    for name in names:
        producer.produce(TOPIC, serialize({
            "requestId": name, "runRid": None, "scheduleRid": SCHEDULE, "scheduleVersionRid": None,
            "createdTime": int(time.time() * 1000), "createdBy": None, "trigger": None,
        }, SerializationContext(TOPIC, MessageField.VALUE)), SCHEDULE)
    assert producer.flush(30) == 0


def read(client, bootstrap, names):
    deserialize = AvroDeserializer(client)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": str(uuid.uuid4()),
                         "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
    consumer.subscribe([RESULTS])
    found, deadline = {}, time.monotonic() + 60
    while set(names) - set(found) and time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is not None and not message.error():
            run = deserialize(message.value(), SerializationContext(RESULTS, MessageField.VALUE))
            found[run["requestId"]] = "buildRid" in run["result"]
    consumer.close()
    print(json.dumps(found))


registry, bootstrap, what, *names = sys.argv[1:]
{"send": send, "read": read}[what](SchemaRegistryClient({"url": registry}), bootstrap, names)
