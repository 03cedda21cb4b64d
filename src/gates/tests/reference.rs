//! `engines/FORMAT.md` written down once more, in f64 and without any thought
//! of speed: what the gates must agree with.

use crate::engine::bundle::{
    CutPolicy, ExitSpec, Fit, HeadsSpec, InputSpec, Manifest, Precision, SCHEMA, SegmentSpec,
    StatePolicy, StateSpec,
};
use std::collections::BTreeMap;

/// Tensor name to shape and values.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Sizes that a test picks.
#[derive(Clone, Debug)]
pub struct Dimensions {
    pub window: usize,
    pub classes: usize,
    pub grid: usize,
    pub adapter: usize,
    pub feature: usize,
    pub hidden: usize,
    pub attention: usize,
    pub projection: usize,
    pub channels: Vec<usize>,
}

impl Dimensions {
    pub fn small() -> Self {
        Self {
            window: 4,
            classes: 3,
            grid: 2,
            adapter: 5,
            feature: 9,
            hidden: 7,
            attention: 4,
            projection: 3,
            channels: vec![3, 6, 5],
        }
    }

    pub fn manifest(&self, policy: StatePolicy, cut: Option<f32>) -> Manifest {
        let exits = self.channels.len();
        let threshold = |exit: usize| (exit + 1 < exits).then_some(0.5);
        Manifest {
            schema: SCHEMA.to_owned(),
            name: "test".to_owned(),
            labels: (0..self.classes).map(|k| format!("class {k}")).collect(),
            window: self.window,
            frame_interval_ns: 1,
            precision: Precision::F32,
            input: InputSpec {
                width: 8,
                height: 8,
                mean: [0.0; 3],
                std: [1.0; 3],
                fit: Fit::Crop,
            },
            state: StateSpec {
                policy,
                cut: cut.map_or(CutPolicy::Ignore, |_| CutPolicy::Reset),
                cut_distance: cut.unwrap_or(0.5),
            },
            heads: HeadsSpec {
                grid: self.grid,
                adapter_channels: self.adapter,
                feature: self.feature,
                hidden: self.hidden,
                attention: self.attention,
                gate_projection: self.projection,
            },
            segments: self.channels.iter().map(|c| self.segment(*c)).collect(),
            exits: (0..exits)
                .map(|exit| ExitSpec {
                    threshold: threshold(exit),
                    softmax_threshold: threshold(exit),
                    rate: 0.0,
                    head_macs: 1,
                })
                .collect(),
        }
    }

    fn segment(&self, channels: usize) -> SegmentSpec {
        SegmentSpec {
            file: "segment.onnx".to_owned(),
            input: [1, 3, 8, 8],
            output: None,
            pooled: [1, channels, self.grid, self.grid],
            macs: 1,
        }
    }

    /// Every tensor of the format, filled by `value`.
    pub fn tensors(&self, mut value: impl FnMut() -> f32) -> Tensors {
        let (m, d, h, a) = (self.adapter, self.feature, self.hidden, self.attention);
        let (g, cells) = (self.projection, self.grid * self.grid);
        let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
        let mut linear = |name: String, out: usize, input: usize| {
            shapes.push((format!("{name}.weight"), vec![out, input]));
            shapes.push((format!("{name}.bias"), vec![out]));
        };
        linear("attention.0".into(), a, h);
        linear("attention.1".into(), 1, a);
        for (e, c) in self.channels.iter().enumerate() {
            linear(format!("exit.{e}.adapter.conv"), m, *c);
            linear(format!("exit.{e}.adapter.fc"), d, m * cells);
            linear(format!("exit.{e}.classifier"), self.classes, h);
            if e + 1 < self.channels.len() {
                linear(format!("exit.{e}.gate.previous"), g, h);
                linear(format!("exit.{e}.gate.current"), g, h);
                linear(format!("exit.{e}.gate.mlp.0"), 64, 2 * g + 4);
                linear(format!("exit.{e}.gate.mlp.1"), 32, 64);
                linear(format!("exit.{e}.gate.mlp.2"), 1, 32);
            }
        }
        for e in 0..self.channels.len() {
            shapes.push((format!("exit.{e}.adapter.norm.weight"), vec![d]));
            shapes.push((format!("exit.{e}.adapter.norm.bias"), vec![d]));
            shapes.push((format!("exit.{e}.mix"), vec![e + 1]));
        }
        for (layer, input) in [(0, d), (1, h)] {
            shapes.push((format!("lstm.{layer}.weight_ih"), vec![4 * h, input]));
            shapes.push((format!("lstm.{layer}.weight_hh"), vec![4 * h, h]));
            shapes.push((format!("lstm.{layer}.bias_ih"), vec![4 * h]));
            shapes.push((format!("lstm.{layer}.bias_hh"), vec![4 * h]));
        }
        let fill = |(name, shape): (String, Vec<usize>)| {
            let values = (0..shape.iter().product()).map(|_| value()).collect();
            (name, (shape, values))
        };
        shapes.into_iter().map(fill).collect()
    }
}

/// State of the reference: what the last committed frame left.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    pub h: [Vec<f64>; 2],
    pub c: [Vec<f64>; 2],
    /// Scores of all frames since the state started.
    pub scores: Vec<f64>,
}

/// What one exit computes, and what it would commit.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub logits: Vec<f64>,
    pub softmax: f64,
    pub margin: f64,
    pub gate: f64,
    pub beta: f64,
    pub v: Vec<f64>,
    pub next: Committed,
}

