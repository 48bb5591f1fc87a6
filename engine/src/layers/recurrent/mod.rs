//! What recurrent layers share: options, weights, and the loop over time. Their gates are a [`Cell`] of their own.

mod training;

pub(super) use training::RecurrentTraining;

use super::{Attributes, AttributesMut, Forward, Initial, Signature, Site, Step, kept, one_input_of, room};
use crate::error::Error;
use crate::memory::buffer::{split_lines, whole_lines};
use crate::parallel::for_each_chunk_with;
use crate::shape::Shape;
use bantam_kernels::conv2d::{Activation, Algorithm, Convolution, Geometry};
use bantam_kernels::{self as kernels, Isa, channels};
use core::marker::PhantomData;
use core::ops::Range;

/// The steps in time whose inputs are multiplied at once, where memory is not scarce: whole register tiles of all
/// instruction sets.
const STEPS_AT_ONCE: usize = 30;

/// The gates of a layer, for one step in time.
pub trait Cell: Send + Sync + 'static {
    /// How many gates there are.
    const GATES: usize;
    /// Whether the products of the state have a bias of their own and go through a gate of their own, so that their
    /// gradients are not those of the sums.
    const APART: bool;

    /// Turns `gates`, the products of the input, into gates, and the state and what is remembered beside it into those of
    /// the next step.
    fn forward(step: CellForward<'_>) -> Result<(), Error>;

    /// Gives the gradients to `d_sums`, and to `d_products` if they are apart, and turns those to the state and to what is
    /// remembered into those of the step before, but for what goes through the products.
    fn backward(step: CellBackward<'_>) -> Result<(), Error>;
}

/// A step forward of so many samples.
pub struct CellForward<'a> {
    pub isa: Isa,
    pub samples: usize,
    pub units: usize,
    pub products: &'a [f32],
    pub gates: &'a mut [f32],
    pub memory: &'a mut [f32],
    pub state: &'a mut [f32],
}

/// A step backward of so many samples.
pub struct CellBackward<'a> {
    pub isa: Isa,
    pub samples: usize,
    pub units: usize,
    pub gates: &'a [f32],
    /// Before the step and behind it.
    pub memory: [&'a [f32]; 2],
    pub state_before: &'a [f32],
    pub d_state: &'a mut [f32],
    pub d_memory: &'a mut [f32],
    pub d_sums: &'a mut [f32],
    pub d_products: &'a mut [f32],
}

/// What there is to say of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Numbers of the state.
    pub units: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// Whether the output has the states behind all steps, in the order in which they are computed.
    pub sequences: bool,
    /// Whether it goes from the last step to the first.
    pub backwards: bool,
}

impl Options {
    pub(super) const fn new() -> Options {
        Options { units: 0, bias: true, sequences: false, backwards: false }
    }

    pub(super) fn read(attributes: &mut Attributes<'_>) -> Options {
        Options {
            units: attributes.size("units"),
            bias: attributes.flag("bias flag"),
            sequences: attributes.flag("sequences flag"),
            backwards: attributes.flag("direction flag"),
        }
    }

    pub(super) fn write(&self, attributes: &mut AttributesMut) {
        attributes.size(self.units);
        attributes.flag(self.bias);
        attributes.flag(self.sequences);
        attributes.flag(self.backwards);
    }

    /// The shapes for one sample; the bias begins as that.
    pub(super) fn signature<C: Cell>(&self, inputs: &[Shape], bias: Initial) -> Result<Signature, Error> {
        let [steps, inputs] = one_input_of(inputs)?;
        let Options { units, sequences, .. } = *self;
        if units == 0 {
            return Err(kernels::Error::ZeroSize { what: "units" }.into());
        }
        let all = units.saturating_mul(C::GATES);
        for features in [inputs, units] {
            kept(&Geometry::dense(steps, features, all))?;
        }
        let signature = if sequences { Signature::of(&[steps, units]) } else { Signature::of(&[units]) };
        let signature = signature
            .weight("kernel", &[inputs, all], Initial::Drawn { fan_in: inputs, fan_out: all })
            .weight("recurrent_kernel", &[units, all], Initial::Orthogonal);
        Ok(match (self.bias, C::APART) {
            (false, _) => signature,
            (true, false) => signature.weight("bias", &[all], bias),
            (true, true) => signature.weight("bias", &[2, all], bias),
        })
    }
}

/// The sizes of a batch.
#[derive(Clone, Copy)]
struct Sizes {
    samples: usize,
    steps: usize,
    inputs: usize,
    units: usize,
    /// Units of all gates.
    gates: usize,
}

