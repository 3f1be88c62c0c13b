"""The Kafka modules by themselves against the broker: tests/integration/kafka.c."""

import subprocess

from programs import BUILD


def test_the_modules_on_a_real_broker(system):
    done = subprocess.run([str(BUILD / "integration" / "kafka"), system.bootstrap],
                          capture_output=True, text=True, timeout=300, cwd=system.directory)
    assert done.returncode == 0, done.stdout + done.stderr
