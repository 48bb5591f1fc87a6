use super::{Adam, Optimizer};

/// [`Adam`] with weights that decay apart from the gradients (Loshchilov and Hutter, arXiv 1711.05101).
///
/// Parameters that are not to decay are excluded by [`Optimizer::weight_decay`], of an [`Adam`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub rate: f32,
    /// Times the rate, the share of the weights that is taken off in a step.
    pub weight_decay: f32,
    /// The share of the gradient's mean that is kept in a step.
    pub beta1: f32,
    /// The share of its mean square that is kept in a step.
    pub beta2: f32,
    /// Added to the root of the mean square.
    pub epsilon: f32,
    /// As [`Adam::amsgrad`].
    pub amsgrad: bool,
}

impl Default for AdamW {
    fn default() -> AdamW {
        let Adam { rate, beta1, beta2, epsilon, amsgrad } = Adam::default();
        AdamW { rate, weight_decay: 0.004, beta1, beta2, epsilon, amsgrad }
    }
}

impl From<AdamW> for Optimizer {
    fn from(rule: AdamW) -> Optimizer {
        let AdamW { rate, weight_decay, beta1, beta2, epsilon, amsgrad } = rule;
        Optimizer::from(Adam { rate, beta1, beta2, epsilon, amsgrad }).weight_decay(weight_decay, &[])
    }
}
