"""Measure the chunk transformer against full attention (torch SDPA) on 10, 30, 60 and 300 s: time and memory.

python tests/benchmarks/attention.py [--frames-hz 250] [--channels 512] [--chunk-frames 200] [--device cpu]

Each measurement runs in a process of its own; time (on a CPU that of the processor) is the best of three passes without
gradients, memory the peak over what the process held before. Ratios are full over chunk; growth is the time of 300 s over 30
times that of 10 s: 1 is linear.
"""

import argparse
import multiprocessing
import resource
import time

import torch

from instructme.model.attention import ChunkTransformer

SECONDS = (10, 30, 60, 300)


def measure(seconds: int, chunk_frames: int | None, frames_hz: int, channels: int, device: str) -> tuple[float, float]:
    """Time one layer over a sequence: seconds, and MiB at the peak."""
    torch.manual_seed(0)
    layer = ChunkTransformer(channels, 64, chunk_frames).to(device).eval()
    features = torch.randn(1, channels, seconds * frames_hz, device=device)
    before = _peak_mib(device)
    with torch.inference_mode():
        times = [_timed(layer, features, device) for _ in range(3)]
    return min(times), _peak_mib(device) - before


def _timed(layer: ChunkTransformer, features: torch.Tensor, device: str) -> float:
    clock = time.process_time if device == "cpu" else time.perf_counter
    begin = clock()
    layer(features)
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - begin


def _peak_mib(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames-hz", type=int, default=250)
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--chunk-frames", type=int, default=200)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    print(f"{'seconds':>8}{'chunk s':>10}{'full s':>10}{'ratio':>8}{'chunk MiB':>11}{'full MiB':>10}{'ratio':>8}")
    taken = {}
    for seconds in SECONDS:
        results = []
        for size in (options.chunk_frames, None):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                results.append(pool.apply(measure, (seconds, size, options.frames_hz, options.channels, options.device)))
        (chunk_s, chunk_mib), (full_s, full_mib) = results
        taken[seconds] = (chunk_s, full_s)
        times = f"{chunk_s:10.3f}{full_s:10.3f}{full_s / chunk_s:8.2f}"
        print(f"{seconds:8}{times}{chunk_mib:11.0f}{full_mib:10.0f}{full_mib / chunk_mib:8.2f}", flush=True)
    growth = [taken[300][side] / 30 / taken[10][side] for side in (0, 1)]
    print(f"growth from 10 to 300 s beyond linear: chunk {growth[0]:.2f}, full {growth[1]:.2f}")


if __name__ == "__main__":
    main()
