use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Initial, Layer, Signature,
    Site, Step, TrainingStep, matrix, one_input,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::{Isa, channels};

/// Features with a mean of 0 and a variance of 1, of any shape whose last dimension is the features:
///
/// `y = (x - mean) / max(sqrt(variance), 1e-7)`
///
/// `mean` and `variance` are weights that are not learnt: [`Model::set_weights`](crate::Model::set_weights) gives those of the
/// data, which Keras's `adapt` measures. The mean goes first, so that one that is large against the deviation takes no digits
/// of the features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Normalization {
    /// Whether it is the other way round.
    pub invert: bool,
}

impl Normalization {
    /// As above.
    pub const fn new() -> Normalization {
        Normalization { invert: false }
    }

    /// The other way round: `y = mean + x · max(sqrt(variance), 1e-7)`, as outputs get their units back.
    pub const fn invert(self) -> Normalization {
        Normalization { invert: true }
    }
}

impl Layer for Normalization {
    const NAME: &'static str = "Normalization";
    const BASE: &'static str = "normalization";
    type Step = NormalizationStep;

    fn read(attributes: &mut Attributes<'_>) -> Normalization {
        Normalization { invert: attributes.flag("inverse") }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.flag(self.invert);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let input = one_input(inputs)?;
        let &[.., features] = input.dims() else { return Err(Error::rank("input", 1, input)) };
        Ok(Signature::new(input).constant("mean", &[features], Initial::Constant(0.0)).constant(
            "variance",
            &[features],
            Initial::Constant(1.0),
        ))
    }

    fn lower(&self, site: &Site<'_>) -> Result<NormalizationStep, Error> {
        let (_, features) = matrix(&one_input(site.inputs)?);
        Ok(NormalizationStep { isa: site.isa, layer: *self, features })
    }
}

impl Differentiable for Normalization {
    type TrainingStep = NormalizationStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<NormalizationStep, Error> {
        self.lower(site)
    }
}

/// [`Normalization`], ready to run.
pub struct NormalizationStep {
    isa: Isa,
    layer: Normalization,
    features: usize,
}

impl NormalizationStep {
    /// What each feature is multiplied by.
    fn scale(&self, variance: &[f32], scale: &mut [f32]) -> Result<(), Error> {
        for (scale, &variance) in scale.iter_mut().zip(variance) {
            if !(variance >= 0.0 && variance.is_finite()) {
                let expected = "finite numbers of at least 0";
                return Err(Error::OutOfRange { what: "variance", expected, got: variance });
            }
            let deviation = libm::sqrtf(variance).max(1e-7);
            *scale = if self.layer.invert { deviation } else { 1.0 / deviation };
        }
        Ok(())
    }
}

impl Step for NormalizationStep {
    /// A scale for each feature.
    fn prepared_len(&self) -> usize {
        self.features
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        self.scale(weights[1], prepared)
    }

    /// The means.
    fn reads_weights(&self, index: usize) -> bool {
        index == 0
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let (isa, features, rows) = (self.isa, self.features, run.output.len() / self.features);
        let (x, mean, scale, y) = (run.inputs[0], run.weights[0], run.prepared, run.output);
        Ok(if self.layer.invert {
            channels::scale_shift(isa, Activation::None, rows, features, x, features, scale, mean, y)
        } else {
            channels::normalize(isa, rows, features, x, mean, scale, y)
        }?)
    }
}

impl TrainingStep for NormalizationStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn backward_scratch_len(&self, d_input: bool) -> usize {
        if d_input { self.features } else { 0 }
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        // Constants have none.
        run.d_weights.iter_mut().flatten().for_each(|gradient| gradient.fill(0.0));
        let Some(d_input) = run.d_input else { return Ok(()) };
        self.scale(run.weights[1], run.scratch)?;
        let rows = run.d_output.len() / self.features;
        Ok(channels::mul(self.isa, 1, rows, self.features, run.d_output, run.scratch, d_input)?)
    }
}
