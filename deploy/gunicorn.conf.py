"""gunicorn's settings for Sotto: one eventlet worker; more workers are more units (docs/hosting.md)."""

import os

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
accesslog = None
errorlog = "-"