impl Sizes {
    fn of<C: Cell>(options: &Options, site: &Site<'_>) -> Result<Sizes, Error> {
        let [samples, steps, inputs] = one_input_of(site.inputs)?;
        let gates = options.units.saturating_mul(C::GATES);
        Ok(Sizes { samples, steps, inputs, units: options.units, gates })
    }

    /// Samples at all steps.
    fn rows(&self) -> usize {
        self.samples.saturating_mul(self.steps)
    }

    fn multiply_adds(&self) -> u64 {
        let weights = (self.inputs + self.units) as u64;
        weights.saturating_mul(self.gates as u64).saturating_mul(self.rows() as u64)
    }
}

/// A recurrent layer, ready to run. Threads share the samples.
///
/// Arrays of several steps have the step first, `[steps, samples, …]`, so that each step's is one piece.
pub struct Recurrent<C> {
    isa: Isa,
    options: Options,
    sizes: Sizes,
    /// Samples of a part, and steps whose inputs are multiplied at once.
    part: usize,
    at_once: usize,
    /// Of one sample's inputs at so many steps, which gives each step's gates a part's apart.
    input: Convolution,
    /// Of a part's states.
    state: Convolution,
    cell: PhantomData<C>,
}

impl<C: Cell> Recurrent<C> {
    pub fn new(options: &Options, site: &Site<'_>) -> Result<Recurrent<C>, Error> {
        let sizes = Sizes::of::<C>(options, site)?;
        let part = site.threads.part_of_work(sizes.samples, sizes.multiply_adds());
        // A small computer has no tiles to fill and no memory to waste.
        let at_once = if site.isa == Isa::SCALAR { 1 } else { sizes.steps.min(STEPS_AT_ONCE) };
        Recurrent::parted(options, site, sizes, part, at_once)
    }

    fn parted(
        options: &Options,
        site: &Site<'_>,
        sizes: Sizes,
        part: usize,
        at_once: usize,
    ) -> Result<Recurrent<C>, Error> {
        let dense = |rows, features| {
            let geometry = Geometry::dense(rows, features, sizes.gates)?;
            Convolution::with_algorithm(site.isa, &geometry, Algorithm::Direct)
        };
        let (mut input, state) = (dense(at_once, sizes.inputs)?, dense(part, sizes.units)?);
        if !input.slice([sizes.inputs, part.saturating_mul(sizes.gates)]) {
            return Err(kernels::Error::TooLarge { what: "gates" }.into());
        }
        let (isa, options, cell) = (site.isa, *options, PhantomData);
        Ok(Recurrent { isa, options, sizes, part, at_once, input, state, cell })
    }

    /// The position of a step in the input.
    fn position(&self, step: usize) -> usize {
        if self.options.backwards { self.sizes.steps - 1 - step } else { step }
    }

    /// The positions of some steps.
    fn positions(&self, steps: Range<usize>) -> Range<usize> {
        let all = self.sizes.steps;
        if self.options.backwards { all - steps.end..all - steps.start } else { steps }
    }

    /// Elements of a sample's output.
    fn output_len(&self) -> usize {
        if self.options.sequences { self.sizes.steps * self.sizes.units } else { self.sizes.units }
    }

    /// Elements of a part's gates at once, products, memory and state.
    fn part_lens(&self) -> [usize; 4] {
        let Sizes { units, gates, .. } = self.sizes;
        let (gates, states) = (self.part.saturating_mul(gates), self.part * units);
        let state = if self.options.sequences { states } else { 0 };
        [self.at_once.saturating_mul(gates), gates, states, state]
    }

    /// The products of all samples' inputs at some positions.
    fn multiply_inputs(
        &self,
        positions: Range<usize>,
        input: &[f32],
        weights: &Weights<'_>,
        gates: &mut [f32],
    ) -> Result<(), Error> {
        let Sizes { steps, inputs, gates: all, .. } = self.sizes;
        let convolution = self.input.first(positions.len());
        let len = (positions.len() - 1) * self.part * all + all;
        for (sample, input) in input.chunks_exact(steps * inputs).enumerate() {
            let input = &input[positions.start * inputs..positions.end * inputs];
            let gates = &mut gates[sample * all..][..len];
            convolution.forward(input, weights.input, weights.bias, Activation::None, gates, &mut [])?;
        }
        Ok(())
    }

