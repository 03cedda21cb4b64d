//! A small network of dense layers with Adam, as zTT's agent needs it.
//!
//! Rectified linear units between layers, none after the last; mean squared error.
//! Weights begin normal with deviation 0.05 (Keras' `normal`), biases at 0. Adam
//! (Kingma and Ba 2015) with beta 0.9 and 0.999, epsilon 1e-7.

use crate::plan::random::Random;

const BETA: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-7;

/// One layer, row by row: weights and the bias of each output.
#[derive(Clone, Debug)]
struct Layer {
    inputs: usize,
    outputs: usize,
    /// `outputs` rows of `inputs` weights and a bias.
    values: Vec<f64>,
    gradient: Vec<f64>,
    moment: Vec<[f64; 2]>,
}

impl Layer {
    fn new(inputs: usize, outputs: usize, random: &mut Random) -> Self {
        let count = outputs * (inputs + 1);
        let value = |at: usize| match at % (inputs + 1) == inputs {
            true => 0.0,
            false => 0.05 * random.normal(),
        };
        Self {
            inputs,
            outputs,
            values: (0..count).map(value).collect(),
            gradient: vec![0.0; count],
            moment: vec![[0.0; 2]; count],
        }
    }

    fn row(&self, output: usize) -> &[f64] {
        &self.values[output * (self.inputs + 1)..][..=self.inputs]
    }

    fn forward(&self, input: &[f64]) -> Vec<f64> {
        let output = |row: &[f64]| {
            let sum: f64 = row.iter().zip(input).map(|(w, x)| w * x).sum();
            sum + row[self.inputs]
        };
        (0..self.outputs).map(|k| output(self.row(k))).collect()
    }

    /// Adds to the gradient; returns that of the input.
    fn backward(&mut self, input: &[f64], error: &[f64]) -> Vec<f64> {
        let mut back = vec![0.0; self.inputs];
        for (output, error) in error.iter().enumerate() {
            let from = output * (self.inputs + 1);
            for at in 0..self.inputs {
                self.gradient[from + at] += error * input[at];
                back[at] += error * self.values[from + at];
            }
            self.gradient[from + self.inputs] += error;
        }
        back
    }

    fn update(&mut self, rate: f64) {
        let values = self.values.iter_mut().zip(&mut self.moment);
        for ((value, moment), gradient) in values.zip(&mut self.gradient) {
            moment[0] = BETA[0] * moment[0] + (1.0 - BETA[0]) * *gradient;
            moment[1] = BETA[1] * moment[1] + (1.0 - BETA[1]) * *gradient * *gradient;
            *value -= rate * moment[0] / (libm::sqrt(moment[1]) + EPSILON);
            *gradient = 0.0;
        }
    }
}

/// The network.
#[derive(Clone, Debug)]
pub(super) struct Network {
    layers: Vec<Layer>,
    steps: i32,
}

impl Network {
    /// Layers of these sizes, the input's first.
    pub fn new(sizes: &[usize], random: &mut Random) -> Self {
        let pairs = sizes.windows(2);
        Self {
            layers: pairs.map(|p| Layer::new(p[0], p[1], random)).collect(),
            steps: 0,
        }
    }

    /// Its answer.
    pub fn predict(&self, input: &[f64]) -> Vec<f64> {
        self.activations(input).pop().unwrap_or_default()
    }

    /// Input and what each layer makes of it.
    fn activations(&self, input: &[f64]) -> Vec<Vec<f64>> {
        let mut all = vec![input.to_vec()];
        for (k, layer) in self.layers.iter().enumerate() {
            let mut output = layer.forward(&all[k]);
            if k + 1 < self.layers.len() {
                output.iter_mut().for_each(|x| *x = x.max(0.0));
            }
            all.push(output);
        }
        all
    }

    /// One step towards `target` at `action` for each of a batch.
    pub fn train<'a>(
        &mut self,
        batch: impl ExactSizeIterator<Item = (&'a [f64], usize, f64)>,
        rate: f64,
    ) {
        let outputs = self.layers.last().map_or(1, |layer| layer.outputs);
        #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
        let scale = 2.0 / (batch.len() * outputs) as f64;
        for (input, action, target) in batch {
            let seen = self.activations(input);
            let mut error = vec![0.0; outputs];
            error[action] = scale * (seen[self.layers.len()][action] - target);
            for (k, layer) in self.layers.iter_mut().enumerate().rev() {
                error = layer.backward(&seen[k], &error);
                let active = error.iter_mut().zip(&seen[k]);
                active.for_each(|(e, x)| *e *= f64::from(u8::from(k == 0 || *x > 0.0)));
            }
        }
        self.steps = self.steps.saturating_add(1);
        let correction = BETA.map(|beta| 1.0 - libm::pow(beta, f64::from(self.steps)));
        let rate = rate * libm::sqrt(correction[1]) / correction[0];
        self.layers.iter_mut().for_each(|layer| layer.update(rate));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_a_table_that_no_line_fits() {
        let mut random = Random::new(1, 0);
        let mut network = Network::new(&[2, 6, 6, 2], &mut random);
        let table = [
            ([0.0, 0.0], 0.0),
            ([0.0, 1.0], 1.0),
            ([1.0, 0.0], 1.0),
            ([1.0, 1.0], 0.0),
        ];
        for _ in 0..3_000 {
            let batch: Vec<_> = table.iter().map(|(x, y)| (&x[..], 1, *y)).collect();
            network.train(batch.into_iter(), 0.01);
        }
        for (x, y) in table {
            assert!((network.predict(&x)[1] - y).abs() < 0.1, "{x:?}");
        }
    }
}
