"""Static files under names that carry their hash, so that a browser keeps them for ever and never keeps a stale one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import brotli
from flask import Flask, Response, abort, request, send_from_directory
from rjsmin import jsmin

HASH_CHARS = 12
HASHED = re.compile(r"^(?P<stem>.+)\.(?P<hash>[0-9a-f]{12})(?P<suffix>\.[a-z0-9]+)$")
# Of what a path may hold, some the file system refuses with an exception of its own (NUL, overlong names).
NAME = re.compile(r"[A-Za-z0-9_./-]{1,200}")
STATIC_IMPORT = re.compile(r"""^import\s(?:[^"']*?\sfrom\s)?"([^"]+)";""", re.MULTILINE)
TEXTS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
YEAR_S = 365 * 24 * 3600

# In the order they build upon each other; they travel as one, which costs half of what nine answers do.
STYLES = "css/all.css"
SHEETS = tuple(
    f"css/{sheet}.css"
    for sheet in (
        "sotto",
        "controls",
        "panels",
        "conversation",
        "composer",
        "overlays",
        "media",
        "calls",
        "attach",
        "screens",
    )
)

# What modules import by a bare name, and the vendored file behind it.
LIBRARIES = {"socket.io-client": "vendor/socket.io.esm.min.js", "idb": "vendor/idb.js"}


class Assets:
    """The files below `root`: their hashed URLs, the import map of the modules, and how they are served."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._hashes: dict[str, tuple[int, str]] = {}
        self._packs: dict[str, tuple[str, bytes]] = {}

    def _files(self, name: str) -> list[Path]:
        """The files that static file `name` is made of: itself, or all sheets."""
        return [self._root / sheet for sheet in SHEETS] if name == STYLES else [self._root / name]

    def _read(self, name: str) -> bytes:
        return b"".join(file.read_bytes() for file in self._files(name))

    def _hash(self, name: str) -> str:
        # A file edited under `flask run` gets its new name at once.
        changed = max(file.stat().st_mtime_ns for file in self._files(name))
        known = self._hashes.get(name)
        if known is None or known[0] != changed:
            known = (changed, hashlib.sha256(self._read(name)).hexdigest()[:HASH_CHARS])
            self._hashes[name] = known
        return known[1]

    def _packed(self, name: str) -> bytes:
        """The file under the strongest compression, our modules without their comments; made once."""
        known = self._packs.get(name)
        if known is None or known[0] != self._hash(name):
            content = self._read(name)
            if name.startswith("js/"):
                content = jsmin(content.decode()).encode()
            known = (self._hash(name), brotli.compress(content))
            self._packs[name] = known
        return known[1]

    def url(self, name: str) -> str:
        """The URL of static file `name`, e.g. `js/main.js` → `/static/js/main.<hash>.js`."""
        stem, _, suffix = name.rpartition(".")
        return f"/static/{stem}.{self._hash(name)}.{suffix}"

    def styles(self) -> str:
        """The URL of all style sheets in one."""
        return self.url(STYLES)

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
        if not NAME.fullmatch(plain) or not (plain == STYLES or self._is_ours(self._root / plain)):
            abort(404)
        if hashed is None or self._hash(plain) != hashed["hash"]:
            return send_from_directory(self._root, plain, max_age=0) if plain != STYLES else abort(404)
        suffix = hashed["suffix"]
        response = Response(mimetype=TEXTS.get(suffix, "application/octet-stream"))
        if request.accept_encodings["br"] > 0 and suffix in TEXTS:
            response.set_data(self._packed(plain))
            response.content_encoding = "br"
        else:
            response.set_data(self._read(plain))
        if suffix in TEXTS:
            response.vary.add("Accept-Encoding")
        response.cache_control.public = True
        response.cache_control.max_age = YEAR_S
        response.cache_control.immutable = True
        return response

    def _is_ours(self, file: Path) -> bool:
        return file.resolve().is_relative_to(self._root) and file.is_file()

    def register(self, app: Flask) -> None:
        """Serve the files and give templates `asset()`, `styles()`, `modules()` and `import_map()`."""
        app.add_url_rule("/static/<path:filename>", "static", self.send)
        given = {"asset": self.url, "styles": self.styles, "modules": self.modules, "import_map": self.import_map}
        app.jinja_env.globals.update(given)
