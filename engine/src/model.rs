use crate::checksum::Checksum;
use crate::heap;
use crate::layer::{Blueprint, Parameter};
use crate::ops::{Conv2dPool, LayerOp, MAX_INPUTS};
use crate::summary::Summary;
use crate::tensor::check_len;
use crate::{Error, Gradients, Layer, LayerKind, Optimizer, Shape, Tape, Var};
use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;
use bantam_kernels::Isa;
use bantam_kernels::conv2d::Padding;
use core::iter;
use core::ops::Range;

/// Layers with weights: a value that can be trained, saved, run and taken to pieces.
///
/// Made by [`Sequential`](crate::Sequential) or read from a file. Weights may be borrowed from the
/// file's bytes for `'m`; training copies those that it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Model<'m> {
    input: Shape,
    layers: Vec<Layer<'m>>,
}

/// Whether a net is recorded for training or for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout passes everything.
    Inference,
    /// Dropout zeroes elements that this seed chooses.
    Training {
        /// Another number in each step.
        seed: u64,
    },
}

/// The most layers of a model: names are compared, and buffers placed, each with all others.
const MAX_LAYERS: usize = 4096;

/// Some layers as one operation. It takes its weights from the first.
pub(crate) struct Step {
    /// `None` passes the input on.
    pub op: Option<LayerOp>,
    pub layers: Range<usize>,
}

impl<'m> Model<'m> {
    /// Checks the shapes and asks `weights` for each parameter, by its layer, name and shape.
    pub(crate) fn assemble(
        input: Shape,
        count: usize,
        blueprints: impl Iterator<Item = Result<Blueprint<'m>, Error>>,
        mut weights: impl FnMut(&Blueprint<'m>, &str, Shape) -> Result<Cow<'m, [f32]>, Error>,
    ) -> Result<Model<'m>, Error> {
        if count > MAX_LAYERS {
            return Err(Error::TooMany { what: "layers", max: MAX_LAYERS, got: count });
        }
        let mut layers: Vec<Layer<'m>> = heap::list(count)?;
        let mut shape = input;
        for blueprint in blueprints {
            let blueprint = blueprint?;
            if layers.iter().any(|layer| layer.name == blueprint.name) {
                return Err(Error::DuplicateLayer { name: heap::text(&blueprint.name)? });
            }
            let mut build = || {
                let kind = blueprint.kind;
                let names_and_shapes = kind.weights(shape)?;
                let mut shapes = [shape.with_batch(1)?; MAX_INPUTS];
                let mut inputs = 1;
                for &(_, shape) in names_and_shapes.iter().flatten() {
                    shapes[inputs] = shape;
                    inputs += 1;
                }
                let output = match kind.operation(false, Some(0)) {
                    Some(op) => op.get().output_shape(&shapes[..inputs])?,
                    None => shapes[0],
                };
                let mut parameters = heap::list(inputs - 1)?;
                for &(name, shape) in names_and_shapes.iter().flatten() {
                    let values = weights(&blueprint, name, shape)?;
                    parameters.push(Parameter { name, shape, values });
                }
                Ok((output.split_batch().map_or(output, |(_, sample)| sample), parameters))
            };
            let (output, parameters) = build().map_err(|cause| in_layer(&blueprint.name, cause))?;
            shape = output;
            let Blueprint { name, kind, trainable, .. } = blueprint;
            layers.push(Layer { name, kind, trainable, output, parameters });
        }
        if layers.is_empty() {
            return Err(Error::Empty { what: "layers" });
        }
        Ok(Model { input, layers })
    }

    /// The shape of a sample.
    pub fn input_shape(&self) -> Shape {
        self.input
    }

    /// The shape of the output for one sample.
    pub fn output_shape(&self) -> Shape {
        self.layers.last().map_or(self.input, |layer| layer.output)
    }

    /// All layers, first to last.
    pub fn layers(&self) -> &[Layer<'m>] {
        &self.layers
    }

