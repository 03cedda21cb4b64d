//! From a fused network to steps in an arena: which nodes run together, where
//! every map lies, how large a strip is.
//!
//! Guarantees: a plan that was made runs; its arena has at most [`MAX_ARENA`]
//! elements; two maps share memory only if no step needs both.

mod lower;

use super::graph::{Graph, Node, Op, Pads, Reach, TensorId};
use super::kernels::{Kernels, Misfit};
use super::map::{Map, Slot};
use super::memory::{Aligned, Need, places};
use super::step::{Import, Scene, Step, StepError};
use super::{Refusal, broken};
use std::ops::Range;

/// Most elements of an arena: 1 GiB.
pub(super) const MAX_ARENA: usize = 1 << 28;

/// Most channels of a network input that a stem reads in place.
const MAX_PLANAR: usize = 8;

/// A network ready to run.
#[derive(Debug)]
pub(super) struct Plan {
    kernels: Kernels,
    steps: Vec<Step>,
    arena: Aligned,
    places: Vec<Range<usize>>,
    outputs: Vec<Map>,
    input_len: usize,
}

impl Plan {
    /// The steps of a fused network.
    pub fn new(kernels: Kernels, graph: &Graph) -> Result<Self, Refusal> {
        let mut planner = Planner::new(kernels, graph);
        planner.assign_roles();
        planner.import()?;
        planner.lower_all()?;
        let outputs: Vec<Map> = graph
            .outputs
            .iter()
            .map(|&t| planner.read(t))
            .collect::<Result<_, _>>()?;
        let (places, len) = places(&planner.needs);
        if len > MAX_ARENA {
            return Err(too_large(len));
        }
        Ok(Self {
            kernels,
            steps: planner.steps,
            arena: Aligned::zeroed(len),
            places,
            outputs,
            input_len: graph.tensors[graph.input].c * graph.tensors[graph.input].pixels(),
        })
    }

    /// Runs on a planar input and writes planar outputs, in the order in which
    /// they were asked for.
    pub fn run<const N: usize>(
        &mut self,
        input: &[f32],
        outputs: [&mut [f32]; N],
    ) -> Result<(), StepError> {
        self.compute(input)?;
        for (map, output) in self.outputs.iter().zip(outputs) {
            map.write_planar(&self.arena[self.places[map.slot].clone()], output);
        }
        Ok(())
    }

    fn compute(&mut self, input: &[f32]) -> Result<(), StepError> {
        if input.len() != self.input_len {
            return Err(Misfit::of("network").into());
        }
        let mut scene = Scene {
            kernels: self.kernels,
            arena: &mut self.arena,
            places: &self.places,
            input,
        };
        self.steps
            .iter_mut()
            .try_for_each(|step| step.run(&mut scene))
    }
}

pub(super) fn too_large(len: usize) -> Refusal {
    broken(format!(
        "its feature maps need {} MiB, more than {}",
        len >> 18,
        MAX_ARENA >> 18
    ))
}

/// What becomes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A step of its own.
    Own,
    /// Makes the input of the depthwise convolution at this place.
    Feeds,
    /// A depthwise convolution, run at the place of the node that projects it.
    FedInto,
    /// Reads the output of the depthwise convolution at this place.
    Projects(usize),
    /// The mean of a depthwise output, made along with it.
    Mean,
}

/// A plan under construction.
struct Planner<'g> {
    kernels: Kernels,
    graph: &'g Graph,
    readers: Vec<usize>,
    maker: Vec<Option<usize>>,
    roles: Vec<Role>,
    maps: Vec<Option<Map>>,
    needs: Vec<Need>,
    steps: Vec<Step>,
}

