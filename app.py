"""Entry point: `flask run` serves development, `gunicorn -c deploy/gunicorn.conf.py app:app` production."""

# Monkey-patching must come before every other import, or locks made earlier block the hub.
import os

if os.environ.get("SOTTO_ASYNC_MODE") == "eventlet":  # set by deploy/gunicorn.conf.py alone, never by `flask run`
    import eventlet

    eventlet.monkey_patch()

from chat import create_app

app = create_app()
