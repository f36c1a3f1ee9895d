"""The load generator, a process of its own: it takes one job as JSON from its standard input and prints what it saw.

Jobs: `relay` (typing from the first half of the lines to the second), `senders` (each waits for its acknowledgement),
`steady` (a rate of messages, whatever the answers do), `idle` (lines that only answer pings) and `logins`.
"""

from __future__ import annotations

import gc
import http.client
import json
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.crowd import HOST, Crowd, Line
from benchmarks.frames import masked
from benchmarks.percentiles import percentiles

ENVELOPE = '{"iv":[' + ",".join(["200"] * 12) + '],"content":[' + ",".join(["200"] * 66) + "]}"
LOGIN_TIMEOUT_S = 60
LOGINS_AT_ONCE = 64
Job = dict[str, Any]


class Meter:
    """Counts between the end of the warm-up and the end, with the CPU share that the generator itself took."""

    def __init__(self, job: Job) -> None:
        self.start = time.perf_counter() + job["warm_up_s"]
        self.end = self.start + job["seconds"]
        self.count = 0
        self.latencies: list[float] = []
        self._cpu: float | None = None
        self._seconds = job["seconds"]

    def note(self, moment: float, latency: float | None = None) -> None:
        """One event arrived now; `latency` in seconds."""
        if self.start <= moment < self.end:
            if self._cpu is None:
                print(json.dumps({"measuring": True}), flush=True)
                self._cpu = time.process_time()
            self.count += 1
            if latency is not None:
                self.latencies.append(latency)

    def report(self) -> dict[str, Any]:
        """Events a second, latencies in ms, and the share of a core this process took."""
        cpu = time.process_time() - (self._cpu if self._cpu is not None else time.process_time())
        report: dict[str, Any] = {"per_second": round(self.count / self._seconds, 1)}
        if self.latencies:
            report |= percentiles(self.latencies)
        return report | {"generator_cpu": round(cpu / self._seconds, 2)}


def relay(job: Job) -> dict[str, Any]:
    """Each sender keeps one event on its way: the next is sent when the last arrived at its receiver."""
    crowd = Crowd(job["port"], job["auths"])
    half = len(crowd.lines) // 2
    frames = []
    for number in range(half):
        receiver = job["ids"][half + number] if job["ids"] else crowd.lines[half + number].sid
        frames.append(masked("42" + json.dumps(["typing", {"receiverId": receiver, "isTyping": True}])))
    meter = Meter(job)
    sent_at = [0.0] * half

    def heard(line: Line, payload: bytes) -> None:
        if not payload.startswith(b'42["display_typing"'):
            if payload.startswith(b'42["error"'):
                raise RuntimeError(payload.decode())
            return
        now = time.perf_counter()
        number = line.number - half
        meter.note(now, now - sent_at[number])
        sent_at[number] = now
        crowd.lines[number].send(frames[number])

    for number, frame in enumerate(frames):
        sent_at[number] = time.perf_counter()
        crowd.lines[number].send(frame)
    while time.perf_counter() < meter.end:
        crowd.listen(0.1, heard)
    crowd.close()
    return meter.report()


class Writers:
    """Lines that send messages, each to its partner, and take the acknowledgements."""

    def __init__(self, job: Job) -> None:
        self.crowd = Crowd(job["port"], job["auths"])
        self.meter = Meter(job)
        self._partners = [job["ids"][number ^ 1] for number in range(len(job["ids"]))]
        self._numbers = [0] * len(self.crowd.lines)
        self._began: dict[tuple[int, int], float] = {}

    def write(self, line: Line, began: float) -> None:
        """Send one message, which counts from `began` on."""
        number = self._numbers[line.number] = self._numbers[line.number] + 1
        message = {
            "receiverId": self._partners[line.number],
            "text": ENVELOPE,
            "type": "text",
            "clientId": str(uuid.uuid4()),
        }
        self._began[line.number, number] = began
        line.send(masked(f"42{number}" + json.dumps(["send_message", message], separators=(",", ":"))))

    def answered(self, line: Line, payload: bytes) -> bool:
        """Whether this is an acknowledgement, which is then counted."""
        if payload[:2] != b"43":
            return False
        head, _, answer = payload.partition(b"[")
        if not answer.startswith(b'{"ok":true'):
            raise RuntimeError(payload.decode())
        now = time.perf_counter()
        self.meter.note(now, now - self._began.pop((line.number, int(head[2:]))))
        return True


def senders(job: Job) -> dict[str, Any]:
    """Every line sends its next message when the last is acknowledged."""
    writers = Writers(job)

    def heard(line: Line, payload: bytes) -> None:
        if writers.answered(line, payload):
            writers.write(line, time.perf_counter())

    for line in writers.crowd.lines:
        writers.write(line, time.perf_counter())
    while time.perf_counter() < writers.meter.end:
        writers.crowd.listen(0.1, heard)
    writers.crowd.close()
    return writers.meter.report()


def steady(job: Job) -> dict[str, Any]:
    """`rate` messages a second; latency counts from when a message was due, so that waiting is not left out."""
    writers = Writers(job)
    due, turn = time.perf_counter(), 0
    while due < writers.meter.end:
        while time.perf_counter() >= due:
            writers.write(writers.crowd.lines[turn % len(writers.crowd.lines)], due)
            due, turn = due + 1 / job["rate"], turn + 1
        writers.crowd.listen(due - time.perf_counter(), writers.answered)
    writers.crowd.close()
    return writers.meter.report()


def idle(job: Job) -> dict[str, Any]:
    """Open the lines, and answer pings for `seconds`; says when they are open, and closes when told so."""
    crowd = Crowd(job["port"], job["auths"])
    end = time.perf_counter() + job["seconds"]
    while (left := end - time.perf_counter()) > 0:
        crowd.listen(left, lambda _line, _payload: None)
    print(json.dumps({"open": len(crowd.lines)}), flush=True)
    sys.stdin.readline()
    crowd.close()
    return {}


def logins(job: Job) -> dict[str, Any]:
    """`rate` logins a second over HTTP, each when it is due whether or not the last is done."""
    waiting = list(range(round(job["rate"] * job["seconds"])))
    began = time.perf_counter()
    taken: list[float] = []

    def sign_in(number: int) -> None:
        time.sleep(max(0.0, began + number / job["rate"] - time.perf_counter()))
        due = time.perf_counter()
        body = json.dumps({"username": job["names"][number % len(job["names"])], "passphrase": job["passphrase"]})
        line = http.client.HTTPConnection(HOST, job["port"], timeout=LOGIN_TIMEOUT_S)
        line.request("POST", "/api/auth/login", body, {"Content-Type": "application/json"})
        answer = line.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"login: {answer.status} {answer.read()!r}")
        line.close()
        taken.append(time.perf_counter() - due)

    with ThreadPoolExecutor(LOGINS_AT_ONCE) as pool:
        list(pool.map(sign_in, waiting))
    return {"per_second": round(len(taken) / (time.perf_counter() - began), 1)} | percentiles(taken)


JOBS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "relay": relay,
    "senders": senders,
    "steady": steady,
    "idle": idle,
    "logins": logins,
}


def main() -> None:
    """Do the job on the first line of the standard input."""
    job = json.loads(sys.stdin.readline())
    gc.disable()  # its pauses are not the server's
    print(json.dumps(JOBS[job["do"]](job)), flush=True)


if __name__ == "__main__":
    main()
