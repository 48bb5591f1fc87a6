use super::dot::Dot;
use super::node::{Node, Parameter};
use super::summary::Summary;
use crate::checksum::Checksum;
use crate::error::{Error, ModelFileProblem};
use crate::layers::{LayerType, MAX_INPUTS, Role, Signature, WeightSpec};
use crate::memory::heap::{self, Claims};
use crate::optimizer::Names;
use crate::shape::Shape;
use crate::tensor::check_len;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

/// Layers with weights, in a graph: a value that can be trained, saved, run and taken to pieces.
///
/// Made by [`Sequential`](crate::Sequential) or [`GraphBuilder`](crate::GraphBuilder), or read from a file. Each node
/// reads inputs of the model or earlier nodes. Weights may be borrowed from the file's bytes for `'m`; training copies
/// those that it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Model<'m> {
    pub(super) inputs: Vec<Shape>,
    pub(super) nodes: Vec<Node<'m>>,
    /// What the nodes read: values are numbered from the model's inputs on, then the nodes' outputs.
    pub(super) edges: Vec<usize>,
    pub(super) parameters: Vec<Parameter<'m>>,
    /// Values.
    pub(super) outputs: Vec<usize>,
    /// As the file has it.
    pub(super) metadata: Cow<'m, [u8]>,
}

/// The most nodes of a model: names are compared, and buffers placed, each with all others.
pub(super) const MAX_NODES: usize = 4096;

/// Gives the elements of weights.
pub(super) type WeightSource<'a, 'm> = dyn FnMut(&WeightSpec) -> Result<Cow<'m, [f32]>, Error> + 'a;

/// What a node is made of before its shapes are known.
pub(super) struct Blueprint<'m> {
    pub name: Cow<'m, str>,
    pub layer: &'static LayerType,
    pub attributes: Cow<'m, [u8]>,
    pub trainable: bool,
    /// A bit for each of its own arrays of weights that stays as it is.
    pub frozen: u8,
    /// The earlier node whose weights it uses.
    pub shares: Option<usize>,
}

