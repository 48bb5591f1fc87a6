//! The builders' methods for functions, normalisations and what is random in training.

use super::{Sequential, Value};
use crate::layers::{
    ActivityRegularization, AlphaDropout, AxisSoftmax, Elu, Exponential, GaussianDropout, GaussianNoise,
    Gelu, GeneralRelu, GroupNormalization, HardSigmoidKeras2, LayerNormalization, Mish, Normalization, Prelu,
    Rescaling, Selu, Softplus, Softsign, SpatialDropout1d, SpatialDropout2d, TanhGelu,
};

/// As methods of what comes before.
macro_rules! functions {
    ($this:ty) => {
        /// The methods that add a function, a normalisation or noise.
        impl $this {
            /// `max(0, x)` with a largest value, a slope below a threshold, or both.
            #[must_use]
            pub fn relu_with(self, how: GeneralRelu) -> Self {
                self.layer(how)
            }

            /// `x`, and times an `alpha` where it is negative, which is learnt: of each element, or shared.
            #[must_use]
            pub fn prelu(self, how: Prelu) -> Self {
                self.layer(how)
            }

            /// `x`, or `alpha (exp(x) - 1)` where it is negative.
            #[must_use]
            pub fn elu(self, alpha: f32) -> Self {
                self.layer(Elu::new(alpha))
            }

            /// ELU by the numbers that keep a mean of 0 and a variance of 1.
            #[must_use]
            pub fn selu(self) -> Self {
                self.layer(Selu)
            }

            /// `x Φ(x)` with the normal distribution `Φ`.
            #[must_use]
            pub fn gelu(self) -> Self {
                self.layer(Gelu)
            }

            /// GELU approximately, by a hyperbolic tangent.
            #[must_use]
            pub fn tanh_gelu(self) -> Self {
                self.layer(TanhGelu)
            }

            /// `ln(1 + exp(x))`
            #[must_use]
            pub fn softplus(self) -> Self {
                self.layer(Softplus)
            }

            /// `x / (1 + |x|)`
            #[must_use]
            pub fn softsign(self) -> Self {
                self.layer(Softsign)
            }

            /// `exp(x)`
            #[must_use]
            pub fn exponential(self) -> Self {
                self.layer(Exponential)
            }

            /// `x tanh(ln(1 + exp(x)))`
            #[must_use]
            pub fn mish(self) -> Self {
                self.layer(Mish)
            }

            /// `min(max(0, x / 5 + 1 / 2), 1)`, as in Keras 2.
            #[must_use]
            pub fn hard_sigmoid_keras2(self) -> Self {
                self.layer(HardSigmoidKeras2)
            }

            /// Softmax along a dimension, counted from 1 or, as -1, from the last.
            #[must_use]
            pub fn softmax_along(self, axis: i8) -> Self {
                self.layer(AxisSoftmax::new(axis))
            }

            /// `scale · x + offset`
            #[must_use]
            pub fn rescaling(self, scale: f32, offset: f32) -> Self {
                self.layer(Rescaling::new(scale).offset(offset))
            }

            /// Features less their mean, by their deviation: weights that are not learnt.
            #[must_use]
            pub fn normalization(self) -> Self {
                self.layer(Normalization::new())
            }

            /// Normalisation of each row by its own statistics, with Keras's epsilon.
            #[must_use]
            pub fn layer_normalization(self) -> Self {
                self.layer(LayerNormalization::new())
            }

            /// Normalisation of each sample in so many groups of channels, with Keras's epsilon.
            #[must_use]
            pub fn group_normalization(self, groups: usize) -> Self {
                self.layer(GroupNormalization::new(groups))
            }

            /// Zeroes that share of the channels of a series at random, in training only.
            #[must_use]
            pub fn spatial_dropout1d(self, rate: f32) -> Self {
                self.layer(SpatialDropout1d::new(rate))
            }

            /// Zeroes that share of the channels of a map at random, in training only.
            #[must_use]
            pub fn spatial_dropout2d(self, rate: f32) -> Self {
                self.layer(SpatialDropout2d::new(rate))
            }

            /// Adds normal numbers of that standard deviation, in training only.
            #[must_use]
            pub fn gaussian_noise(self, stddev: f32) -> Self {
                self.layer(GaussianNoise::new(stddev))
            }

            /// Multiplies by normal numbers of mean 1, in training only.
            #[must_use]
            pub fn gaussian_dropout(self, rate: f32) -> Self {
                self.layer(GaussianDropout::new(rate))
            }

            /// Drops that share of elements at random and keeps mean and variance, in training only.
            #[must_use]
            pub fn alpha_dropout(self, rate: f32) -> Self {
                self.layer(AlphaDropout::new(rate))
            }

            /// Adds `l1 Σ|x| + l2 Σx²` of a sample to the loss, in training only.
            #[must_use]
            pub fn activity_regularization(self, l1: f32, l2: f32) -> Self {
                self.layer(ActivityRegularization::new(l1, l2))
            }
        }
    };
}

functions!(Value<'_>);
functions!(Sequential);
