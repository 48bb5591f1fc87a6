//! What happens in a training step, and what of it twice, as values.

use core::fmt;

/// Something that happens in a training step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A step computes its output.
    Forward(usize),
    /// The loss is computed, and its gradient.
    Loss,
    /// A step computes its output again, for backward passes to read.
    Again(usize),
    /// A step passes its gradient on.
    Back(usize),
}

/// How a training step keeps what backward passes read: the less it keeps, the more it computes again. What is learnt is
/// the same to the bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// All outputs are kept.
    #[default]
    KeepAll,
    /// Outputs that take few operations are computed again, where all that they are made of is kept: normalisations,
    /// activations and pools behind a convolution.
    DropCheap,
    /// The same of what is made of those, such as a chain of sums: several operations may have to be computed again for one
    /// output.
    DropAllCheap,
    /// Of so many outputs in a row the last is kept (Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv
    /// 1604.06174).
    KeepEvery(usize),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::KeepAll => f.write_str("all outputs kept"),
            Way::DropCheap => f.write_str("cheap outputs computed again"),
            Way::DropAllCheap => f.write_str("all cheap outputs computed again"),
            Way::KeepEvery(n) => write!(f, "one output of {n} kept"),
        }
    }
}

impl Way {
    /// Those that are worth a try for so many steps.
    pub(crate) fn all(steps: usize) -> impl Iterator<Item = Way> {
        let rows = (2..=6).chain([8, 12, 16, 24, 32, 48, 64]).filter(move |&n| n <= steps);
        [Way::KeepAll, Way::DropCheap, Way::DropAllCheap].into_iter().chain(rows.map(Way::KeepEvery))
    }
}
