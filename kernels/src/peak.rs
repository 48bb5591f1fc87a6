//! What the processor could do at best: the yardstick of every other kernel.

use crate::Isa;
use crate::simd::{Operation, Simd};
use core::hint::black_box;

/// Independent chains: more than latency times throughput of any known core's multiply-add.
const CHAINS: usize = 12;

/// Runs `rounds` rounds of multiply-adds on registers alone and says how many there were. A
/// vector of `n` lanes counts as `n`. Time it to find the peak.
///
/// ```
/// use bantam_kernels::{Isa, peak};
/// assert_eq!(peak::multiply_adds(Isa::SCALAR, 10), 120);
/// ```
pub fn multiply_adds(isa: Isa, rounds: usize) -> usize {
    isa.run(MultiplyAdds { rounds })
}

struct MultiplyAdds {
    rounds: usize,
}

impl Operation for MultiplyAdds {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> usize {
        let (factor, term) = (simd.splat(black_box(0.999)), simd.splat(black_box(0.001)));
        let mut sums = [simd.splat(1.0); CHAINS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = simd.mul_add(*sum, factor, term);
            }
        }
        for sum in sums {
            black_box(simd.reduce_add(sum));
        }
        self.rounds * CHAINS * S::LANES
    }
}
