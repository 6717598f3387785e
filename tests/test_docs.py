"""README and manual tell the truth: commands have their options, code runs, links lead somewhere, numbers have commands."""

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile
from made_work import make_work

from instructme.dataset_tools import song_files
from instructme.dataset_tools.layouts import FoundTrack
from instructme.dataset_tools.layouts import folder as folder_layout
from instructme.dataset_tools.tasks import task_names
from instructme.manifests import describe, tables
from instructme.manifests.rows import Reject
from instructme.model import checkpoint, config
from instructme.model.presets import PRESETS, TINY
from instructme.model.unet import Unet
from instructme.model.vae import Vae
from instructme.pipelines.cli import main
from instructme.pipelines.stages.shard import shard

ROOT = Path(__file__).parents[1]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]}
TEXT = "\n".join(PAGES.values())
JOINED = TEXT.replace("\\\n", " ")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = sorted(
    {line.strip() for line in re.findall(r"(?:^|[ `/])instructme (?!import)([a-z]+ [^`\n#;|]*)", JOINED, re.MULTILINE)}
)
RUN = ["open_shards, TripletDataset", "crop_s", 'TripletDataset("work"', "for triplet in open_shards", "io.BytesIO(sample"]
RUN += ["load_dataset", "soundfile.write", "rejects.groupby", "SLURMCluster(", "Editor, TripletDataset"]
MOST_WORDS = 25
REASON_AT = {"StemFault": 0, "Rejected": 1, "tell": 1, "reject": 2, "Reject": 4}
"""Place of the reason among the arguments."""
PAIRED = r'"(\w+)": (?:pool\.windows|no_genre)|unmatched\["(\w+)"\]|~full\] = "(\w+)"|reason = "(\w+)" if .* else "(\w+)"'
"""How `pair` names its reasons in the code."""


def python(word: str) -> str:
    """Find the one block of code that holds a word."""
    (code,) = [block for block in PYTHON if word in block]
    return code


def found(line: str) -> tuple[click.Command, list[str]]:
    """Look up the command of a line, and give the words after it."""
    verb, *words = shlex.split(line)
    command = main.get_command(click.Context(main), verb)
    if isinstance(command, click.Group) and words:
        command = command.get_command(click.Context(command), words.pop(0))
    assert command is not None, line
    return command, words


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_have_the_options_and_arguments_that_are_named(line: str) -> None:
    command, words = found(line)
    if words and "COMMAND" not in line and not re.search(r"\b(TEXT|\.\.\.)\b", line):
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert {word for word in words if re.match("--?[a-z]", word)} <= known


def in_blocks() -> list[str]:
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)).replace("\\\n", " ")
    return sorted({line.strip() for line in re.findall(r"(?:^|no-python +)instructme ([^#\n]*)", blocks, re.MULTILINE)})


