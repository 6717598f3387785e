"""Run a mutant against tests, in forks of a process that has imported the slow packages once: see `mutants.py`.

A mutant inside a function needs no import: a fork of a pytest session that has collected the tests swaps the function's code
and runs them. Any other mutant is written into the copy of the repository, and a fork imports everything afresh.
"""

import ast
import collections
import contextlib
import dataclasses
import gc
import hashlib
import json
import os
import py_compile
import resource
import shutil
import signal
import sys
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
STORE = HERE / ".mutants"
TREE = STORE / "tree"
ROOMS = ("manifests", "dataset_tools", "model", "pipelines")
SLOWEST_S = 10
"""Tests that take longer, in seconds of a processor, aren't used."""
FRESH = 99
"""Exit code of a fork whose mutant needs imports of its own."""


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


def function_at(source: str, line: int) -> tuple[str | None, bool]:
    """Name the outermost function around a line (`Class.method`), and say whether the line belongs to its body."""

    def search(body: list[ast.stmt], prefix: str) -> tuple[str | None, bool]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                if first <= line <= (node.end_lineno or first):
                    name = prefix + node.name
                    is_function = isinstance(node, ast.FunctionDef)
                    return (name, line >= node.body[0].lineno) if is_function else search(node.body, name + ".")
        return None, False

    return search(ast.parse(source).body, "")


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


def fork(work: Callable[[], int], seconds: float) -> int | None:
    """Run a function in a fork with a group of its own; give its exit code, or None when it hangs.

    `seconds` are those of a processor that the work should take. It may take five times as many, whatever else runs.
    """
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.setpgid(0, 0)
            spent = int(time.process_time() + 10 + 5 * seconds)
            for limit, most in ((resource.RLIMIT_DATA, 8 << 30), (resource.RLIMIT_FSIZE, 1 << 30), (resource.RLIMIT_CPU, spent)):
                resource.setrlimit(limit, (most, resource.getrlimit(limit)[1]))
            code = work()
        finally:
            os._exit(code)
    end, code = time.monotonic() + 120 + 50 * seconds, None
    while code is None and time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if done else time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if code is None:
        os.waitpid(pid, 0)
    return code


def session(arguments: Sequence[str], plugins: Sequence[object] = (), *, writes_bytecode: bool = True) -> int:
    """Become a test process: output to a file, the copy's package first."""
    output = os.open(STORE / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    scratch = STORE / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    os.chdir(TREE)
    os.environ |= {"PYTHONPATH": str(TREE / ".pkg"), "TMPDIR": str(scratch), "NUMBA_CACHE_DIR": str(STORE / "numba")}
    sys.path.insert(0, str(TREE / ".pkg"))
    sys.dont_write_bytecode = not writes_bytecode
    import pytest

    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={scratch}/pytest", "--hypothesis-seed=0"]
    return int(pytest.main([*options, *arguments], plugins=list(plugins)))


def noting(source: str) -> str:
    """Make each outermost function of a source say its name when it is called."""
    tree = ast.parse(source)

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef):
                node.body.insert(0, ast.parse(f"__called__({prefix + node.name!r})").body[0])
            elif isinstance(node, ast.ClassDef):
                visit(node.body, f"{prefix}{node.name}.")

    visit(tree.body, "")
    return ast.unparse(tree)