impl<'g> Planner<'g> {
    fn new(kernels: Kernels, graph: &'g Graph) -> Self {
        let mut maker = vec![None; graph.tensors.len()];
        for (i, node) in graph.nodes.iter().enumerate() {
            maker[node.output] = Some(i);
        }
        Self {
            kernels,
            graph,
            readers: graph.readers(),
            maker,
            roles: vec![Role::Own; graph.nodes.len()],
            maps: vec![None; graph.tensors.len()],
            needs: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// The place of the node whose output `tensor` is, if that is all that it is
    /// for.
    fn sole_maker(&self, tensor: TensorId) -> Option<usize> {
        self.maker[tensor].filter(|_| self.readers[tensor] == 1)
    }

    fn readers_of(&self, tensor: TensorId) -> impl Iterator<Item = usize> + '_ {
        let nodes = self.graph.nodes.iter().enumerate();
        nodes
            .filter(move |(_, node)| node.reads().any(|t| t == tensor))
            .map(|(i, _)| i)
    }

    /// Finds what each depthwise convolution runs together with.
    fn assign_roles(&mut self) {
        for (i, node) in self.graph.nodes.iter().enumerate() {
            let Op::Conv(conv) = &node.op else { continue };
            if conv.reach != Reach::Depthwise {
                continue;
            }
            if let Some(feeder) = self.sole_maker(node.inputs[0])
                && self.roles[feeder] == Role::Own
                && let Op::Conv(feed) = &self.graph.nodes[feeder].op
                && feed.reach == Reach::Dense
                && feed.residual.is_none()
                && feed.gate.is_none()
            {
                self.roles[feeder] = Role::Feeds;
            }
            let readers: Vec<usize> = self.readers_of(node.output).collect();
            if let [reader] = readers[..]
                && self.readers[node.output] == 1
                && self.can_project(reader, node)
            {
                self.roles[reader] = Role::Projects(i);
                self.roles[i] = Role::FedInto;
            } else if let Some(&mean) = readers.iter().find(|&&r| self.is_mean(r, node.output)) {
                self.roles[mean] = Role::Mean;
            }
        }
    }

    fn can_project(&self, reader: usize, depthwise: &Node) -> bool {
        let node = &self.graph.nodes[reader];
        match &node.op {
            Op::Conv(conv) => {
                conv.reach == Reach::Dense
                    && conv.window.is_pointwise()
                    && conv.gate.is_none()
                    && node.inputs == [depthwise.output]
                    && self.roles[reader] == Role::Own
            }
            _ => false,
        }
    }

    fn is_mean(&self, reader: usize, of: TensorId) -> bool {
        let tensor = self.graph.tensors[of];
        match &self.graph.nodes[reader].op {
            Op::Pool(pool) => {
                self.roles[reader] == Role::Own
                    && pool.window.kernel == (tensor.h, tensor.w)
                    && pool.window.pads == Pads::default()
            }
            _ => false,
        }
    }

    /// A place of `len` elements for the step that is being made.
    fn need(&mut self, len: usize) -> Result<Slot, Refusal> {
        if len > MAX_ARENA {
            return Err(too_large(len));
        }
        let now = self.steps.len();
        self.needs.push(Need {
            len,
            first: now,
            last: now,
        });
        Ok(self.needs.len() - 1)
    }

    /// A map for what the step that is being made makes.
    fn make(&mut self, tensor: TensorId) -> Result<Map, Refusal> {
        let shape = self.graph.tensors[tensor];
        let size = (shape.c, shape.h, shape.w);
        let lanes = self.kernels.lanes();
        let len = Map::new(0, size, lanes).len();
        let map = Map::new(self.need(len)?, size, lanes);
        self.maps[tensor] = Some(map);
        Ok(map)
    }

    /// The map of `tensor`, for the step that is being made.
    fn read(&mut self, tensor: TensorId) -> Result<Map, Refusal> {
        let map = self.maps[tensor].ok_or_else(|| broken("a node reads what is made after it"))?;
        self.needs[map.slot].last = self.steps.len();
        Ok(map)
    }

    /// True when the convolution `node` reads the network's planar input as it
    /// is, row by row.
    fn reads_planar(&self, node: &Node) -> bool {
        let input = self.graph.input;
        let stem = match &node.op {
            Op::Conv(conv) => conv.reach == Reach::Dense && !conv.window.is_pointwise(),
            _ => false,
        };
        stem && node.inputs == [input] && self.graph.tensors[input].c <= MAX_PLANAR
    }

    /// Makes a blocked map of the network's input, if anything needs one.
    fn import(&mut self) -> Result<(), Refusal> {
        let input = self.graph.input;
        let needs_map = |node: &Node| {
            let reads = node.reads().filter(|t| *t == input).count();
            reads > usize::from(self.reads_planar(node))
        };
        if self.graph.outputs.contains(&input) || self.graph.nodes.iter().any(needs_map) {
            let out = self.make(input)?;
            self.steps.push(Step::Import(Import { out }));
        }
        Ok(())
    }
}
