use crate::parallel::Threads;
use bantam_kernels::Isa;

/// How a model is to run.
///
/// ```
/// use bantam::{Isa, Options, Plan, Sequential};
/// let model = Sequential::new([28, 28, 1]).conv2d(8, 3).relu().build(1)?;
/// let plan = Plan::new(&model, Options::new(1).isa(Isa::SCALAR))?;
/// assert_eq!(plan.peak_bytes(), 4 * 26 * 26 * 8);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub(crate) batch: usize,
    pub(crate) isa: Isa,
    pub(crate) threads: Threads,
    pub(crate) direct_only: bool,
}

impl Options {
    /// For up to `batch` samples at a time, by the widest instruction set of this CPU, on one thread.
    pub fn new(batch: usize) -> Options {
        Options { batch, isa: Isa::detect(), threads: Threads::ONE, direct_only: false }
    }

    /// By that instruction set.
    #[must_use]
    pub fn isa(self, isa: Isa) -> Options {
        Options { isa, ..self }
    }

    /// In so many parts at a time, one at the least: threads of rayon's current pool take them. More threads need more
    /// scratch; the bits stay the same. Without the feature `parallel` it is always one.
    #[must_use]
    pub fn threads(self, threads: usize) -> Options {
        Options { threads: Threads::new(threads), ..self }
    }

    /// With convolutions that are all [direct only](crate::Conv2d::direct_only): less memory for more time. Prepared weights
    /// are then as large as the model's, filled up to whole vectors, where those of Winograd's tiles take up to 5.4 times as much.
    #[must_use]
    pub fn direct_only(self) -> Options {
        Options { direct_only: true, ..self }
    }
}