    /// One step of so many samples. `products` is room for those of the state.
    fn step(
        &self,
        samples: usize,
        weights: &Weights<'_>,
        products: &mut [f32],
        gates: &mut [f32],
        memory: &mut [f32],
        state: &mut [f32],
    ) -> Result<(), Error> {
        let products = &mut products[..samples * self.sizes.gates];
        let convolution = self.state.first(samples);
        convolution.forward(state, weights.state, weights.state_bias, Activation::None, products, &mut [])?;
        let (isa, units) = (self.isa, self.sizes.units);
        C::forward(CellForward { isa, samples, units, products, gates, memory, state })
    }

    /// Writes the states behind a step into the sequences.
    fn write(&self, step: usize, samples: usize, state: &[f32], output: &mut [f32]) -> Result<(), Error> {
        let Sizes { steps, units, .. } = self.sizes;
        let output = &mut output[step * units..][..((samples - 1) * steps + 1) * units];
        Ok(channels::copy(samples, units, state, units, output, steps * units)?)
    }

    fn run_part(
        &self,
        input: &[f32],
        weights: &Weights<'_>,
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let Sizes { steps, units, gates: all, .. } = self.sizes;
        let [gates_len, products_len, ..] = self.part_lens();
        let samples = output.len() / self.output_len();
        let (gates, scratch) = split_lines(scratch, gates_len);
        let (products, scratch) = split_lines(scratch, products_len);
        let (memory, states) = split_lines(scratch, samples * units);
        let (state, mut sequences) = if self.options.sequences {
            (&mut states[..samples * units], Some(output))
        } else {
            (output, None)
        };
        memory.fill(0.0);
        state.fill(0.0);
        for first in (0..steps).step_by(self.at_once) {
            let together = first..steps.min(first + self.at_once);
            let positions = self.positions(together.clone());
            self.multiply_inputs(positions.clone(), input, weights, gates)?;
            for step in together {
                let at = self.position(step) - positions.start;
                let gates = &mut gates[at * self.part * all..][..samples * all];
                self.step(samples, weights, products, gates, memory, state)?;
                if let Some(sequences) = &mut sequences {
                    self.write(step, samples, state, sequences)?;
                }
            }
        }
        Ok(())
    }
}

impl<C: Cell> Step for Recurrent<C> {
    fn prepared_len(&self) -> usize {
        whole_lines(self.input.packed_len()).saturating_add(self.state.packed_len())
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        let (input, state) = split_lines(prepared, self.input.packed_len());
        self.input.pack(weights[0], input)?;
        Ok(self.state.pack(weights[1], state)?)
    }

    fn reads_weights(&self, index: usize) -> bool {
        index > 1 || self.prepared_len() == 0
    }

    fn scratch_len(&self) -> usize {
        let parts = self.sizes.samples.div_ceil(self.part);
        parts.saturating_mul(room(self.part_lens().map(whole_lines)))
    }

    fn multiply_adds(&self) -> u64 {
        self.sizes.multiply_adds()
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let (input, weights) = (run.inputs[0], self.weights(run.weights, run.prepared));
        let (input_len, output_len) = (self.sizes.steps * self.sizes.inputs, self.output_len());
        let chunks = (run.output, self.part * output_len);
        let scratch = (run.scratch, room(self.part_lens().map(whole_lines)));
        for_each_chunk_with(chunks, scratch, |i, output, scratch| {
            let samples = output.len() / output_len;
            let input = &input[i * self.part * input_len..][..samples * input_len];
            self.run_part(input, &weights, output, scratch)
        })
    }
}

/// What inputs and states are multiplied by, packed where that is faster.
struct Weights<'a> {
    input: &'a [f32],
    state: &'a [f32],
    bias: Option<&'a [f32]>,
    state_bias: Option<&'a [f32]>,
}

impl<C: Cell> Recurrent<C> {
    fn weights<'a>(&self, weights: &[&'a [f32]], prepared: &'a [f32]) -> Weights<'a> {
        let bias = weights.get(2).copied();
        let (bias, state_bias) = match bias {
            Some(both) if C::APART => {
                let (bias, state_bias) = both.split_at(self.sizes.gates);
                (Some(bias), Some(state_bias))
            }
            bias => (bias, None),
        };
        let [mut input, mut state] = [weights[0], weights[1]];
        if !prepared.is_empty() {
            let packed = self.input.packed_len();
            (input, state) = (&prepared[..packed], &prepared[whole_lines(packed)..]);
        }
        Weights { input, state, bias, state_bias }
    }
}
