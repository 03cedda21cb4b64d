"""The temporal heads: adapters, one shared two-layer LSTM, classifiers, attention and gates.

They compute what `engines/FORMAT.md` says under "What an exit computes". Every exit proposes
from the same committed state; only the exit taken commits. Shapes: B clips, T frames, E exits,
D features, H hidden units, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class HeadSizes:
    """Widths of the heads, as `[heads]` in bundle.toml."""

    grid: int = 3
    adapter_channels: int = 64
    feature: int = 128
    hidden: int = 96
    attention: int = 32
    gate_projection: int = 32
    mlp: tuple[int, int] = (64, 32)


@dataclass
class State:
    """What is committed: LSTM states [B, H], and the scores of the last T-1 frames, -inf where none."""

    h1: Tensor
    c1: Tensor
    h2: Tensor
    c2: Tensor
    scores: Tensor
    """[B, T-1], oldest first."""

    def rows(self, mask: Tensor, other: State) -> State:
        """A copy that takes the rows of `mask` [B] from `other`."""
        pick = lambda a, b: torch.where(mask[:, None], b, a)  # noqa: E731
        return State(*(pick(a, b) for a, b in zip(self.tensors(), other.tensors())))

    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors, in the order of the fields."""
        return self.h1, self.c1, self.h2, self.c2, self.scores


@dataclass
class Proposal:
    """What the exits propose for one frame: [B, E, ...] each, E being one or all exits."""

    h1: Tensor
    c1: Tensor
    h2: Tensor
    c2: Tensor
    logits: Tensor
    """[B, E, K]."""


class Adapter(nn.Module):
    """Pooled feature [B, C, g, g] -> v [B, D]. Its batch norm is folded into the 1x1 convolution on export."""

    def __init__(self, channels: int, sizes: HeadSizes, dropout: float) -> None:
        super().__init__()
        self.norm_in = nn.BatchNorm2d(channels, affine=False)
        self.conv = nn.Conv2d(channels, sizes.adapter_channels, 1)
        self.dropout = dropout
        self.fc = nn.Linear(sizes.adapter_channels * sizes.grid**2, sizes.feature)
        self.norm = nn.LayerNorm(sizes.feature, eps=1e-5)

    def forward(self, pooled: Tensor) -> Tensor:
        """[B, C, g, g] -> [B, D]."""
        x = F.relu(self.conv(self.norm_in(pooled))).flatten(1)
        return self.norm(self.fc(F.dropout(x, self.dropout, self.training)))

    def absorb(self) -> None:
        """Fold the feature normalisation's running statistics into the 1x1 convolution, for good."""
        if isinstance(self.norm_in, nn.Identity):
            return
        scale = 1.0 / (self.norm_in.running_var.double() + self.norm_in.eps).sqrt()
        weight = self.conv.weight.detach().double()[:, :, 0, 0] * scale
        bias = self.conv.bias.detach().double() - weight @ self.norm_in.running_mean.double()
        with torch.no_grad():
            self.conv.weight.copy_(weight[:, :, None, None])
            self.conv.bias.copy_(bias)
        self.norm_in = nn.Identity()


class Gate(nn.Module):
    """The exit probability of one exit (as a logit)."""

    def __init__(self, sizes: HeadSizes) -> None:
        super().__init__()
        wide, narrow = sizes.mlp
        self.previous = nn.Linear(sizes.hidden, sizes.gate_projection)
        self.current = nn.Linear(sizes.hidden, sizes.gate_projection)
        self.mlp = nn.ModuleList(
            [nn.Linear(2 * sizes.gate_projection + 4, wide), nn.Linear(wide, narrow), nn.Linear(narrow, 1)]
        )

    def forward(self, previous: Tensor, current: Tensor, beta: Tensor, logits: Tensor) -> Tensor:
        """h2 committed [..., H], h2 proposed [..., H], beta [...], logits [..., K] -> logit of p [...]."""
        q = logits.softmax(-1)
        top = q.topk(2, -1).values
        entropy = -(q * (q + 1e-8).log()).sum(-1) / math.log(q.shape[-1])
        scalars = torch.stack([beta, top[..., 0], top[..., 0] - top[..., 1], entropy], -1)
        x = torch.cat([self.previous(previous), self.current(current), scalars], -1)
        x = F.relu(self.mlp[1](F.relu(self.mlp[0](x))))
        return self.mlp[2](x)[..., 0]


