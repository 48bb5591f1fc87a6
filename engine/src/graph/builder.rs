use super::model::{Blueprint, Model, in_layer};
use crate::error::Error;
use crate::graph::Initializer;
use crate::graph::init::orthogonal;
use crate::layers::{
    Add, AttributesMut, Average, Concatenate, Differentiable, Initial, LayerType, Maximum, Minimum, Multiply,
    Relu, Relu6, Subtract, WeightSpec,
};
use crate::memory::heap;
use crate::shape::Shape;
use crate::tensor::check_len;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bantam_kernels::conv2d::Activation;
use core::cell::RefCell;
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// A model described value by value, with branches, several inputs and several outputs.
///
/// Each layer is a method of the value that it reads, and gives another. [`build`](GraphBuilder::build) checks the shapes
/// and draws the weights.
///
/// ```
/// use bantam::{Conv2d, GraphBuilder};
/// let net = GraphBuilder::new();
/// let x = net.input([8, 8, 3]);
/// let y = x.conv2d_with(4, [3, 3], Conv2d::same()).named("stem").relu();
/// let model = net.build(&[y.flatten().dense(10)], 7)?;
/// assert_eq!(model.node("stem")?.output_shape().dims(), [8, 8, 4]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct GraphBuilder(RefCell<Drafts>);

/// A value of a [`GraphBuilder`]'s graph: an input, or what a layer gives.
#[derive(Clone, Copy, Debug)]
pub struct Value<'g> {
    graph: &'g GraphBuilder,
    place: Place,
}

/// Gives the elements of an array of weights, by the names of its layer and of the array, as `"kernel"`, and its shape.
pub type WeightsOf<'a, 'm> = dyn FnMut(&str, &'static str, Shape) -> Result<Cow<'m, [f32]>, Error> + 'a;

/// Gives the elements of an array of weights of the node of that name.
type NewWeights<'a, 'm> = dyn FnMut(&str, Initializer, &WeightSpec) -> Result<Cow<'m, [f32]>, Error> + 'a;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Input(usize),
    /// A node, and the one that names and initialisers are of: an activation may be a layer behind it.
    Node {
        node: usize,
        named: usize,
    },
}

/// Nodes that have no shapes yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Drafts {
    inputs: Vec<Vec<usize>>,
    pub(super) nodes: Vec<Draft>,
    /// Whether the model lists them by their depth.
    by_depth: bool,
    /// What cannot be built, the first of it.
    refused: Option<Error>,
}

#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Empty if it is to be called as Keras calls it.
    name: String,
    layer: &'static LayerType,
    attributes: Result<Vec<u8>, Error>,
    initializer: Initializer,
    pub(super) inputs: Vec<Place>,
    pub(super) shares: Option<usize>,
    /// A node of another model, with its weights.
    copied: Option<Copied>,
}

#[derive(Clone, Debug)]
struct Copied {
    trainable: bool,
    /// A bit for each array of weights.
    frozen: u8,
    weights: Vec<(Shape, Vec<f32>)>,
}

impl Drafts {
    pub fn input(&mut self, shape: &[usize]) -> Place {
        self.inputs.push(shape.to_vec());
        Place::Input(self.inputs.len() - 1)
    }

    fn layer<L: Differentiable>(&mut self, layer: &L, inputs: &[Place]) -> Place {
        let mut attributes = AttributesMut::default();
        layer.write(&mut attributes);
        let attributes = attributes.into_bytes();
        let (name, initializer, inputs) = (String::new(), Initializer::default(), inputs.to_vec());
        let (layer, shares, copied) = (&L::TRAINABLE, None, None);
        self.push(Draft { name, layer, attributes, initializer, inputs, shares, copied })
    }

    fn push(&mut self, draft: Draft) -> Place {
        self.nodes.push(draft);
        let node = self.nodes.len() - 1;
        Place::Node { node, named: node }
    }

    /// The layer that gave a value, and its activation, on top of another.
    fn reuse(&mut self, input: Place, of: Place) -> Place {
        let Place::Node { node: last, named: first } = of else {
            return self.refuse(Error::Value { expected: "one that a layer gives", got: "an input" });
        };
        let (mut place, named) = (input, self.nodes.len());
        for shares in first..=last {
            let draft = Draft { name: String::new(), inputs: [place].into(), ..self.nodes[shares].clone() };
            place = self.push(Draft { shares: Some(shares), ..draft });
        }
        match place {
            Place::Node { node, .. } => Place::Node { node, named },
            input => input,
        }
    }

