"""Static files under names that carry their hash, so that a browser keeps them for ever and never keeps a stale one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import brotli
from flask import Flask, Response, abort, request, send_from_directory

HASH_CHARS = 12
HASHED = re.compile(r"^(?P<stem>.+)\.(?P<hash>[0-9a-f]{12})(?P<suffix>\.[a-z0-9]+)$")
# Of what a path may hold, some the file system refuses with an exception of its own (NUL, overlong names).
NAME = re.compile(r"[A-Za-z0-9_./-]{1,200}")
STATIC_IMPORT = re.compile(r"""^import\s(?:[^"']*?\sfrom\s)?"([^"]+)";""", re.MULTILINE)
TEXTS = {".js", ".css", ".svg"}
YEAR_S = 365 * 24 * 3600

# What modules import by a bare name, and the vendored file behind it.
LIBRARIES = {"socket.io-client": "vendor/socket.io.esm.min.js", "idb": "vendor/idb.js"}


class Assets:
    """The files below `root`: their hashed URLs, the import map of the modules, and how they are served."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._hashes: dict[Path, tuple[int, str]] = {}
        self._compressed: dict[Path, tuple[str, bytes]] = {}

    def _hash(self, file: Path) -> str:
        changed = file.stat().st_mtime_ns  # a file edited under `flask run` gets its new name at once
        known = self._hashes.get(file)
        if known is None or known[0] != changed:
            known = (changed, hashlib.sha256(file.read_bytes()).hexdigest()[:HASH_CHARS])
            self._hashes[file] = known
        return known[1]

    def _packed(self, file: Path) -> bytes:
        """The file under the strongest compression, made once: a tenth smaller than what is made for each answer."""
        known = self._compressed.get(file)
        if known is None or known[0] != self._hash(file):
            known = (self._hash(file), brotli.compress(file.read_bytes()))
            self._compressed[file] = known
        return known[1]

    def url(self, name: str) -> str:
        """The URL of static file `name`, e.g. `js/main.js` → `/static/js/main.<hash>.js`."""
        file = self._root / name
        return f"/static/{file.parent.relative_to(self._root).as_posix()}/{file.stem}.{self._hash(file)}{file.suffix}"

    def modules(self, entry: str = "js/main.js") -> list[str]:
        """The URLs of all modules `entry` needs at once, itself included, for preloading; import() is for later."""
        found: list[str] = []
        waiting = [entry]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.append(name)
                imported = STATIC_IMPORT.findall((self._root / name).read_text(encoding="utf-8"))
                waiting += [LIBRARIES.get(specifier) or f"js/{specifier.removeprefix('./')}" for specifier in imported]
        return [self.url(name) for name in sorted(found)]

    def import_map(self) -> str:
        """The JSON of the import map: plain module URLs and bare library names → hashed URLs."""
        imports = {name: self.url(file) for name, file in LIBRARIES.items()}
        for file in sorted((self._root / "js").glob("*.js")):
            imports[f"/static/js/{file.name}"] = self.url(f"js/{file.name}")
        return json.dumps({"imports": imports}, separators=(",", ":"))

    def import_map_hash(self) -> str:
        """The CSP source expression that admits the import map and no other inline script."""
        return f"'sha256-{base64.b64encode(hashlib.sha256(self.import_map().encode()).digest()).decode()}'"

    def send(self, filename: str) -> Response:
        """Answer `/static/<filename>`: immutable under its hashed name, to be asked for again under its plain one."""
        hashed = HASHED.match(filename)
        plain = f"{hashed['stem']}{hashed['suffix']}" if hashed else filename
        file = self._root / plain
        if not NAME.fullmatch(plain) or not file.resolve().is_relative_to(self._root) or not file.is_file():
            abort(404)
        current = bool(hashed) and hashed is not None and self._hash(file) == hashed["hash"]
        response = send_from_directory(self._root, plain, max_age=YEAR_S if current else 0)
        if current and request.accept_encodings["br"] > 0 and file.suffix in TEXTS:
            response.direct_passthrough = False
            response.set_data(self._packed(file))
            response.content_encoding = "br"
            response.vary.add("Accept-Encoding")
        if current:
            response.cache_control.immutable = True
            response.cache_control.public = True
            for name in ("ETag", "Last-Modified", "Content-Disposition"):  # nobody asks again for what never changes
                response.headers.pop(name, None)
        return response

    def register(self, app: Flask) -> None:
        """Serve the files and give templates `asset()`, `modules()` and `import_map()`."""
        app.add_url_rule("/static/<path:filename>", "static", self.send)
        app.jinja_env.globals.update(asset=self.url, modules=self.modules, import_map=self.import_map)
