"""Runs dbt's commands in one process: a line of words in, a line of its answer out.
By the Python of dbt's own environment."""

import io
import json
import os
import sys
from contextlib import redirect_stdout

from dbt.cli.main import dbtRunner


def answer(words):
    said = io.StringIO()
    with redirect_stdout(said):
        done = dbtRunner().invoke(words)
    listed = done.result if isinstance(done.result, list) else []
    return {"ok": done.success, "why": str(done.exception or said.getvalue()[-2000:]), "listed": listed}


if __name__ == "__main__":  # dbt starts processes that import this
    os.chdir(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