    /// Gives the layer at a place the weights of another's.
    fn share(&mut self, place: Place, other: Result<Place, Error>) {
        match (place, other) {
            (Place::Node { named: node, .. }, Ok(Place::Node { named: other, .. })) if other < node => {
                self.nodes[node].shares = Some(other);
            }
            (Place::Node { named: before, .. }, Ok(Place::Node { named: got, .. })) => {
                self.refuse(Error::Cycle { what: "layer whose weights it shares", before, got });
            }
            (_, Err(error)) => drop(self.refuse(error)),
            _ => drop(self.refuse(Error::Value { expected: "one that a layer gives", got: "an input" })),
        }
    }

    /// The nodes of a model on top of these values, with their names and copies of their weights. Gives its outputs.
    pub fn model(&mut self, model: &Model<'_>, inputs: &[Place]) -> Vec<Place> {
        let (first, before) = (model.inputs.len(), self.nodes.len());
        if inputs.len() != first {
            let (what, expected, got) = ("inputs of the model", first, inputs.len());
            let place = self.refuse(bantam_kernels::Error::Length { what, expected, got }.into());
            return model.outputs.iter().map(|_| place).collect();
        }
        let place = |value: usize| match value.checked_sub(first) {
            None => inputs[value],
            Some(node) => Place::Node { node: before + node, named: before + node },
        };
        for (index, node) in model.nodes.iter().enumerate() {
            let same = |&earlier: &usize| model.nodes[earlier].parameters == node.parameters;
            let shares = if node.parameters.is_empty() { None } else { (0..index).find(same) };
            let weights = model.parameters_of(node).iter();
            let weights = weights.map(|weights| (weights.shape(), weights.values().to_vec())).collect();
            let frozen = model.frozen(node);
            self.push(Draft {
                name: node.name().into(),
                layer: node.layer,
                attributes: Ok(node.attributes.to_vec()),
                initializer: Initializer::default(),
                inputs: model.inputs_of(node).iter().map(|&value| place(value)).collect(),
                shares: shares.map(|earlier| before + earlier),
                copied: Some(Copied { trainable: node.trainable, frozen, weights }),
            });
        }
        model.outputs.iter().map(|&value| place(value)).collect()
    }

    /// [`build`](Self::build) will give that error, whatever is made of the place.
    fn refuse(&mut self, error: Error) -> Place {
        self.refused.get_or_insert(error);
        Place::Input(0)
    }

    pub fn named(&mut self, place: Place, name: &str) {
        if let Place::Node { named, .. } = place {
            self.nodes[named].name = String::from(name);
        }
    }

    pub fn initializer(&mut self, place: Place, initializer: Initializer) {
        if let Place::Node { named, .. } = place {
            self.nodes[named].initializer = initializer;
        }
    }

    /// Gives each node without a name Keras's: `conv2d`, `conv2d_1`, …, the first that no other node has.
    fn name_all(&mut self) {
        let given: Vec<String> = self.nodes.iter().map(|draft| draft.name.clone()).collect();
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for draft in self.nodes.iter_mut().filter(|draft| draft.name.is_empty()) {
            let base = draft.layer.base;
            let at = counts.iter().position(|(name, _)| *name == base).unwrap_or_else(|| {
                counts.push((base, 0));
                counts.len() - 1
            });
            let (_, count) = &mut counts[at];
            while draft.name.is_empty() || given.contains(&draft.name) {
                draft.name = if *count == 0 { base.into() } else { format!("{base}_{count}") };
                *count += 1;
            }
        }
    }

