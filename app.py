"""Entry point: `flask run` serves development, `gunicorn -c deploy/gunicorn.conf.py app:app` production."""

# Monkey-patching must come before every other import, or locks made earlier block the hub.
import os
import sys

if os.environ.get("SOTTO_ASYNC_MODE") == "eventlet":  # set by deploy/gunicorn.conf.py alone, never by `flask run`
    import eventlet

    eventlet.monkey_patch()

from chat import create_app
from chat.embedded_db import DatabaseFault
from chat.settings import SettingsFault

# gunicorn gives up on a worker that ends so, where it would start any other again and again.
BOOT_ERROR = 3

try:
    app = create_app()
except (SettingsFault, DatabaseFault) as fault:
    sys.stderr.write(f"Sotto does not start: {fault}\n")
    sys.exit(BOOT_ERROR)
