"""The network of the bundled encoder: log-mel rows in, the probabilities of the speech sounds out, streaming.

A stack of causal convolutions over steps of 20 ms, two to a row of 40 ms. Nothing looks ahead inside; instead the
answer for a row is read when the following row has gone in. A block is a depthwise convolution over the last few
steps, a widening and narrowing layer, and a way around both (after ConvNeXt, Liu et al. 2022, in one dimension):

    x[t] + W2 gelu(W1 (b + sum over k of w[k] * norm(x)[t - k d]))

`forward` computes a whole recording at once, for training; `step` takes one row and the memory of the blocks, and is
how a stream runs: always the same shapes, so that the numbers never depend on how the sound was cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aednerf.speech.features import LOG_MEL_DIM, N_SPECTRA, SILENT_VALUE
from aednerf.speech.phones import PHONES

STEPS_PER_ROW = 2
DELAY_ROWS = 1
"""Rows that must follow a row before its answer is read."""

Memory = list[Tensor]
"""Of each block, its last normalised inputs [(taps - 1) * dilation, H]."""


@dataclass(frozen=True)
class PhoneNetworkConfig:
    """Sizes of the network."""

    n_hidden: int = 160
    widening: int = 2
    taps: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4)

    @property
    def reach_steps(self) -> int:
        """Steps before a step that its answer depends on."""
        return (self.taps - 1) * sum(self.dilations)


class PhoneNetwork(nn.Module):
    """Tell the speech sounds apart."""

    def __init__(self, config: PhoneNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.enter = nn.Linear(LOG_MEL_DIM // STEPS_PER_ROW, config.n_hidden)
        self.blocks = nn.ModuleList(_Block(config, dilation) for dilation in config.dilations)
        self.norm = nn.LayerNorm(config.n_hidden)
        self.leave = nn.Linear(config.n_hidden, len(PHONES))

    def forward(self, rows: Tensor) -> Tensor:
        """Return the logits of every step whose look-ahead is there.

        Args:
            rows: [B, T, 320] log-mel rows; silence is assumed before them.

        Returns:
            [B, 2 (T - 1), len(PHONES)].
        """
        lead = -(-self.config.reach_steps // STEPS_PER_ROW)
        silent = rows.new_full((rows.shape[0], lead, rows.shape[2]), SILENT_VALUE)
        x = self.enter(_steps(torch.cat([silent, rows], dim=1)))
        for block in self.blocks:
            x = block(x)
        n_answers = STEPS_PER_ROW * (rows.shape[1] - DELAY_ROWS)
        return self.leave(self.norm(x[:, x.shape[1] - n_answers :]))

    def silent_memory(self) -> Memory:
        """Return the memory after a long silence."""
        config = self.config
        memory = [torch.zeros((config.taps - 1) * d, config.n_hidden) for d in config.dilations]
        row = torch.full((LOG_MEL_DIM,), SILENT_VALUE)
        for _ in range(-(-self.config.reach_steps // STEPS_PER_ROW)):
            _, memory = self.step(row, memory)
        return memory

    @torch.no_grad()
    def step(self, row: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Take a row [320] and return the logits [2, len(PHONES)] of the row before it, and the memory for the next."""
        x = self.enter(row.reshape(STEPS_PER_ROW, -1))
        new = []
        for block, past in zip(self.blocks, memory, strict=True):
            assert isinstance(block, _Block)
            x, past = block.step(x, past)
            new.append(past)
        return self.leave(self.norm(x)), new


class _Block(nn.Module):
    def __init__(self, config: PhoneNetworkConfig, dilation: int) -> None:
        super().__init__()
        self.dilation, self.n_past = dilation, (config.taps - 1) * dilation
        self.norm = nn.LayerNorm(config.n_hidden)
        self.taps = nn.Parameter(torch.randn(config.taps, config.n_hidden) / config.taps**0.5)
        self.bias = nn.Parameter(torch.zeros(config.n_hidden))
        self.widen = nn.Linear(config.n_hidden, config.widening * config.n_hidden)
        self.narrow = nn.Linear(config.widening * config.n_hidden, config.n_hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, T - n_past, H] of [B, T, H]: the steps whose past is there."""
        return x[:, self.n_past :] + self._mixed(self.norm(x))

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Return [2, H] of two new steps, and the new past."""
        seen = torch.cat([past, self.norm(x)])
        return x + self._mixed(seen[None])[0], seen[STEPS_PER_ROW:]

    def _mixed(self, seen: Tensor) -> Tensor:
        n = seen.shape[1] - self.n_past
        y = self.bias
        for k, tap in enumerate(self.taps):
            first = self.n_past - k * self.dilation
            y = y + tap * seen[:, first : first + n]
        return self.narrow(nn.functional.gelu(self.widen(y)))


def _steps(rows: Tensor) -> Tensor:
    """Return [B, 2 T, 160] of rows [B, T, 320]."""
    n_batch, n_rows, _ = rows.shape
    return rows.reshape(n_batch, n_rows * STEPS_PER_ROW, N_SPECTRA // STEPS_PER_ROW * (LOG_MEL_DIM // N_SPECTRA))
