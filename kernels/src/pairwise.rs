//! Sums whose rounding error grows with the logarithm of their length (Higham, "Accuracy and Stability of
//! Numerical Algorithms", section 4.2), in an order that the length alone decides.

use crate::simd::{Scalar, Simd};

/// Additions in a row: of terms in a block, and of sums on each level above.
pub(crate) const CHAIN: usize = 32;

/// Enough for as many blocks as memory can hold.
const LEVELS: usize = (usize::BITS / CHAIN.ilog2()) as usize;

/// `V` sums of vectors, block by block. They are added as a number counts: a level that has taken
/// [`CHAIN`] sums hands theirs on to the next and begins anew.
pub(crate) struct Pairwise<S: Simd, const V: usize> {
    levels: [[S::Vector; V]; LEVELS],
    blocks: usize,
}

impl<S: Simd, const V: usize> Pairwise<S, V> {
    #[inline(always)]
    pub fn new(simd: S) -> Self {
        Pairwise { levels: [[simd.splat(0.0); V]; LEVELS], blocks: 0 }
    }

    /// Adds the sums of a block of at most [`CHAIN`] terms each.
    #[inline(always)]
    pub fn add(&mut self, simd: S, mut block: [S::Vector; V]) {
        self.blocks += 1;
        let mut count = self.blocks;
        for level in &mut self.levels {
            for (sum, x) in level.iter_mut().zip(&mut block) {
                *sum = simd.add(*sum, *x);
            }
            if !count.is_multiple_of(CHAIN) {
                return;
            }
            count /= CHAIN;
            block = core::mem::replace(level, [simd.splat(0.0); V]);
        }
    }

    #[inline(always)]
    pub fn total(&self, simd: S) -> [S::Vector; V] {
        let mut total = self.levels[0];
        let mut count = self.blocks / CHAIN;
        for level in &self.levels[1..] {
            if count == 0 {
                break;
            }
            for (sum, x) in total.iter_mut().zip(level) {
                *sum = simd.add(*sum, *x);
            }
            count /= CHAIN;
        }
        total
    }
}

/// The sum of all terms, one after the other in blocks of [`CHAIN`].
pub(crate) fn sum(mut terms: impl Iterator<Item = f32>) -> f32 {
    let mut sums = Pairwise::new(Scalar);
    let mut len = CHAIN;
    while len == CHAIN {
        let mut block = 0.0;
        len = 0;
        for term in terms.by_ref().take(CHAIN) {
            block += term;
            len += 1;
        }
        sums.add(Scalar, [block]);
    }
    let [total] = sums.total(Scalar);
    total
}
