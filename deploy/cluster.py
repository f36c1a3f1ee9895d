"""Several units of Sotto on one machine, as operators run them on many: gunicorn units, Redis, and nginx in front.

`make cluster` starts it on the embedded database (or MONGODB_URI), and ends it with Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from chat import embedded_db, settings

HOUSE = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 40


class ClusterFault(RuntimeError):
    """A part did not start; the message says which."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def nginx_conf(port: int, units: list[int], folder: Path) -> str:
    """deploy/nginx.conf for these units, over plain HTTP on `port` of this machine, with all its files in `folder`."""
    house_conf = (HOUSE / "deploy/nginx.conf").read_text()
    servers = "".join(f"    server {HOST}:{unit} max_fails=1 fail_timeout=3s;\n" for unit in units)
    conf, found = re.subn(r"    server 127\.0\.0\.1:8000.*\n.*\n", servers, house_conf)
    conf, redirects = re.subn(r"server \{\n    listen 80;.*?\n\}\n", "", conf, flags=re.DOTALL)
    conf, listens = re.subn(r"    listen 443 .*", f"    listen {HOST}:{port};", conf)
    conf, tls = re.subn(r"    ssl_certificate.*\n", "", conf)
    if (found, redirects, listens, tls) != (1, 1, 1, 2):
        raise ClusterFault("deploy/nginx.conf has changed its form: nginx_conf() does not know it any more")
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    events = "events { worker_connections 20000; }\nworker_processes 1;\n"
    return f"daemon off;\npid {folder}/nginx.pid;\nerror_log stderr warn;\n{events}http {{\n{paths}{conf}}}\n"


class Cluster:
    """`origin` is its address; `units` the ports of its gunicorn units, any of which may be killed and started anew."""

    def __init__(
        self,
        folder: Path,
        port: int,
        count: int = 2,
        environ: Mapping[str, str] | None = None,
        unit_environ: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port
        self.origin = f"http://localhost:{port}"
        self.units = [free_port() for _ in range(count)]
        self._redis_port = free_port()
        self._unit_environ = dict(unit_environ or {})
        given = dict(os.environ if environ is None else environ)
        self._environ = given | {
            "SOTTO_ENV": "production",
            "MONGODB_URI": given.get("MONGODB_URI") or embedded_db.ensure_running(folder),
            "SECRET_KEY": given.get("SECRET_KEY") or settings.development_secret(folder),
            "REDIS_URL": f"redis://{HOST}:{self._redis_port}/0",
            "TRUSTED_PROXIES": "1",
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def database_uri(self) -> str:
        """Where its database is."""
        return self._environ["MONGODB_URI"]

    @property
    def redis_url(self) -> str:
        """Where its Redis is."""
        return self._environ["REDIS_URL"]

    def start(self) -> None:
        """Start all parts, and wait until the whole answers; raises ClusterFault."""
        for program in ("redis-server", "nginx"):
            if shutil.which(program) is None:
                raise ClusterFault(f"{program} is not installed")
        subprocess.run([sys.executable, "-m", "flask", "sotto", "migrate"], cwd=HOUSE, env=self._environ, check=True)
        try:
            self.start_redis()
            for index in range(len(self.units)):
                self.start_unit(index)
            conf = self.folder / "nginx.conf"
            conf.write_text(nginx_conf(self.port, self.units, self.folder))
            self._spawn("nginx", ["nginx", "-p", str(self.folder), "-c", str(conf)])
            self._wait(self.port, "nginx")
        except ClusterFault:
            self.stop()
            raise

    def start_redis(self) -> None:
        """Start Redis without anything it knew before."""
        options = ["--port", str(self._redis_port), "--bind", HOST, "--save", "", "--appendonly", "no"]
        self._spawn("redis", ["redis-server", *options, "--dir", str(self.folder)])

    def start_unit(self, index: int) -> None:
        """Start one unit, and wait until it answers."""
        bind = self._unit_environ | {"BIND": f"{HOST}:{self.units[index]}"}
        command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "app:app"]
        self._spawn(f"unit{index}", command, bind)
        self._wait(self.units[index], f"unit{index}")

    def _spawn(self, name: str, command: list[str], more: Mapping[str, str] | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            # A group of its own, so that a kill reaches gunicorn's worker as well as its arbiter.
            self._running[name] = subprocess.Popen(
                command, cwd=HOUSE, env=self._environ | (more or {}), stdout=log, stderr=log, start_new_session=True
            )

    def _wait(self, port: int, name: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError) as fault:
                if self._running[name].poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / f"{name}.log").read_text()[-2000:]
                    raise ClusterFault(f"{name} did not start:\n{log}") from fault
                time.sleep(0.1)

    def signal(self, name: str, signum: int) -> None:
        """Send a signal to all processes of a part: redis, nginx, unit0, unit1, …"""
        os.killpg(self._running[name].pid, signum)

    def kill(self, name: str) -> None:
        """End a part as a power cut would."""
        self.signal(name, signal.SIGKILL)
        self._running.pop(name).wait()

    def end(self, name: str) -> None:
        """End a part in order."""
        process = self._running.pop(name)
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        """End all parts, the doors first."""
        for name in sorted(self._running, key=_order):
            self.end(name)


def _order(name: str) -> int:
    return 0 if name == "nginx" else 2 if name == "redis" else 1


def main() -> int:
    """Run a cluster until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=HOUSE / "instance/cluster")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cluster = Cluster(options.folder, options.port, options.workers)
    try:
        cluster.start()
        sys.stdout.write(f"Sotto, {options.workers} units: {cluster.origin}\n")
        sys.stdout.flush()
        signal.pause()
    except KeyboardInterrupt:
        return 0
    except ClusterFault as fault:
        sys.stderr.write(f"Sotto does not start: {fault}\n")
        return 1
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # make passes on what the whole group was sent already
        cluster.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