    /// With weights drawn from `seed`.
    pub fn build(self, outputs: &[Place], seed: u64) -> Result<Model<'static>, Error> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        self.build_with(outputs, &mut |_, initializer, spec| {
            let mut values = heap::zeros(spec.shape.elements())?;
            match spec.initial {
                Initial::Constant(value) => values.fill(value),
                Initial::Ones { part, of } => {
                    let len = values.len() / of;
                    values[part * len..][..len].fill(1.0);
                }
                Initial::Orthogonal => orthogonal(spec.shape, &mut random, &mut values),
                Initial::Drawn { fan_in, fan_out } => {
                    initializer.fill(fan_in, fan_out, &mut random, &mut values);
                }
            }
            Ok(Cow::Owned(values))
        })
    }

    /// With weights that `new` gives, for the node of that name, except where they are copies of another model's.
    pub fn build_with<'m>(
        mut self,
        outputs: &[Place],
        new: &mut NewWeights<'_, 'm>,
    ) -> Result<Model<'m>, Error> {
        if let Some(error) = self.refused.take() {
            return Err(error);
        }
        self.name_all();
        let outputs = if self.by_depth { self.order(outputs) } else { outputs.to_vec() };
        let mut inputs = heap::list(self.inputs.len())?;
        for dims in &self.inputs {
            inputs.push(Shape::new(dims)?);
        }
        let first = inputs.len();
        let value = |place: &Place| match *place {
            Place::Input(input) => input,
            Place::Node { node, .. } => first + node,
        };
        let edges = self.nodes.iter().map(|draft| draft.inputs.len()).sum();
        let mut model = Model::with_inputs(inputs, self.nodes.len(), edges)?;
        for draft in self.nodes {
            let Draft { name, layer, attributes, initializer, inputs, shares, copied } = draft;
            let attributes = attributes.map_err(|cause| in_layer(&name, cause))?;
            let (called, attributes) = (Cow::Owned(heap::text(&name)?), Cow::Owned(attributes));
            let (trainable, frozen) =
                copied.as_ref().map_or((true, 0), |copied| (copied.trainable, copied.frozen));
            let mut weights = copied.map(|copied| copied.weights.into_iter());
            let blueprint = Blueprint { name: called, layer, attributes, trainable, frozen, shares };
            model.push(blueprint, &mut inputs.iter().map(value), &mut |spec| {
                if let Some((shape, values)) = weights.as_mut().and_then(Iterator::next) {
                    spec.shape.require("weights of the model", shape)?;
                    return Ok(Cow::Owned(values));
                }
                new(&name, initializer, spec)
            })?;
        }
        model.set_outputs(outputs.iter().map(value).collect())?;
        Ok(model)
    }
}

impl GraphBuilder {
    /// Without inputs yet.
    pub fn new() -> GraphBuilder {
        GraphBuilder::default()
    }

