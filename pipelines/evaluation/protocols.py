"""Name the choices of triplets that papers score, so that a table can be compared with theirs."""

from dataclasses import replace

from instructme.pipelines.evaluation.shard_cases import Choice

PROTOCOLS = {
    "paper": Choice(count=800, seconds=(10,), tasks=("add", "extract", "remix", "remove", "replace")),
    "instruct-musicgen": Choice(
        seconds=(5,),
        tasks=("add", "extract", "remove"),
        families=frozenset(("bass", "drums", "guitar", "piano")),
        seed=42,
        rate_hz=32000,
    ),
}
"""InstructME: 800 clips of 10 s of each task. Instruct-MusicGen (2405.18386): 5 s, four instruments, 32 kHz, seed 42, Slakh2100
redux. Both use the split test."""


def choose(protocol: str | None, split: str, count: int | None, seconds: tuple[int, ...], rounds: bool) -> Choice:
    """Choose triplets as a protocol does, but for what else is given."""
    found = PROTOCOLS[protocol] if protocol else Choice()
    return replace(found, split=split, count=count or found.count, seconds=seconds or found.seconds, rounds=rounds)
