use crate::ops::{self, LayerOp, MAX_INPUTS};
use crate::{Conv2d, Error, Initializer, MaxPool2d, Shape};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use bantam_kernels::conv2d::Activation;

/// What a layer does.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LayerKind {
    /// Convolution, `[H, W, Cin]` to `[OH, OW, filters]`.
    Conv2d {
        /// Output channels.
        filters: usize,
        /// Height and width of the kernel.
        kernel: [usize; 2],
        /// Stride and padding.
        how: Conv2d,
        /// Whether a bias is added.
        bias: bool,
    },
    /// Maximum over windows.
    MaxPool2d(MaxPool2d),
    /// All dimensions of a sample in one.
    Flatten,
    /// `[In]` to `[units]`.
    Dense {
        /// Outputs.
        units: usize,
        /// Whether a bias is added.
        bias: bool,
    },
    /// `max(0, x)`.
    Relu,
    /// Softmax over the last dimension.
    Softmax,
    /// Zeroes elements at random, in training only.
    Dropout {
        /// The share of elements that are zeroed.
        rate: f32,
    },
}

impl LayerKind {
    /// Keras's name of the class, and what a layer is called if it is not given a name.
    pub(crate) fn names(&self) -> (&'static str, &'static str) {
        match self {
            LayerKind::Conv2d { .. } => ("Conv2D", "conv2d"),
            LayerKind::MaxPool2d(_) => ("MaxPooling2D", "max_pooling2d"),
            LayerKind::Flatten => ("Flatten", "flatten"),
            LayerKind::Dense { .. } => ("Dense", "dense"),
            LayerKind::Relu => ("ReLU", "re_lu"),
            LayerKind::Softmax => ("Softmax", "softmax"),
            LayerKind::Dropout { .. } => ("Dropout", "dropout"),
        }
    }

    /// Names and shapes of kernel and bias, if it has them, for a sample of that shape.
    pub(crate) fn weights(&self, input: Shape) -> Result<[Option<(&'static str, Shape)>; 2], Error> {
        let (kernel, bias, outputs) = match *self {
            LayerKind::Conv2d { filters, kernel: [kh, kw], bias, .. } => {
                let [_, _, channels] = input.array("input")?;
                (Some(Shape::new(&[kh, kw, channels, filters])?), bias, filters)
            }
            LayerKind::Dense { units, bias } => {
                let &[features] = input.dims() else { return Err(Error::not_flat(input)) };
                (Some(Shape::new(&[features, units])?), bias, units)
            }
            _ => (None, false, 0),
        };
        let bias = if bias { Some(Shape::new(&[outputs])?) } else { None };
        Ok([kernel.map(|shape| ("kernel", shape)), bias.map(|shape| ("bias", shape))])
    }

    /// Its operation; `None` passes a batch on as it is. A ReLU that follows may be taken into the same
    /// pass.
    pub(crate) fn operation(&self, relu: bool, seed: Option<u64>) -> Option<LayerOp> {
        Some(match *self {
            LayerKind::Conv2d { how, .. } => if relu { how.relu() } else { how }.into(),
            LayerKind::Dense { .. } => {
                let activation = if relu { Activation::Relu } else { Activation::None };
                ops::Dense { activation }.into()
            }
            LayerKind::MaxPool2d(pool) => if relu { pool.relu() } else { pool }.into(),
            LayerKind::Flatten => ops::Flatten.into(),
            LayerKind::Relu => ops::Relu.into(),
            LayerKind::Softmax => ops::Softmax.into(),
            LayerKind::Dropout { rate } => ops::Dropout { rate, seed: seed? }.into(),
        })
    }

    /// Whether a ReLU after it can be done in the same pass.
    pub(crate) fn takes_relu(&self) -> bool {
        matches!(self, LayerKind::Conv2d { .. } | LayerKind::Dense { .. } | LayerKind::MaxPool2d(_))
    }

    /// Inputs to an output and outputs of an input, for initialisation.
    pub(crate) fn fans(&self, kernel: Shape) -> (usize, usize) {
        match *kernel.dims() {
            [kh, kw, cin, cout] => (kh * kw * cin, kh * kw * cout),
            [inputs, outputs] => (inputs, outputs),
            _ => (1, 1),
        }
    }
}

/// A layer of a model: a name, what it does, and its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer<'m> {
    pub(crate) name: Cow<'m, str>,
    pub(crate) kind: LayerKind,
    pub(crate) trainable: bool,
    /// Of one sample.
    pub(crate) output: Shape,
    pub(crate) parameters: Vec<Parameter<'m>>,
}

/// Weights of a layer: its own, or borrowed from the bytes of a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter<'m> {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) values: Cow<'m, [f32]>,
}

impl Layer<'_> {
    /// Shapes of a batch of its input and of its weights, its weights, and how many all are.
    pub(crate) fn inputs(&self, batch: Shape) -> ([Shape; MAX_INPUTS], [&[f32]; MAX_INPUTS], usize) {
        let (mut shapes, mut weights) = ([batch; MAX_INPUTS], [&[][..]; MAX_INPUTS]);
        let slots = shapes[1..].iter_mut().zip(&mut weights[1..]);
        for ((shape, values), parameter) in slots.zip(&self.parameters) {
            *shape = parameter.shape;
            *values = &parameter.values;
        }
        (shapes, weights, 1 + self.parameters.len())
    }

    /// Its name, as in Keras: `conv2d_1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does.
    pub fn kind(&self) -> &LayerKind {
        &self.kind
    }

    /// Whether training changes it.
    pub fn is_trainable(&self) -> bool {
        self.trainable
    }

    /// The shape of its output for one sample.
    pub fn output_shape(&self) -> Shape {
        self.output
    }

    /// Its weights: kernel and bias, if it has them.
    pub fn parameters(&self) -> &[Parameter<'_>] {
        &self.parameters
    }

    /// How many numbers it has learnt.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.values.len()).sum()
    }
}

impl Parameter<'_> {
    /// `"kernel"` or `"bias"`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// `[KH, KW, Cin, Cout]`, `[In, Out]` or `[Out]`.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The numbers.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// What a layer is made of before it has weights.
#[derive(Clone, Debug)]
pub(crate) struct Blueprint<'m> {
    pub name: Cow<'m, str>,
    pub kind: LayerKind,
    pub trainable: bool,
    pub initializer: Initializer,
}
