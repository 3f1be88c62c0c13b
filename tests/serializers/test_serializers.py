"""Requests by the serializers that others use, and results read by theirs, over one registry."""

import json
import subprocess

import catalogues
import pytest
from programs import ROOT
from test_registry import real_registry  # noqa: F401  a fixture

HOME = ROOT / ".cache" / "serializers"
FOREIGN = {
    "python": [HOME / "venv" / "bin" / "python", ROOT / "tests" / "serializers" / "exchange.py"],
    "java": ["java", "-cp", f"{HOME / 'libs'}/*", ROOT / "tests" / "serializers" / "Exchange.java"],
}


def exchange(language, registry, system, what, *names):
    url = registry.url if language == "python" else registry.origin + "/apis/registry/v2"
    done = subprocess.run([*map(str, FOREIGN[language]), url, system.bootstrap, what, *names],
                          cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return done.stdout and json.loads(done.stdout)


@pytest.fixture
def running(system, real_registry):  # noqa: F811
    flags = ("-s", f"schema.registry.url={real_registry.url}")
    system.must("init", "--partitions", "2", "--replication", "1", *flags)
    system.apply(catalogues.outcomes())
    system.worker(schema__registry__url=real_registry.url).wait_ready()
    return system


def test_each_writes_and_each_reads(running, real_registry):  # noqa: F811
    names = [f"{language}-{i}" for language in FOREIGN for i in range(3)]
    for language in FOREIGN:
        exchange(language, real_registry, running, "send", *(n for n in names if n.startswith(language)))
    for language in FOREIGN:
        assert exchange(language, real_registry, running, "read", *names) == dict.fromkeys(names, True)