    /// The model is to list its layers as Keras's `model.layers` does: by how far they are from the outputs on the longest way,
    /// branches that are as far beside each other. Otherwise they are in the order in which they were added, in which each
    /// branch is a whole. Layers without names are called by the order in which they were added, as in Keras, and layers
    /// that no output depends on come last.
    ///
    /// ```
    /// let net = bantam::GraphBuilder::new();
    /// net.keras_order();
    /// let x = net.input([8]);
    /// let (a, b) = (x.dense(4).relu(), x.dense(4).relu());
    /// let model = net.build(&[net.add(&[a, b])], 7)?;
    /// let names: Vec<_> = model.nodes().iter().map(|node| node.name()).collect();
    /// assert_eq!(names, ["dense", "dense_1", "re_lu", "re_lu_1", "add"]);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    pub fn keras_order(&self) {
        self.0.borrow_mut().by_depth = true;
    }

    /// An input of that shape, of one sample: `[H, W, C]` for images.
    pub fn input(&self, shape: impl AsRef<[usize]>) -> Value<'_> {
        Value { graph: self, place: self.0.borrow_mut().input(shape.as_ref()) }
    }

    /// A layer of several inputs.
    pub fn layer<L: Differentiable>(&self, layer: L, inputs: &[Value<'_>]) -> Value<'_> {
        let places = self.places(inputs);
        let mut drafts = self.0.borrow_mut();
        let place = match places {
            Ok(places) => drafts.then(&places, &layer),
            Err(error) => drafts.refuse(error),
        };
        Value { graph: self, place }
    }

    fn place(&self, value: &Value<'_>) -> Result<Place, Error> {
        if core::ptr::eq(self, value.graph) {
            return Ok(value.place);
        }
        Err(Error::Value { expected: "one of this builder", got: "one of another" })
    }

    fn places(&self, values: &[Value<'_>]) -> Result<Vec<Place>, Error> {
        values.iter().map(|value| self.place(value)).collect()
    }

    /// A model on top of values, one for each of its inputs: its nodes, by their names, with copies of their weights, as
    /// trainable as they are. Gives its outputs. Inputs of other sizes than the model's are taken where its layers take them.
    pub fn model(&self, model: &Model<'_>, inputs: &[Value<'_>]) -> Vec<Value<'_>> {
        let places = self.places(inputs);
        let mut drafts = self.0.borrow_mut();
        let places = match places {
            Ok(places) => drafts.model(model, &places),
            Err(error) => Vec::from([drafts.refuse(error)]),
        };
        places.into_iter().map(|place| Value { graph: self, place }).collect()
    }

    /// The sum of values of one shape.
    pub fn add(&self, values: &[Value<'_>]) -> Value<'_> {
        self.layer(Add, values)
    }

    /// The first value less the second.
    pub fn subtract(&self, a: Value<'_>, b: Value<'_>) -> Value<'_> {
        self.layer(Subtract, &[a, b])
    }

    /// The mean of values of one shape.
    pub fn average(&self, values: &[Value<'_>]) -> Value<'_> {
        self.layer(Average, values)
    }

    /// The largest of values of one shape, element by element.
    pub fn maximum(&self, values: &[Value<'_>]) -> Value<'_> {
        self.layer(Maximum, values)
    }

    /// The smallest of values of one shape, element by element.
    pub fn minimum(&self, values: &[Value<'_>]) -> Value<'_> {
        self.layer(Minimum, values)
    }

    /// The product of two values of one shape, or of a map and a factor for each of its channels.
    pub fn multiply(&self, a: Value<'_>, b: Value<'_>) -> Value<'_> {
        self.layer(Multiply, &[a, b])
    }

    /// The channels of values beside each other. Along another axis it is [`layer`](Self::layer) of a [`Concatenate`].
    pub fn concatenate(&self, values: &[Value<'_>]) -> Value<'_> {
        self.layer(Concatenate::new(), values)
    }

    /// The model that gives these values, with weights drawn from `seed`; biases are zero. Layers that no output depends
    /// on stay in it.
    ///
    /// # Errors
    /// A layer cannot take what it reads, a size is zero, a name is taken, a value is another builder's, there is no
    /// output, there are more than 4,096 layers, or there is no memory for the weights.
    pub fn build(&self, outputs: &[Value<'_>], seed: u64) -> Result<Model<'static>, Error> {
        let places = self.places(outputs)?;
        self.0.borrow().clone().build(&places, seed)
    }

    /// The model that gives these values, with weights that were learnt elsewhere: `weights` is told the names of a layer and of
    /// one of its arrays, and the array's shape. What it lends is used where it lies.
    ///
    /// ```
    /// use bantam::GraphBuilder;
    /// let net = GraphBuilder::new();
    /// let y = net.input([2]).dense(1).named("sum");
    /// let model = net.build_with(&[y], &mut |layer, array, shape| {
    ///     assert_eq!(layer, "sum");
    ///     let value = if array == "kernel" { 1.0 } else { 0.5 };
    ///     Ok(vec![value; shape.elements()].into())
    /// })?;
    /// assert_eq!(model.weights("sum")?[1].values(), [0.5]);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`build`](GraphBuilder::build); or an array has not as many elements as its shape.
    pub fn build_with<'m>(
        &self,
        outputs: &[Value<'_>],
        weights: &mut WeightsOf<'_, 'm>,
    ) -> Result<Model<'m>, Error> {
        let places = self.places(outputs)?;
        self.0.borrow().clone().build_with(&places, &mut |layer, _, spec| {
            let values = weights(layer, spec.name, spec.shape)?;
            check_len(spec.name, &values, spec.shape)?;
            Ok(values)
        })
    }
}

impl<'g> Value<'g> {
    /// Any layer of one input.
    #[must_use]
    pub fn layer<L: Differentiable>(self, layer: L) -> Value<'g> {
        Value { graph: self.graph, place: self.graph.0.borrow_mut().then(&[self.place], &layer) }
    }

    /// A model of one input and one output on top of this value: its nodes, by their names, with copies of their weights, as
    /// trainable as they are.
    ///
    /// ```
    /// use bantam::{GraphBuilder, Sequential};
    /// let mut base = Sequential::new([8, 8, 3]).conv2d(4, 3).relu().build(1)?;
    /// base.set_all_trainable(false);
    /// let net = GraphBuilder::new();
    /// let features = net.input([20, 20, 3]).model(&base);
    /// let model = net.build(&[features.global_average_pool2d().dense(2)], 2)?;
    /// assert!(!model.node("conv2d")?.is_trainable() && model.node("dense")?.is_trainable());
    /// # Ok::<(), bantam::Error>(())
    /// ```
    #[must_use]
    pub fn model(self, model: &Model<'_>) -> Value<'g> {
        let mut drafts = self.graph.0.borrow_mut();
        let place = drafts.only_of(model, self.place);
        Value { graph: self.graph, place }
    }

    /// The layer that gave `other`, on top of this value: with the same weights, which learn from both uses.
    ///
    /// ```
    /// let net = bantam::GraphBuilder::new();
    /// let (left, right) = (net.input([8]), net.input([8]));
    /// let y = left.dense(4);
    /// let model = net.build(&[y, right.reuse_layer_of(y)], 7)?;
    /// assert_eq!(model.parameter_count(), 8 * 4 + 4);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    #[must_use]
    pub fn reuse_layer_of(self, other: Value<'_>) -> Value<'g> {
        let other = self.graph.place(&other);
        let mut drafts = self.graph.0.borrow_mut();
        let place = match other {
            Ok(other) => drafts.reuse(self.place, other),
            Err(error) => drafts.refuse(error),
        };
        Value { graph: self.graph, place }
    }

    /// The layer with the weights of the one that gave `other`, which has to be there before it and to have as many arrays of the
    /// same shapes. They learn from both uses; in all else the layers may differ, as two convolutions of one kernel in their strides.
    ///
    /// ```
    /// use bantam::{Conv2d, GraphBuilder};
    /// let net = GraphBuilder::new();
    /// let x = net.input([8, 8, 3]);
    /// let near = x.conv2d_with(4, [3, 3], Conv2d::same());
    /// let far = x.conv2d_with(4, [3, 3], Conv2d::same().dilation(2)).with_weights_of(near);
    /// let model = net.build(&[net.add(&[near, far])], 7)?;
    /// assert_eq!(model.parameter_count(), 3 * 3 * 3 * 4 + 4);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    #[must_use]
    pub fn with_weights_of(self, other: Value<'_>) -> Value<'g> {
        let other = self.graph.place(&other);
        self.graph.0.borrow_mut().share(self.place, other);
        self
    }

    /// The type of the layer that gives it, of which an activation is behind; `None` of an input.
    pub fn layer_type(self) -> Option<&'static LayerType> {
        match self.place {
            Place::Input(_) => None,
            Place::Node { named, .. } => Some(self.graph.0.borrow().nodes[named].layer),
        }
    }

    /// Names the layer. Without a name it is called as in Keras: `conv2d`, `conv2d_1`, …
    #[must_use]
    pub fn named(self, name: &str) -> Value<'g> {
        self.graph.0.borrow_mut().named(self.place, name);
        self
    }

    /// Draws the layer's weights from that distribution; the default is Glorot's.
    #[must_use]
    pub fn initializer(self, initializer: Initializer) -> Value<'g> {
        self.graph.0.borrow_mut().initializer(self.place, initializer);
        self
    }
}

impl Drafts {
    /// The output of a model of one input on top of a value.
    pub fn only_of(&mut self, model: &Model<'_>, input: Place) -> Place {
        let places = self.model(model, &[input]);
        match places[..] {
            [place] => place,
            _ => {
                let (what, expected, got) = ("outputs of the model", 1, places.len());
                self.refuse(bantam_kernels::Error::Length { what, expected, got }.into())
            }
        }
    }

    /// A layer, and its activation.
    pub fn then<L: Differentiable>(&mut self, inputs: &[Place], layer: &L) -> Place {
        let place = self.layer(layer, inputs);
        let activated = match layer.activation() {
            Activation::None => return place,
            Activation::Relu => self.layer(&Relu, &[place]),
            Activation::Relu6 => self.layer(&Relu6, &[place]),
        };
        match (place, activated) {
            (Place::Node { node: named, .. }, Place::Node { node, .. }) => Place::Node { node, named },
            _ => activated,
        }
    }
}