class ModuleTrials:
    """A pytest plugin that collects a module's tests, records them once, and runs its mutants in forks."""

    def __init__(self, module: str, mutants: Sequence[Mutant], record: Path, done: Callable[[Mutant, str], None]) -> None:
        """Prepare; `done` gets each mutant with its outcome: killed, over time, survived, or fresh where imports are needed."""
        self.module, self.mutants, self.record, self.done = module, mutants, record, done
        self.imported: set[str] = set()

    def pytest_sessionstart(self) -> None:
        """Note what is called while modules are imported."""
        path = f"/instructme/{self.module}"

        def trace(frame, event, arg):
            if frame.f_code.co_filename.endswith(path):
                self.imported.add(frame.f_code.co_qualname.partition(".<locals>")[0])

        sys.settrace(trace)

    def pytest_runtestloop(self, session) -> bool:
        """Run the mutants in place of the tests."""
        sys.settrace(None)
        source = (TREE / self.module).read_text()
        functions = collections.defaultdict(list)
        for each in gc.get_objects():
            if isinstance(each, types.FunctionType) and os.path.realpath(each.__code__.co_filename) == str(TREE / self.module):
                functions[each.__code__.co_qualname].append(each)
        if not self.record.exists():
            fork(lambda: self._keep_record(session, source, functions), 600)
        kept = json.loads(self.record.read_text())
        for mutant in self.mutants:
            name, in_body = function_at(source, mutant.line)
            outcome = "fresh"
            if name and in_body and functions[name] and name not in self.imported:
                outcome = self._try(session, mutant, name, functions[name], reaching(kept, name))
            self.done(mutant, outcome)
        return True

    def _keep_record(self, session, source: str, functions: dict[str, list[types.FunctionType]]) -> int:
        """Run every test on the true code, and write which functions each calls and how long it takes."""
        calls: dict[str, set[str]] = collections.defaultdict(set)
        now, module, tests = "", compile(noting(source), str(TREE / self.module), "exec"), {}
        for name in functions:
            if "<" not in name:
                swap(functions[name], code_of(module, name))
                for each in functions[name]:
                    each.__globals__["__called__"] = lambda name: calls[now].add(name)

        def begin(item: object) -> None:
            nonlocal now
            now = item.nodeid

        def stop(*_: object) -> None:
            raise TimeoutError

        signal.signal(signal.SIGPROF, stop)
        for item in session.items:
            now, seconds = "setup", time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SLOWEST_S)
            passed = run_items(session, [item], begin)
            signal.setitimer(signal.ITIMER_PROF, 0)
            tests[item.nodeid] = {"seconds": time.process_time() - seconds, "passed": passed}
        for nodeid, test in tests.items():
            test["calls"] = sorted(calls[nodeid])
        self.record.write_text(json.dumps({"tests": tests, "setup": sorted(calls["setup"])}))
        return 0

    def _try(self, session, mutant: Mutant, name: str, functions: Sequence[types.FunctionType], tests: dict[str, float]) -> str:
        def work() -> int:
            if not swap(functions, code_of(compile(mutant.source, str(TREE / self.module), "exec"), name)):
                return FRESH
            items = {item.nodeid: item for item in session.items}
            return int(not run_items(session, [items[nodeid] for nodeid in tests], stop=True))

        code = fork(work, sum(tests.values())) if tests else 0
        return "fresh" if code == FRESH else outcome_of(code)


def swap(functions: Sequence[types.FunctionType], code: types.CodeType | None) -> bool:
    """Give functions another code; say whether it fits."""
    if code is None or any(code.co_freevars != each.__code__.co_freevars for each in functions):
        return False
    for function in functions:
        function.__code__ = code
    return True


def outcome_of(code: int | None) -> str:
    """Say in a word how a fork ended."""
    return "over time" if code is None or code == -signal.SIGXCPU else "killed" if code else "survived"


def run_items(session, items: Sequence[object], called: Callable | None = None, *, stop: bool = False) -> bool:
    """Run collected tests; say whether all passed."""

    class Notice:
        def pytest_runtest_call(self, item):
            if called:
                called(item)

    plugin = Notice()
    session.config.pluginmanager.register(plugin)
    failed = session.testsfailed
    for item, following in zip(items, [*items[1:], None], strict=True):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if stop and session.testsfailed > failed:
            break
    session.config.pluginmanager.unregister(plugin)
    return session.testsfailed == failed


def code_of(code: types.CodeType, name: str) -> types.CodeType | None:
    """Find a function's code by its qualified name."""
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            if each.co_qualname == name:
                return each
            if name.startswith(each.co_qualname + "."):
                return code_of(each, name)
    return None


def reaching(kept: dict, name: str | None) -> dict[str, float]:
    """Choose the tests that call a function, or all of them for a constant, the fastest first, with their seconds."""
    usable = {nodeid: test for nodeid, test in kept["tests"].items() if test["passed"] and test["seconds"] < SLOWEST_S}
    chosen = usable
    if name and name not in kept["setup"]:
        chosen = {nodeid: test for nodeid, test in usable.items() if name in test["calls"]} or usable
    return dict(sorted(((nodeid, test["seconds"]) for nodeid, test in chosen.items()), key=lambda item: item[1]))


def fresh(mutant: Mutant, kept: dict, test_files: Sequence[str]) -> str:
    """Run a mutant with imports of its own."""
    name, _ = function_at((TREE / mutant.module).read_text(), mutant.line)
    tests = reaching(kept, name)
    if not tests:
        return "survived"
    path, seconds = TREE / mutant.module, sum(tests.values()) + 5
    original = path.read_text()
    Path(py_compile.compile(str(path), doraise=True)).unlink()
    try:
        path.write_text(mutant.source)
        code = fork(lambda: session(["-x", *tests], writes_bytecode=False), seconds)
        if code in (4, 5):  # the mutant renames parametrised tests
            code = fork(lambda: session(["-x", *test_files], writes_bytecode=False), seconds)
    finally:
        path.write_text(original)
    return outcome_of(code)