class Heads(nn.Module):
    """All exits' heads over one shared temporal state."""

    def __init__(self, channels: list[int], classes: int, window: int, sizes: HeadSizes, dropout: float = 0.2) -> None:
        super().__init__()
        self.exits, self.classes, self.window, self.sizes = len(channels), classes, window, sizes
        self.adapters = nn.ModuleList(Adapter(c, sizes, dropout) for c in channels)
        self.mix = nn.Parameter(torch.eye(self.exits) * 0.5 + 0.5)
        self.lstm = nn.ModuleList([nn.LSTMCell(sizes.feature, sizes.hidden), nn.LSTMCell(sizes.hidden, sizes.hidden)])
        self.attention = nn.ModuleList([nn.Linear(sizes.hidden, sizes.attention), nn.Linear(sizes.attention, 1)])
        self.classifiers = nn.ModuleList(nn.Linear(sizes.hidden, classes) for _ in channels)
        self.gates = nn.ModuleList(Gate(sizes) for _ in channels[1:])

    def gate_parameters(self) -> list[nn.Parameter]:
        """What the gate stage trains: the attention and the gates."""
        return [*self.attention.parameters(), *self.gates.parameters()]

    def body_parameters(self) -> list[nn.Parameter]:
        """Everything else."""
        gate = {id(p) for p in self.gate_parameters()}
        return [p for p in self.parameters() if id(p) not in gate]

    def adapt(self, pooled: list[Tensor]) -> Tensor:
        """Per exit [B, C_e, g, g] -> v [B, E, D]."""
        return torch.stack([adapter(p) for adapter, p in zip(self.adapters, pooled)], 1)

    def combine(self, v: Tensor) -> Tensor:
        """v [..., E, D] -> u [..., E, D]: each exit's weighted sum over itself and the shallower exits."""
        return F.relu(torch.einsum("ei,...id->...ed", self.mix.tril(), v))

    def start(self, batch: int) -> State:
        """The state at the start of a clip."""
        z = torch.zeros(batch, self.sizes.hidden, device=self.mix.device)
        scores = torch.full((batch, self.window - 1), -math.inf, device=self.mix.device)
        return State(z, z, z, z, scores)

    def project(self, u: Tensor) -> Tensor:
        """The input half of the first LSTM layer's gates: u [..., D] -> [..., 4H]."""
        return F.linear(u, self.lstm[0].weight_ih, self.lstm[0].bias_ih)

    def propose(self, projected: Tensor, state: State, exits: slice = slice(None)) -> Proposal:
        """One frame, projected u [B, E', 4H] of the exits in `exits`, from the committed state."""
        h1, c1 = _cell(projected + _recurrent(self.lstm[0], state.h1)[:, None], state.c1[:, None])
        x = F.linear(h1, self.lstm[1].weight_ih, self.lstm[1].bias_ih)
        h2, c2 = _cell(x + _recurrent(self.lstm[1], state.h2)[:, None], state.c2[:, None])
        weight = torch.stack([c.weight for c in self.classifiers[exits]])
        bias = torch.stack([c.bias for c in self.classifiers[exits]])
        return Proposal(h1, c1, h2, c2, torch.einsum("beh,ekh->bek", h2, weight) + bias)

    def score(self, h2: Tensor) -> Tensor:
        """Attention score: h2 [..., H] -> [...]."""
        return self.attention[1](torch.tanh(self.attention[0](h2)))[..., 0]

    @staticmethod
    def beta(score: Tensor, window_scores: Tensor) -> Tensor:
        """The current frame's share: score [B, E], committed scores [B, T-1] -> [B, E]."""
        expanded = window_scores[:, None].expand(-1, score.shape[1], -1)
        return torch.cat([expanded, score[..., None]], -1).softmax(-1)[..., -1]

    def commit(self, state: State, proposal: Proposal, score: Tensor, taken: Tensor) -> State:
        """The state after exit `taken` [B] (index into the proposal's exits) commits; score [B, E']."""
        rows = torch.arange(taken.shape[0], device=taken.device)
        scores = torch.cat([state.scores[:, 1:], score[rows, taken][:, None]], 1)
        pick = (proposal.h1, proposal.c1, proposal.h2, proposal.c2)
        return State(*(x[rows, taken] for x in pick), scores)


def _recurrent(cell: nn.LSTMCell, h: Tensor) -> Tensor:
    return F.linear(h, cell.weight_hh, cell.bias_hh)


def _cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """LSTM cell from its summed gates [B, E, 4H] (order i, f, g, o) and the committed c [B, 1, H]."""
    i, f, g, o = gates.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


@dataclass
class Unrolled:
    """All proposals along given commit paths."""

    logits: Tensor
    """[B, T, E, K]."""
    h2: Tensor
    """Proposed, [B, T, E, H]."""
    committed: Tensor
    """h2 committed before each frame, [B, T, H] (zeros first)."""


def unroll(heads: Heads, v: Tensor, path: Tensor) -> Unrolled:
    """Run v [B, T, E, D] with the exits `path` [B, T] committing. The attention isn't evaluated."""
    projected = heads.project(heads.combine(v))
    state = heads.start(v.shape[0])
    no_score = v.new_zeros(v.shape[0], heads.exits)
    logits, h2, committed = [], [], []
    for t in range(v.shape[1]):
        proposal = heads.propose(projected[:, t], state)
        logits.append(proposal.logits)
        h2.append(proposal.h2)
        committed.append(state.h2)
        state = heads.commit(state, proposal, no_score, path[:, t])
    return Unrolled(torch.stack(logits, 1), torch.stack(h2, 1), torch.stack(committed, 1))


def betas(heads: Heads, run: Unrolled, path: Tensor) -> Tensor:
    """The attention share of every proposal of an unrolled run: [B, T, E]."""
    score = heads.score(run.h2)
    taken = score.gather(2, path[:, :, None])[:, :, 0]
    frames = torch.arange(path.shape[1], device=path.device)
    age = frames[:, None] - frames[None, :]
    outside = (age <= 0) | (age >= heads.window)
    past = taken[:, None, :].expand(-1, len(frames), -1).masked_fill(outside, -math.inf)
    past = past[:, :, None].expand(-1, -1, heads.exits, -1)
    return torch.cat([past, score[..., None]], -1).softmax(-1)[..., -1]
