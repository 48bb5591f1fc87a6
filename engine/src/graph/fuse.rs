//! Which layers run as one step, and what need not run at all.

use super::Model;
use crate::error::Error;
use crate::layers::{CopyStep, Joined, LayerType, PassesOn, Schedule, Site, Source, Step, TrainingStep};
use crate::memory::heap::{self, Claims};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bantam_kernels::conv2d::Activation;
use core::slice;

/// Nodes that run as one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// `None` gives a value a place of its own.
    layer: Option<&'static LayerType>,
    /// The node whose attributes the layer has, and the one that has gone into it.
    node: usize,
    joined: Option<usize>,
    activation: Activation,
    pub reads: Reads,
    /// The value that it computes; others are the same in another shape.
    pub value: usize,
    /// Whether others than the next operation read it.
    shared: bool,
    /// The last operation that does, or its own index.
    pub last_read: usize,
}

/// What an operation reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reads {
    /// What this node does, with its weights.
    Node(usize),
    /// A value.
    Value(usize),
}

/// What gives some values of a model.
pub(crate) struct Operations {
    pub list: Vec<Operation>,
    /// Of each value of the model.
    pub sources: Vec<Source>,
    /// The operations that give the values that were asked for.
    pub outputs: Vec<usize>,
}

impl Operations {
    /// Those that these values depend on, from values that are given on. In training a layer computes that passes its input
    /// on in inference alone.
    pub fn new(
        model: &Model<'_>,
        given: &[usize],
        outputs: &[usize],
        training: bool,
    ) -> Result<Operations, Error> {
        let readers = readers(model, given, outputs)?;
        let mut claims = Claims::default();
        let mut operations = Operations {
            list: claims.list(model.nodes.len() + outputs.len()),
            sources: claims.list(readers.len()),
            outputs: claims.list(outputs.len()),
        };
        claims.check()?;
        for (value, &count) in readers.iter().enumerate() {
            let source = match value.checked_sub(model.inputs.len()) {
                None => Source::Input(value),
                Some(_) if count == 0 => Source::Nowhere,
                Some(node) => match given.iter().position(|&other| other == value) {
                    Some(at) => Source::Given(at),
                    None => operations.node(model, node, count > 1, training),
                },
            };
            operations.sources.push(source);
        }
        for &value in outputs {
            let output = match operations.sources[value] {
                Source::Operation(at) => at,
                _ => operations.push(model, None, 0, Reads::Value(value), value),
            };
            operations.outputs.push(output);
        }
        // Outputs are read after all.
        for &output in &operations.outputs {
            operations.list[output].last_read = operations.list.len();
        }
        Ok(operations)
    }

    fn push(
        &mut self,
        model: &Model<'_>,
        layer: Option<&'static LayerType>,
        node: usize,
        reads: Reads,
        value: usize,
    ) -> usize {
        let at = self.list.len();
        for &value in reads.values(model) {
            if let Source::Operation(from) = self.sources[value] {
                self.list[from].last_read = at;
            }
        }
        let (joined, activation, shared) = (None, Activation::None, false);
        self.list.push(Operation { layer, node, joined, activation, reads, value, shared, last_read: at });
        at
    }

    /// Where a node's output is. Others than one may read it.
    fn node(&mut self, model: &Model<'_>, index: usize, shared: bool, training: bool) -> Source {
        let source = self.join(model, index, training);
        let node = &model.nodes[index];
        let source = source.unwrap_or_else(|| {
            let value = model.inputs.len() + index;
            Source::Operation(self.push(model, Some(node.layer), index, Reads::Node(index), value))
        });
        if let Source::Operation(at) = source {
            self.list[at].shared |= shared;
        }
        source
    }

    /// Where a node's output is, if it goes into an operation that is there already or has nothing to compute.
    fn join(&mut self, model: &Model<'_>, index: usize, training: bool) -> Option<Source> {
        let node = &model.nodes[index];
        let &[value] = model.inputs_of(node) else { return None };
        let source = self.sources[value];
        let passes_on = node.layer.passes_on;
        if passes_on == PassesOn::Always || (passes_on == PassesOn::Inference && !training) {
            return Some(source);
        }
        let Source::Operation(at) = source else { return None };
        let before = self.list.get_mut(at).filter(|before| !before.shared)?;
        let layer = before.layer?;
        if let Some(activation) = node.layer.is_activation
            && layer.takes_activation
            && before.activation == Activation::None
        {
            before.activation = activation;
            if value == before.value {
                before.value = model.inputs.len() + index;
            }
            return Some(source);
        }
        if value != before.value {
            // It is read in another shape.
            return None;
        }
        if let Some(joined) = node.layer.joined
            && joined.before == layer.name
            && before.joined.is_none()
            && (joined.fits)(&mut node.attributes())
        {
            before.joined = Some(index);
        } else if let Some(activation) = layer.is_activation
            && node.layer.monotone
        {
            // The same numbers for less work.
            (before.layer, before.node, before.activation) = (Some(node.layer), index, activation);
        } else {
            return None;
        }
        before.value = model.inputs.len() + index;
        Some(source)
    }
}

