//! Kinds of losses: each a static that has its kernel, so that a program has no other's code in it.

use super::How;
use crate::error::Error;
use bantam_kernels::Error as KernelError;
use bantam_kernels::loss::{self, Elementwise, Rows, Rowwise};

/// A kind of loss.
pub(crate) trait Kind: Sync {
    fn about(&self) -> &About;

    /// The weighted mean of a batch's losses.
    fn value(&self, how: &How, rows: &Rows<'_>) -> Result<f32, KernelError>;

    /// Its gradient to the outputs, times `d_loss`.
    fn gradient(
        &self,
        how: &How,
        rows: &Rows<'_>,
        d_loss: f32,
        d_outputs: &mut [f32],
    ) -> Result<(), KernelError>;
}

/// What is said of a kind.
pub(crate) struct About {
    /// Keras's.
    pub name: &'static str,
    pub targets: Targets,
    pub link: Option<Link>,
    /// Checks the numbers.
    pub check: fn(&How) -> Result<(), Error>,
}

/// What makes probabilities of logits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Softmax,
    Sigmoid,
}

/// What targets mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Targets {
    /// A class, or a probability for each.
    Classes,
    /// From 0 to 1.
    Shares,
    /// -1 or 0, and 1.
    Sides,
    /// Numbers.
    Numbers,
}

/// A loss of each output by itself.
pub(super) struct OfElements<L: 'static> {
    about: About,
    with: fn(&How) -> L,
}

/// A loss of a row with an output for each class.
pub(super) struct OfRows<L: 'static> {
    about: About,
    with: fn(&How) -> L,
}

impl<L: Elementwise> Kind for OfElements<L> {
    fn about(&self) -> &About {
        &self.about
    }

    fn value(&self, how: &How, rows: &Rows<'_>) -> Result<f32, KernelError> {
        loss::of_elements(&(self.with)(how), rows)
    }

    fn gradient(
        &self,
        how: &How,
        rows: &Rows<'_>,
        d_loss: f32,
        d_outputs: &mut [f32],
    ) -> Result<(), KernelError> {
        loss::of_elements_grad(&(self.with)(how), rows, d_loss, d_outputs)
    }
}

impl<L: Rowwise> Kind for OfRows<L> {
    fn about(&self) -> &About {
        &self.about
    }

    fn value(&self, how: &How, rows: &Rows<'_>) -> Result<f32, KernelError> {
        loss::of_rows(&(self.with)(how), rows)
    }

    fn gradient(
        &self,
        how: &How,
        rows: &Rows<'_>,
        d_loss: f32,
        d_outputs: &mut [f32],
    ) -> Result<(), KernelError> {
        loss::of_rows_grad(&(self.with)(how), rows, d_loss, d_outputs)
    }
}

impl About {
    const fn new(name: &'static str, targets: Targets) -> About {
        About { name, targets, link: None, check: |_| Ok(()) }
    }

    const fn link(self, link: Link) -> About {
        About { link: Some(link), ..self }
    }

    const fn check(self, check: fn(&How) -> Result<(), Error>) -> About {
        About { check, ..self }
    }
}

pub(super) static CROSS_ENTROPY: OfRows<loss::CrossEntropy> = OfRows {
    about: About::new("CategoricalCrossentropy", Targets::Classes).link(Link::Softmax),
    with: |how| loss::CrossEntropy { from_logits: how.from_logits },
};

pub(super) static CATEGORICAL_FOCAL: OfRows<loss::CategoricalFocal> = OfRows {
    about: About::new("CategoricalFocalCrossentropy", Targets::Classes).link(Link::Softmax).check(|how| {
        check_gamma(how)?;
        at_least_zero("alpha", how.numbers[1])
    }),
    with: |&How { from_logits, numbers: [gamma, alpha], .. }| loss::CategoricalFocal {
        from_logits,
        gamma,
        alpha,
    },
};

pub(super) static CATEGORICAL_HINGE: OfRows<loss::CategoricalHinge> =
    OfRows { about: About::new("CategoricalHinge", Targets::Classes), with: |_| loss::CategoricalHinge };

pub(super) static KULLBACK_LEIBLER: OfRows<loss::KullbackLeibler> =
    OfRows { about: About::new("KLDivergence", Targets::Classes), with: |_| loss::KullbackLeibler };

pub(super) static BINARY_CROSS_ENTROPY: OfElements<loss::BinaryCrossEntropy> = OfElements {
    about: About::new("BinaryCrossentropy", Targets::Shares).link(Link::Sigmoid),
    with: |how| loss::BinaryCrossEntropy { from_logits: how.from_logits },
};

pub(super) static BINARY_FOCAL: OfElements<loss::BinaryFocal> = OfElements {
    about: About::new("BinaryFocalCrossentropy", Targets::Shares).link(Link::Sigmoid).check(check_gamma),
    with: |how| loss::BinaryFocal { from_logits: how.from_logits, gamma: how.numbers[0], alpha: None },
};

pub(super) static BALANCED_BINARY_FOCAL: OfElements<loss::BinaryFocal> = OfElements {
    about: About::new("BinaryFocalCrossentropy with alpha", Targets::Shares).link(Link::Sigmoid).check(
        |how| {
            check_gamma(how)?;
            match how.numbers[1] {
                0.0..=1.0 => Ok(()),
                got => Err(Error::OutOfRange { what: "alpha", expected: "from 0 to 1", got }),
            }
        },
    ),
    with: |&How { from_logits, numbers: [gamma, alpha], .. }| loss::BinaryFocal {
        from_logits,
        gamma,
        alpha: Some(alpha),
    },
};

pub(super) static HINGE: OfElements<loss::Hinge> =
    OfElements { about: About::new("Hinge", Targets::Sides), with: |_| loss::Hinge };

pub(super) static SQUARED_HINGE: OfElements<loss::SquaredHinge> =
    OfElements { about: About::new("SquaredHinge", Targets::Sides), with: |_| loss::SquaredHinge };

pub(super) static MEAN_SQUARED_ERROR: OfElements<loss::MeanSquaredError> =
    OfElements { about: About::new("MeanSquaredError", Targets::Numbers), with: |_| loss::MeanSquaredError };

pub(super) static MEAN_ABSOLUTE_ERROR: OfElements<loss::MeanAbsoluteError> = OfElements {
    about: About::new("MeanAbsoluteError", Targets::Numbers),
    with: |_| loss::MeanAbsoluteError,
};

pub(super) static HUBER: OfElements<loss::Huber> = OfElements {
    about: About::new("Huber", Targets::Numbers).check(|how| match how.numbers[0] {
        f32::MIN_POSITIVE..=f32::MAX => Ok(()),
        got => Err(Error::OutOfRange { what: "delta", expected: "a finite number above 0", got }),
    }),
    with: |how| loss::Huber { delta: how.numbers[0] },
};

pub(super) static LOG_COSH: OfElements<loss::LogCosh> =
    OfElements { about: About::new("LogCosh", Targets::Numbers), with: |_| loss::LogCosh };

pub(super) static POISSON: OfElements<loss::Poisson> =
    OfElements { about: About::new("Poisson", Targets::Numbers), with: |_| loss::Poisson };

fn check_gamma(how: &How) -> Result<(), Error> {
    at_least_zero("gamma", how.numbers[0])
}

fn at_least_zero(what: &'static str, number: f32) -> Result<(), Error> {
    match number {
        0.0..=f32::MAX => Ok(()),
        got => Err(Error::OutOfRange { what, expected: "a finite number of at least 0", got }),
    }
}
