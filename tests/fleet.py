"""Several units of Sotto behind nginx, with Redis between them, as a test sees them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from deploy.cluster import Cluster, free_port
from tests.people import Server
from tests.site import WIDE


class Unit(Server):
    """One gunicorn unit of a fleet, spoken to without nginx."""

    def __init__(self, fleet: Fleet, index: int) -> None:
        self.fleet, self.index = fleet, index
        self.database_uri = fleet.database_uri
        self.origin = f"http://127.0.0.1:{fleet.cluster.units[index]}"
        self.log = fleet.cluster.folder / f"unit{index}.log"

    def start(self) -> None:
        """Start it anew."""
        self.fleet.cluster.start_unit(self.index)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.fleet.cluster.kill(f"unit{self.index}")


class Fleet(Server):
    """A Sotto of two units; `origin` is nginx."""

    def __init__(self, instance: Path, unit_environ: Mapping[str, str] | None = None, **settings: str) -> None:
        environ = os.environ | WIDE | {"MONGODB_URI": "", "LOG_LEVEL": "WARNING"} | settings
        port = free_port()
        self.cluster = Cluster(instance / f"fleet-{port}", port, environ=environ, unit_environ=unit_environ)
        self.database_uri = self.cluster.database_uri
        self.origin = self.cluster.origin
        self.log = self.cluster.folder / "unit0.log"
        self.start()
        self.units = [Unit(self, index) for index in range(len(self.cluster.units))]

    def start(self) -> None:
        """Start all of it."""
        self.cluster.start()

    def kill(self) -> None:
        """End it as a power cut would; the database comes back by itself."""
        for index in range(len(self.units)):
            self.cluster.kill(f"unit{index}")
        self.cluster.kill("redis")
        self.cluster.kill("nginx")

    def stop(self) -> None:
        """End all of it."""
        self.cluster.stop()


def site(instance: Path, **settings: str) -> Server:
    """One Sotto for many tests: a single process, or with SOTTO_SITE=cluster a fleet."""
    return (Fleet if os.environ.get("SOTTO_SITE") == "cluster" else Server)(instance, **settings)
