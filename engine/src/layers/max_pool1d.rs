use super::conv1d::Conv1d;
use super::conv2d::{Conv2dPool, Conv2dPoolTraining};
use super::layer_type::Joined;
use super::max_pool2d::MaxPool2d;
use super::series::{self, Series, series};
use super::{
    Attributes, AttributesMut, Differentiable, Layer, LayerType, Signature, Site, Step, TrainingStep,
};
use crate::error::Error;
use crate::memory::heap::boxed;
use crate::shape::Shape;
use alloc::boxed::Box;
use bantam_kernels::conv2d::{Activation, Padding};

/// The maximum over windows of each channel of a series, `[L, C]` to `[OL, C]`: [`MaxPool2d`] over maps of height 1.
///
/// ```
/// use bantam::{MaxPool1d, Sequential};
/// let model = Sequential::new([9, 2]).max_pool1d_with(MaxPool1d::new(2).ceil_mode()).build(1)?;
/// assert_eq!(model.output_shape().dims(), [5, 2]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool1d(MaxPool2d);

impl MaxPool1d {
    /// A window of that length that moves by its own length, without padding.
    pub const fn new(window: usize) -> MaxPool1d {
        MaxPool1d(MaxPool2d::rectangular([1, window]))
    }

    /// With that stride.
    pub const fn stride(self, stride: usize) -> MaxPool1d {
        MaxPool1d(self.0.strides([1, stride]))
    }

    /// With so many steps from one place of the window to the next.
    pub const fn dilation(self, dilation: usize) -> MaxPool1d {
        MaxPool1d(self.0.dilations([1, dilation]))
    }

    /// With that padding, to the left and right; padded places are never the maximum.
    pub const fn padding(self, padding: Padding) -> MaxPool1d {
        MaxPool1d(self.0.padding(padding))
    }

    /// With a ReLU after the maximum, in the same pass. In a model it is a layer of its own.
    pub const fn relu(self) -> MaxPool1d {
        MaxPool1d(self.0.relu())
    }

    /// With a last window that reaches past the end, as [`MaxPool2d::ceil_mode`].
    pub const fn ceil_mode(self) -> MaxPool1d {
        MaxPool1d(self.0.ceil_mode())
    }
}

impl Series for MaxPool1d {
    const NAME: &'static str = "MaxPooling1D";
    const BASE: &'static str = "max_pooling1d";
    type Maps = MaxPool2d;

    fn of_maps(maps: MaxPool2d) -> MaxPool1d {
        MaxPool1d(maps)
    }

    fn over_maps(&self) -> MaxPool2d {
        self.0
    }
}

series!(MaxPool1d, joined(&AFTER_CONV1D), &TRAINABLE_AFTER_CONV1D);

/// A convolution and the pool behind it are one step.
const AFTER_CONV1D: Joined = Joined {
    before: <Conv1d as Layer>::NAME,
    fits: |pool| <MaxPool1d as Layer>::read(pool).0.has_whole_windows(),
    lower: |[conv, pool], site| {
        let (conv, pool) = (Conv1d::read(conv).over_maps(), MaxPool1d::read(pool).over_maps());
        let step = series::with_height(site, |site| Conv2dPool::new(&conv, &pool, site))?;
        Ok(boxed(step)? as Box<dyn Step>)
    },
    lower_for_training: None,
};

const TRAINABLE_AFTER_CONV1D: Joined = Joined {
    lower_for_training: Some(|[conv, pool], site| {
        let (conv, pool) = (Conv1d::read(conv).over_maps(), MaxPool1d::read(pool).over_maps());
        let step = series::with_height(site, |site| Conv2dPoolTraining::new(&conv, &pool, site))?;
        Ok(boxed(step)? as Box<dyn TrainingStep>)
    }),
    ..AFTER_CONV1D
};
