use crate::draft::Draft;
use crate::preprocessing::Preprocessing;
use bantam::{Error, GraphBuilder, Model, Value, WeightsOf};

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
    pub(crate) alpha: f64,
    /// Whether it has any alpha but 1.
    of_any_width: bool,
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
            alpha: 1.0,
            of_any_width: false,
        }
    }

    /// With an [`alpha`](Net::alpha) that may be told.
    pub(crate) const fn of_any_width(self) -> Net {
        Net { of_any_width: true, ..self }
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

    /// The width: what the number of filters of each layer is multiplied by. [`mobilenet`](crate::mobilenet) and
    /// [`mobilenet_v2`](crate::mobilenet_v2) have any, the other nets 1 alone.
    pub const fn alpha(self, alpha: f64) -> Net {
        Net { alpha, ..self }
    }

    /// The net with weights drawn from `seed`. Its metadata tell what is to be done to an image.
    ///
    /// # Errors
    /// The image is smaller than the net takes, there are no channels or classes, it has no such alpha, or there is no memory for the weights.
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
        let net = GraphBuilder::new();
        net.keras_order();
        let output = (self.body)(&mut Draft::new(&net, self), net.input(self.input));
        let mut model = build(&net, output)?;
        model.set_metadata(&self.preprocessing.metadata(self.name, channels))?;
        Ok(model)
    }
}
