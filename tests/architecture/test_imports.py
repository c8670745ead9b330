"""The order of the house beyond the contracts: circles, Redis through the store alone, the folders of Lua."""

from __future__ import annotations

import ast
import graphlib
import re

import grimp
import pytest

from support.paths import ROOT

PACKAGES = {"swapjobs": "producers", "swapworker": "worker", "swapsandbox": "ops"}
LUA = ROOT / "producers/swapjobs/store/lua"
# Top to bottom: a module requires only those of its own folder and of folders below.
LUA_FOLDERS = (
    *("main", "functions", "operations", "vendor", "jobs", "batches", "webhooks", "queue", "records", "fleet"),
    "contract",
)


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Return a circle of modules that import each other, or nothing where there is none."""
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        modules: list[str] = error.args[1]
        return modules
    return []


def test_no_module_imports_itself_on_the_way_type_only_imports_included() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    assert circle({module: graph.find_modules_directly_imported_by(module) for module in graph.modules}) == []


def test_a_circle_would_be_found() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}


@pytest.mark.parametrize("package", ["swapjobs", "swapworker"])
def test_nobody_reaches_through_the_store_to_redis(package: str) -> None:
    reaches = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / PACKAGES[package] / package).rglob("*.py")
        if "swapjobs/store" not in path.as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "redis"
    ]
    assert reaches == []


def lua_requires() -> dict[str, set[str]]:
    required = {}
    for path in LUA.rglob("*.lua"):
        name = path.relative_to(LUA).with_suffix("").as_posix().removeprefix("shared/").replace("/", ".")
        required[name] = set(re.findall(r"require\('([\w.]+)'\)", path.read_text(encoding="utf-8")))
    return required


def test_lua_modules_require_downwards_only() -> None:
    upwards = [
        f"{module} requires {other}"
        for module, others in lua_requires().items()
        for other in others
        if LUA_FOLDERS.index(module.split(".")[0]) > LUA_FOLDERS.index(other.split(".")[0])
    ]
    assert upwards == []
    assert circle(lua_requires()) == []
