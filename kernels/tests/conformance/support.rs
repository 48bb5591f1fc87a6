//! What the tests of all kernels share.

use bantam_kernels::Isa;
use bantam_kernels::reference::Expected;
use proptest::prelude::{BoxedStrategy, Strategy};
use proptest::test_runner::{Config, TestRunner};
use std::fmt::Debug;

/// The instruction sets to test: that of `BANTAM_TEST_ISA`, or all of this machine.
pub fn isas() -> Vec<Isa> {
    match std::env::var("BANTAM_TEST_ISA") {
        Ok(name) => vec![Isa::named(&name).unwrap_or_else(|| panic!("this machine has no {name:?}"))],
        Err(_) => Isa::available().collect(),
    }
}

/// Checks the listed shapes and as many random ones as are worth their time: 64, or `BANTAM_TEST_CASES`.
pub fn shapes<S: Strategy + 'static>(
    listed: impl IntoIterator<Item = S::Value>,
    any: S,
    check: impl Fn(S::Value),
) {
    listed.into_iter().for_each(&check);
    random(&any.boxed(), &check);
}

/// Compiled once for each type of shapes, and not for each kernel.
fn random<V: Debug>(any: &BoxedStrategy<V>, check: &dyn Fn(V)) {
    let cases = std::env::var("BANTAM_TEST_CASES").map_or(64, |cases| cases.parse().unwrap());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(any, |shape| {
        check(shape);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Lengths around those of one and of several vectors of any instruction set, and a prime.
pub const LENGTHS: [usize; 18] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 257];

/// What numbers a test runs on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numbers {
    /// From -4 to 4, so that sums and products of a few thousand are exact in any order.
    Integers,
    /// From -1 to 1.
    Reals,
}

impl Numbers {
    pub const ALL: [Numbers; 2] = [Numbers::Integers, Numbers::Reals];

    /// `len` of them, others for another `seed`, in a slice of exactly that length.
    pub fn take(self, seed: u64, len: usize) -> Box<[f32]> {
        let mut random = SplitMix64(seed);
        let next = |_| {
            let bits = random.next();
            match self {
                Numbers::Integers => (bits % 9) as f32 - 4.0,
                Numbers::Reals => (bits >> 40) as f32 / 8_388_608.0 - 1.0,
            }
        };
        (0..len).map(next).collect()
    }

    /// Compares what a kernel gave with what it must give.
    pub fn compare(self, what: &str, got: &[f32], want: impl Iterator<Item = Expected>) {
        self.compare_all(what, got, &want.collect::<Vec<_>>());
    }

    fn compare_all(self, what: &str, got: &[f32], want: &[Expected]) {
        assert_eq!(got.len(), want.len(), "{what}: length");
        for (i, (&got, want)) in got.iter().zip(want).enumerate() {
            let right = match self {
                Numbers::Integers => f64::from(got) == want.value,
                Numbers::Reals => want.admits(got),
            };
            assert!(right, "{what}[{i}]: got {got}, expected {want:?} ({self:?})");
        }
    }
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Runs `kernel` on an output that stands between canaries, at an address that no vector is
/// aligned to, and full of NaN so that what it leaves out shows.
pub fn written(len: usize, kernel: impl FnOnce(&mut [f32])) -> Vec<f32> {
    updated(&vec![f32::NAN; len], kernel)
}

/// As [`written`], for an output that the kernel changes.
pub fn updated(before: &[f32], kernel: impl FnOnce(&mut [f32])) -> Vec<f32> {
    guarded(before, 12345.678, kernel)
}

/// As [`written`], for bytes.
pub fn written_bytes(len: usize, kernel: impl FnOnce(&mut [u8])) -> Vec<u8> {
    guarded(&vec![255; len], 171, kernel)
}

fn guarded<T: Copy + PartialEq>(before: &[T], canary: T, kernel: impl FnOnce(&mut [T])) -> Vec<T> {
    let mut memory = between_canaries(before, canary);
    kernel(&mut memory[CANARIES..][..before.len()]);
    output(&memory, canary)
}

const CANARIES: usize = 17;

fn between_canaries<T: Copy>(before: &[T], canary: T) -> Vec<T> {
    [&[canary; CANARIES], before, &[canary; CANARIES]].concat()
}

fn output<T: Copy + PartialEq>(memory: &[T], canary: T) -> Vec<T> {
    let (left, rest) = memory.split_at(CANARIES);
    let (output, right) = rest.split_at(rest.len() - CANARIES);
    assert!(left.iter().chain(right).all(|&value| value == canary), "written outside the output");
    output.to_vec()
}

/// Equal bits: NaN is itself, and zeros have signs.
pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}