    /// The layer of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn layer(&self, name: &str) -> Result<&Layer<'m>, Error> {
        let found = self.layers.iter().find(|layer| layer.name == name);
        found.ok_or_else(|| Error::UnknownLayer { name: name.to_string() })
    }

    /// Whether training changes the layer of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn set_trainable(&mut self, name: &str, trainable: bool) -> Result<(), Error> {
        let found = self.layers.iter_mut().find(|layer| layer.name == name);
        found.ok_or_else(|| Error::UnknownLayer { name: name.to_string() })?.trainable = trainable;
        Ok(())
    }

    /// The same model with convolutions that are [direct only](crate::Conv2d::direct_only). A model's file
    /// does not tell.
    ///
    /// ```
    /// use bantam::{Isa, Sequential, Session};
    /// let model = Sequential::new([8, 8, 16]).conv2d(16, 3).build(1)?.direct_only();
    /// let mut session = Session::new(&model, 1, Isa::detect())?;
    /// assert_eq!(session.run(&[1.0; 8 * 8 * 16])?.len(), 6 * 6 * 16);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    pub fn direct_only(mut self) -> Model<'m> {
        for layer in &mut self.layers {
            if let LayerKind::Conv2d { how, .. } = &mut layer.kind {
                *how = how.direct_only();
            }
        }
        self
    }

    /// How many numbers the model has learnt.
    pub fn parameter_count(&self) -> usize {
        self.layers.iter().map(Layer::parameter_count).sum()
    }

    /// A table of the layers, to be printed.
    pub fn summary(&self) -> impl core::fmt::Display {
        Summary(self)
    }

    /// The same model with weights of its own.
    pub fn into_owned(self) -> Model<'static> {
        let own = |parameter: Parameter<'m>| Parameter {
            name: parameter.name,
            shape: parameter.shape,
            values: Cow::Owned(parameter.values.into_owned()),
        };
        let layers = self.layers.into_iter().map(|layer| Layer {
            parameters: layer.parameters.into_iter().map(own).collect(),
            name: Cow::Owned(layer.name.into_owned()),
            kind: layer.kind,
            trainable: layer.trainable,
            output: layer.output,
        });
        Model { input: self.input, layers: layers.collect() }
    }

    /// Records the model on a tape, from `input`, `[N, …]`, to its output. One variable for each
    /// parameter, in order, is added to `parameters`; those of frozen layers get no gradient.
    ///
    /// # Errors
    /// The input has another shape than the model's.
    pub fn record<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        input: Var,
        mode: Mode,
        parameters: &mut Vec<Var>,
    ) -> Result<Var, Error> {
        self.record_first(self.layers.len(), tape, input, mode, parameters)
    }

    /// As [`record`](Model::record), as far as the first `count` layers go.
    pub(crate) fn record_first<'a>(
        &'a self,
        count: usize,
        tape: &mut Tape<'a>,
        input: Var,
        mode: Mode,
        parameters: &mut Vec<Var>,
    ) -> Result<Var, Error> {
        self.check_input(tape.shape(input)?)?;
        let mut var = input;
        for step in self.steps(0..count, mode) {
            let layer = &self.layers[step.layers.start];
            let mut inputs = [var; MAX_INPUTS];
            for (slot, parameter) in inputs[1..].iter_mut().zip(&layer.parameters) {
                *slot = if layer.trainable {
                    tape.parameter(parameter.shape, &parameter.values)?
                } else {
                    tape.input(parameter.shape, &parameter.values)?
                };
                parameters.push(*slot);
            }
            if let Some(op) = step.op {
                var = tape.record(op, &inputs[..=layer.parameters.len()])?;
            }
        }
        Ok(var)
    }

    /// Some layers as operations, first to last.
    pub(crate) fn steps(&self, layers: Range<usize>, mode: Mode) -> impl Iterator<Item = Step> {
        let Range { start: mut at, end } = layers;
        iter::from_fn(move || {
            let (op, count) = self.step(at..end, mode)?;
            let first = at;
            at += count;
            Some(Step { op, layers: first..at })
        })
    }

    /// The operation that some layers begin with, and how many of them it is.
    fn step(&self, layers: Range<usize>, mode: Mode) -> Option<(Option<LayerOp>, usize)> {
        let at = layers.start;
        let layers = self.layers.get(layers)?;
        let kind = |index: usize| layers.get(index).map(|layer| &layer.kind);
        let is_relu = |index| matches!(kind(index), Some(LayerKind::Relu));
        let this = kind(0)?;
        // A ReLU moves behind the max-pool that follows: the same numbers for less work.
        if let (LayerKind::Relu, Some(LayerKind::MaxPool2d(pool))) = (this, kind(1)) {
            return Some((Some(pool.relu().into()), 2));
        }
        let behind = 1 + usize::from(is_relu(1));
        if let (LayerKind::Conv2d { how, .. }, Some(LayerKind::MaxPool2d(pool))) = (this, kind(behind))
            && pool.padding == Padding::Valid
        {
            let relu_behind = is_relu(behind + 1);
            let pool = if is_relu(1) || relu_behind { pool.relu() } else { *pool };
            let op = Conv2dPool { conv: *how, pool };
            return Some((Some(op.into()), behind + 1 + usize::from(relu_behind)));
        }
        let relu = is_relu(1) && this.takes_relu() && !matches!(kind(2), Some(LayerKind::MaxPool2d(_)));
        let seed = match mode {
            Mode::Inference => None,
            // Layers must not zero the same elements.
            Mode::Training { seed } => Some(seed.wrapping_add((at as u64) << 40)),
        };
        Some((this.operation(relu, seed), 1 + usize::from(relu)))
    }

    pub(crate) fn check_input(&self, batch: Shape) -> Result<usize, Error> {
        match batch.split_batch() {
            Some((n, sample)) if sample == self.input => Ok(n),
            _ => Err(Error::shape("batch of samples", self.input.with_batch(1)?, batch)),
        }
    }

    /// Moves every trainable parameter by its gradient. `parameters` are those that
    /// [`record`](Model::record) gave.
    ///
    /// # Errors
    /// A stale variable, others than the parameters', or a number of the optimiser's is out of its range. The
    /// weights are then as they were.
    pub fn update(
        &mut self,
        isa: Isa,
        optimizer: &mut Optimizer,
        parameters: &[Var],
        gradients: &Gradients,
    ) -> Result<(), Error> {
        let count = self.trainable_parameters().count();
        if parameters.len() != count {
            let what = "variables of the parameters";
            return Err(bantam_kernels::Error::Length { what, expected: count, got: parameters.len() }.into());
        }
        for (parameter, &var) in self.trainable_parameters().zip(parameters) {
            if let Some(parameter) = parameter {
                check_len("gradient of a parameter", gradients.get(var)?, parameter.shape)?;
            }
        }
        let mut step = optimizer.begin_step()?;
        for (index, (parameter, &var)) in self.trainable_parameters().zip(parameters).enumerate() {
            if let Some(parameter) = parameter {
                step.update(isa, index, parameter.values.to_mut(), gradients.get(var)?)?;
            }
        }
        Ok(())
    }

    /// Checks that all weights are finite.
    pub(crate) fn check_finite(&self) -> Result<(), Error> {
        let parameters = self.layers.iter().flat_map(|layer| &layer.parameters);
        match parameters.flat_map(|parameter| &*parameter.values).find(|weight| !weight.is_finite()) {
            Some(&got) => Err(Error::OutOfRange { what: "weights", expected: "finite numbers", got }),
            None => Ok(()),
        }
    }

    /// Of all weights.
    pub(crate) fn checksum(&self) -> u64 {
        let parameters = self.layers.iter().flat_map(|layer| &layer.parameters);
        let add = |sum: Checksum, parameter: &Parameter<'_>| sum.add(bytemuck::cast_slice(&parameter.values));
        parameters.fold(Checksum::NONE, add).value()
    }

    /// Overwrites a parameter's numbers with as many others.
    pub(crate) fn set_values(&mut self, layer: usize, parameter: usize, values: &[f32]) {
        self.layers[layer].parameters[parameter].values.to_mut().copy_from_slice(values);
    }

    /// Each parameter in order; `None` where it is frozen.
    fn trainable_parameters(&mut self) -> impl Iterator<Item = Option<&mut Parameter<'m>>> {
        self.layers.iter_mut().flat_map(|layer| {
            let trainable = layer.trainable;
            layer.parameters.iter_mut().map(move |parameter| trainable.then_some(parameter))
        })
    }
}

/// The cause alone, if there is no memory for the layer's name.
fn in_layer(name: &str, cause: Error) -> Error {
    let (false, Ok(name)) = (matches!(cause, Error::OutOfMemory { .. }), heap::text(name)) else {
        return cause;
    };
    match heap::boxed(cause) {
        Ok(cause) => Error::Layer { name, cause },
        Err(cause) => cause,
    }
}
