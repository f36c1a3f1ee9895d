"""The HTTP edge: pages, htmx fragments and the JSON API."""

from flask import Flask

from chat.routes import api, auth, doors, files, health, pages


def register_routes(app: Flask) -> None:
    """Bind every blueprint, and the headers that go out with each answer."""
    for module in (auth, api, files, pages, health):
        app.register_blueprint(module.blueprint)
    doors.register(app)
