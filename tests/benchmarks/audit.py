"""Measure `audit`: python tests/benchmarks/audit.py tables [TOTAL]; python tests/benchmarks/audit.py sound WORK.

`tables` makes tables of 1,700 songs and TOTAL recipes (2.0 M), then times `audit --no-audio` and its peak memory. `sound` hears
the songs of a prepared WORK and compares that with only decoding the same windows, on one core.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def tables(total: int = 2_000_000, tracks: int = 1700, clips: int = 25) -> None:
    """Make the tables in child processes, then audit them in another one."""
    from synthetic import write_tables

    from instructme.manifests.rows import Reject, Stem
    from instructme.manifests.tables import write

    command = Path(sys.executable).with_name("instructme")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_tables(work, tracks, clips)
        write(work / "stems.parquet", [], Stem)
        write(work / "rejects.parquet", [], Reject)
        subprocess.run([command, "pair", folder, "--total", str(total)], check=True, stdout=subprocess.DEVNULL)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.perf_counter()
        code = f"from pathlib import Path; from instructme.dataset_tools.audit import audit; audit(Path({folder!r}), audio=False)"
        measured = f"{code}; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        result = subprocess.run([sys.executable, "-c", measured], check=True, capture_output=True, text=True)
        seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    what = f"{total:,} recipes of {tracks * clips:,} clips"
    print(f"{what}: {seconds:.1f} s, {spent:.1f} s of CPU, peak {int(result.stdout) / 2**20:.2f} GiB")


def sound(work: Path) -> None:
    """Time reading the first minute of every part, and fingerprinting them; then the search for equal songs."""
    from instructme.dataset_tools import audio, fingerprint
    from instructme.dataset_tools.audit import inputs, leakage

    tables_of = inputs.read(work)
    songs = [rows for _, rows in tables_of.parts.groupby("track_id")]
    begin = time.process_time()
    for rows in songs:
        for path, length in zip(rows["path"], rows["length_samples"], strict=True):
            audio.read(work / path, length=min(int(length), leakage.HEARD_S * tables_of.rate_hz))
    decoded = time.process_time() - begin
    begin = time.process_time()
    prints = leakage.fingerprints(tables_of)
    heard = time.process_time() - begin
    many = {
        f"{track}-{copy}": words ^ copy * 0x9E3779B1 % 2**32
        for track, words in prints.items()
        for copy in range(2100 // len(prints))
    }
    begin = time.process_time()
    found_pairs = fingerprint.matches({name: words.astype("uint32") for name, words in many.items()})
    searched = time.process_time() - begin
    rate = len(tables_of.parts) * leakage.HEARD_S / heard
    what = f"{len(songs)} songs, {len(tables_of.parts)} parts"
    print(f"{what}: decoding {decoded:.1f} s, with fingerprints {heard:.1f} s of CPU: ratio {decoded / heard:.2f}")
    minutes = 2100 * 10 * leakage.HEARD_S / rate / 60
    print(f"{rate:,.0f} s of parts heard per second: 2,100 songs of 10 parts in {minutes:.1f} min on one core")
    print(f"search among {len(many):,} songs: {searched:.1f} s, {len(found_pairs)} pairs")


if __name__ == "__main__":
    if sys.argv[1:2] == ["sound"]:
        sound(Path(sys.argv[2]))
    else:
        tables(*map(int, sys.argv[2:]))
