"""Measure how many small faults the tests notice: `make mutants`, or `python tests/mutants.py model/vae.py`.

cosmic-ray makes the mutants: one changed operator, number, keyword or decorator each. A seeded sample of every module
runs against the module's own tests, in a copy of the repository under `.mutants`. Results are kept there, so a stopped
run goes on. A killed mutant runs again when its module changes, a survivor also when its tests change.
"""

import argparse
import ast
import collections
import contextlib
import dataclasses
import gc
import hashlib
import importlib
import json
import os
import py_compile
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
STORE = HERE / ".mutants"
TREE = STORE / "tree"
EQUIVALENT = HERE / "tests" / "mutants_equivalent.txt"
ROOMS = ("manifests", "dataset_tools", "model", "pipelines")
LOWEST_SHARE, LOWEST_MODULE_SHARE = 0.85, 0.6
SLOWEST_S = 60
"""Tests that take longer while they are recorded aren't used."""
HEAVY = (
    "numpy pandas pyarrow.parquet scipy.signal scipy.ndimage torch librosa soundfile soxr yaml click jinja2 pretty_midi mido "
    "symusic mir_eval safetensors.torch distributed pytest hypothesis"
)
"""The server imports these once; its children are forks."""

TESTS = {
    "dataset_tools/harmony.py": "harmony chords",
    "dataset_tools/rhythm.py": "rhythm beats",
    "dataset_tools/triplets.py": "triplets instructions",
    "dataset_tools/audit/": "audit audit_labels audit_leakage",
    "dataset_tools/corpus/": "charts corpus",
    "dataset_tools/layouts/__init__.py": "layouts folder scan",
    "dataset_tools/layouts/folder.py": "folder layouts",
    "dataset_tools/midi/": "rhythm harmony",
    "dataset_tools/pairing/": "triplets matching instructions pair",
    "dataset_tools/recognisers/chord_network.py": "chords chords_matrix",
    "dataset_tools/sharding/": "shards render tasks verify shard bad_shards",
    "dataset_tools/tasks/": "tasks triplets matching instructions",
    "model/blocks.py": "blocks unet vae",
    "model/clap.py": "embedding training_embedding",
    "model/conditions/": "unet conditions_text conditioning guidance",
    "model/config.py": "commands_presets checkpoint vae",
    "model/devices.py": "commands_train training_loop",
    "model/masks.py": "editing_preserve",
    "model/presets.py": "commands_presets vae unet",
    "model/pretrained.py": "conditions_text training_vae",
    "model/resample.py": "musicnn embedding",
    "model/residual.py": "vae",
    "model/spectrum.py": "vae losses",
    "model/tensor_bundle.py": "musicnn",
}
"""Tests of a module or a folder, where they are not in the test file with the module's name alone."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One changed place of one module."""

    module: str
    line: int
    change: str
    source: str

    @property
    def key(self) -> str:
        """Name the mutant by its module and its whole source."""
        return hashlib.sha256(f"{self.module}\0{self.source}".encode()).hexdigest()[:20]


def modules(chosen: list[str]) -> list[str]:
    """List the modules of dataset_tools and model with code; of these, those whose paths begin as the chosen ones."""
    paths = sorted(path for room in ("dataset_tools", "model") for path in (HERE / room).rglob("*.py"))
    names = [str(path.relative_to(HERE)) for path in paths if len(path.read_text().splitlines()) > 2]
    return [name for begin in chosen or [""] for name in names if name.startswith(begin)]


def own_tests(module: str) -> list[str]:
    """Name the test files of a module: its row in the table, or its folder's, and the file with its name."""
    stems = (TESTS.get(module) or TESTS.get(module.rpartition("/")[0] + "/", "")).split()
    stems = list(dict.fromkeys([Path(module).stem, *stems]))
    return [name for stem in stems if (HERE / (name := f"tests/test_{stem}.py")).exists()]


def annotations(source: str) -> set[tuple[int, int]]:
    """Find the positions inside annotations: a mutant there fails at import, or changes nothing."""
    spans: set[tuple[int, int]] = set()
    for node in ast.walk(ast.parse(source)):
        for each in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if each is not None:
                spans |= {(part.lineno, part.col_offset) for part in ast.walk(each) if hasattr(part, "lineno")}
                spans |= {(each.lineno, column) for column in range(each.col_offset, each.end_col_offset)}
    return spans


