"""A Debian with systemd as its PID 1, in a container of systemd-nspawn, with the packages installed:
its units are started for real. Its network is this machine's, its files go with it.
"""

import pathlib
import shlex
import subprocess

from programs import ROOT, wait_for


class Machine:
    def __init__(self, root, debs, directory):
        self.log = open(directory / "boot.log", "wb")
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", f"--directory={root}", "--volatile=overlay", "--boot", "--register=no",
             "--keep-unit", "--console=pipe", f"--bind-ro={debs}:/packages"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            self.leader = wait_for("the container's first process", self.first_process)
            wait_for("systemd to have started", lambda: self.run("systemctl is-system-running").stdout.strip() == "running")
        except AssertionError:
            self.stop()
            raise

    def first_process(self):
        assert self.process.poll() is None, "the container has ended, see its log"
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return children[0] if children else None

    def run(self, command, **more):
        return subprocess.run(["nsenter", "--all", "--target", self.leader, "/bin/sh", "-c", command],
                              capture_output=True, text=True, timeout=120, **more)

    def must(self, command, **more):
        done = self.run(command, **more)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path, text, mode="644"):
        self.must(f"mkdir -p {shlex.quote(str(pathlib.Path(path).parent))} && cat >{shlex.quote(path)} && "
                  f"chmod {mode} {shlex.quote(path)}", input=text)

    def show(self, unit, *names):
        """Properties of a unit as systemd has them now."""
        lines = self.must(f"systemctl show {unit} " + " ".join(f"-p {name}" for name in names)).splitlines()
        found = dict(line.split("=", 1) for line in lines)
        return found[names[0]] if len(names) == 1 else found

    def process_of(self, unit):
        """/proc of its main process, as it is in here."""
        return f"/proc/{self.show(unit, 'MainPID')}"

    def journal(self, unit):
        return self.must(f"journalctl --no-pager -o cat -u {unit}")

    def stop(self):
        """As by a power switch: nothing in it is kept."""
        self.process.kill()
        self.process.wait()
        self.log.close()


def root():
    """The root, made once: what a Debian has, systemd, and what the packages depend on."""
    made = ROOT / ".cache/roots/systemd"
    subprocess.run([ROOT / "tests/systemd/root", made], check=True)
    return made
