"""What static/ has from others is what its manifest says: every file, every byte, with a licence."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

STATIC = Path(__file__).resolve().parent.parent / "static"
VENDOR = STATIC / "vendor"
MANIFEST: list[dict[str, Any]] = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))
ABOUT = {"manifest.json", "LICENSES.txt"}


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["file"])
def test_a_vendored_file_is_the_one_in_the_manifest(entry: dict[str, Any]) -> None:
    content = (STATIC / entry["file"]).read_bytes()

    assert len(content) == entry["bytes"]
    assert base64.b64encode(hashlib.sha384(content).digest()).decode() == entry["sha384"]


def test_no_vendored_file_is_missing_from_the_manifest() -> None:
    there = {file.relative_to(STATIC).as_posix() for file in VENDOR.rglob("*") if file.name not in ABOUT}

    assert there == {entry["file"] for entry in MANIFEST if entry["file"].startswith("vendor/")}


def test_every_library_has_its_licence_text() -> None:
    texts = (VENDOR / "LICENSES.txt").read_text(encoding="utf-8")

    headings = re.findall(r"^(.+) \((.+)\)\n=+$", texts, flags=re.MULTILINE)

    assert headings == [(f"{entry['name']} {entry['version']}", entry["licence"]) for entry in MANIFEST]


@pytest.mark.parametrize("file", sorted(VENDOR.glob("*.js")), ids=lambda file: file.name)
def test_no_vendored_script_names_a_source_map(file: Path) -> None:
    assert b"sourceMappingURL" not in file.read_bytes()


def test_every_icon_that_a_template_draws_is_in_the_sprite() -> None:
    templates = "".join(file.read_text(encoding="utf-8") for file in (STATIC.parent / "templates").rglob("*.html"))
    drawn = set(re.findall(r"""\bicon\(["']([a-z0-9-]+)["']""", templates))

    known = set(re.findall(r'<symbol id="([a-z0-9-]+)"', (STATIC / "icons" / "sprite.svg").read_text(encoding="utf-8")))

    assert drawn
    assert drawn <= known
