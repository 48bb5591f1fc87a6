use super::{Cell, CellBackward, Options, Recurrent, Sizes};
use crate::error::Error;
use crate::layers::conv2d::ConvolutionTraining;
use crate::layers::{Backward, BackwardReads, Forward, Site, Step, TrainingStep, gradients, kept, room};
use crate::memory::buffer::{split_lines, whole_lines};
use bantam_kernels::conv2d::{Activation, Geometry, InputGradient};
use bantam_kernels::{channels, elementwise};
use core::ops::Range;

/// A recurrent layer with its backward pass, through time.
///
/// The gates of all steps are saved, and the states and memories before the first and behind each. The gradients to the
/// weights are sums over all steps, in one product each at the end.
pub struct RecurrentTraining<C> {
    forward: Recurrent<C>,
    /// All samples in one part and all steps at once.
    saving: Recurrent<C>,
    /// Of all steps.
    input: ConvolutionTraining,
    products: ConvolutionTraining,
    /// Of one.
    state: InputGradient,
}

impl<C: Cell> RecurrentTraining<C> {
    pub fn new(options: &Options, site: &Site<'_>) -> Result<RecurrentTraining<C>, Error> {
        let sizes = Sizes::of::<C>(options, site)?;
        let Sizes { samples, steps, inputs, units, gates } = sizes;
        Ok(RecurrentTraining {
            forward: Recurrent::new(options, site)?,
            saving: Recurrent::parted(options, site, sizes, samples, steps)?,
            input: ConvolutionTraining::new(kept(&Geometry::dense(sizes.rows(), inputs, gates))?, site),
            products: ConvolutionTraining::new(kept(&Geometry::dense(sizes.rows(), units, gates))?, site),
            state: InputGradient::new(site.isa, kept(&Geometry::dense(samples, units, gates))?),
        })
    }

    /// Elements of the gates at all steps, and of states or memories, of which there is one more.
    fn saved_lens(&self) -> [usize; 2] {
        let Sizes { samples, steps, units, gates, .. } = self.saving.sizes;
        [self.saving.sizes.rows().saturating_mul(gates), (steps + 1).saturating_mul(samples * units)]
    }

    /// Where the states before and behind a position are saved.
    fn states(&self, position: usize) -> [Range<usize>; 2] {
        let len = self.saving.sizes.samples * self.saving.sizes.units;
        let [first, second] = [position, position + 1].map(|at| at * len..(at + 1) * len);
        if self.saving.options.backwards { [second, first] } else { [first, second] }
    }

    /// Where the gates of a position are.
    fn gates(&self, position: usize) -> Range<usize> {
        let len = self.saving.sizes.samples * self.saving.sizes.gates;
        position * len..(position + 1) * len
    }

    /// Elements of the gradients to sums, to products, to one step's state, memory and state before, and of packed weights and
    /// scratch.
    fn gradient_lens(&self) -> [usize; 6] {
        let Sizes { samples, units, .. } = self.saving.sizes;
        let ([gates, _], state) = (self.saved_lens(), samples * units);
        let room = self.state.packed_len() + self.state.scratch_len();
        [gates, if C::APART { gates } else { 0 }, state, state, state, room]
    }

    /// Elements of the input of a batch.
    fn input_len(&self) -> usize {
        self.saving.sizes.rows().saturating_mul(self.saving.sizes.inputs)
    }

    /// Adds the gradients to what a step gave to those to the state.
    fn add_output(&self, step: usize, d_output: &[f32], d_state: &mut [f32]) -> Result<(), Error> {
        let Sizes { steps, units, .. } = self.saving.sizes;
        let sequences = self.saving.options.sequences;
        if !sequences && step + 1 < steps {
            return Ok(());
        }
        let at = if sequences { step * units } else { 0 };
        let of_samples = d_output.chunks_exact(self.saving.output_len());
        for (d_output, d_state) in of_samples.zip(d_state.chunks_exact_mut(units)) {
            let d_output = &d_output[at..at + units];
            elementwise::add_assign(self.saving.isa, Activation::None, d_state, d_output)?;
        }
        Ok(())
    }

