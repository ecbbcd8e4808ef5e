"""Train the network of the bundled speech encoder, and measure it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aednerf.core.progress import Progress, silent
from aednerf.speech.features import SILENT_VALUE
from aednerf.speech.phone_network import DELAY_ROWS, STEPS_PER_ROW, PhoneNetwork, PhoneNetworkConfig
from aednerf.speech.phones import GROUPS, PHONES
from aednerf.training.checkpoint import Progressed, load_checkpoint, save_checkpoint
from aednerf.training.encoder_data import Heard
from aednerf.training.motion_data import perturb_log_mel

GROUP_OF = np.array([next(i for i, group in enumerate(GROUPS.values()) if phone in group) for phone in PHONES])
"""[len(PHONES)] the group of each phone."""


@dataclass(frozen=True)
class EncoderTraining:
    """How the network is trained."""

    steps: int = 7000
    batch: int = 8
    rows: int = 200
    """Of a training sequence: 8 s."""

    rate: float = 3e-3
    weight_decay: float = 0.02
    smoothing: float = 0.05
    save_every: int = 200


class Pool:
    """All utterances in one row of memory, from which sequences are drawn; one goes on into the next."""

    def __init__(self, utterances: Sequence[Heard]) -> None:
        self.rows = torch.from_numpy(np.concatenate([u.rows for u in utterances]))
        self.phones = torch.from_numpy(np.concatenate([u.phones for u in utterances]).astype(np.uint8))

    def draw(self, n: int, length: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return rows [n, length, 320] and the phones [n, 2 length]."""
        firsts = rng.integers(0, len(self.rows) - length, n)
        rows = torch.stack([self.rows[f : f + length] for f in firsts]).float()
        phones = [self.phones[STEPS_PER_ROW * f : STEPS_PER_ROW * (f + length)] for f in firsts]
        return rows, torch.stack(phones).long()


def train_encoder(
    pool: Pool, config: PhoneNetworkConfig, settings: EncoderTraining, seed: int, checkpoint: Path,
    device: str = "cpu", progress: Progress = silent,
) -> tuple[PhoneNetwork, dict[str, Any]]:  # fmt: skip
    """Return the averaged weights after all steps; what `checkpoint` has done already is not done again.

    Args:
        pool: the training utterances.
        config: sizes of the network.
        settings: how it is trained.
        seed: of weights and batches.
        checkpoint: a file that is written now and then, and at the end.
        device: `cpu` or `cuda`.
        progress: told each step.
    """
    torch.manual_seed(seed)
    network, average = (PhoneNetwork(config).to(device) for _ in range(2))
    average.load_state_dict(network.state_dict())
    both = nn.ModuleDict({"network": network, "average": average})
    optimiser = torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=settings.weight_decay)
    identity = {"config": asdict(config), "settings": asdict(settings), "seed": seed, "rows": len(pool.rows)}
    identity = json.loads(json.dumps(identity))
    progressed = Progressed(0, 0.0)
    if checkpoint.exists():
        progressed = load_checkpoint(checkpoint, both, optimiser, identity)
    loss_of = nn.CrossEntropyLoss(label_smoothing=settings.smoothing)
    start, recent = time.monotonic() - progressed.seconds, []
    network.train()
    for step in range(progressed.step + 1, settings.steps + 1):
        # Each step has its own draw, so that a run that was interrupted goes on as if it had not been.
        rng, generator = np.random.default_rng([seed, 3, step]), torch.Generator().manual_seed(seed * 1_000_003 + step)
        rows, phones = pool.draw(settings.batch, settings.rows, rng)
        rows = perturb_log_mel(rows.to(device), generator)
        with torch.autocast(device, torch.bfloat16):
            logits = network(rows).float()
        loss = loss_of(logits.flatten(0, 1), phones[:, : logits.shape[1]].to(device).flatten())
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * _share_of_rate(step / settings.steps)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        recent = [*recent[-49:], float(loss.detach())]
        with torch.no_grad():
            for mean, value in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(value, 1 - min(0.998, step / (step + 9)))
        if step % 10 == 0 or step == settings.steps:
            progress("encoder", step, settings.steps, f"loss {np.mean(recent):.3f}")
        if step % settings.save_every == 0 or step == settings.steps:
            save_checkpoint(checkpoint, both, optimiser, Progressed(step, time.monotonic() - start), identity)
    record = {
        "steps": settings.steps, "train_s": round(time.monotonic() - start, 1),
        "parameters": sum(value.numel() for value in network.parameters()),
    }  # fmt: skip
    return average.cpu().eval(), record


def _share_of_rate(progress: float) -> float:
    """Return the learning rate against its highest: up over the first 5 %, then down as a cosine."""
    return min(1.0, progress / 0.05) * (0.5 + 0.5 * float(np.cos(np.pi * progress)))


@torch.no_grad()
def answers(network: PhoneNetwork, utterance: Heard) -> tuple[np.ndarray, np.ndarray]:
    """Return the phones said and the phones heard [N], at the steps whose look-ahead is there."""
    rows = torch.from_numpy(utterance.rows).float()
    rows = torch.cat([rows, rows.new_full((DELAY_ROWS, rows.shape[1]), SILENT_VALUE)])
    return utterance.phones, network(rows[None])[0].argmax(-1).numpy()


def taken_for_lips(network: PhoneNetwork, utterances: Sequence[Heard]) -> dict[str, float]:
    """Return, of the sounds most often taken for closed lips, in which share of their time they are."""
    pairs = [answers(network, utterance) for utterance in utterances]
    said, found = (np.concatenate(part) for part in zip(*pairs, strict=True))
    says_closed = GROUP_OF[found] == list(GROUPS).index("lips closed")
    shares = {
        phone: round(float(says_closed[said == index].mean()), 3)
        for index, phone in enumerate(PHONES)
        if phone not in GROUPS["lips closed"] and (said == index).sum() >= 100
    }
    return dict(sorted(shares.items(), key=lambda entry: -entry[1])[:5])


def measure(network: PhoneNetwork, utterances: Sequence[Heard]) -> dict[str, float]:
    """Measure how much of the time the network is right.

    Returns:
        `phone`: the share of speech (silence does not count) in which the phone is right; `group`: in which a phone
        that looks the same is heard; `silence`, and the recall and precision of `lips closed`, over all.
    """
    pairs = [answers(network, utterance) for utterance in utterances]
    said, found = (np.concatenate(part) for part in zip(*pairs, strict=True))
    said_group, found_group = GROUP_OF[said], GROUP_OF[found]
    speech, closed = said != 0, list(GROUPS).index("lips closed")
    is_closed, says_closed = said_group == closed, found_group == closed
    both = float((is_closed & says_closed).sum())
    return {
        "phone": round(float((said == found)[speech].mean()), 4),
        "group": round(float((said_group == found_group)[speech].mean()), 4),
        "silence": round(float((found == 0)[~speech].mean()), 4) if (~speech).any() else float("nan"),
        "lips closed, recall": round(both / max(float(is_closed.sum()), 1), 4),
        "lips closed, precision": round(both / max(float(says_closed.sum()), 1), 4),
        "speech_s": round(float(speech.sum()) / STEPS_PER_ROW / 25, 1),
    }
