"""gunicorn's settings for Sotto: one eventlet worker; more workers are more units (docs/hosting.md)."""

import os
import signal
from types import FrameType
from typing import Any

# Told to app.py, which monkey-patches before it imports anything else.
os.environ["SOTTO_ASYNC_MODE"] = "eventlet"
os.environ.setdefault("SOTTO_ENV", "production")

bind = os.environ.get("BIND", "127.0.0.1:8000")
worker_class = "eventlet"
# Socket.IO sessions live in their worker: a second worker of the same unit would not know them.
workers = 1
worker_connections = int(os.environ.get("WORKER_CONNECTIONS", "10000"))
# Longer than the slowest write that is still tried (COMMIT_TIMEOUT_S), so that a stop loses no acknowledgement.
graceful_timeout = 30
timeout = 60
# X-Forwarded-* is Sotto's own business (TRUSTED_PROXIES).
forwarded_allow_ips = ""
# One socket file for all units of a machine would be fought over; signals do all that Sotto needs.
control_socket_disable = True
accesslog = None
errorlog = "-"


def post_worker_init(worker: Any) -> None:
    """Let SIGTERM end Sotto's part in order, too: what was taken in is written, sockets are sent to come again."""
    from chat.events.stopping import stop
    from chat.extensions import socketio
    from deploy import handshake, hanging_up

    hanging_up.install()
    if not handshake.install(socketio.server, worker_connections):
        worker.log.warning("WebSockets are served in the libraries' own way: they have changed, and it costs memory.")

    def end(signum: int, frame: FrameType | None) -> None:
        worker.handle_exit(signum, frame)
        stop(worker.wsgi)

    signal.signal(signal.SIGTERM, end)


def worker_exit(server: Any, worker: Any) -> None:
    """Let the last lines be closed in order: gunicorn waits for requests alone, and theirs are over."""
    from deploy import lines

    lines.wait_for_end(graceful_timeout)