    /// Copies between `[samples, steps, inputs]` and `[steps, samples, inputs]`, position by position.
    fn for_each_position(
        &self,
        mut copy: impl FnMut(Range<usize>, Range<usize>, [usize; 2]) -> Result<(), bantam_kernels::Error>,
    ) -> Result<(), Error> {
        let Sizes { samples, steps, inputs, .. } = self.saving.sizes;
        for at in 0..steps {
            let strided = at * inputs..((samples - 1) * steps + at + 1) * inputs;
            copy(strided, at * samples * inputs..(at + 1) * samples * inputs, [samples, steps * inputs])?;
        }
        Ok(())
    }

    /// The gradients to the sums and to the products at all steps.
    fn backward_through_time(
        &self,
        run: &Backward<'_>,
        d_sums: &mut [f32],
        d_products: &mut [f32],
        scratch: [&mut [f32]; 4],
    ) -> Result<(), Error> {
        let Recurrent { isa, sizes: Sizes { samples, steps, units, .. }, .. } = self.saving;
        let [d_state, d_memory, d_before, room] = scratch;
        let (packed, scratch) = room.split_at_mut(self.state.packed_len());
        let [gates_len, states_len] = self.saved_lens();
        let (gates, saved) = bytemuck::cast_slice(run.saved).split_at(gates_len);
        let (states, memories) = saved.split_at(states_len);
        self.state.pack(run.weights[1], packed)?;
        let packed = if packed.is_empty() { run.weights[1] } else { &*packed };
        d_state.fill(0.0);
        d_memory.fill(0.0);
        for step in (0..steps).rev() {
            let position = self.saving.position(step);
            let ([before, behind], here) = (self.states(position), self.gates(position));
            self.add_output(step, run.d_output, d_state)?;
            C::backward(CellBackward {
                isa,
                samples,
                units,
                gates: &gates[here.clone()],
                memory: [&memories[before.clone()], &memories[behind]],
                state_before: &states[before],
                d_state: &mut *d_state,
                d_memory: &mut *d_memory,
                d_sums: &mut d_sums[here.clone()],
                d_products: if C::APART { &mut d_products[here.clone()] } else { &mut [] },
            })?;
            if step > 0 {
                let d_products = if C::APART { &d_products[here] } else { &d_sums[here] };
                self.state.run(d_products, packed, d_before, scratch)?;
                elementwise::add_assign(isa, Activation::None, d_state, d_before)?;
            }
        }
        Ok(())
    }
}

impl<C: Cell> Step for RecurrentTraining<C> {
    fn prepared_len(&self) -> usize {
        self.forward.prepared_len()
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        self.forward.prepare(weights, prepared)
    }

    fn scratch_len(&self) -> usize {
        let [_, products, ..] = self.saving.part_lens();
        self.forward.scratch_len().max(products)
    }

    fn multiply_adds(&self) -> u64 {
        self.forward.multiply_adds()
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        self.forward.forward(run)
    }
}

impl<C: Cell> TrainingStep for RecurrentTraining<C> {
    fn saved_len(&self) -> usize {
        let [gates, states] = self.saved_lens();
        room([gates, states, states]).saturating_mul(size_of::<f32>())
    }

    fn forward_saving(&self, run: Forward<'_>, saved: &mut [u8]) -> Result<(), Error> {
        let Recurrent { sizes: Sizes { samples, steps, .. }, options, .. } = self.saving;
        let [gates_len, states_len] = self.saved_lens();
        let (gates, saved) = bytemuck::cast_slice_mut(saved).split_at_mut(gates_len);
        let (states, memories) = saved.split_at_mut(states_len);
        let weights = self.saving.weights(run.weights, run.prepared);
        self.saving.multiply_inputs(0..steps, run.inputs[0], &weights, gates)?;
        let [first, _] = self.states(self.saving.position(0));
        states[first.clone()].fill(0.0);
        memories[first].fill(0.0);
        for step in 0..steps {
            let position = self.saving.position(step);
            let [before, behind] = self.states(position);
            states.copy_within(before.clone(), behind.start);
            memories.copy_within(before, behind.start);
            let (gates, memory) = (&mut gates[self.gates(position)], &mut memories[behind.clone()]);
            let state = &mut states[behind];
            self.saving.step(samples, &weights, run.scratch, gates, memory, state)?;
            if options.sequences {
                self.saving.write(step, samples, state, run.output)?;
            } else if step + 1 == steps {
                run.output.copy_from_slice(state);
            }
        }
        Ok(())
    }

