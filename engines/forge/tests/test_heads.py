import math

import numpy as np
import torch

from forge.export import finish, gate_tensors
from forge.heads import betas, unroll
from forge.stream import Life, Policy, run, run_streams, step


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain_exit(w, e, pooled, h1, c1, h2, c2, scores, classes):
    """One exit straight from FORMAT.md on the exported tensors."""
    vs = []
    for i in range(e + 1):
        x = np.einsum("mc,cij->mij", w[f"exit.{i}.adapter.conv.weight"], pooled[i])
        x = np.maximum(x + w[f"exit.{i}.adapter.conv.bias"][:, None, None], 0).reshape(-1)
        x = w[f"exit.{i}.adapter.fc.weight"] @ x + w[f"exit.{i}.adapter.fc.bias"]
        x = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        vs.append(x * w[f"exit.{i}.adapter.norm.weight"] + w[f"exit.{i}.adapter.norm.bias"])
    u = np.maximum(sum(m * v for m, v in zip(w[f"exit.{e}.mix"], vs)), 0)

    def cell(n, x, h, c):
        g = w[f"lstm.{n}.weight_ih"] @ x + w[f"lstm.{n}.bias_ih"] + w[f"lstm.{n}.weight_hh"] @ h + w[f"lstm.{n}.bias_hh"]
        i, f, g, o = np.split(g, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    n1, m1 = cell(0, u, h1, c1)
    n2, m2 = cell(1, n1, h2, c2)
    s = w["attention.1.weight"] @ np.tanh(w["attention.0.weight"] @ n2 + w["attention.0.bias"]) + w["attention.1.bias"]
    beta = np.exp(s[0]) / (np.exp(scores).sum() + np.exp(s[0]))
    logits = w[f"exit.{e}.classifier.weight"] @ n2 + w[f"exit.{e}.classifier.bias"]
    q = np.exp(logits) / np.exp(logits).sum()
    top = np.sort(q)[::-1]
    entropy = -(q * np.log(q + 1e-8)).sum() / math.log(classes)
    p = None
    if f"exit.{e}.gate.mlp.0.weight" in w:
        x = np.concatenate(
            [
                w[f"exit.{e}.gate.previous.weight"] @ h2 + w[f"exit.{e}.gate.previous.bias"],
                w[f"exit.{e}.gate.current.weight"] @ n2 + w[f"exit.{e}.gate.current.bias"],
                [beta, top[0], top[0] - top[1], entropy],
            ]
        )
        for i in range(3):
            x = w[f"exit.{e}.gate.mlp.{i}.weight"] @ x + w[f"exit.{e}.gate.mlp.{i}.bias"]
            x = np.maximum(x, 0) if i < 2 else x
        p = sigmoid(x[0])
    return logits, beta, p, (n1, m1, n2, m2), s[0]


def test_heads_compute_what_the_format_says(network):
    trunk, heads = finish(*network)
    trunk.requires_grad_(False)
    torch.manual_seed(0)
    features = trunk(torch.randn(25, 3, 32, 32))
    weights = {k: v.double().numpy() for k, v in gate_tensors(heads).items()}
    projected = heads.project(heads.combine(heads.adapt(features)))
    state, policy = heads.start(1), Policy((0.5,))
    plain, scores = [np.zeros(heads.sizes.hidden)] * 4, []
    for t in range(25):
        frame = step(heads, projected[t][None], state, policy)
        proposals = [
            plain_exit(weights, e, [f[t].double().numpy() for f in features], *plain, np.array(scores[-19:]), 2)
            for e in range(2)
        ]
        for e, (logits, beta, p, _, _) in enumerate(proposals):
            np.testing.assert_allclose(frame.proposal.logits[0, e].numpy(), logits, atol=1e-5)
            np.testing.assert_allclose(frame.beta[0, e].item(), beta, atol=1e-5)
            if p is not None:
                np.testing.assert_allclose(frame.confidence[0, e].item(), p, atol=1e-5)
        taken = t % 2
        _, _, _, plain, score = proposals[taken]
        scores.append(score)
        state = heads.commit(state, frame.proposal, heads.score(frame.proposal.h2), torch.tensor([taken]))


def test_unrolled_training_equals_stepping(network):
    trunk, heads = finish(*network)
    trunk.requires_grad_(False)
    v = heads.adapt(trunk(torch.randn(60, 3, 32, 32))).view(2, 30, 2, -1)
    trace = run(heads, v, Policy((0.5,)))
    unrolled = unroll(heads, v, trace.exits)
    taken = unrolled.logits.gather(2, trace.exits[:, :, None, None].expand(-1, -1, 1, 2))[:, :, 0]
    torch.testing.assert_close(taken, trace.logits)
    state, projected = heads.start(2), heads.project(heads.combine(v))
    for t in range(30):
        frame = step(heads, projected[:, t], state, Policy((0.5,)))
        torch.testing.assert_close(betas(heads, unrolled, trace.exits)[:, t], frame.beta)
        state = frame.state


def test_lives_of_the_state_agree_on_the_first_window(network):
    trunk, heads = finish(*network)
    trunk.requires_grad_(False)
    v = heads.adapt(trunk(torch.randn(90, 3, 32, 32))).view(2, 45, 2, -1)
    policy = Policy((0.5,))
    clip = run(heads, v, policy, window=20)
    carry, reset, staggered = (run_streams(heads, v, policy, Life(p)) for p in ("carry", "reset", "staggered"))
    for life in (carry, reset, staggered):
        torch.testing.assert_close(life.logits[:, :20], clip.logits[:, :20])
    torch.testing.assert_close(reset.logits, clip.logits)
    late = run(heads, v[:, 10:], policy)
    followed = staggered.exits[:, 10:20] == late.exits[:, :10]
    if followed.all():
        torch.testing.assert_close(staggered.logits[:, 20:30], late.logits[:, 10:20])
    assert not torch.allclose(carry.logits[:, 20:], reset.logits[:, 20:])


def test_a_cut_resets_the_state(network):
    trunk, heads = finish(*network)
    trunk.requires_grad_(False)
    x = torch.cat([torch.full((10, 3, 32, 32), -1.0), torch.full((10, 3, 32, 32), 1.0)])
    v = heads.adapt(trunk(x))[None]
    cut = run_streams(heads, v, Policy((0.5,)), Life("carry", 1e-4))
    torch.testing.assert_close(cut.logits[:, 10:], run(heads, v[:, 10:], Policy((0.5,))).logits)
