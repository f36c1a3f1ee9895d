"""The rules of the house, read from its source: imports go down, secrets stay in their room, rooms stay small."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from chat import settings

HOUSE = Path(__file__).resolve().parent.parent
MODULES = sorted((HOUSE / "chat").rglob("*.py"))
SCRIPTS = sorted((HOUSE / "static/js").glob("*.js"))
TEMPLATES = sorted((HOUSE / "templates").rglob("*.html"))
MAX_LINES = 300

FLOORS = (
    {
        "settings",
        "extensions",
        "errors",
        "metrics",
        "envelope",
        "frames",
        "shared",
        "bus",
        "rates",
        "sockets",
        "windows",
    },
    {"models", "schemas"},
    {
        "accounts",
        "contacts",
        "history",
        "numbers",
        "delivery",
        "presence",
        "shared_presence",
        "uploads",
        "calls",
        "shared_calls",
    },
    {"edge", "assets", "routes", "events"},
)
# Beside the stairs: the front door wires all, the operator's door and the database's keeper are used by it alone.
BESIDE = {"__init__", "cli", "embedded_db"}
CIPHERS = {
    "cryptography",
    "Crypto",
    "Cryptodome",
    "nacl",
    "ssl",
    "M2Crypto",
    "OpenSSL",
    "pyaes",
    "rsa",
    "ecdsa",
    "pgpy",
}
WEB = {"flask", "flask_socketio", "flask_jwt_extended", "werkzeug", "jinja2", "socketio", "engineio"}


def name_of(module: Path) -> str:
    """`chat/routes/api.py` → `routes.api`; `chat/routes/__init__.py` → `routes`."""
    return ".".join(module.relative_to(HOUSE / "chat").with_suffix("").parts).removesuffix(".__init__")


def imports_of(module: Path) -> set[str]:
    """The dotted names a module imports; `from a import b` counts as `a.b`, and as `a` where b is no module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


NAMES = {name_of(module) for module in MODULES}


def rooms_used_by(module: Path) -> set[str]:
    """The modules of chat/ that a module imports, by their names below chat."""
    found = set()
    for name in imports_of(module):
        if name.startswith("chat."):
            inner = name.removeprefix("chat.")
            found.add(inner if inner in NAMES else inner.rpartition(".")[0] or "__init__")
    return found - {name_of(module)}


def floor_of(name: str) -> int | None:
    """0 is the ground; None is beside the stairs."""
    room = name.split(".")[0]
    return next((height for height, floor in enumerate(FLOORS) if room in floor), None)


def circles(graph: dict[str, set[str]]) -> list[str]:
    """The nodes of `graph` that can be reached from themselves."""

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            if (name := waiting.pop()) not in seen:
                seen.add(name)
                waiting += graph.get(name, ())
        return seen

    return [name for name in graph if name in reachable(name)]


def test_every_module_has_its_floor() -> None:
    homeless = {name for name in NAMES if floor_of(name) is None}
    assert homeless == BESIDE
    assert {name.split(".")[0] for name in NAMES} - BESIDE == set().union(*FLOORS)


def test_imports_go_down_never_up() -> None:
    climbing = [
        f"{name_of(module)} imports {used}"
        for module in MODULES
        if (own := floor_of(name_of(module))) is not None
        for used in rooms_used_by(module)
        if (height := floor_of(used)) is None or height > own
    ]
    assert climbing == []


def test_modules_import_in_no_circle() -> None:
    graph = {name_of(module): rooms_used_by(module) for module in MODULES}
    # `from chat.routes import api` in the package itself names its own rooms: that is downstairs, not a circle.
    assert circles(graph) == []


def test_scripts_import_in_no_circle_and_only_what_is_there() -> None:
    pattern = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']\./([\w.]+)["']""")
    graph = {script.name: set(pattern.findall(script.read_text())) for script in SCRIPTS}
    assert sum(map(len, graph.values())) > len(graph), "the pattern finds the imports"
    assert {name for used in graph.values() for name in used} <= graph.keys()
    assert circles(graph) == []


def test_what_sotto_knows_and_keeps_knows_no_request_and_no_socket() -> None:
    for module in MODULES:
        if floor_of(name_of(module)) in (1, 2):
            assert not {name.split(".")[0] for name in imports_of(module)} & WEB, module


def test_no_module_of_the_server_imports_a_cipher() -> None:
    for module in MODULES:
        assert not {name.split(".")[0] for name in imports_of(module)} & CIPHERS, module


def test_one_script_alone_touches_the_ciphers_of_the_browser() -> None:
    assert [script.name for script in SCRIPTS if "subtle" in script.read_text()] == ["crypto.js"]


@pytest.mark.parametrize("file", MODULES + SCRIPTS, ids=lambda file: str(file.relative_to(HOUSE)))
def test_a_room_stays_small_and_says_what_it_is_for(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    assert text.startswith(('"""', "/**", "// "))


def test_functions_of_the_server_stay_small() -> None:
    long = [
        f"{name_of(module)}.{node.name}"
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 40
    ]
    assert long == ["__init__.create_app"] or long == [], "only the checklist of the front door may be long"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_templates_hold_no_inline_script_style_or_handler(template: Path) -> None:
    markup = re.sub(r"{#.*?#}", "", template.read_text(), flags=re.DOTALL)
    scripts = re.findall(r"<script\b([^>]*)>", markup)
    assert all("src=" in attributes or 'type="importmap"' in attributes for attributes in scripts)
    assert not re.search(r"<style\b|\sstyle\s*=|\son[a-z]+\s*=|\shx-on|javascript:", markup, re.IGNORECASE)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", markup), "nothing from third parties"


def test_the_async_mode_is_named_where_it_can_be_changed_and_nowhere_else() -> None:
    told_about_in = (":!tests", ":!benchmarks", ":!docs", ":!README.md", ":!pyproject.toml", ":!*.lock", ":!.ci")
    changed_in = (":!app.py", ":!chat/settings.py", ":!deploy")
    command = ["git", "grep", "--untracked", "-Iil", "eventlet", "--", *told_about_in, *changed_in]
    found = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (1, "", ""), "1: no line was found"


def test_the_settings_in_the_docs_are_those_of_the_code() -> None:
    page = (HOUSE / "docs/settings.md").read_text()
    begin, end = "<!-- made by: flask sotto settings -->\n", "\n<!-- end -->"
    assert page[page.index(begin) + len(begin) : page.index(end)] == settings.as_table()
