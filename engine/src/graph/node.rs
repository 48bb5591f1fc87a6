use crate::layers::{Attributes, Layer, LayerType, Role};
use crate::shape::Shape;
use alloc::borrow::Cow;
use bantam_kernels::Isa;
use core::ops::Range;

/// A node of a model: a layer, its name, and what it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'m> {
    pub(crate) name: Cow<'m, str>,
    pub(crate) layer: &'static LayerType,
    /// As the model's file has them.
    pub(crate) attributes: Cow<'m, [u8]>,
    /// Of the model's edges.
    pub(crate) inputs: Range<usize>,
    /// Of the model's parameters.
    pub(crate) parameters: Range<usize>,
    /// Of one sample.
    pub(crate) output: Shape,
    pub(crate) trainable: bool,
}

/// Weights of a layer: their own, or borrowed from the bytes of a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter<'m> {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) values: Cow<'m, [f32]>,
    /// What training does with it where its layer is trainable.
    pub(crate) role: Role,
    /// Whether it stays as it is even where its layer is trainable.
    pub(crate) frozen: bool,
}

impl Node<'_> {
    /// Its name, as in Keras: `conv2d_1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of layer it is.
    pub fn layer_type(&self) -> &'static LayerType {
        self.layer
    }

    /// Its layer, if it is of that kind.
    ///
    /// ```
    /// use bantam::{Dense, Relu, Sequential};
    /// let model = Sequential::new([4]).dense(2).build(1)?;
    /// assert_eq!(model.nodes()[0].layer::<Dense>(), Some(Dense::new(2)));
    /// assert_eq!(model.nodes()[0].layer::<Relu>(), None);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    pub fn layer<L: Layer>(&self) -> Option<L> {
        (self.layer.name() == L::NAME).then(|| L::read(&mut self.attributes()))
    }

    /// Whether training changes it.
    pub fn is_trainable(&self) -> bool {
        self.trainable
    }

    /// The shape of its output for one sample.
    pub fn output_shape(&self) -> Shape {
        self.output
    }

    /// The same with a layer of its kind that has other attributes.
    pub(super) fn with<'a>(&'a self, attributes: &'a [u8]) -> Node<'a> {
        let (name, attributes) = (Cow::Borrowed(&*self.name), Cow::Borrowed(attributes));
        let Node { layer, trainable, output, .. } = *self;
        let (inputs, parameters) = (self.inputs.clone(), self.parameters.clone());
        Node { name, layer, attributes, inputs, parameters, output, trainable }
    }

    /// What it adds to the loss of its input, summed over the samples.
    pub(crate) fn added_to_loss(&self, isa: Isa, input: &[f32]) -> f32 {
        self.layer.adds_to_loss.map_or(0.0, |added| added(&mut self.attributes(), isa, input))
    }

    pub(crate) fn attributes(&self) -> Attributes<'_> {
        Attributes::new(&self.attributes)
    }
}

impl Parameter<'_> {
    /// Whether training changes it where its layer is trainable, as
    /// [`set_weight_trainable`](crate::Model::set_weight_trainable) says.
    pub fn is_trainable(&self) -> bool {
        self.role == Role::Learnt && !self.frozen
    }

    /// `"kernel"`, `"bias"`, …
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// `[KH, KW, Cin / groups, Cout]`, `[In, Out]` or `[Out]`.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its elements, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
