use crate::preprocessing::Preprocessing;
use alloc::{format, vec};
use bantam::{Error, GraphBuilder, Metadata, Model, Value, WeightsOf};

/// What comes behind the last map of a net without its top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// Nothing: the output is the map, `[H, W, C]`.
    #[default]
    None,
    /// The mean of each channel, `[C]`.
    Average,
    /// The maximum of each channel, `[C]`.
    Max,
}

/// What comes behind the sums of the classes, Keras's `classifier_activation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassifierActivation {
    /// Probabilities of which one is true.
    #[default]
    Softmax,
    /// A probability for each, of which any number may be true.
    Sigmoid,
    /// Nothing: the output is the sums, logits.
    None,
}

/// A net that is to be built: what of it is to be as it was published, and what not.
///
/// ```
/// use bantam_zoo::mobilenet;
/// let model = mobilenet().input([96, 96, 3]).alpha(0.25).classes(2).build(1)?;
/// assert_eq!((model.output_shape().dims(), model.parameter_count()), (&[2][..], 219_058));
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Net {
    name: &'static str,
    body: Body,
    preprocessing: Preprocessing,
    pub(crate) input: [usize; 3],
    smallest: Side,
    pub(crate) include_top: bool,
    pub(crate) pooling: Pooling,
    pub(crate) classes: usize,
    pub(crate) classifier_activation: ClassifierActivation,
    pub(crate) alpha: f64,
    pub(crate) depth_multiplier: usize,
    /// If it is not to be the net's own.
    pub(crate) dropout: Option<f32>,
    /// Whether it has any alpha but 1.
    of_any_width: bool,
    /// Whether it has any depth multiplier but 1, and any dropout but its own.
    of_any_depth: bool,
}

/// A side of an image that is long enough, as a number and as an error tells it.
pub(crate) type Side = (usize, &'static str);

/// Adds a net's layers behind the input, and gives the output.
pub(crate) type Body = for<'g> fn(&mut Draft<'g>, Value<'g>) -> Value<'g>;

impl Net {
    /// Of images of `[size, size, 3]`, or of other sides not below `smallest`, and ImageNet's 1,000 classes.
    pub(crate) const fn new(
        name: &'static str,
        size: usize,
        smallest: Side,
        preprocessing: Preprocessing,
        body: Body,
    ) -> Net {
        Net {
            name,
            body,
            preprocessing,
            input: [size, size, 3],
            smallest,
            include_top: true,
            pooling: Pooling::None,
            classes: 1000,
            classifier_activation: ClassifierActivation::Softmax,
            alpha: 1.0,
            depth_multiplier: 1,
            dropout: None,
            of_any_width: false,
            of_any_depth: false,
        }
    }

    /// With an [`alpha`](Net::alpha) that may be told.
    pub(crate) const fn of_any_width(self) -> Net {
        Net { of_any_width: true, ..self }
    }

    /// With a [`depth_multiplier`](Net::depth_multiplier) and a [`dropout`](Net::dropout) that may be told.
    pub(crate) const fn of_any_depth(self) -> Net {
        Net { of_any_depth: true, ..self }
    }

    /// Its name, by which [`by_name`](crate::by_name) knows it: `"resnet50"`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The shape of an image, `[H, W, C]`.
    pub const fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    /// Whether it has the layers that tell classes, as it does unless told otherwise. Without them it ends in its last map, or
    /// in the [`pooling`](Net::pooling) of it.
    pub const fn include_top(self, include_top: bool) -> Net {
        Net { include_top, ..self }
    }

    /// For images of that shape, `[H, W, C]`.
    pub const fn input(self, shape: [usize; 3]) -> Net {
        Net { input: shape, ..self }
    }

    /// What comes behind the last map, where the top is not included.
    pub const fn pooling(self, pooling: Pooling) -> Net {
        Net { pooling, ..self }
    }

    /// How many classes it tells, where the top is included.
    pub const fn classes(self, classes: usize) -> Net {
        Net { classes, ..self }
    }

    /// What comes behind the sums of the classes, where the top is included: a softmax, unless told otherwise.
    ///
    /// ```
    /// use bantam_zoo::{ClassifierActivation, resnet8};
    /// let model = resnet8().classifier_activation(ClassifierActivation::None).build(1)?;
    /// assert_eq!(model.nodes().last().map(|node| node.name()), Some("dense"));
    /// # Ok::<(), bantam::Error>(())
    /// ```
    pub const fn classifier_activation(self, classifier_activation: ClassifierActivation) -> Net {
        Net { classifier_activation, ..self }
    }

    /// The width: what the number of filters of each layer is multiplied by. [`mobilenet`](crate::mobilenet) and
    /// [`mobilenet_v2`](crate::mobilenet_v2) have any, the other nets 1 alone.
    pub const fn alpha(self, alpha: f64) -> Net {
        Net { alpha, ..self }
    }

    /// How many outputs a depthwise convolution has for each channel. [`mobilenet`](crate::mobilenet) takes any, the other
    /// nets 1 alone.
    pub const fn depth_multiplier(self, depth_multiplier: usize) -> Net {
        Net { depth_multiplier, ..self }
    }

    /// The share of means that training zeroes before the classes, from 0 to less than 1. [`mobilenet`](crate::mobilenet)
    /// takes any, 0.001 unless told otherwise; the other nets take none but their own.
    pub const fn dropout(self, rate: f32) -> Net {
        Net { dropout: Some(rate), ..self }
    }

    /// The net with weights drawn from `seed`. Its metadata tell what is to be done to an image.
    ///
    /// # Errors
    /// The image is smaller than the net takes, there are no channels or classes, it has no such alpha, depth
    /// multiplier or dropout, or there is no memory for the weights.
    pub fn build(&self, seed: u64) -> Result<Model<'static>, Error> {
        self.finish(|net, output| net.build(&[output], seed))
    }

    /// The net with weights that were learnt elsewhere: see [`GraphBuilder::build_with`].
    ///
    /// # Errors
    /// As [`build`](Net::build), and what `weights` gives.
    pub fn build_with<'m>(&self, weights: &mut WeightsOf<'_, 'm>) -> Result<Model<'m>, Error> {
        self.finish(|net, output| net.build_with(&[output], weights))
    }

    fn finish<'m>(
        &self,
        build: impl FnOnce(&GraphBuilder, Value<'_>) -> Result<Model<'m>, Error>,
    ) -> Result<Model<'m>, Error> {
        let Net { input: [height, width, channels], smallest: (smallest, expected), alpha, .. } = *self;
        let side = height.min(width);
        if side < smallest {
            return Err(Error::OutOfRange { what: "side of an image", expected, got: side as f32 });
        }
        let (right, expected) = if self.of_any_width {
            (alpha > 0.0 && alpha <= 100.0, "above 0 and at most 100")
        } else {
            (alpha == 1.0, "1, as the net has one width")
        };
        if !right {
            return Err(Error::OutOfRange { what: "alpha", expected, got: alpha as f32 });
        }
        if !self.of_any_depth {
            if self.depth_multiplier != 1 {
                let (what, expected) = ("depth multiplier", "1, as the net has no other");
                return Err(Error::OutOfRange { what, expected, got: self.depth_multiplier as f32 });
            }
            if let Some(got) = self.dropout {
                let (what, expected) = ("dropout", "none told, as the net has its own");
                return Err(Error::OutOfRange { what, expected, got });
            }
        }
        let net = GraphBuilder::new();
        net.keras_order();
        let output = (self.body)(&mut Draft::new(&net, self), net.input(self.input));
        let mut model = build(&net, output)?;
        let notes = vec![("net".into(), self.name.into())];
        model.set_metadata(&Metadata { notes, ..self.preprocessing.metadata(channels) })?;
        Ok(model)
    }
}

