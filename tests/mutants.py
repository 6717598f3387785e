"""Measure how many small faults the tests notice: `make mutants`, or `python tests/mutants.py model/vae.py`.

cosmic-ray makes the mutants: one changed operator, number, keyword or decorator each. A seeded sample of every module
runs against the module's own tests, in a copy of the repository under `.mutants`. Results are kept there, so a stopped
run goes on. A killed mutant runs again when its module changes, a survivor also when its tests change.
"""

import argparse
import ast
import collections
import contextlib
import gc
import hashlib
import importlib
import json
import os
import sys
import time
from pathlib import Path

from mutant_trials import HERE, STORE, TREE, ModuleTrials, Mutant, copy_tree, fork, fresh, session

EQUIVALENT = HERE / "tests" / "mutants_equivalent.txt"
LOWEST_SHARE, LOWEST_MODULE_SHARE = 0.85, 0.6
HEAVY = (
    "numpy pandas pyarrow.parquet scipy.signal scipy.ndimage torch librosa soundfile soxr yaml click jinja2 pretty_midi mido "
    "mir_eval safetensors.torch distributed pytest hypothesis"
)
"""The server imports these once; its children are forks."""

TESTS = {
    "dataset_tools/stems/alignment.py": "broken_headers",
    "dataset_tools/harmony.py": "harmony chords",
    "dataset_tools/prepare_track.py": "prepare",
    "dataset_tools/beats/beat_columns.py": "annotations",
    "dataset_tools/beats/rhythm.py": "rhythm bar_check beat_network annotations",
    "dataset_tools/triplets.py": "triplets instructions",
    "dataset_tools/audit/": "audit audit_distributions audit_coverage audit_rejects",
    "dataset_tools/audit/rejects.py": "audit_rejects",
    "dataset_tools/audit/report.py": "audit_shapes",
    "dataset_tools/audit/shapes.py": "audit_shapes",
    "dataset_tools/fingerprint.py": "audit_leakage",
    "dataset_tools/audit/labels.py": "audit_labels",
    "dataset_tools/audit/leakage.py": "audit_leakage",
    "dataset_tools/audit/midi_files.py": "audit_labels audit_leakage",
    "dataset_tools/corpus/": "charts",
    "dataset_tools/corpus/midi_score.py": "corpus",
    "dataset_tools/corpus/real.py": "corpus_real",
    "dataset_tools/corpus/recordings.py": "corpus_timbres hydrogen_kits",
    "dataset_tools/corpus/rough_mix.py": "corpus_timbres",
    "dataset_tools/corpus/soundfonts.py": "corpus_timbres",
    "dataset_tools/layouts/": "layouts",
    "dataset_tools/layouts/__init__.py": "layouts folder folder_splits",
    "dataset_tools/layouts/_beside_stems.py": "folder doubtful_names unread_files layouts",
    "dataset_tools/layouts/_folder_names.py": "folder",
    "dataset_tools/layouts/_kept_together.py": "folder",
    "dataset_tools/layouts/folder.py": "layouts folder_splits",
    "dataset_tools/song_names.py": "song_names song_files",
    "dataset_tools/stems/headers.py": "alignment broken_headers",
    "dataset_tools/stems/heard_twice.py": "bus_effects mixtures late_sums",
    "dataset_tools/stems/measures.py": "parts stored",
    "dataset_tools/stems/parts.py": "copies name_check part_levels",
    "dataset_tools/stems/song_spectra.py": "late_sums mix_check",
    "dataset_tools/stems/sources.py": "parts stereo_pairs mid_side",
    "dataset_tools/midi/": "rhythm bar_check",
    "dataset_tools/midi/note_chords.py": "harmony",
    "dataset_tools/pairing/": "triplets matching",
    "dataset_tools/recognisers/chord_network.py": "chords chords_matrix",
    "dataset_tools/sharding/": "shards",
    "dataset_tools/sharding/card.py": "shard_card",
    "dataset_tools/sharding/checks.py": "verify bad_shards",
    "dataset_tools/sharding/laws.py": "laws tasks",
    "dataset_tools/sharding/library.py": "verify",
    "dataset_tools/sharding/samples.py": "shards bad_shards shard",
    "dataset_tools/sharding/windows.py": "render",
    "dataset_tools/tasks/": "tasks triplets matching",
    "dataset_tools/unread_files.py": "unread_files table",
    "model/clap.py": "embedding",
    "model/conditions/": "unet conditions_text",
    "model/config.py": "commands_presets presets checkpoint",
    "model/masks.py": "editing_preserve",
    "model/presets.py": "commands_presets",
    "model/pretrained.py": "conditions_text",
    "model/spectrum.py": "vae",
    "dataset_tools/recognisers/musicnn_checkpoint.py": "musicnn",
}
"""Tests of a module or a folder, where they are not in the test file with the module's name alone."""


