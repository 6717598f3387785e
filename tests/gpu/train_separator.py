"""Train a separator on a bank of parts, for a given number of seconds, on one GPU (or, in small, on a CPU).

    python3 tests/gpu/train_separator.py BANK OUT --words words.npz --seconds 1200

Songs may still be rendered into BANK meanwhile: new ones are read in a thread. OUT holds log.jsonl, separator.json
(configuration), the average of the weights in float16 (separator.safetensors), and state.pt, from which the same command goes
on. With --start, it trains the weights of a run further, with the floors of the loss of the end of training. Needs torch, numpy
and safetensors only.
"""

import argparse
import dataclasses
import json
import math
import queue
import threading
import time
from pathlib import Path

import numpy as np
import torch
from bank_files import read_song
from safetensors.torch import load_file, save_file

from instructme.model.checkpoint import WEIGHTS
from instructme.model.config import SeparatorConfig
from instructme.model.presets import PRESETS
from instructme.model.separation_loss import separation_loss, separation_scores_db, total
from instructme.model.separator import Separator
from instructme.pipelines.training.drawn_mixes import NAMES, RenderedMixes, ask, draw, dry_parts, mixed, render
from instructme.pipelines.training.part_bank import PartBank

WARMUP_STEPS = 200
EMA_DECAY = 0.999
torch._dynamo.config.recompile_limit = 64  # one for each dilation, with and without gradients