/// How often each value is read by nodes that run, or is an output.
fn readers(model: &Model<'_>, given: &[usize], outputs: &[usize]) -> Result<Vec<usize>, Error> {
    let first = model.inputs.len();
    let mut readers = heap::filled(first + model.nodes.len(), 0)?;
    outputs.iter().for_each(|&value| readers[value] += 1);
    for (index, node) in model.nodes.iter().enumerate().rev() {
        let value = first + index;
        if readers[value] > 0 && !given.contains(&value) {
            model.inputs_of(node).iter().for_each(|&value| readers[value] += 1);
        }
    }
    Ok(readers)
}

impl Reads {
    /// The values.
    pub fn values<'a>(&'a self, model: &'a Model<'_>) -> &'a [usize] {
        match self {
            Reads::Node(node) => model.inputs_of(&model.nodes[*node]),
            Reads::Value(value) => slice::from_ref(value),
        }
    }

    /// Whether the layer that does is trainable.
    pub fn are_trainable(&self, model: &Model<'_>) -> bool {
        match self {
            Reads::Node(node) => model.nodes[*node].trainable,
            Reads::Value(_) => false,
        }
    }

    /// The weights, of the model's parameters.
    pub fn parameters(&self, model: &Model<'_>) -> core::ops::Range<usize> {
        match self {
            Reads::Node(node) => model.nodes[*node].parameters.clone(),
            Reads::Value(_) => 0..0,
        }
    }
}

impl Operation {
    /// Its layer's say in where the inputs of the step lie that it is in a schedule, and in what computes them.
    pub fn arrange(&self, schedule: &mut Schedule, at: usize) -> Result<(), Error> {
        let arrange = self.layer.and_then(|layer| layer.arrange);
        arrange.map_or(Ok(()), |arrange| arrange(schedule, at, self.activation))
    }

    /// Makes it ready to run.
    pub fn lower(&self, model: &Model<'_>, site: &Site<'_>) -> Result<Box<dyn Step>, Error> {
        let Some(layer) = self.layer else { return Ok(Box::new(CopyStep)) };
        let site = Site { activation: self.activation, ..*site };
        let mut attributes = model.nodes[self.node].attributes();
        match self.joined(model) {
            None => (layer.lower)(&mut attributes, &site),
            Some((joined, other)) => {
                (joined.lower)([&mut attributes, &mut model.nodes[other].attributes()], &site)
            }
        }
    }

    /// Makes it ready to run and to be differentiated.
    pub fn lower_for_training(
        &self,
        model: &Model<'_>,
        site: &Site<'_>,
    ) -> Result<Box<dyn TrainingStep>, Error> {
        let Some(layer) = self.layer else { return Ok(Box::new(CopyStep)) };
        let site = Site { activation: self.activation, ..*site };
        let mut attributes = model.nodes[self.node].attributes();
        let lowered = match self.joined(model) {
            None => layer.lower_for_training.map(|lower| lower(&mut attributes, &site)),
            Some((joined, other)) => joined
                .lower_for_training
                .map(|lower| lower([&mut attributes, &mut model.nodes[other].attributes()], &site)),
        };
        lowered.unwrap_or(Err(Error::NotTrainable { layer: layer.name }))
    }

    fn joined(&self, model: &Model<'_>) -> Option<(&'static Joined, usize)> {
        let other = self.joined?;
        Some((model.nodes[other].layer.joined?, other))
    }
}

impl Model<'_> {
    /// The nodes that an operation runs, given the sources of all values.
    pub(crate) fn nodes_of<'a>(
        &'a self,
        sources: &'a [Source],
        operation: usize,
    ) -> impl Iterator<Item = usize> + 'a {
        let sources = sources.iter().skip(self.inputs.len()).enumerate();
        sources.filter(move |&(_, &source)| source == Source::Operation(operation)).map(|(node, _)| node)
    }
}
