"""Make tests/notes_golden.json: the notes that basic-pitch's own decoder finds in made-up activations.

instructme models fetch notes
python tests/notes_golden.py ~/.cache/instructme/weights/notes-0.4.0.whl

Only the functions that decode are taken out of the wheel: the package needs TensorFlow.
"""

import ast
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import scipy.signal

GOLDEN = Path(__file__).with_suffix(".json")
FUNCTIONS = ("output_to_notes_polyphonic", "get_infered_onsets", "constrain_frequency")


def activations(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make (400, 88) activations of sounding and of starting notes: long and short, loud and faint, clear and blurred starts."""
    rng = np.random.default_rng(seed)
    sounding, starting = 0.2 * rng.random((400, 88)), 0.2 * rng.random((400, 88))
    for _ in range(60):
        start, length, pitch = int(rng.integers(0, 390)), int(rng.integers(4, 80)), int(rng.integers(0, 88))
        level = rng.uniform(0.25, 1)
        sounding[start : start + length, pitch] = level * np.linspace(1, 0.6, length)[: 400 - start]
        starting[start, pitch] = rng.choice([0.1, 0.6, 0.9])
    return sounding.round(3).astype(np.float32), starting.round(3).astype(np.float32)


def main(wheel: Path) -> None:
    """Decode as basic-pitch does by default."""
    with zipfile.ZipFile(wheel) as archive:
        tree = ast.parse(archive.read("basic_pitch/note_creation.py"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS]
    for node in tree.body:
        node.returns = None
        for argument in node.args.args:
            argument.annotation = None
    made: dict = {"np": np, "scipy": scipy, "MIDI_OFFSET": 21, "MAX_FREQ_IDX": 87}
    exec(compile(tree, str(wheel), "exec"), made)
    golden = {}
    for seed in range(3):
        sounding, starting = activations(seed)
        notes = made["output_to_notes_polyphonic"](sounding.astype(float), starting.astype(float), 0.5, 0.3, 11, True, None, None)
        golden[str(seed)] = sorted([int(start), int(end), int(pitch)] for start, end, pitch, _ in notes)
    GOLDEN.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