def main() -> None:
    options = _options()
    torch.set_float32_matmul_precision("high")
    device = torch.device(options.device)
    config = dataclasses.replace(PRESETS[options.preset].separator, instruments=NAMES, **json.loads(options.set))
    window = round(options.segment_seconds * config.sample_rate_hz)
    options.out.mkdir(parents=True, exist_ok=True)
    banks = {name: PartBank(window, device) for name in ("train", "test", "ood")}
    threading.Thread(target=_read_songs, args=(options.bank, banks, options.gigasamples * 1e9), daemon=True).start()
    while len(banks["train"].songs) < options.first_songs:
        time.sleep(0.2)
    trainer = Trainer(config, banks["train"], options, device)
    trainer.run(banks)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--words", type=Path, required=True)
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--segment-seconds", type=float, default=6.144)
    parser.add_argument("--seconds", type=float, default=1200.0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--gigasamples", type=float, default=14.0, help="of parts to train on")
    parser.add_argument("--first-songs", type=int, default=60)
    parser.add_argument("--validate-every", type=float, default=90.0, help="seconds")
    parser.add_argument("--validation-mixes", type=int, default=64)
    parser.add_argument("--start", type=Path, help="a run whose weights are trained further")
    parser.add_argument("--questions", type=int, default=2, help="of each mix")
    parser.add_argument("--absent", type=float, default=0.2, help="share of questions about instruments that do not play")
    parser.add_argument("--produced", type=float, default=0.5, help="share of the mixes with produced parts")
    parser.add_argument("--bfloat16", action="store_true", help="on a CPU; only one with AMX is faster")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--set", default="{}", help="fields of the configuration as JSON")
    return parser.parse_args()


def _read_songs(folder: Path, banks: dict[str, PartBank], most_samples: float) -> None:
    """Read songs as they appear, for ever, as long as there is room."""
    done: set[str] = set()
    while True:
        for path in sorted(folder.glob("*.json"), key=lambda each: each.stat().st_mtime):
            if path.name not in done:
                done.add(path.name)
                about, parts = read_song(path)
                if _samples(banks["train"]) + sum(len(sound) for _, sound in parts) < most_samples:
                    banks[about["split"]].add(parts)
        time.sleep(1.0)


def _samples(bank: PartBank) -> int:
    return sum(len(part.samples) for part in bank.parts)


class Trainer:
    """The network, its average, its optimiser, and the clock that sets the learning rate."""

    def __init__(self, config: SeparatorConfig, bank: PartBank, options: argparse.Namespace, device: torch.device) -> None:
        torch.manual_seed(0)
        self.config, self.bank, self.options, self.device = config, bank, options, device
        self.model = Separator(config).to(device)
        self.phrases, self.vectors = _phrases(options.words, device)
        known = torch.cat([self.vectors[rows] for rows in self.phrases.values()])
        self.model.text_mean.copy_(known.mean(0))
        self.model.text_deviation.copy_(known.std(0) + 1e-4)
        decayed = [each for each in self.model.parameters() if each.ndim > 1]
        others = [each for each in self.model.parameters() if each.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=options.rate, betas=(0.9, 0.98), fused=device.type == "cuda")
        if options.start:
            weights = load_file(options.start / f"{WEIGHTS}.safetensors", device=str(device))
            self.model.load_state_dict({name: each.float() for name, each in weights.items()})
        self.average = [each.detach().clone() for each in self.model.parameters()]
        self.step, self.elapsed_s = 0, 0.0
        self.generator = torch.Generator(device).manual_seed(1)
        self._restore()
        for layer in (*self.model.mask.encoder, *self.model.mask.decoder) if options.compile else ():
            layer.compile()
        self.loss = torch.compile(separation_loss) if options.compile else separation_loss
        self.queue: queue.Queue = queue.Queue(4)
        threading.Thread(target=self._draw, daemon=True).start()

    def _draw(self) -> None:
        rng = np.random.default_rng(time.time_ns())
        while True:
            drawn = draw(self.bank, self.options.batch, self.options.questions, rng, absent=self.options.absent)
            self.queue.put((drawn, dry_parts(self.bank, drawn)))  # read here, so that the training does not wait for a disk

    def run(self, banks: dict[str, PartBank]) -> None:
        """Train until the time is over."""
        began, logged, validated = time.time() - self.elapsed_s, time.time(), time.time()
        sums: dict[str, float] = {}
        waited = 0.0
        while self.elapsed_s < self.options.seconds:
            before = time.time()
            drawn, parts = self.queue.get()
            waited += time.time() - before
            # Evenly spread: of three steps with a share of 2/3, two are produced.
            produced = math.floor((self.step + 1) * self.options.produced) > math.floor(self.step * self.options.produced)
            losses = self._train(
                mixed(parts, drawn, self.config.sample_rate_hz, self.generator if produced else None), drawn.asked
            )
            self.step += 1
            self.elapsed_s = time.time() - began
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value
            if self.step % 100 == 0:
                means = {name: round(float(value) / 100, 4) for name, value in sums.items()}
                now = time.time()
                if not math.isfinite(means["error"]):
                    self._restore()
                self._log(
                    step=self.step,
                    s=round(self.elapsed_s),
                    songs=len(self.bank.songs),
                    hours=round(_samples(self.bank) / 8.64e7, 1),
                    steps_per_s=round(100 / (now - logged), 2),
                    waiting=round(waited / (now - logged), 3),
                    **means,
                )
                sums, waited, logged = {}, 0.0, now
            if time.time() - validated > self.options.validate_every:
                self.save()
                self._log(step=self.step, s=round(self.elapsed_s), **self.validate(banks))
                logged = validated = time.time()
        self.save()
        self._log(step=self.step, s=round(self.elapsed_s), finished=True, **self.validate(banks, 4))

    def _train(self, mixes: RenderedMixes, asked: np.ndarray) -> dict[str, torch.Tensor]:
        rate = self._rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        mix, answers = self.model.stft(mixes.mix), self.model.stft(mixes.answers)
        with self._autocast():
            mask, presence = self.model(mix, *self._questions(mixes.asked, asked))
        progress = 1.0 if self.options.start else min(1.0, self.elapsed_s / self.options.seconds)
        losses = self.loss(mask, presence, answers, mix, progress)
        self.optimizer.zero_grad(set_to_none=True)
        total(losses).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [each.detach() for each in self.model.parameters()], 1 - decay)
        return {name: value.detach() for name, value in losses.items()} | {"norm": norm.detach()}

    def _rate(self) -> float:
        warm = min(1.0, (self.step + 1) / WARMUP_STEPS)
        return (
            self.options.rate
            * warm
            * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, self.elapsed_s / self.options.seconds))))
        )

    def _questions(self, asked: torch.Tensor, names: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Ask by name, by words, or by both."""
        draws = np.random.random(names.shape)
        rows = [
            [self.phrases[name][int(draw * len(self.phrases[name]))] for name, draw in zip(*row, strict=True)]
            for row in zip(names, draws, strict=True)
        ]
        rows = torch.tensor(rows, device=self.device)
        text, chance = self.vectors[rows], torch.rand(asked.shape, device=self.device)
        return ask(asked, text, chance)

    @torch.no_grad()
    def validate(self, banks: dict[str, PartBank], batches: int = 1) -> dict[str, float]:
        """Measure SI-SDR over unseen songs, with the average of the weights; identity beside it."""
        own = [each.detach().clone() for each in self.model.parameters()]
        _fill(self.model, self.average)
        scores: dict[str, float] = {}
        for name, bank in banks.items():
            if name != "train" and len(bank.songs) >= 4:
                for which, value in self._score(bank, batches).items():
                    scores[f"{name}_{which}"] = round(value, 2)
        _fill(self.model, own)
        return scores

    def _score(self, bank: PartBank, batches: int) -> dict[str, float]:
        values: dict[str, list[torch.Tensor]] = {}
        rng = np.random.default_rng(5)
        for _ in range(batches):
            drawn = draw(bank, self.options.validation_mixes, self.options.questions, rng, absent=0.15)
            mixes = render(bank, drawn, self.config.sample_rate_hz)
            with self._autocast():
                spectrum = self.model.stft(mixes.mix)
                mask, _ = self.model(spectrum, mixes.asked)
                estimates = self.model.istft(spectrum[:, None] * mask, mixes.mix.shape[-1])
            scores = separation_scores_db(estimates, mixes.answers, mixes.mix)
            power = mixes.mix.square().mean(-1, keepdim=True).clamp(min=1e-9)
            level = 10 * (estimates.square().mean(-1) / power).clamp(min=1e-9).log10()
            for key, value in (scores | {"absent_db": level[mixes.answers.square().mean(-1) == 0]}).items():
                values.setdefault(key, []).append(value)
        return {key: float(torch.cat(each).mean()) for key, each in values.items() if torch.cat(each).numel()}

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda" or self.options.bfloat16)

    def save(self) -> None:
        """Write the average of the weights, and the state to go on from."""
        own = [each.detach().clone() for each in self.model.parameters()]
        _fill(self.model, self.average)
        tensors = {key: value.half().contiguous().cpu() for key, value in self.model.state_dict().items()}
        _fill(self.model, own)
        state = {
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        save_file(tensors, self.options.out / "separator.safetensors")
        (self.options.out / "separator.json").write_text(json.dumps(dataclasses.asdict(self.config)))
        torch.save(state, self.options.out / "state.tmp")
        (self.options.out / "state.tmp").replace(self.options.out / "state.pt")

    def _restore(self) -> None:
        path = self.options.out / "state.pt"
        if path.exists():
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.average, self.step, self.elapsed_s = state["average"], state["step"], state["elapsed_s"]

    def _log(self, **values: object) -> None:
        line = json.dumps(values)
        print(line, flush=True)
        with (self.options.out / "log.jsonl").open("a") as file:
            file.write(line + "\n")


@torch.no_grad()
def _fill(model: torch.nn.Module, values: list[torch.Tensor]) -> None:
    for parameter, value in zip(model.parameters(), values, strict=True):
        parameter.copy_(value)


def _phrases(path: Path, device: torch.device) -> tuple[dict[int, list[int]], torch.Tensor]:
    """Read the phrases of each name: rows of a table of text vectors."""
    with np.load(path, allow_pickle=False) as file:
        vectors, owners = torch.from_numpy(file["vectors"]).float().to(device), file["owners"].tolist()
    rows: dict[int, list[int]] = {}
    for row, owner in enumerate(owners):
        rows.setdefault(owner, []).append(row)
    return rows, vectors


if __name__ == "__main__":
    main()