impl<'m> Model<'m> {
    /// Nothing yet.
    pub(super) const fn empty() -> Model<'m> {
        Model {
            inputs: Vec::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            parameters: Vec::new(),
            outputs: Vec::new(),
            metadata: Cow::Borrowed(&[]),
        }
    }

    /// Without nodes, and with room for so many.
    pub(super) fn with_inputs(inputs: Vec<Shape>, nodes: usize, edges: usize) -> Result<Model<'m>, Error> {
        let mut model = Model { inputs, ..Model::empty() };
        model.claim(nodes, edges)?;
        Ok(model)
    }

    /// Claims room for so many nodes, which read so many values in all.
    pub(super) fn claim(&mut self, nodes: usize, edges: usize) -> Result<(), Error> {
        if self.inputs.is_empty() {
            return Err(Error::Empty { what: "inputs of a model" });
        }
        if nodes > MAX_NODES {
            return Err(Error::TooMany { what: "layers", max: MAX_NODES, got: nodes });
        }
        if nodes == 0 {
            return Err(Error::Empty { what: "layers" });
        }
        let mut claims = Claims::default();
        claims.reserve(&mut self.nodes, nodes);
        claims.reserve(&mut self.edges, edges);
        claims.check()
    }

    /// Adds a node that reads these values. Checks the shapes and asks for the weights.
    #[inline(never)] // Smaller than as a part of the one loop that calls it in a program.
    pub(super) fn push(
        &mut self,
        blueprint: Blueprint<'m>,
        inputs: &mut dyn Iterator<Item = usize>,
        weights: &mut WeightSource<'_, 'm>,
    ) -> Result<(), Error> {
        let Blueprint { name, layer, attributes, trainable, frozen, shares } = blueprint;
        if self.nodes.iter().any(|node| node.name == name) {
            return Err(Error::DuplicateLayer { name: heap::text(&name)? });
        }
        let mut node = Node {
            name,
            layer,
            attributes,
            inputs: 0..0,
            parameters: 0..0,
            output: Shape::SCALAR,
            trainable,
        };
        match self.connect(&mut node, inputs, (shares, frozen), weights) {
            Ok(()) => {
                self.nodes.push(node);
                Ok(())
            }
            Err(cause) => Err(in_layer(&node.name, cause)),
        }
    }

    fn connect(
        &mut self,
        node: &mut Node<'m>,
        inputs: &mut dyn Iterator<Item = usize>,
        (shares, frozen): (Option<usize>, u8),
        weights: &mut WeightSource<'_, 'm>,
    ) -> Result<(), Error> {
        let first = self.edges.len();
        for value in inputs {
            self.check_value("value that it reads", value)?;
            if self.edges.len() == self.edges.capacity() {
                // The file said that there are fewer.
                let (expected, got) = (self.edges.len(), self.edges.len() + 1);
                return Err(
                    ModelFileProblem::Number { what: "values that all layers read", expected, got }.into()
                );
            }
            self.edges.push(value);
        }
        node.inputs = first..self.edges.len();
        let count = node.inputs.len();
        if count > MAX_INPUTS {
            return Err(Error::TooMany { what: "inputs of a layer", max: MAX_INPUTS, got: count });
        }
        let mut shapes = [Shape::SCALAR; MAX_INPUTS];
        for (shape, &value) in shapes.iter_mut().zip(self.inputs_of(node)) {
            *shape = self.value_shape(value);
        }
        let mut attributes = node.attributes();
        let signature = (node.layer.signature)(&mut attributes, &shapes[..count]);
        // What could not be read says more than what came of it.
        attributes.check_end("bytes after the attributes")?;
        let Signature { output, weights: specs } = signature?;
        node.output = output?;
        if let Some(shared) = shares {
            let (what, before) = ("layer whose weights it shares", self.nodes.len());
            let Some(owner) = self.nodes.get(shared) else {
                return Err(Error::Cycle { what, before, got: shared });
            };
            let theirs = &self.parameters[owner.parameters.clone()];
            if theirs.len() != specs.len() {
                let (what, expected) = ("shared arrays of weights", specs.len());
                return Err(bantam_kernels::Error::Length { what, expected, got: theirs.len() }.into());
            }
            for (spec, theirs) in specs.iter().zip(theirs) {
                spec.shape.require("shared weights", theirs.shape)?;
            }
            if !theirs.is_empty() {
                (node.parameters, node.trainable) = (owner.parameters.clone(), owner.trainable);
                return Ok(());
            }
        }
        let first = self.parameters.len();
        heap::reserve(&mut self.parameters, specs.len())?;
        for (i, spec) in specs.iter().enumerate() {
            let WeightSpec { name, shape, role, .. } = *spec;
            let (values, frozen) = (weights(spec)?, frozen >> i & 1 == 1);
            self.parameters.push(Parameter { name, shape, values, role, frozen });
        }
        node.parameters = first..self.parameters.len();
        Ok(())
    }

    /// Says which values are the outputs.
    pub(super) fn set_outputs(&mut self, outputs: Vec<usize>) -> Result<(), Error> {
        if outputs.is_empty() {
            return Err(Error::Empty { what: "outputs of a model" });
        }
        outputs.iter().try_for_each(|&value| self.check_value("output of the model", value))?;
        self.outputs = outputs;
        Ok(())
    }

    /// Checks that a value is there already.
    fn check_value(&self, what: &'static str, value: usize) -> Result<(), Error> {
        let before = self.inputs.len() + self.nodes.len();
        if value < before { Ok(()) } else { Err(Error::Cycle { what, before, got: value }) }
    }

    /// The shape of a value for one sample.
    pub(crate) fn value_shape(&self, value: usize) -> Shape {
        match value.checked_sub(self.inputs.len()) {
            None => self.inputs[value],
            Some(node) => self.nodes[node].output,
        }
    }

    /// The shape of a sample: of the first input, if there are several.
    pub fn input_shape(&self) -> Shape {
        self.inputs[0]
    }

    /// The shapes of a sample's inputs.
    pub fn input_shapes(&self) -> &[Shape] {
        &self.inputs
    }

    /// The shape of the output for one sample: of the first output, if there are several.
    pub fn output_shape(&self) -> Shape {
        self.value_shape(self.outputs[0])
    }

    /// The shapes of a sample's outputs.
    pub fn output_shapes(&self) -> impl Iterator<Item = Shape> {
        self.outputs.iter().map(|&output| self.value_shape(output))
    }

    /// The values that are the outputs: numbered from the inputs on, then the nodes' outputs.
    pub fn outputs(&self) -> &[usize] {
        &self.outputs
    }

    /// All nodes, each after those that it reads.
    pub fn nodes(&self) -> &[Node<'m>] {
        &self.nodes
    }

    /// What a node reads: values, numbered from the inputs on, then the nodes' outputs.
    pub fn inputs_of(&self, node: &Node<'_>) -> &[usize] {
        &self.edges[node.inputs.clone()]
    }

    /// What a node reads: the names of nodes, `"input"` for the model's, `"input_1"` if there are several.
    pub fn inbound(&self, node: &Node<'_>) -> impl Iterator<Item = Cow<'_, str>> {
        self.inputs_of(node).iter().map(|&value| self.value_name(value))
    }

    pub(super) fn value_name(&self, value: usize) -> Cow<'_, str> {
        match value.checked_sub(self.inputs.len()) {
            Some(node) => Cow::Borrowed(&self.nodes[node].name),
            None if value == 0 => Cow::Borrowed("input"),
            None => Cow::Owned(alloc::format!("input_{value}")),
        }
    }

    /// The weights of a node: kernel, bias and what else its layer has.
    pub fn parameters_of(&self, node: &Node<'_>) -> &[Parameter<'m>] {
        &self.parameters[node.parameters.clone()]
    }

    /// The first node that has a node's weights, if that is another.
    pub(super) fn shares(&self, index: usize) -> Option<usize> {
        let parameters = &self.nodes[index].parameters;
        let mut earlier = self.nodes[..index].iter();
        if parameters.is_empty() { None } else { earlier.position(|node| node.parameters == *parameters) }
    }

    /// All weights, each once.
    pub fn parameters(&self) -> &[Parameter<'m>] {
        &self.parameters
    }

    /// The node of that name.
    ///
    /// # Errors
    /// There is none; the error names the nearest.
    pub fn node(&self, name: &str) -> Result<&Node<'m>, Error> {
        Ok(&self.nodes[self.index(name)?])
    }

    pub(crate) fn index(&self, name: &str) -> Result<usize, Error> {
        let found = self.nodes.iter().position(|node| node.name == name);
        found.ok_or_else(|| Error::UnknownLayer { name: name.into(), nearest: self.nearest(name).into() })
    }

    /// The node's name that is the most like another.
    fn nearest(&self, name: &str) -> &str {
        self.nodes.iter().map(Node::name).min_by_key(|other| distance(other, name)).unwrap_or_default()
    }

    /// The weights of the node of that name: kernel, bias and what else its layer has.
    ///
    /// # Errors
    /// There is none.
    pub fn weights(&self, name: &str) -> Result<&[Parameter<'m>], Error> {
        Ok(self.parameters_of(self.node(name)?))
    }

    /// Overwrites the weights of the node of that name, array by array.
    ///
    /// ```
    /// use bantam::Sequential;
    /// let mut model = Sequential::new([2]).dense(1).build(1)?;
    /// model.set_weights("dense", &[&[1.0, -1.0], &[0.5]])?;
    /// assert_eq!(model.weights("dense")?[1].values(), [0.5]);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such node, it has other arrays, or a weight is not finite. The weights are then as they were.
    pub fn set_weights(&mut self, name: &str, weights: &[&[f32]]) -> Result<(), Error> {
        let node = self.index(name)?;
        let range = self.nodes[node].parameters.clone();
        if weights.len() != range.len() {
            let (what, expected, got) = ("arrays of weights", range.len(), weights.len());
            return Err(in_layer(name, bantam_kernels::Error::Length { what, expected, got }.into()));
        }
        let parameters = &mut self.parameters[range];
        for (parameter, values) in parameters.iter().zip(weights) {
            check_len(parameter.name, values, parameter.shape)
                .and_then(|()| check_finite(parameter.name, values))
                .map_err(|cause| in_layer(name, cause))?;
        }
        for (parameter, values) in parameters.iter_mut().zip(weights) {
            parameter.values.to_mut().copy_from_slice(values);
        }
        Ok(())
    }

    /// Whether training changes the node of that name, and those that share its weights.
    ///
    /// # Errors
    /// There is none.
    pub fn set_trainable(&mut self, name: &str, trainable: bool) -> Result<(), Error> {
        let index = self.index(name)?;
        self.nodes[index].trainable = trainable;
        let parameters = self.nodes[index].parameters.clone();
        let sharing = |node: &&mut Node<'_>| !parameters.is_empty() && node.parameters == parameters;
        self.nodes.iter_mut().filter(sharing).for_each(|node| node.trainable = trainable);
        Ok(())
    }

    /// Whether training changes one array of weights of the node of that name, where the node is trainable: `"bias"` alone
    /// is little to learn.
    ///
    /// ```
    /// use bantam::Sequential;
    /// let mut model = Sequential::new([2]).dense(3).dense(1).build(1)?;
    /// model.set_weight_trainable("dense", "kernel", false)?;
    /// assert!(model.weights("dense")?[1].is_trainable() && !model.weights("dense")?[0].is_trainable());
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such node, or it has no weights of that name that learn.
    pub fn set_weight_trainable(&mut self, name: &str, weight: &str, trainable: bool) -> Result<(), Error> {
        let parameters = self.nodes[self.index(name)?].parameters.clone();
        let of_node = &mut self.parameters[parameters];
        let known = of_node.iter().filter(|parameter| parameter.role == Role::Learnt);
        let known = known.map(|parameter| parameter.name.into()).collect();
        match of_node.iter_mut().find(|parameter| parameter.name == weight && parameter.role == Role::Learnt)
        {
            Some(parameter) => {
                parameter.frozen = !trainable;
                Ok(())
            }
            None => Err(in_layer(name, Error::UnknownWeight { name: weight.into(), known })),
        }
    }

    /// A bit for each array of weights of a node that stays as it is.
    pub(super) fn frozen(&self, node: &Node<'_>) -> u8 {
        let parameters = self.parameters_of(node).iter().enumerate();
        parameters.fold(0, |bits, (i, parameter)| bits | u8::from(parameter.frozen) << i)
    }

    /// The same model with the outputs of these nodes as its own.
    ///
    /// ```
    /// use bantam::{Options, Sequential, Session};
    /// let model = Sequential::new([8, 8, 1]).conv2d(4, 3).relu().flatten().dense(2).build(1)?;
    /// let tapped = model.tap(&["re_lu", "dense"])?;
    /// let mut session = Session::new(&tapped, Options::new(1))?;
    /// session.run(&[1.0; 64])?;
    /// assert_eq!((session.output(0).len(), session.output(1).len()), (6 * 6 * 4, 2));
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no node of such a name, or no name.
    pub fn tap(&self, names: &[&str]) -> Result<Model<'m>, Error> {
        let mut tapped = self.clone();
        let first = self.inputs.len();
        let mut values = heap::list(names.len())?;
        for name in names {
            values.push(first + self.index(name)?);
        }
        tapped.set_outputs(values)?;
        Ok(tapped)
    }

    /// How many elements all weights have.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.values.len()).sum()
    }

    pub(super) fn parameter_count_of(&self, node: &Node<'_>) -> usize {
        self.parameters_of(node).iter().map(|parameter| parameter.values.len()).sum()
    }

    /// A table of the nodes, to be printed. Shared weights are counted once.
    pub fn summary(&self) -> impl core::fmt::Display {
        Summary(self)
    }

    /// The graph in Graphviz's language, to be printed: `dot -Tsvg` draws it. Layers that are not to learn are grey.
    ///
    /// ```
    /// let model = bantam::Sequential::new([4]).dense(2).build(1)?;
    /// println!("{}", model.to_dot());
    /// # Ok::<(), bantam::Error>(())
    /// ```
    pub fn to_dot(&self) -> impl core::fmt::Display {
        Dot(self)
    }

    /// The same model, whose names, attributes and weights are borrowed from it.
    pub(super) fn borrowed(&self) -> Result<Model<'_>, Error> {
        let mut claims = Claims::default();
        let mut model = Model {
            inputs: claims.list(self.inputs.len()),
            nodes: claims.list(self.nodes.len()),
            edges: claims.list(self.edges.len()),
            parameters: claims.list(self.parameters.len()),
            outputs: claims.list(self.outputs.len()),
            metadata: Cow::Borrowed(&self.metadata),
        };
        claims.check()?;
        model.inputs.extend_from_slice(&self.inputs);
        model.nodes.extend(self.nodes.iter().map(|node| node.with(&node.attributes)));
        model.edges.extend_from_slice(&self.edges);
        model.parameters.extend(self.parameters.iter().map(|parameter| {
            let Parameter { name, shape, role, frozen, .. } = *parameter;
            Parameter { name, shape, role, frozen, values: Cow::Borrowed(parameter.values()) }
        }));
        model.outputs.extend_from_slice(&self.outputs);
        Ok(model)
    }

    /// The same model with weights of its own.
    pub fn into_owned(self) -> Model<'static> {
        let parameters = self.parameters.into_iter().map(|parameter| {
            let Parameter { name, shape, values, role, frozen } = parameter;
            Parameter { name, shape, role, frozen, values: Cow::Owned(values.into_owned()) }
        });
        let nodes = self.nodes.into_iter().map(|node| {
            let Node { name, layer, attributes, inputs, parameters, output, trainable } = node;
            let (name, attributes) = (Cow::Owned(name.into_owned()), Cow::Owned(attributes.into_owned()));
            Node { name, layer, attributes, inputs, parameters, output, trainable }
        });
        Model {
            inputs: self.inputs,
            nodes: nodes.collect(),
            edges: self.edges,
            parameters: parameters.collect(),
            outputs: self.outputs,
            metadata: Cow::Owned(self.metadata.into_owned()),
        }
    }

    /// The only input's shape, of a model that is trained.
    pub(crate) fn only_input(&self) -> Result<Shape, Error> {
        only("inputs of a model", &self.inputs).copied()
    }

    /// The only output, of a model that is trained.
    pub(crate) fn only_output(&self) -> Result<usize, Error> {
        only("outputs of a model", &self.outputs).copied()
    }

    /// How many samples a batch of the only input has.
    pub(crate) fn check_input(&self, batch: Shape) -> Result<usize, Error> {
        let input = self.only_input()?;
        match batch.split_batch() {
            Some((n, sample)) if sample == input => Ok(n),
            _ => Err(Error::shape("batch of samples", input.with_batch(1)?, batch)),
        }
    }

    /// What training does with each parameter: nothing if no trainable node has it.
    pub(crate) fn roles(&self) -> Result<Vec<Role>, Error> {
        let mut roles = heap::filled(self.parameters.len(), Role::Constant)?;
        for node in self.nodes.iter().filter(|node| node.trainable) {
            for index in node.parameters.clone().filter(|&index| !self.parameters[index].frozen) {
                roles[index] = self.parameters[index].role;
            }
        }
        Ok(roles)
    }

    /// Checks that all weights are finite.
    pub(crate) fn check_finite(&self) -> Result<(), Error> {
        self.parameters.iter().enumerate().try_for_each(|(index, parameter)| {
            let layer = || self.owner(index).map_or("", |node| node.name());
            check_finite(parameter.name, &parameter.values).map_err(|cause| in_layer(layer(), cause))
        })
    }

    /// Of all weights.
    pub(crate) fn checksum(&self) -> u64 {
        let add = |sum: Checksum, parameter: &Parameter<'_>| {
            let dims = parameter.shape.dims().iter();
            let shape = dims.fold(sum, |sum, &dim| sum.add(&(dim as u64).to_le_bytes()));
            shape.add(bytemuck::cast_slice(&parameter.values))
        };
        self.parameters.iter().fold(Checksum::NONE, add).value()
    }

    /// The elements of a parameter, to be changed.
    pub(crate) fn values_mut(&mut self, parameter: usize) -> &mut [f32] {
        self.parameters[parameter].values.to_mut()
    }

    /// The same, with another array in a parameter's place.
    pub(crate) fn replace_values(&mut self, parameter: usize, values: Cow<'m, [f32]>) {
        self.parameters[parameter].values = values;
    }

    /// The first node that has a parameter.
    pub(crate) fn owner(&self, parameter: usize) -> Option<&Node<'m>> {
        self.nodes.iter().find(|node| node.parameters.contains(&parameter))
    }

    /// What a parameter [is called](Names), and its elements, to be changed.
    pub(crate) fn named_mut(&mut self, parameter: usize) -> ([&str; 2], &mut [f32]) {
        let owner = self.nodes.iter().find(|node| node.parameters.contains(&parameter));
        let Parameter { name, values, .. } = &mut self.parameters[parameter];
        ([owner.map_or("", |node| node.name()), name], values.to_mut())
    }

    /// The weights as slices, `count` of them.
    pub(crate) fn slices(&self, parameters: Range<usize>) -> ([&[f32]; crate::layers::MAX_WEIGHTS], usize) {
        let mut slices = [&[][..]; crate::layers::MAX_WEIGHTS];
        let count = parameters.len();
        for (slice, parameter) in slices.iter_mut().zip(&self.parameters[parameters]) {
            *slice = &parameter.values;
        }
        (slices, count)
    }
}

