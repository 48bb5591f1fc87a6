//! What all layers have in common that are over series, `[L, C]`: a series is a map of height 1.

use super::{Differentiable, Layer, Signature, Site, one_input_of};
use crate::error::Error;
use crate::shape::Shape;

/// A layer over series that is one over maps, [lowered](Layer::lower) and fused as that one and with its attributes.
///
/// ```
/// use bantam::{MaxPool1d, MaxPool2d, Series};
/// assert_eq!(MaxPool1d::new(3).over_maps(), MaxPool2d::rectangular([1, 3]));
/// ```
// `series!` makes it a layer.
pub trait Series: Sized + 'static {
    /// As [`Layer::NAME`].
    const NAME: &'static str;
    /// As [`Layer::BASE`].
    const BASE: &'static str;

    /// The layer over maps.
    type Maps: Differentiable;

    /// As that layer over maps of height 1.
    fn of_maps(maps: Self::Maps) -> Self;

    /// That layer.
    fn over_maps(&self) -> Self::Maps;
}

/// Implements [`Layer`] and [`Differentiable`] by [`Series`], with what more there is to say of its type.
macro_rules! series {
    ($series:ty $(, $more:ident($argument:expr), $trainable:expr)?) => {
        impl Layer for $series {
            const NAME: &'static str = <$series as Series>::NAME;
            const BASE: &'static str = <$series as Series>::BASE;
            const TYPE: LayerType = LayerType::of::<$series>()
                .fused_as(&<<$series as Series>::Maps as Layer>::TYPE)$(.$more($argument))?;
            type Step = <<$series as Series>::Maps as Layer>::Step;

            fn read(attributes: &mut Attributes<'_>) -> $series {
                <$series>::of_maps(Layer::read(attributes))
            }

            fn write(&self, attributes: &mut AttributesMut) {
                self.over_maps().write(attributes);
            }

            fn activation(&self) -> Activation {
                self.over_maps().activation()
            }

            fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
                series::signature(&self.over_maps(), inputs)
            }

            fn lower(&self, site: &Site<'_>) -> Result<Self::Step, Error> {
                series::with_height(site, |site| self.over_maps().lower(site))
            }
        }

        impl Differentiable for $series {
            $(const TRAINABLE: LayerType = Self::TYPE.trainable::<Self>().$more($trainable);)?
            type TrainingStep = <<$series as Series>::Maps as Differentiable>::TrainingStep;

            fn lower_for_training(&self, site: &Site<'_>) -> Result<Self::TrainingStep, Error> {
                series::with_height(site, |site| self.over_maps().lower_for_training(site))
            }
        }
    };
}
pub(super) use series;

/// The signature of a layer over maps of height 1, without the height.
pub(super) fn signature(maps: &impl Layer, inputs: &[Shape]) -> Result<Signature, Error> {
    let [length, channels] = one_input_of(inputs)?;
    let mut signature = maps.signature(&[Shape::new(&[1, length, channels])?])?;
    signature.output = match signature.output {
        Ok(output) => without_height(output),
        refused => refused,
    };
    for weights in &mut signature.weights {
        weights.shape = without_height(weights.shape)?;
    }
    Ok(signature)
}

/// Calls `lower` with the site as a layer over maps sees it.
pub(super) fn with_height<S>(
    site: &Site<'_>,
    lower: impl FnOnce(&Site<'_>) -> Result<S, Error>,
) -> Result<S, Error> {
    let [batch, length, channels] = one_input_of(site.inputs)?;
    lower(&Site { inputs: &[Shape::new(&[batch, 1, length, channels])?], ..*site })
}

/// A map's or a kernel's shape without its height; a bias, and a map that has become one of its pixels, have none.
fn without_height(shape: Shape) -> Result<Shape, Error> {
    match *shape.dims() {
        [1, ref rest @ ..] if !rest.is_empty() => Ok(Shape::new(rest)?),
        [height, _, ..] => {
            Err(bantam_kernels::Error::OutOfRange { what: "height of a series", max: 1, got: height }.into())
        }
        _ => Ok(shape),
    }
}