    fn backward_scratch_len(&self, d_input: bool) -> usize {
        let inputs = whole_lines(self.input_len()).saturating_mul(1 + usize::from(d_input));
        let products = self.products.backward_scratch_len(false);
        let sums = self.input.backward_scratch_len(d_input);
        room([room(self.gradient_lens().map(whole_lines)), inputs, products.max(sums)])
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::INPUTS
    }

    fn backward(&self, mut run: Backward<'_>) -> Result<(), Error> {
        let mut scratch = core::mem::take(&mut run.scratch);
        let [d_sums, d_products, d_state, d_memory, d_before, packed] = self.gradient_lens().map(|len| {
            let (front, rest) = split_lines(core::mem::take(&mut scratch), len);
            scratch = rest;
            front
        });
        self.backward_through_time(&run, d_sums, d_products, [d_state, d_memory, d_before, packed])?;

        let Backward { inputs, weights, saved, d_input, d_weights, .. } = run;
        let [d_kernel, d_recurrent, d_bias] = gradients(d_weights);
        let (d_bias, d_state_bias) = match d_bias {
            Some(both) if C::APART => {
                let (d_bias, d_state_bias) = both.split_at_mut(self.saving.sizes.gates);
                (Some(d_bias), Some(d_state_bias))
            }
            d_bias => (d_bias, None),
        };
        let (x, scratch) = split_lines(scratch, self.input_len());
        if d_kernel.is_some() {
            self.for_each_position(|from, to, [rows, stride]| {
                let columns = to.len() / rows;
                channels::copy(rows, columns, &inputs[0][from], stride, &mut x[to], columns)
            })?;
        }
        let (d_x, scratch) = split_lines(scratch, if d_input.is_some() { self.input_len() } else { 0 });
        let of_input = d_input.is_some().then_some(&mut *d_x);
        let (x, state) = (&*x, bytemuck::cast_slice(saved));
        backward(&self.input, x, weights[0], d_sums, of_input, [d_kernel, d_bias], scratch)?;
        if let Some(d_input) = d_input {
            self.for_each_position(|to, from, [rows, stride]| {
                let columns = from.len() / rows;
                channels::copy(rows, columns, &d_x[from], columns, &mut d_input[to], stride)
            })?;
        }
        let [gates_len, states_len] = self.saved_lens();
        let states = &state[gates_len..][..states_len];
        let ([first, _], [last, _]) = (self.states(0), self.states(self.saving.sizes.steps - 1));
        let d_products = if C::APART { d_products } else { d_sums };
        let of_weights = [d_recurrent, d_state_bias];
        backward(
            &self.products,
            &states[first.start..last.end],
            weights[1],
            d_products,
            None,
            of_weights,
            scratch,
        )
    }
}

/// The gradients of a product of all steps and its bias.
fn backward(
    product: &ConvolutionTraining,
    input: &[f32],
    weights: &[f32],
    d_output: &mut [f32],
    d_input: Option<&mut [f32]>,
    [d_kernel, d_bias]: [Option<&mut [f32]>; 2],
    scratch: &mut [f32],
) -> Result<(), Error> {
    product.backward(Backward {
        inputs: &[input],
        weights: &[weights],
        output: &[],
        saved: &[],
        d_output,
        input: 0,
        d_input,
        d_weights: &mut [d_kernel, d_bias],
        scratch,
        statistics: &[],
        gradient_means: &[],
        share: 1.0,
    })
}
