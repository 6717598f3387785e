"""Measure `scan` on a made-up Slakh2100: 2,100 tracks of 10 stems with genuine-looking metadata, headers only.

Run: python tests/benchmarks/scan.py [FOLDER]
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import yaml

from instructme.pipelines.stages.scan import scan

TRACKS, STEMS = 2100, 10


def build(root: Path) -> None:
    """Write the tree; all stems are links to one short file, so that only opening them costs."""
    root.mkdir(parents=True)
    soundfile.write(root / "stem.flac", np.zeros(4410, dtype=np.float32), 44100)
    for number in range(1, TRACKS + 1):
        split = "train" if number <= 1500 else "validation" if number <= 1875 else "test"
        folder = root / split / f"Track{number:05d}"
        (folder / "stems").mkdir(parents=True)
        (folder / "MIDI").mkdir()
        stems = {}
        for stem in range(STEMS):
            os.link(root / "stem.flac", folder / "stems" / f"S{stem:02d}.flac")
            (folder / "MIDI" / f"S{stem:02d}.mid").touch()
            stems[f"S{stem:02d}"] = {
                "audio_rendered": True,
                "inst_class": "Piano",
                "integrated_loudness": -12.8,
                "is_drum": stem == 0,
                "midi_program_name": "Acoustic Grand Piano",
                "midi_saved": True,
                "plugin_name": f"patch_{(number + stem) % 187}.nkm",
                "program_num": 128 if stem == 0 else (number * 7 + stem * 13) % 128,
            }
        metadata = {"UUID": f"{number:032x}", "lmd_midi_dir": "lmd_matched/x.mid", "normalized": True, "stems": stems}
        (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata))


def main() -> None:
    """Build the tree, scan it twice, and print seconds and rows."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        build(Path(folder, "slakh2100"))
        for run in ("first", "again"):
            start = time.perf_counter()
            rows = scan([Path(folder, "slakh2100")], Path(folder, "work"))
            seconds = time.perf_counter() - start
            print(f"{run}: {seconds:.1f} s for {len(rows.tracks)} tracks, {len(rows.stems)} stems; {len(rows.rejects)} rejects")


if __name__ == "__main__":
    main()
