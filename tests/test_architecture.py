"""Imports go down only, in the order of docs/architecture.md; relations written as strings count too."""

import ast
from pathlib import Path

import pytest

ENGAGE = Path(__file__).resolve().parents[1] / "engage"
ORDER = [
    {"lib"},
    {"fhir"},
    {"audit"},
    {"accounts"},
    {"patients"},
    {"records"},
    {"worklist"},
    {"messaging"},
    {"caregaps"},
    {"campaigns"},
    {"inbox"},
    {"insights"},
    {"console", "securelink", "webhooks"},
    {"demo"},
]
RANK = {name: rank for rank, level in enumerate(ORDER) for name in level}
ON_TOP = {"settings", "urls", "wsgi", "schedules", "simulator"}
FORBIDDEN_NAMES = {"utils", "helpers", "services", "managers", "signals", "common"}


def modules():
    return sorted(p for p in ENGAGE.rglob("*.py"))


def package_of(path: Path) -> str:
    parts = path.relative_to(ENGAGE).parts
    return parts[0].removesuffix(".py")


def imported(tree: ast.AST):
    """Package names of ours that a module imports or names in a relation, with the line."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = (
                [f"{node.module}.{a.name}" for a in node.names] if node.module == "engage" else [node.module]
            )
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in (
            "ForeignKey",
            "OneToOneField",
            "ManyToManyField",
        ):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and "." in first.value:
                names = ["engage." + first.value.lower()]
        for name in names:
            if name.startswith("engage."):
                yield name.split(".")[1], node.lineno


def test_every_package_has_a_place_in_the_order():
    packages = {p.name for p in ENGAGE.iterdir() if p.is_dir() and not p.name.startswith("__")}
    assert packages - set(RANK) - ON_TOP == set()


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ENGAGE)))
def test_imports_go_down_only(path):
    mine = package_of(path)
    if mine in ON_TOP - {"simulator"} or path.parent == ENGAGE or "migrations" in path.parts:
        return
    wrong = []
    for other, line in imported(ast.parse(path.read_text())):
        if other == mine:
            continue
        if (mine, other) == ("demo", "schedules"):
            continue  # the command that writes the table of jobs must live in an application: the topmost
        if mine == "simulator" or other in ON_TOP or RANK.get(other, 99) >= RANK[mine]:
            wrong.append(f"{path.name}:{line} imports engage.{other}")
    assert not wrong


def test_the_triage_knows_no_django():
    for path in (ENGAGE / "inbox" / "triage").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.split(".")[0] == "django"], path


def test_no_room_for_everything_and_nothing():
    assert not [p for p in modules() if p.stem in FORBIDDEN_NAMES]


def test_files_stay_readable():
    long = {
        p: n
        for p in modules()
        if "migrations" not in p.parts and (n := len(p.read_text().splitlines())) > 400
    }
    assert not long