/// By the first node that has a parameter.
impl Names for Model<'_> {
    fn of(&self, parameter: usize) -> Option<[&str; 2]> {
        let name = self.parameters.get(parameter)?.name();
        Some([self.owner(parameter)?.name(), name])
    }
}

fn only<'a, T>(what: &'static str, list: &'a [T]) -> Result<&'a T, Error> {
    match list {
        [only] => Ok(only),
        _ => Err(bantam_kernels::Error::Length { what, expected: 1, got: list.len() }.into()),
    }
}

/// Checks that weights or gradients are finite.
pub(crate) fn check_finite(what: &'static str, numbers: &[f32]) -> Result<(), Error> {
    match numbers.iter().find(|number| !number.is_finite()) {
        Some(&got) => Err(Error::OutOfRange { what, expected: "finite numbers", got }),
        None => Ok(()),
    }
}

/// The cause alone, if there is no memory for the layer's name.
pub(crate) fn in_layer(name: &str, cause: Error) -> Error {
    if matches!(cause, Error::OutOfMemory { .. }) {
        return cause;
    }
    match heap::text(name) {
        Ok(name) if heap::probe(size_of::<Error>()) => Error::Layer { name, cause: Box::new(cause) },
        _ => cause,
    }
}

/// How many letters are to be changed, added or left out to make one name of the other (Levenshtein, Soviet Physics
/// Doklady 10, 1966).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = core::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
