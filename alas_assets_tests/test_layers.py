"""Which package may know which: imports go one way, so that each can be read, tested and used without those above it."""

import ast
from collections import defaultdict
from pathlib import Path

import alas_assets

ROOT = Path(alas_assets.__file__).parent
ENTWINED = [{"automation", "definitions", "defs"}, {"evaluation", "synthesis", "teachers"}]
"""Packages that know each other: assets and the conditions on them; and who writes and grades, with the rules for it."""


def imported() -> dict[str, set[str]]:
    """Return the packages, and modules of the top level, that each imports anywhere in its code."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in ROOT.rglob("*.py"):
        own = file.relative_to(ROOT).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module] if "." in node.module else [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            found[own] |= {name.split(".")[1] for name in names if name.startswith("alas_assets.")} - {own}
    return found


def reached(start: str, graph: dict[str, set[str]]) -> set[str]:
    """Return all that a package knows, directly or through others."""
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        new = graph.get(ahead.pop(), set()) - seen
        seen |= new
        ahead += new
    return seen


def test_no_package_knows_one_that_knows_it_but_for_those_that_are_named() -> None:
    graph = imported()
    knows = {package: reached(package, graph) for package in graph}
    mutual = {frozenset(other for other in known if package in knows.get(other, ())) for package, known in knows.items()}
    assert sorted(map(sorted, mutual - {frozenset()})) == sorted(map(sorted, ENTWINED))


def test_provenance_knows_only_what_has_no_package_of_its_own() -> None:
    assert {name for name in imported()["provenance"] if (ROOT / name).is_dir()} == set()