@pytest.mark.parametrize("line", in_blocks())
def test_commands_in_blocks_are_complete(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Click parses them: nothing that is needed is missing, and every value fits its option."""
    monkeypatch.chdir(tmp_path)
    command, words = found(line)
    for word in (word.rpartition("=")[2] for word in words):  # Files and folders that must be there.
        if re.fullmatch(r"[\w/.]+", word) and not word.replace(".", "").isdigit():
            place = tmp_path / word
            (place.parent if place.suffix else place).mkdir(parents=True, exist_ok=True)
            if place.suffix:
                place.touch()
    command.make_context("instructme", words)


def made_run(run: Path) -> None:
    preset = config.override(TINY, ["unet.channels=[64]", "unet.chords=false", "text.width=384"])
    checkpoint.write_config(run, "editor", preset)
    checkpoint.save_weights(run, "weights", Unet(preset).state_dict())
    checkpoint.save_weights(run, "vae", Vae(preset.vae).state_dict())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder in which the snippets run: work, work/shards, runs/editor, song.wav."""
    folder = tmp_path_factory.mktemp("docs")
    work = make_work(folder / "work")
    shard(work, work / "shards", limit=4, splits=["train"], workers=0)
    made_run(folder / "runs/editor")
    tables.write_rejects(work / "rejects.parquet", "scan", [Reject("scan", "set", None, "a.wav", "not_read", "unused", 1)])
    song = np.random.default_rng(0).uniform(-0.2, 0.2, (44100, 2)).astype(np.float32)
    soundfile.write(folder / "song.wav", song, 44100)
    return folder


def run(word: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    made: dict[str, Any] = {}
    monkeypatch.chdir(folder)
    exec(python(word), made)
    return made


def test_every_block_of_python_is_run_or_compiled_here() -> None:
    assert all(any(word in block for word in RUN) for block in PYTHON)


def test_the_readme_s_snippet_reads_and_edits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run("import Editor, TripletDataset, open_shards", folder, monkeypatch)
    assert made["edited"].shape == made["triplet"]["source"].shape


def test_webdataset_reads_shards_in_five_lines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sum(bool(line) for line in python("io.BytesIO(sample").splitlines()) == 5
    capsys.readouterr()
    run("io.BytesIO(sample", folder, monkeypatch)
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_shards_are_streamed(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("for triplet in open_shards", folder, monkeypatch)
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_hugging_face_reads_shards(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    read = run("load_dataset", folder, monkeypatch)
    assert len(read["shards"]) == 4 and read["shards"][0]["source.flac"].startswith(b"fLaC")


def test_triplets_are_cropped_and_stacked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run("crop_s", folder, monkeypatch)
    assert len(made["loader"].dataset) == 4
    assert set(made["triplets"][0]) == {"key", "task", "instruction", "source", "target", "json"}


def test_triplets_are_mixed_on_the_fly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(run('TripletDataset("work", "train")\nprint', folder, monkeypatch)["triplets"]) > 1


def test_a_song_is_edited_from_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("soundfile.write", folder, monkeypatch)
    assert soundfile.info(folder / "out.wav").frames == 44100


def test_rejects_are_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "rejects" in run("rejects.groupby", folder, monkeypatch)


def test_the_slurm_script_asks_for_commands_that_exist() -> None:
    code = python("SLURMCluster(")
    compile(code, "slurm.py", "exec")
    verbs = [ast.literal_eval(verb) for verb in re.findall(r'\["([a-z]+)", work', code) for verb in [f'"{verb}"']]
    assert verbs == ["prepare", "pair", "shard"] and all(main.get_command(click.Context(main), verb) for verb in verbs)


@pytest.mark.slow
def test_the_manual_is_built_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    package = tmp_path / "typed/instructme"
    package.mkdir(parents=True)
    for place in ("manifests", "dataset_tools", "model", "pipelines", "pipelines/api/__init__.py"):
        (package / Path(place).name).symlink_to(ROOT / place)
    program = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    result = subprocess.run(
        program, cwd=ROOT, env={**os.environ, "TYPED": str(tmp_path / "typed")}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    pages = "".join(path.read_text() for path in (tmp_path / "site").rglob("*.html"))
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=.?https?:", pages)
    assert 'class="doc doc-heading"' in pages


def test_nothing_is_left_to_be_filled_in() -> None:
    assert not re.findall(r"@[A-Z]+@|TODO|TBD", TEXT)


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", PAGES[page]):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    assert set(re.findall(r": ([\w/]+\.md)", navigation)) == {page.removeprefix("docs/") for page in PAGES} - {"README.md"}


def test_every_option_that_is_named_exists() -> None:
    known = set(options(main))
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known


def test_every_setting_of_a_command_is_in_its_help() -> None:
    """`--set` of `edit` and `pair` names settings; that of `train` fields of a preset."""
    for verb, page in (("edit", "docs/editing.md"), ("pair", "docs/decisions.md")):
        command, _ = found(verb)
        text = command.get_help(click.Context(command)).partition("Settings")[2]
        settings = set(re.findall(r"^  ([a-z_]+) ", text, re.MULTILINE))
        assert settings and all(f"`{name}`" in PAGES[page] or f"--set {name}`" in PAGES[page] for name in settings)


def test_fields_of_presets_that_are_named_exist() -> None:
    for assignment in set(re.findall(r"--set ([a-z]+\.[a-z_]+=[\w/.-]+)", TEXT)):
        config.override(TINY, [assignment])


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`(?:python )?(tests/benchmarks/[^`]+)`", TEXT))))
def test_every_benchmark_that_is_named_exists_with_its_options(command: str) -> None:
    script, *arguments = command.split()
    told = (ROOT / script).read_text()
    assert all(f'"{argument}"' in told for argument in arguments if argument.startswith("--"))


def test_tests_that_are_named_exist() -> None:
    assert all((ROOT / name).exists() for name in re.findall(r"\btests/\w+\.py", TEXT))


def test_the_readme_is_short() -> None:
    readme = ROOT / "README.md"
    assert len(readme.read_text().splitlines()) <= 150 and readme.stat().st_size <= 9_000


def test_the_readme_shows_every_task() -> None:
    assert all(f"| {task} |" in PAGES["README.md"] for task in task_names())


def test_the_presets_are_listed() -> None:
    assert all(f"| `{name}` |" in PAGES["docs/training.md"] for name in PRESETS)


def test_layouts_are_listed_with_a_tree() -> None:
    names = {path.stem for path in (ROOT / "dataset_tools/layouts").glob("[a-z]*.py")}
    assert names == set(re.findall(r"^### (\w+)$", PAGES["docs/datasets.md"], re.MULTILINE))


def tree(text: str, root: Path) -> None:
    """Make the folders and empty files of a drawn tree."""
    folders = {0: root}
    for line in text.splitlines()[1:]:
        if match := re.match(r"((?:│   |    )*)[├└]── (.*?)(?:\s{3,}.*)?$", line.strip("\n")):
            depth, place = len(match[1]) // 4, folders[len(match[1]) // 4] / match[2]
            if match[2].endswith("/"):
                place.mkdir(parents=True)
                folders[depth + 1] = place
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()


def trees(title: str, following: str) -> list[str]:
    """Give the drawn trees between two headings, without indentation."""
    section = PAGES["docs/datasets.md"].partition(f"{title}\n")[2].partition(f"\n{following}")[0]
    return [textwrap.dedent(block) for block in re.findall(r"```text\n(.*?)```", section, re.DOTALL) if "──" in block]


def test_trees_of_your_own_songs_are_read_as_drawn(tmp_path: Path) -> None:
    songs = []
    for number, text in enumerate(trees("## What must my data look like?", "## Formats")[:3]):
        tree(text, tmp_path / str(number))
        found = [item for item in folder_layout.tracks(tmp_path / str(number)) if isinstance(item, FoundTrack)]
        songs.append([len(track.stems) for track in found])
    assert songs == [[3, 2], [2, 2], [3]]
    assert not song_files.group(["Kick In", "Kick Out"]).songs


@pytest.mark.parametrize("layout", ["slakh", "musdb", "moisesdb", "medleydb"])
def test_the_tree_of_a_layout_is_recognised(layout: str, tmp_path: Path) -> None:
    (text,) = trees(f"### {layout}", "###")
    tree(text, tmp_path)
    assert importlib.import_module(f"instructme.dataset_tools.layouts.{layout}").recognises(tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_cells_of_tables_are_short(page: str) -> None:
    cells = [cell for line in PAGES[page].splitlines() if line.startswith("|") for cell in line.split("|")]
    assert max((len(cell.split()) for cell in cells if "`python" not in cell), default=0) <= MOST_WORDS


def test_the_page_of_tables_is_generated() -> None:
    assert PAGES["docs/tables.md"] == describe.markdown()


def reasons() -> set[str]:
    """Find the reason codes in the code: arguments of rejects, faults of headers, and what `pair` can't use."""
    codes: set[str] = set()
    for path in (*ROOT.glob("dataset_tools/**/*.py"), *ROOT.glob("pipelines/stages/*.py")):
        text = path.read_text()
        for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
            place = REASON_AT.get(str(getattr(call.func, "attr", getattr(call.func, "id", ""))))
            codes |= strings(call.args[place]) if place is not None and len(call.args) > place else set()
        codes |= set(re.findall(r'return f"([a-z_]+): \{path\}', text))
        codes |= {code for match in re.findall(PAIRED, text) for code in match if code}
        codes |= {
            code for group in re.findall(r"np\.select\(\s*\[.*?\], \[(.*?)\]", text) for code in re.findall(r'"(\w+)"', group)
        }
    return codes


def strings(node: ast.expr) -> set[str]:
    """Give the reasons that an argument can be: a text, or one of two."""
    if isinstance(node, ast.IfExp):
        return strings(node.body) | strings(node.orelse)
    return {str(node.value)} if isinstance(node, ast.Constant) else set()


def test_every_reject_reason_has_a_cause_and_a_remedy() -> None:
    listed = PAGES["docs/problems.md"].partition("### Reasons of scan")[2].partition("## Exit codes")[0]
    explained = set(re.findall(r"^\| `(\w+)` \| \S.* \| \S.* \|$", listed, re.MULTILINE))
    assert explained == reasons()


def options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from options(below)
