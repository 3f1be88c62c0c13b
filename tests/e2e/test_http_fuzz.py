"""A short round of tests/fuzz/http_bytes.py; `make fuzz` runs a longer one."""

import subprocess
import sys

from programs import ROOT


def test_damaged_bytes():
    done = subprocess.run([sys.executable, ROOT / "tests/fuzz/http_bytes.py", "--seconds", "5"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