def draws(module: str, source: str, seed: int) -> list[tuple[str, int, int]]:
    """Draw (operator, occurrence, line): one of each place before a second one of any. Lines that move keep their draw."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    skipped, lines = annotations(source), source.splitlines()
    nodes = [node for node in ast_nodes(get_ast(source)) if node.type not in ("name", "string", "newline")]
    places: dict[tuple[int, int], list[tuple[str, tuple[str, int, int]]]] = collections.defaultdict(list)
    for name in operator_names():
        # `==` and `is` agree on small numbers and None; the variable operators need names of variables.
        if "Variable" in name or "NoOp" in name or name.endswith(("_Is", "_IsNot")):
            continue
        operator = get_operator(name)()
        positions = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, start in enumerate(positions):
            if start not in skipped:
                line, nth = lines[start[0] - 1], positions[:occurrence].count(start)
                column = start[1] - len(line) + len(line.lstrip())
                lot = hashlib.sha256(f"{seed} {module} {line.strip()} {column} {name} {nth}".encode()).hexdigest()
                places[start].append((lot, (name, occurrence, start[0])))
    ordered = [sorted(each) for each in places.values()]
    turns = max(map(len, ordered), default=0)
    rounds = [sorted(each[turn] for each in ordered if turn < len(each)) for turn in range(turns)]
    return [draw for each in rounds for _, draw in each]


def sample(module: str, count: int, seed: int) -> list[Mutant]:
    """Make the first mutants that the draw gives; those that don't parse are left out."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    source = (HERE / module).read_text()
    mutants: list[Mutant] = []
    for name, occurrence, line in draws(module, source, seed):
        if len(mutants) == count:
            break
        with contextlib.suppress(AttributeError):  # the exception replacer knows no `except module.Error`
            mutated = mutate_code(source, get_operator(name)(), occurrence)
            if mutated and mutated != source and parses(mutated):
                mutants.append(Mutant(module, line, difference(source, mutated), mutated))
    return mutants


def parses(source: str) -> bool:
    with contextlib.suppress(SyntaxError):
        return bool(compile(source, "mutant", "exec"))
    return False


def difference(source: str, mutated: str) -> str:
    """Write the changed lines as `old -> new`."""
    old, new = source.splitlines(), mutated.splitlines()
    first = next((i for i, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), min(len(old), len(new)))
    last = next((i for i, pair in enumerate(zip(old[::-1], new[::-1], strict=False)) if pair[0] != pair[1]), 0)
    sides = (" ".join(" ".join(side[first : len(side) - last]).split()) for side in (old, new))
    return " -> ".join(sides)


def function_at(source: str, line: int) -> str | None:
    """Name the outermost function around a line (`Class.method`), if there is one."""

    def search(body: list[ast.stmt], prefix: str) -> str | None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                if first <= line <= (node.end_lineno or first):
                    name = prefix + node.name
                    return name if isinstance(node, ast.FunctionDef) else search(node.body, name + ".")
        return None

    return search(ast.parse(source).body, "")


class _Recorder:
    """A pytest plugin that notes which functions each test calls, and how long it takes."""

    def __init__(self) -> None:
        self.tests: dict[str, dict[str, object]] = {}
        self.calls: dict[str, set[tuple[str, str]]] = collections.defaultdict(set)
        self.now = "import"
        self.names: dict[int, tuple[object, tuple[str, str] | None]] = {}

    def trace(self, frame, event, arg):
        code = frame.f_code
        known = self.names.get(id(code))
        if known is None:
            path = os.path.realpath(code.co_filename)
            name = code.co_qualname.partition(".<locals>")[0]
            ours = path.startswith((f"{TREE}/dataset_tools/", f"{TREE}/model/"))
            known = self.names[id(code)] = (code, (path[len(str(TREE)) + 1 :], name) if ours else None)
        if known[1]:
            self.calls[self.now].add(known[1])

    def pytest_runtest_logstart(self, nodeid):
        self.now = "setup"

    def pytest_runtest_call(self, item):
        self.now = item.nodeid

    def pytest_runtest_teardown(self, item):
        self.now = "setup"

    def pytest_runtest_logreport(self, report):
        test = self.tests.setdefault(report.nodeid, {"seconds": 0.0, "passed": True})
        test["seconds"] += report.duration
        test["passed"] = test["passed"] and report.passed

    def pytest_sessionfinish(self):
        sys.settrace(None)
        for nodeid, test in self.tests.items():
            test["calls"] = sorted(self.calls[nodeid])
        kept = {"tests": self.tests, "setup": sorted(self.calls["setup"] | self.calls["import"])}
        (STORE / "recorded.json").write_text(json.dumps(kept))

    def start(self) -> None:
        sys.settrace(self.trace)
        threading.settrace(self.trace)


