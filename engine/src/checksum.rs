/// FNV-1a (Fowler, Noll, Vo) over little-endian words of 64 bits, and over what is left by bytes. Each
/// step maps states one to one, so damage inside a single word is always noticed.
#[derive(Clone, Copy)]
pub(crate) struct Checksum(u64);

/// Bytes that [`add_blocks`](Checksum::add_blocks) sums up by themselves.
const BLOCK: usize = 1 << 20;

impl Checksum {
    pub const NONE: Checksum = Checksum(0xcbf2_9ce4_8422_2325);

    fn step(self, word: u64) -> Checksum {
        Checksum((self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3))
    }

    pub fn add(self, bytes: &[u8]) -> Checksum {
        let (words, rest) = bytes.as_chunks::<8>();
        let words = words.iter().fold(self, |sum, word| sum.step(u64::from_le_bytes(*word)));
        rest.iter().fold(words, |sum, &byte| sum.step(byte.into()))
    }

    /// As [`add`](Self::add), in four sums that do not wait for each other: as fast as memory is read.
    pub fn add_wide(self, bytes: &[u8]) -> Checksum {
        let (blocks, rest) = bytes.as_chunks::<32>();
        let mut lanes = [self, Checksum::NONE, Checksum::NONE, Checksum::NONE];
        for block in blocks {
            for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
                *lane = lane.step(u64::from_le_bytes(*word));
            }
        }
        let [first, others @ ..] = lanes;
        others.iter().fold(first, |sum, lane| sum.step(lane.0)).add(rest)
    }

    /// As [`add_wide`](Self::add_wide) of the first [`BLOCK`] bytes; what follows is summed up in such blocks by
    /// themselves, whose sums are added in turn, so that threads share them.
    pub fn add_blocks(self, bytes: &[u8]) -> Checksum {
        let (first, others) = bytes.split_at(bytes.len().min(BLOCK));
        let sum = self.add_wide(first);
        #[cfg(feature = "parallel")]
        if others.len() > BLOCK {
            return sum.add_on_threads(others);
        }
        others.chunks(BLOCK).fold(sum, |sum, block| sum.step(Checksum::NONE.add_wide(block).0))
    }

    /// By the threads of rayon's current pool.
    #[cfg(feature = "parallel")]
    fn add_on_threads(mut self, blocks: &[u8]) -> Checksum {
        use rayon::prelude::*;
        /// Blocks whose sums are kept at a time.
        const GROUP: usize = 256;
        for group in blocks.chunks(GROUP * BLOCK) {
            let mut sums = [Checksum::NONE; GROUP];
            let sums = &mut sums[..group.len().div_ceil(BLOCK)];
            sums.par_iter_mut()
                .zip(group.par_chunks(BLOCK))
                .for_each(|(sum, block)| *sum = sum.add_wide(block));
            self = sums.iter().fold(self, |sum, block| sum.step(block.0));
        }
        self
    }

    pub fn value(self) -> u64 {
        self.0
    }
}