/// The heads in f64.
#[derive(Debug)]
pub struct Reference<'a> {
    pub dimensions: &'a Dimensions,
    pub tensors: &'a Tensors,
}

impl Reference<'_> {
    pub fn fresh(&self) -> Committed {
        let zeros = || {
            [
                vec![0.0; self.dimensions.hidden],
                vec![0.0; self.dimensions.hidden],
            ]
        };
        Committed {
            h: zeros(),
            c: zeros(),
            scores: Vec::new(),
        }
    }

    fn get(&self, name: &str) -> Vec<f64> {
        self.tensors[name].1.iter().map(|v| f64::from(*v)).collect()
    }

    fn product(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let rows = self.get(name);
        let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum();
        rows.chunks(x.len()).map(dot).collect()
    }

    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let product = self.product(&format!("{name}.weight"), x);
        sum(&product, &self.get(&format!("{name}.bias")))
    }

    fn adapt(&self, exit: usize, pooled: &[f32]) -> Vec<f64> {
        let cells = self.dimensions.grid * self.dimensions.grid;
        let name = format!("exit.{exit}.adapter");
        let mut reduced = vec![0.0; self.dimensions.adapter * cells];
        for cell in 0..cells {
            let column: Vec<f64> = pooled[cell..]
                .iter()
                .step_by(cells)
                .map(|v| f64::from(*v))
                .collect();
            for (m, value) in self
                .linear(&format!("{name}.conv"), &column)
                .iter()
                .enumerate()
            {
                reduced[m * cells + cell] = value.max(0.0);
            }
        }
        let x = self.linear(&format!("{name}.fc"), &reduced);
        let count = x.iter().map(|_| 1.0).sum::<f64>();
        let mean = x.iter().sum::<f64>() / count;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let (weight, bias) = (
            self.get(&format!("{name}.norm.weight")),
            self.get(&format!("{name}.norm.bias")),
        );
        let normal = |v: &f64| (v - mean) / (variance + 1e-5).sqrt();
        let scaled: Vec<f64> = x.iter().zip(&weight).map(|(v, w)| normal(v) * w).collect();
        sum(&scaled, &bias)
    }

    fn step(&self, u: &[f64], from: &Committed) -> Committed {
        let mut next = from.clone();
        let mut x = u.to_vec();
        let hidden = self.dimensions.hidden;
        for layer in 0..2 {
            let name = |part: &str| format!("lstm.{layer}.{part}");
            let mine = sum(
                &self.product(&name("weight_ih"), &x),
                &self.get(&name("bias_ih")),
            );
            let past = sum(
                &self.product(&name("weight_hh"), &from.h[layer]),
                &self.get(&name("bias_hh")),
            );
            let gates = sum(&mine, &past);
            for k in 0..hidden {
                let gate = |part: usize| gates[part * hidden + k];
                let c = sigmoid(gate(1)) * from.c[layer][k] + sigmoid(gate(0)) * gate(2).tanh();
                next.c[layer][k] = c;
                next.h[layer][k] = sigmoid(gate(3)) * c.tanh();
            }
            x = next.h[layer].clone();
        }
        let inner: Vec<f64> = self
            .linear("attention.0", &x)
            .iter()
            .map(|v| v.tanh())
            .collect();
        next.scores.push(self.linear("attention.1", &inner)[0]);
        next
    }

    /// Exit `exit` on the pooled features of exits `0..=exit`.
    pub fn exit(&self, exit: usize, pooled: &[Vec<f32>], from: &Committed) -> Outcome {
        let features: Vec<Vec<f64>> = (0..=exit).map(|e| self.adapt(e, &pooled[e])).collect();
        let mix = self.get(&format!("exit.{exit}.mix"));
        let mut u = vec![0.0; self.dimensions.feature];
        for (weight, v) in mix.iter().zip(&features) {
            u = sum(&u, &v.iter().map(|v| v * weight).collect::<Vec<_>>());
        }
        let u: Vec<f64> = u.iter().map(|v| v.max(0.0)).collect();
        let next = self.step(&u, from);
        let seen = next.scores.len().min(self.dimensions.window);
        let scores = softmax(&next.scores[next.scores.len() - seen..]);
        let beta = scores[seen - 1];
        let logits = self.linear(&format!("exit.{exit}.classifier"), &next.h[1]);
        let q = softmax(&logits);
        let mut sorted = q.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let (top, margin) = (sorted[0], sorted[0] - sorted[1]);
        let log_k = f64::from(u32::try_from(q.len()).unwrap()).ln();
        let entropy = -q.iter().map(|q| q * (q + 1e-8).ln()).sum::<f64>() / log_k;
        let mut gate = 1.0;
        if exit + 1 < self.dimensions.channels.len() {
            let name = |part: &str| format!("exit.{exit}.gate.{part}");
            let mut x = self.linear(&name("previous"), &from.h[1]);
            x.extend(self.linear(&name("current"), &next.h[1]));
            x.extend([beta, top, margin, entropy]);
            for layer in 0..2 {
                x = self.linear(&name(&format!("mlp.{layer}")), &x);
                x.iter_mut().for_each(|v| *v = v.max(0.0));
            }
            gate = sigmoid(self.linear(&name("mlp.2"), &x)[0]);
        }
        Outcome {
            logits,
            softmax: top,
            margin,
            gate,
            beta,
            v: features[exit].clone(),
            next,
        }
    }
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = x.iter().map(|v| (v - top).exp()).sum();
    x.iter().map(|v| (v - top).exp() / total).collect()
}
