use super::{Tape, Var};
use crate::error::Error;
use crate::graph::Model;
use crate::graph::fuse::Operations;
use crate::graph::model::{check_finite, in_layer};
use crate::layers::{Role, Site, Source};
use crate::memory::heap;
use crate::optimizer::Optimizer;
use crate::parallel::Threads;
use crate::plan::inference::Shapes;
use crate::tape::Gradients;
use crate::tensor::check_len;
use alloc::vec::Vec;
use bantam_kernels::Isa;

/// Whether a net is recorded for training or for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout passes everything on, and batch normalisation goes by its moving statistics.
    Inference,
    /// Dropout zeroes elements that this seed chooses, and batch normalisation goes by the batch's statistics.
    Training {
        /// Another number in each step.
        seed: u64,
    },
}

impl<'m> Model<'m> {
    /// Records a model of one input and one output on a tape, from `input`, `[N, …]`, to its output. One variable for each
    /// parameter, in order, is added to `parameters`; those of frozen layers get no gradient.
    ///
    /// # Errors
    /// The input has another shape than the model's, or there are several inputs or outputs.
    pub fn record<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        input: Var,
        mode: Mode,
        parameters: &mut Vec<Var>,
    ) -> Result<Var, Error> {
        let batch = self.check_input(tape.shape(input)?)?;
        let roles = self.roles()?;
        let first = parameters.len();
        for (parameter, role) in self.parameters().iter().zip(roles) {
            let (shape, values) = (parameter.shape(), parameter.values());
            let has_gradient = match role {
                Role::Learnt => true,
                Role::Moving => mode != Mode::Inference,
                Role::Constant => false,
            };
            let var = if has_gradient { tape.parameter(shape, values)? } else { tape.input(shape, values)? };
            heap::push(parameters, var)?;
        }
        let parameters = &parameters[first..];
        let seed = match mode {
            Mode::Inference => None,
            Mode::Training { seed } => Some(seed),
        };
        let operations = Operations::new(self, &[], &[self.only_output()?], seed.is_some())?;
        self.record_operations(tape, &operations, (batch, seed), [input; 2], parameters)
    }

    /// Records operations from a value that is given, `[N, …]`, and the model's only input to their only output, with weights
    /// that have no gradient.
    pub(crate) fn record_frozen<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        operations: &Operations,
        [given, input]: [Var; 2],
    ) -> Result<Var, Error> {
        let batch = self.check_input(tape.shape(input)?)?;
        // Those that nothing reads are no variables of their own.
        let mut parameters = heap::filled(self.parameters().len(), input)?;
        for index in operations.list.iter().flat_map(|operation| operation.reads.parameters(self)) {
            let parameter = &self.parameters()[index];
            parameters[index] = tape.input(parameter.shape(), parameter.values())?;
        }
        self.record_operations(tape, operations, (batch, None), [given, input], &parameters)
    }

    /// Records operations for a batch, in training with a seed, and gives the variable of their only output.
    fn record_operations<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        operations: &Operations,
        (batch, seed): (usize, Option<u64>),
        [given, input]: [Var; 2],
        parameters: &[Var],
    ) -> Result<Var, Error> {
        let mut outputs: Vec<Var> = heap::list(operations.list.len())?;
        for (k, operation) in operations.list.iter().enumerate() {
            let shapes = Shapes::new(self, operation.reads, batch)?;
            let learns = seed.is_some() && operation.reads.are_trainable(self);
            let site = Site {
                learns,
                ..shapes.site(tape.isa(), Threads::of_the_pool(), false, self.parameter_count())
            };
            let step = operation.lower_for_training(self, &site)?;
            let values = operation.reads.values(self);
            let shape = self.value_shape(operation.value);
            let mut inputs = heap::list(values.len())?;
            inputs.extend(values.iter().map(|&value| match operations.sources[value] {
                Source::Operation(from) => outputs[from],
                Source::Given(_) => given,
                _ => input,
            }));
            let weights = &parameters[operation.reads.parameters(self)];
            // Layers must not zero the same elements.
            let node = self.nodes_of(&operations.sources, k).next().unwrap_or(0);
            let seed = seed.unwrap_or(0).wrapping_add((node as u64) << 40);
            let recorded = tape.record(step, shape.with_batch(batch)?, &inputs, weights, seed);
            outputs.push(recorded.map_err(|cause| in_layer(self.nodes()[node].name(), cause))?);
        }
        Ok(outputs[operations.outputs[0]])
    }

    /// Moves every trainable parameter by its gradient, and moving statistics towards those of a batch that was recorded for
    /// training. `parameters` are those that [`record`](Model::record) gave.
    ///
    /// # Errors
    /// A stale variable, others than the parameters', a gradient that is not finite, or a number of the optimiser's is out of
    /// its range. The weights are then as they were.
    pub fn update(
        &mut self,
        isa: Isa,
        optimizer: &mut Optimizer,
        parameters: &[Var],
        gradients: &Gradients,
    ) -> Result<(), Error> {
        let (count, roles) = (self.parameters().len(), self.roles()?);
        if parameters.len() != count {
            let what = "variables of the parameters";
            return Err(bantam_kernels::Error::Length { what, expected: count, got: parameters.len() }.into());
        }
        let learnt = || (0..count).filter(|&index| roles[index] == Role::Learnt);
        optimizer.rule().check_names(self)?;
        let mut step = optimizer.begin_step()?;
        for index in learnt() {
            let gradient = gradients.get(parameters[index])?;
            check_len("gradient of a parameter", gradient, self.parameters()[index].shape())?;
            check_finite("gradient", gradient)
                .and_then(|()| step.expect(index, gradient.len()))
                .map_err(|cause| in_layer(self.owner(index).map_or("", |node| node.name()), cause))?;
            step.observe(isa, gradient)?;
        }
        for index in (0..count).filter(|&index| roles[index] == Role::Moving) {
            let Ok(gradient) = gradients.get(parameters[index]) else { continue };
            check_len("gradient of a parameter", gradient, self.parameters()[index].shape())?;
            self.values_mut(index).iter_mut().zip(gradient).for_each(|(value, down)| *value -= down);
        }
        learnt().try_for_each(|index| {
            let (names, weights) = self.named_mut(index);
            step.update_named(isa, index, &names, weights, gradients.get(parameters[index])?)
        })
    }
}
