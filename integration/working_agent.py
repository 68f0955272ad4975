"""An agent on a file system of its own, and things to do under it; used by soak, faults and machine-faults."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 120
ROLES = ["guardian", "worker", "front"]
# Of an agent beside others on a machine.
WITHOUT = ("--no-throttle", "--no-grpc", "--no-packet-filter")
POLICY = """\
apiVersion: security.kubearmor.com/v1
kind: KubeArmorHostPolicy
metadata: {{name: soak}}
spec:
  nodeSelector: {{matchLabels: {{kubearmor.io/hostname: "*"}}}}
  severity: 5
  message: "{message}"
  file:
    matchDirectories: [{{dir: "{root}/prot/", recursive: true}}]
    matchPatterns: [{{pattern: "{root}/**/*.key"}}]
  process: {{matchPaths: [{{path: "{root}/bin/denied"}}]}}
  network: {{matchProtocols: [{{protocol: icmp}}]}}
  action: Block
"""


class Agent:
    def __init__(self, binaries, folder, options, user=None):
        """user: who runs it, without privileges; None for root."""
        self.options = options
        self.become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all"] if user else []
        self.binaries, self.root, self.own = binaries, folder / "root", folder / "agent"
        self.policy, self.errors, self.alerts = self.own / "policies/p.yaml", self.own / "stderr", self.own / "alerts.jsonl"
        self.denied, self.forbidden, self.counts = 0, [], {}
        for name in ("prot", "work", "bin"):
            (self.root / name).mkdir()
        for path in (self.root / "prot/secret", self.root / "work/own.key"):
            path.write_text("SECRET\n")
        for number in range(200):
            (self.root / f"work/file{number}").write_text("plain\n")
        for name in ("denied", "allowed"):
            shutil.copy(shutil.which("true"), self.root / "bin" / name)
        self.policy.parent.mkdir(parents=True)
        self.write_policy(0)

    def policy_text(self, number):
        return POLICY.format(root=self.root, message=f"policy {number}")

    def write_policy(self, number):
        new = self.policy.with_suffix(".new")
        new.write_text(self.policy_text(number))
        new.rename(self.policy)

    def start(self):
        command = [
            *self.become, self.binaries / "portcullisd", "--policies", self.policy.parent, "--alerts", self.alerts, "--run-directory",
            self.own / "run", "--state-directory", self.own / "state", *self.options]
        self.agent = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.errors, "w"))
        while "Started to protect" not in self.errors.read_text():
            if self.agent.poll() is not None:
                raise SystemExit(f"the agent has ended: {self.errors.read_text()}")
            time.sleep(0.05)

    def stop(self):
        self.agent.send_signal(signal.SIGTERM)
        self.agent.wait()

    def tool(self, *arguments, **more):
        return subprocess.run(
            [*self.become, self.binaries / "portcullis", *arguments], capture_output=True, text=True, stdin=more.pop("stdin", subprocess.DEVNULL), **more)

    def pid(self, role):
        return int((self.own / f"run/{role}.pid").read_text())

    def did(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    # What is done, each once a turn.

    def open_files(self, turn):
        for number in range(40):
            (self.root / f"work/file{(turn * 40 + number) % 200}").read_bytes()
            self.did("permitted opens")
        for name in ("prot/secret", "work/own.key"):
            self.refused(lambda name=name: open(self.root / name).close(), name)
            self.did("forbidden opens")

    def execute(self, turn):
        subprocess.run([self.root / "bin/allowed"], check=True)
        self.did("permitted executions")
        self.refused(lambda: subprocess.run([self.root / "bin/denied"]), "bin/denied")
        self.did("forbidden executions")

    def refused(self, action, name):
        try:
            action()
            self.forbidden.append(name)
        except PermissionError:
            self.denied += 1

    def replace(self, turn):
        for target in ("prot/secret", f"work/file{turn % 200}"):
            new = self.root / "work/replacement"
            new.write_text("plain\n")
            new.rename(self.root / target)
        self.did("replaced files")

    def reload(self, turn):
        self.write_policy(turn)
        self.did("reloads")

    def tree(self, turn):
        script = "read line <$0 && echo read; : >$1; cat $1; exec true"
        result = self.tool(
            "run", "--socket", self.own / "run/agent.sock", "--", "/bin/bash", "-c", script, self.root / "prot/secret", self.root / "work/own")
        if "read" in result.stdout:
            self.forbidden.append("prot/secret in a tree")
        if "ermi" not in result.stderr:
            self.forbidden.append(f"a tree said {result.stderr!r}")
        self.denied += 1
        self.did("trees")

    def ask(self, turn):
        self.tool("status", "--json", "--socket", self.own / "run/agent.sock")
        self.did("questions for the status")

    def status(self):
        return json.loads(self.tool("status", "--json", "--socket", self.own / "run/agent.sock").stdout)

    @staticmethod
    def open_files_of(pid):
        found = []
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
            except FileNotFoundError:
                pass
        return found

    def sample(self, begun):
        row = {"seconds": round(time.monotonic() - begun), "objects": self.status()["counters"]["indexed-objects"]}
        for role in ROLES:
            pid = self.pid(role)
            fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            # The worker keeps /proc/<pid>/status of 64 threads open (StatusFiles), whether they still exist or not.
            open_files = self.open_files_of(pid)
            kept = [target for target in open_files if target.startswith("/proc/") and target.endswith("/status")]
            row |= {
                f"{role} pid": pid, f"{role} kB": int(fields["RssAnon"].split()[0]),
                f"{role} descriptors": len(open_files) - len(kept), f"{role} threads": int(fields["Threads"])}
        return row


class Failed(Exception):
    """One line for people."""


def wait(what, condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if result := condition():
                return result
        except (FileNotFoundError, ValueError, ProcessLookupError):
            pass
        time.sleep(0.02)
    raise Failed(f"{what} did not come about")


def check(agent, rounds=1):
    """Forbidden things are refused, permitted ones are done."""
    for turn in range(rounds):
        agent.open_files(turn)
        agent.execute(turn)


def accounted(agent):
    def agrees():
        counters = agent.status()["counters"]
        return agent.denied == counters["blocked"] == counters["alerts-generated"] and counters
    return wait(f"an alert for each of {agent.denied} denials", agrees)


def told(agent):
    """As accounted, where fronts have ended: each counts the alerts of its own life, so those in the file are counted."""
    def agrees():
        return agent.denied == agent.status()["counters"]["blocked"] == len(agent.alerts.read_text().splitlines())
    wait(f"a line for each of {agent.denied} denials", agrees)


def replaced(agent, role, pid):
    return wait(f"another {role}", lambda: agent.pid(role) != pid and agent.pid(role))


@contextmanager
def running(binaries, *options, without=WITHOUT, user=None):
    """An agent whose rules are about a tmpfs of its own, which no mark of it reaches beyond; what it writes is on another."""
    with tempfile.TemporaryDirectory(prefix="portcullis-work.") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("root", "agent"):
            (folder / part).mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0755", "portcullis-work", folder / part], check=True)
        try:
            agent = Agent(Path(binaries).resolve(), folder, [*options, *without], user)
            if user:
                subprocess.run(["chown", "-R", f"{user}:{user}", folder / "root", folder / "agent"], check=True)
            agent.start()
            try:
                yield agent
            finally:
                agent.stop()
        finally:
            for part in ("root", "agent"):
                subprocess.run(["umount", "-l", folder / part])


def report(what, faults, make):
    """Prints what each fault of a table has to say, with an agent of its own; the exit code. make: a fault's running agent."""
    failed = 0
    for name, fault in faults.items():
        begun = time.monotonic()
        try:
            with make(fault) as agent:
                try:
                    text = fault(agent)
                    if agent.forbidden:
                        raise Failed(f"let through: {', '.join(agent.forbidden)}")
                except (Failed, OSError):
                    print("".join(agent.errors.read_text().splitlines(keepends=True)[-20:]), flush=True)
                    raise
        except (Failed, OSError) as failure:
            text, failed = f"FAILED: {failure}", failed + 1
        print(f"{name}: {text} ({time.monotonic() - begun:.0f} s)", flush=True)
    print(f"{what}: {failed} failed" if failed else f"{what}: passed")
    return 1 if failed else 0