/// A net that is being drawn.
pub(crate) struct Draft<'g> {
    pub net: &'g GraphBuilder,
    /// As it was asked for.
    pub asked: Net,
    /// How many activations Keras has named.
    activations: usize,
}

impl<'g> Draft<'g> {
    pub fn new(net: &'g GraphBuilder, asked: &Net) -> Draft<'g> {
        Draft { net, asked: *asked, activations: 0 }
    }

    /// A ReLU that is an `Activation` without a name: `activation`, `activation_1`, …
    pub fn relu(&mut self, x: Value<'g>) -> Value<'g> {
        let name = match self.activations {
            0 => "activation".into(),
            several => format!("activation_{several}"),
        };
        self.activations += 1;
        x.relu().named(&name)
    }

    /// The dense layer of the classes, and its activation.
    pub fn predictions(&self, x: Value<'g>, name: &str) -> Value<'g> {
        let called = if name.is_empty() { "dense" } else { name };
        let x = x.dense(self.asked.classes).named(name);
        match self.asked.classifier_activation {
            ClassifierActivation::Softmax => x.softmax().named(&format!("{called}/softmax")),
            ClassifierActivation::Sigmoid => x.sigmoid().named(&format!("{called}/sigmoid")),
            ClassifierActivation::None => x,
        }
    }

    /// The mean over the map and the classes, or what comes in their place. What is called `""` has Keras's own name.
    pub fn end(&self, x: Value<'g>, [mean, mean_without_top, max]: [&str; 3]) -> Value<'g> {
        match self.asked.pooling {
            _ if self.asked.include_top => {
                self.predictions(x.global_average_pool2d().named(mean), "predictions")
            }
            Pooling::None => x,
            Pooling::Average => x.global_average_pool2d().named(mean_without_top),
            Pooling::Max => x.global_max_pool2d().named(max),
        }
    }
}

/// A value, and what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Map<'g> {
    pub x: Value<'g>,
    pub channels: usize,
    /// Rows and columns.
    pub size: [usize; 2],
}

/// Rows and columns of a map behind a stride of 2 that gives each second pixel: half, rounded up.
pub(crate) fn halved(size: [usize; 2]) -> [usize; 2] {
    size.map(|side| side.div_ceil(2))
}

/// `[[top, bottom], [left, right]]`: what an odd kernel with a stride of 2 needs around a map of that size to give each second
/// pixel, as `padding="same"` would have it.
pub(crate) fn padding(size: [usize; 2], kernel: usize) -> [[usize; 2]; 2] {
    size.map(|side| [(kernel / 2).saturating_sub(1 - side % 2), kernel / 2])
}
