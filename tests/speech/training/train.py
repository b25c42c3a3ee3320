"""Training: two processes that learn apart and average their weights every few steps.

Owns the losses, the stages and the learning rate. Everything is drawn from the seed,
the process and the step, so a run can be repeated.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed
from torch.nn import functional
from training.corpus import Phrase, read_shard
from training.network import Output, Shape, Whisper, draw_padding
from training.noise import make_bank
from training.sequences import IGNORED, Batch, collate
from training.sounds import make_second_bank
from training.windows import Composer, Mix, Window

FRAMES_PER_BATCH = 8000
POOL = 10  # batches drawn together and sorted by length
AVERAGE_EVERY = 8
EMA_DECAY = 0.998
WARM_UP_STEPS = 150


Stages = tuple[tuple[float, Mix], ...]  # each up to a share of the steps


@dataclass(frozen=True, slots=True)
class Plan:
    """One lesson: the stages, and a learning rate that falls towards `steps`."""

    steps: int
    stages: Stages
    stop_at: int | None = None  # the step to break off at
    more_sounds: bool = False
    processes: int = 2
    seed: int = 7
    peak_rate: float = 2e-3
    hold: float = 0.45  # share of the steps at the peak rate


FROM_NOTHING: Stages = (
    (0.08, Mix(0.05, 0.0, 0.06, cut=0.0, disturbed=0.1, max_words=4)),
    (0.40, Mix(0.35, 0.08, 0.07, cut=0.1, disturbed=0.3)),
    (1.01, Mix(0.50, 0.14, 0.06, cut=0.14, disturbed=0.3)),
)
TO_FINISH: Stages = (
    (1.01, Mix(0.48, 0.14, 0.13, cut=0.14, disturbed=0.25, brief=True)),
)


def rate(plan: Plan, step: int) -> float:
    """Warm up, hold, then half a cosine down to 1 %."""
    if step < WARM_UP_STEPS:
        return plan.peak_rate * (step + 1) / WARM_UP_STEPS
    through = step / plan.steps
    if through < plan.hold:
        return plan.peak_rate
    fall = (through - plan.hold) / (1 - plan.hold)
    return plan.peak_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * fall)))


def _mix(stages: Stages, through: float) -> Mix:
    return next(mix for end, mix in stages if through < end)


def _batches(
    source: np.random.Generator, composer: Composer, mix: Mix
) -> list[list[Window]]:
    """About POOL batches of windows of like length, in random order."""
    budget = POOL * FRAMES_PER_BATCH
    windows: list[Window] = []
    while budget > 0:
        windows.append(composer.window(source, mix))
        budget -= len(windows[-1].mel)
    windows.sort(key=lambda window: len(window.mel))
    batches: list[list[Window]] = [[]]
    for window in windows:
        if (len(batches[-1]) + 1) * len(window.mel) > 1.1 * FRAMES_PER_BATCH:
            batches.append([])
        batches[-1].append(window)
    full = [batch for batch in batches if batch]
    source.shuffle(full)
    return full


def _guidance(weights: torch.Tensor, wanted: torch.Tensor, heads: int) -> torch.Tensor:
    length = wanted.shape[2]
    looked = weights[:, :heads, :, :length].mean(dim=1)
    return -(wanted * looked).sum() / wanted.sum().clamp(min=1)


def losses(output: Output, batch: Batch, heads: int) -> dict[str, torch.Tensor]:
    """Mean losses by name, not weighted."""

    def entropy(targets: torch.Tensor) -> torch.Tensor:
        chosen = targets != IGNORED
        if not bool(chosen.any()):
            return output.logits.sum() * 0
        return functional.cross_entropy(output.logits[chosen], targets[chosen])

    return {
        "word": entropy(batch.targets),
        "stamp": entropy(batch.stamps),
        "start": entropy(batch.starts),
        "frame": functional.cross_entropy(
            output.frame_logits.flatten(0, 1), batch.frame_words.flatten()
        ),
        "look": _guidance(output.last_weights, batch.looks_at, heads),
        "back": _guidance(output.first_weights, batch.looked_at, heads),
    }


WEIGHTS = {
    "word": 1.0,
    "stamp": 0.3,
    "start": 0.3,
    "frame": 1.0,
    "look": 0.3,
    "back": 0.15,
}


@dataclass(frozen=True, slots=True)
class Places:
    """Files of one lesson; without `start` the weights begin random."""

    corpus: Path
    out: Path
    start: Path | None = None


class Run:
    """One process of the training."""

    def __init__(self, plan: Plan, rank: int, places: Places) -> None:
        self.plan, self.rank, self.out = plan, rank, places.out
        self.last = plan.stop_at or plan.steps
        torch.manual_seed(plan.seed)
        self.network = Whisper(Shape())
        if places.start:
            state = torch.load(places.start, weights_only=True)
            self.network.load_state_dict(state, strict=False)
        self.average = [p.detach().clone() for p in self.network.parameters()]
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed}, {"params": plain, "weight_decay": 0.0}],
            lr=plan.peak_rate,
            betas=(0.9, 0.98),
            weight_decay=0.01,
            foreach=True,
        )
        phrases: list[Phrase] = []
        for path in sorted(places.corpus.glob("*.npz")):
            phrases += read_shard(path)
        bank = make_bank(plan.seed)
        if plan.more_sounds:
            bank += make_second_bank(plan.seed)
        self.composer = Composer(phrases, bank)
        self.source = np.random.default_rng((plan.seed, rank))

    def go(self) -> None:
        queue: list[list[Window]] = []
        sums: dict[str, float] = {}
        began = time.process_time()
        for step in range(self.last):
            if not queue:
                queue = _batches(
                    self.source,
                    self.composer,
                    _mix(self.plan.stages, step / self.plan.steps),
                )
            for name, value in self._step(step, queue.pop()).items():
                sums[name] = sums.get(name, 0.0) + value
            if (step + 1) % AVERAGE_EVERY == 0:
                self._average_processes()
            if (step + 1) % 100 == 0 and self.rank == 0:
                line = " ".join(
                    f"{name} {value / 100:.3f}" for name, value in sums.items()
                )
                spent = (time.process_time() - began) / 60
                print(f"step {step + 1} cpu-min {spent:.1f} {line}", flush=True)
                sums = {}
            if (step + 1) % 250 == 0 or step + 1 == self.last:
                self._save()

    def _step(self, step: int, windows: list[Window]) -> dict[str, float]:
        batch = collate(self.source, windows)
        rows, total = draw_padding(
            self.source, length=batch.mel.shape[1] // 2, full_share=0.75
        )
        for group in self.optimiser.param_groups:
            group["lr"] = rate(self.plan, step)
        output = self.network(batch.mel, batch.tokens, rows=rows, total=total)
        parts = losses(output, batch, self.network.shape.guided_heads)
        loss = torch.stack([WEIGHTS[name] * part for name, part in parts.items()]).sum()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        return {name: float(part.detach()) for name, part in parts.items()}

    @torch.no_grad()
    def _average_processes(self) -> None:
        parameters = list(self.network.parameters())
        if self.plan.processes > 1:
            flat = torch.cat([p.flatten() for p in parameters])
            torch.distributed.all_reduce(flat)
            flat /= self.plan.processes
            at = 0
            for parameter in parameters:
                size = parameter.numel()
                parameter.copy_(flat[at : at + size].view_as(parameter))
                at += size
        decay = EMA_DECAY**AVERAGE_EVERY
        for mean, parameter in zip(self.average, parameters, strict=True):
            mean.lerp_(parameter, 1 - decay)

    def _save(self) -> None:
        if self.rank:
            return
        names = [name for name, _ in self.network.named_parameters()]
        state = dict(zip(names, self.average, strict=True))
        partial = self.out.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.out)


def _process(rank: int, plan: Plan, places: Places) -> None:
    torch.set_num_threads(1)
    if plan.processes > 1:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        meeting = places.out.with_suffix(".rendezvous").absolute()
        torch.distributed.init_process_group(
            "gloo",
            init_method=f"file://{meeting}",
            rank=rank,
            world_size=plan.processes,
        )
    Run(plan, rank, places).go()


def train(plan: Plan, places: Places) -> None:
    """Train; the averaged weights are written to `places.out` as they grow."""
    places.out.with_suffix(".rendezvous").unlink(missing_ok=True)
    torch.multiprocessing.spawn(_process, (plan, places), nprocs=plan.processes)