def modules(chosen: list[str]) -> list[str]:
    """List the modules of dataset_tools and model with code; of these, those whose paths begin as the chosen ones."""
    paths = sorted(path for room in ("dataset_tools", "model") for path in (HERE / room).rglob("*.py"))
    names = [str(path.relative_to(HERE)) for path in paths if len(path.read_text().splitlines()) > 2]
    return list(dict.fromkeys(name for begin in chosen or [""] for name in names if name.startswith(begin)))


def own_tests(module: str) -> list[str]:
    """Name the test files of a module: its row in the table, or its folder's, and the files with its name."""
    stems = (TESTS.get(module) or TESTS.get(module.rpartition("/")[0] + "/", "")).split()
    name = Path(module).stem.lstrip("_")
    stems = list(dict.fromkeys([name, f"{Path(module).parent.name}_{name}", *stems]))
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


def digest(*paths: str) -> str:
    return hashlib.sha256(b"\0".join((TREE / path).read_bytes() for path in paths)).hexdigest()[:20]


def known_results() -> dict[str, dict[str, str]]:
    path = STORE / "results.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def measure(module: str, mutants: list[Mutant]) -> None:
    """Run the mutants of a module whose result isn't known, and keep each result at once."""
    known, files = known_results(), own_tests(module)
    tests = digest(*files)
    todo = [
        mutant
        for mutant in mutants
        if not (result := known.get(mutant.key))
        or result["outcome"] == "fresh"
        or (result["outcome"] == "survived" and result["tests"] != tests)
    ]
    if not todo:
        return
    record = STORE / "records" / f"{digest(module, *files)}.json"
    record.parent.mkdir(exist_ok=True)
    begin = time.monotonic()

    def done(mutant: Mutant, outcome: str) -> None:
        nonlocal begin
        row = {"key": mutant.key, "tests": tests, "outcome": outcome, "mutant": f"{mutant.module}: {mutant.change}"}
        with (STORE / "results.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        if outcome != "fresh":
            with (STORE / "log.txt").open("a") as file:
                file.write(f"{time.monotonic() - begin:6.1f} s  {outcome:9}  {mutant.module}:{mutant.line}: {mutant.change}\n")
        begin = time.monotonic()

    def collect() -> int:
        return session(files, [ModuleTrials(module, todo, record, done)])

    if files:
        fork(collect, 3600)
    if not record.exists():
        print(f"{module}: its tests {files} can't be run: see {STORE}/output.txt", flush=True)
        return
    kept, results = json.loads(record.read_text()), known_results()
    left = [mutant for mutant in todo if results.get(mutant.key, {"outcome": "fresh"})["outcome"] == "fresh"]
    if left and fresh(Mutant(module, 0, "", (TREE / module).read_text()), kept, files) != "survived":
        print(f"{module}: its tests fail on the true code: see {STORE}/output.txt", flush=True)
        return
    for mutant in left:
        done(mutant, fresh(mutant, kept, files))
    counts = collections.Counter(result["outcome"] for each in mutants if (result := known_results().get(each.key)))
    print(module, dict(counts), flush=True)


def equivalents() -> dict[str, str]:
    """Read the mutants that change nothing a user could notice, with a reason each."""
    rows = [line.rpartition(" | ") for line in EQUIVALENT.read_text().splitlines() if line and not line.startswith("#")]
    return {mutant: reason for mutant, _, reason in rows}


def report(mutants: list[Mutant]) -> bool:
    """Print the share killed by module and over all, and the survivors; say whether the shares are high enough."""
    known, reasons = known_results(), equivalents()
    table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for mutant in mutants:
        if (result := known.get(mutant.key)) and result["outcome"] != "fresh":
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


def compile_librosa() -> None:
    """Track beats once: each process compiles librosa's functions anew, for nine seconds, and forks inherit them."""
    import librosa
    import numpy as np

    librosa.beat.beat_track(onset_envelope=np.arange(1000) % 50 == 0.0, sr=8000, hop_length=80)


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
        compile_librosa()
        gc.freeze()
    mutants = []
    for module in modules(options.modules):
        mutants += (drawn := sample(module, options.count, options.seed))
        if not options.report:
            measure(module, drawn)
    sys.exit(not report(mutants))


if __name__ == "__main__":
    main()
