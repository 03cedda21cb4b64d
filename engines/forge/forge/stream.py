"""Running frames one by one as the engine does: climb the exits, stop at the first that fires, commit.

All functions work on adapter outputs v, so that one pass through the backbone serves every policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .heads import Heads, Proposal, State

Fires = Callable[[Heads, State, Proposal, Tensor], Tensor]
"""(heads, state, proposal of all exits, betas [B, E]) -> confidence [B, E-1], compared to the thresholds."""


def gate_confidence(heads: Heads, state: State, proposal: Proposal, beta: Tensor) -> Tensor:
    """p of every gate, [B, E-1]."""
    return torch.stack(
        [
            torch.sigmoid(gate(state.h2, proposal.h2[:, e], beta[:, e], proposal.logits[:, e]))
            for e, gate in enumerate(heads.gates)
        ],
        1,
    )


def softmax_confidence(_heads: Heads, _state: State, proposal: Proposal, _beta: Tensor) -> Tensor:
    """The largest class probability of every exit but the last, [B, E-1]."""
    return proposal.logits[:, :-1].softmax(-1).amax(-1)


@dataclass(frozen=True)
class Policy:
    """Take the first exit whose confidence reaches its threshold."""

    thresholds: tuple[float, ...]
    """One per exit but the last; above 1 the exit is never taken."""
    confidence: Fires = gate_confidence

    @staticmethod
    def always(exit_index: int, exits: int) -> Policy:
        """Always take exit `exit_index` (from 0)."""
        return Policy(tuple(-1.0 if e == exit_index else 2.0 for e in range(exits - 1)))


@dataclass
class Trace:
    """What a run did, [B, T, ...]."""

    exits: Tensor
    """Exit taken, from 0, [B, T]."""
    logits: Tensor
    """Of the exit taken, [B, T, K]."""


@dataclass
class FrameResult:
    """One frame's proposals and decision."""

    proposal: Proposal
    beta: Tensor
    confidence: Tensor
    taken: Tensor
    state: State


def step(heads: Heads, projected: Tensor, state: State, policy: Policy) -> FrameResult:
    """One frame: projected u [B, E, 4H] from `state`."""
    proposal = heads.propose(projected, state)
    score = heads.score(proposal.h2)
    beta = heads.beta(score, state.scores)
    confidence = policy.confidence(heads, state, proposal, beta)
    fires = confidence >= torch.tensor(policy.thresholds)
    fires = torch.cat([fires, torch.ones_like(fires[:, :1])], 1)
    taken = fires.float().argmax(1)
    return FrameResult(proposal, beta, confidence, taken, heads.commit(state, proposal, score, taken))


@torch.no_grad()
def run(heads: Heads, v: Tensor, policy: Policy, window: int | None = None) -> Trace:
    """Clips v [B, T, E, D] from a zero state; with `window`, the state is zeroed every `window` frames."""
    projected = heads.project(heads.combine(v))
    state = heads.start(v.shape[0])
    rows = torch.arange(v.shape[0])
    exits, logits = [], []
    for t in range(v.shape[1]):
        if window and t and t % window == 0:
            state = heads.start(v.shape[0])
        frame = step(heads, projected[:, t], state, policy)
        state = frame.state
        exits.append(frame.taken)
        logits.append(frame.proposal.logits[rows, frame.taken])
    return Trace(torch.stack(exits, 1), torch.stack(logits, 1))


@dataclass(frozen=True)
class Life:
    """What the state does beyond T frames, and at a scene cut, as `[state]` in bundle.toml."""

    policy: str = "carry"
    """carry, reset or staggered."""
    cut_distance: float | None = None
    """Reset when 1 - cos(v_0(t), v_0(t-1)) exceeds this; None ignores cuts."""


@torch.no_grad()
def run_streams(heads: Heads, v: Tensor, policy: Policy, life: Life) -> Trace:
    """Endless streams v [B, F, E, D] under a life of the state."""
    batch, frames = v.shape[:2]
    projected = heads.project(heads.combine(v))
    cuts = cut_distances(v) > life.cut_distance if life.cut_distance is not None else None
    fresh, window = heads.start(batch), heads.window
    states, ages = [fresh, fresh], torch.zeros(2, batch, dtype=torch.long)
    if life.policy == "staggered":
        ages[1] = -(window // 2)  # not started yet
    rows = torch.arange(batch)
    exits, logits = [], []
    for t in range(frames):
        if cuts is not None:
            states = [s.rows(cuts[:, t], fresh) for s in states]
            ages[0, cuts[:, t]] = 0
            ages[1, cuts[:, t]] = -(window // 2) if life.policy == "staggered" else 0
        if life.policy in ("reset", "staggered"):
            full = ages >= window
            states = [s.rows(full[i], fresh) for i, s in enumerate(states)]
            ages[full] = 0
        if life.policy == "staggered":
            frame, states = _staggered_step(heads, projected[:, t], states, ages, policy)
        else:
            frame = step(heads, projected[:, t], states[0], policy)
            states = [frame.state, states[1]]
        ages += 1
        exits.append(frame.taken)
        logits.append(frame.proposal.logits[rows, frame.taken])
    return Trace(torch.stack(exits, 1), torch.stack(logits, 1))


def _staggered_step(
    heads: Heads, projected: Tensor, states: list[State], ages: Tensor, policy: Policy
) -> tuple[FrameResult, list[State]]:
    """The older state answers and picks the exit; the younger commits the same exit's proposal."""
    second_older = ages[1] > ages[0]
    older, younger = states[0].rows(second_older, states[1]), states[1].rows(second_older, states[0])
    frame = step(heads, projected, older, policy)
    proposal = heads.propose(projected, younger)
    followed = heads.commit(younger, proposal, heads.score(proposal.h2), frame.taken)
    started = torch.where(second_older, ages[0], ages[1]) >= 0
    followed = heads.start(len(started)).rows(started, followed)
    return frame, [frame.state.rows(second_older, followed), followed.rows(second_older, frame.state)]


def cut_distances(v: Tensor) -> Tensor:
    """1 - cos(v_0(t), v_0(t-1)) of v [B, F, E, D], 0 for the first frame: [B, F]."""
    first = v[:, :, 0]
    distance = 1 - torch.cosine_similarity(first[:, 1:], first[:, :-1], dim=-1)
    return torch.cat([torch.zeros_like(distance[:, :1]), distance], 1)
