"""Fetch what the browser loads from others: npm packages into static/vendor/, chosen Lucide icons into one sprite.

Run by `make vendor`; the result is committed, so that neither a build nor a running server needs npm.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "static"
VENDOR = STATIC / "vendor"

# A source map is not shipped; a browser's developer tools would ask for it in vain.
SOURCE_MAP = re.compile(rb"\n?//[#@] sourceMappingURL=\S*\s*$")


@dataclass(frozen=True)
class Library:
    """An npm package, the file of it that we serve, where below static/ it goes, and its licence texts."""

    name: str
    version: str
    licence: str
    source: str
    target: str
    licence_files: tuple[str, ...] = ("LICENSE",)


LIBRARIES = (
    Library("htmx.org", "2.0.11", "0BSD", "dist/htmx.min.js", "vendor/htmx.min.js"),
    Library("socket.io-client", "4.8.4", "MIT", "dist/socket.io.esm.min.js", "vendor/socket.io.esm.min.js"),
    Library(
        "dompurify",
        "3.4.18",
        "MPL-2.0 OR Apache-2.0",
        "dist/purify.min.js",
        "vendor/purify.min.js",
        ("LICENSE", "LICENSE-MPL"),
    ),
    Library("idb", "8.0.4", "ISC", "build/index.js", "vendor/idb.js"),
)
ICON_SET = Library("lucide-static", "1.62.0", "ISC", "icons", "icons/sprite.svg")
ICONS = """
    arrow-left check check-check chevron-down circle-alert clock copy download ellipsis-vertical eye file image
    key-round lock lock-open log-out message-circle mic paperclip pause phone phone-off play qr-code refresh-cw search
    send settings shield-alert shield-check square trash-2 triangle-alert upload user-plus video wifi-off x
""".split()
SYMBOL = (
    '<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"'
    ' stroke-linecap="round" stroke-linejoin="round">{shapes}</symbol>'
)


@dataclass(frozen=True)
class Entry:
    """One row of manifest.json; `file` is relative to static/, `sha384` is base64."""

    name: str
    version: str
    licence: str
    file: str
    sha384: str
    bytes: int


def unpack(library: Library, folder: Path) -> Path:
    """The unpacked package of `library` below `folder`; npm checks what it fetches against the registry's digest."""
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), f"{library.name}@{library.version}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(folder / f"{library.name}-{library.version}.tgz") as archive:
        archive.extractall(folder / library.name, filter="data")
    return folder / library.name / "package"


def sprite(icons: Path) -> bytes:
    """ICONS as one SVG of symbols, each drawn in the colour of the text around it."""
    symbols = []
    for name in ICONS:
        svg = (icons / f"{name}.svg").read_text(encoding="utf-8")
        shapes = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
        symbols.append(SYMBOL.format(name=name, shapes="".join(line.strip() for line in shapes.splitlines())))
    note = f"<!-- {ICON_SET.name} {ICON_SET.version}, {ICON_SET.licence} licence -->"
    return "\n".join(['<svg xmlns="http://www.w3.org/2000/svg">', note, *symbols, "</svg>", ""]).encode()


def place(library: Library, content: bytes) -> Entry:
    """Write `content` where `library` goes and describe it."""
    (STATIC / library.target).write_bytes(content)
    digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
    return Entry(library.name, library.version, library.licence, library.target, digest, len(content))


def licence_text(library: Library, package: Path) -> str:
    """The heading and the licence texts of `library`, as its package has them."""
    texts = [(package / name).read_text(encoding="utf-8").strip() for name in library.licence_files]
    heading = f"{library.name} {library.version} ({library.licence})"
    return "\n\n".join([f"{heading}\n{'=' * len(heading)}", *texts])


def main() -> None:
    """Fetch everything, then write files, manifest and licences."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    (STATIC / "icons").mkdir(exist_ok=True)
    entries, licences = [], []
    with tempfile.TemporaryDirectory() as folder:
        for library in (*LIBRARIES, ICON_SET):
            package = unpack(library, Path(folder))
            source = package / library.source
            content = sprite(source) if library is ICON_SET else SOURCE_MAP.sub(b"\n", source.read_bytes())
            entries.append(place(library, content))
            licences.append(licence_text(library, package))
    rows = [asdict(entry) for entry in entries]
    (VENDOR / "manifest.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    (VENDOR / "LICENSES.txt").write_text("\n\n\n".join(licences) + "\n", encoding="utf-8")
    for entry in entries:
        print(f"{entry.name} {entry.version} → static/{entry.file} ({entry.bytes} bytes)")


if __name__ == "__main__":
    main()