def trial(arguments: Sequence[str], seconds: float, *, record: bool = False) -> int | None:
    """Run pytest in a fork of this process; give its exit code, or None when the time is over."""
    scratch = STORE / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    pid = os.fork()
    if pid == 0:
        child(arguments, scratch, _Recorder() if record else None)
    end = time.monotonic() + seconds
    code: int | None = None
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if code is None:
        os.waitpid(pid, 0)
    return code


def child(arguments: list[str], scratch: Path, recorder: _Recorder | None) -> None:
    """Become a test process: a group of its own, bounded memory and files, output to a file."""
    os.setpgid(0, 0)
    output = os.open(STORE / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    resource.setrlimit(resource.RLIMIT_DATA, (8 << 30, 8 << 30))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
    os.chdir(TREE)
    os.environ |= {"PYTHONPATH": str(TREE / ".pkg"), "TMPDIR": str(scratch), "NUMBA_CACHE_DIR": str(STORE / "numba")}
    sys.path.insert(0, str(TREE / ".pkg"))
    sys.dont_write_bytecode = recorder is None
    import pytest

    if recorder:
        recorder.start()
    options = [
        "-q",
        "--no-header",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        f"--basetemp={scratch}/pytest",
        "--hypothesis-seed=0",
    ]
    code = pytest.main([*options, *([] if recorder else ["-x"]), *arguments], plugins=[recorder] if recorder else [])
    os._exit(int(code))


def copy_tree() -> None:
    """Copy what the tests need, with a package of links before any installed one."""
    shutil.rmtree(TREE, ignore_errors=True)
    TREE.mkdir(parents=True)
    for path in sorted(HERE.iterdir()):
        if path.is_dir() and path.name in (*ROOMS, "tests", "docs", ".ci"):
            shutil.copytree(path, TREE / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.is_file():
            shutil.copy(path, TREE / path.name)
    (TREE / ".pkg" / "instructme").mkdir(parents=True)
    links = [*ROOMS, *(path.relative_to(TREE) for path in (TREE / "pipelines" / "api").iterdir())]
    for link in links:
        (TREE / ".pkg" / "instructme" / Path(link).name).symlink_to(TREE / link)


def digest(*paths: str) -> str:
    return hashlib.sha256(b"\0".join((TREE / path).read_bytes() for path in paths)).hexdigest()[:20]


def record(test_file: str, module: str) -> dict:
    """Run a test file on the true code once, and note its tests' calls; keep that until the file or the module changes."""
    path = STORE / "records" / f"{Path(test_file).stem}.json"
    path.parent.mkdir(exist_ok=True)
    kept = json.loads(path.read_text()) if path.exists() else {"test": ""}
    if kept["test"] == digest(test_file) and kept["modules"].get(module) == digest(module):
        return kept
    recorded = STORE / "recorded.json"
    recorded.unlink(missing_ok=True)
    code = trial([f"--timeout={SLOWEST_S}", test_file], 900, record=True)
    kept = {"test": digest(test_file), "modules": {each: digest(each) for each in modules([])}}
    kept |= json.loads(recorded.read_text()) if recorded.exists() else {"tests": {}, "setup": []}
    bad = [name for name, test in kept["tests"].items() if not test["passed"] and code]
    if code:
        print(
            f"{test_file} ends with {code} on the true code and is used without {bad or 'its tests'}: see output.txt", flush=True
        )
    path.write_text(json.dumps(kept))
    return kept


def choose(mutant: Mutant) -> dict[str, float]:
    """Choose the tests that reach a mutant, the fastest first, with the seconds they take."""
    name = function_at((TREE / mutant.module).read_text(), mutant.line)
    reaching: dict[str, float] = {}
    every: dict[str, float] = {}
    for test_file in own_tests(mutant.module):
        kept = record(test_file, mutant.module)
        passed = {nodeid: test for nodeid, test in kept["tests"].items() if test["passed"]}
        every |= {nodeid: test["seconds"] for nodeid, test in passed.items()}
        at_setup = any(each[0] == mutant.module and name in (None, each[1]) for each in kept["setup"])
        for nodeid, test in passed.items():
            if at_setup or any(each[0] == mutant.module and name in (None, each[1]) for each in test["calls"]):
                reaching[nodeid] = test["seconds"]
    times = reaching or every
    return dict(sorted(times.items(), key=lambda item: item[1]))


def outcome(mutant: Mutant) -> str:
    """Run one mutant: killed, over its time, or survived."""
    tests = choose(mutant)
    if not tests:
        return "survived"
    limit = 20 + 5 * sum(tests.values())
    slow = f"--timeout={15 + 5 * max(tests.values()):.0f}"  # of one test: endless loops end soon
    path = TREE / mutant.module
    original = path.read_text()
    cached = Path(py_compile.compile(str(path), doraise=True))
    try:
        cached.unlink()
        path.write_text(mutant.source)
        code = trial([slow, *tests], limit)
        if code in (4, 5):  # the mutant renames parametrised tests
            code = trial([slow, *own_tests(mutant.module)], limit + 60)
    finally:
        path.write_text(original)
        py_compile.compile(str(path), doraise=True)
    return "over time" if code is None else "killed" if code else "survived"


def known_results() -> dict[str, dict[str, str]]:
    path = STORE / "results.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def measure(mutants: list[Mutant]) -> None:
    """Run the mutants whose result isn't known."""
    known = known_results()
    for mutant in mutants:
        tests = digest(*own_tests(mutant.module))
        result = known.get(mutant.key)
        if result and (result["outcome"] != "survived" or result["tests"] == tests):
            continue
        begin = time.monotonic()
        result = {"key": mutant.key, "tests": tests, "outcome": outcome(mutant), "mutant": f"{mutant.module}: {mutant.change}"}
        with (STORE / "results.jsonl").open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(
            f"{time.monotonic() - begin:6.1f} s  {result['outcome']:9}  {mutant.module}:{mutant.line}: {mutant.change}",
            flush=True,
        )


def equivalents() -> dict[str, str]:
    """Read the mutants that change nothing a user could notice, with a reason each."""
    rows = [line.rpartition(" | ") for line in EQUIVALENT.read_text().splitlines() if line and not line.startswith("#")]
    return {mutant: reason for mutant, _, reason in rows}


def report(mutants: list[Mutant]) -> bool:
    """Print the share killed by module and over all, and the survivors; say whether the shares are high enough."""
    known, reasons = known_results(), equivalents()
    table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for mutant in mutants:
        if result := known.get(mutant.key):
            equal = result["outcome"] == "survived" and result["mutant"] in reasons
            table[mutant.module]["equivalent" if equal else result["outcome"]] += 1
            if result["outcome"] == "survived" and not equal:
                print(f"survived: {mutant.module}:{mutant.line}: {mutant.change}")
    print(f"\n{'module':45} killed  of  equivalent  share")
    shares = []
    for module, counts in [*table.items(), ("all", sum(table.values(), collections.Counter()))]:
        killed = counts["killed"] + counts["over time"]
        total = killed + counts["survived"]
        shares.append(killed / max(total, 1) if total else 1.0)
        print(f"{module:45} {killed:6} {total:3}  {counts['equivalent']:10}  {shares[-1]:.2f}")
    return shares[-1] >= LOWEST_SHARE and min(shares) >= LOWEST_MODULE_SHARE


def main() -> None:
    """Measure and report; exit 1 where too many mutants survive."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="paths, or beginnings of paths, from the repository's root")
    parser.add_argument("--count", type=int, default=20, help="mutants of each module")
    parser.add_argument("--seed", type=int, default=0, help="the draw of the sample")
    parser.add_argument("--report", action="store_true", help="run nothing, print the results so far")
    options = parser.parse_args()
    STORE.mkdir(exist_ok=True)
    if not options.report:
        os.environ["OMP_NUM_THREADS"] = "1"
        copy_tree()
        for name in HEAVY.split():
            importlib.import_module(name)
        gc.freeze()
    mutants = []
    for module in modules(options.modules):
        mutants += (drawn := sample(module, options.count, options.seed))
        if not options.report:
            measure(drawn)
    sys.exit(not report(mutants))


if __name__ == "__main__":
    main()
