/// FNV-1a (Fowler, Noll, Vo) over little-endian words of 64 bits, and over what is left by bytes. Each
/// step maps states one to one, so damage inside a single word is always noticed.
#[derive(Clone, Copy)]
pub(crate) struct Checksum(u64);

/// Bytes that [`add_blocks`](Checksum::add_blocks) sums up by themselves.
const BLOCK: usize = 1 << 20;

/// Such blocks that a thread reads at once.
#[cfg(feature = "parallel")]
const AT_ONCE: usize = 4;

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
        Checksum::joined(lanes).add(rest)
    }

    fn joined([first, others @ ..]: [Checksum; 4]) -> Checksum {
        others.iter().fold(first, |sum, lane| sum.step(lane.0))
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
            let at_once = group.par_chunks(AT_ONCE * BLOCK).zip(sums.par_chunks_mut(AT_ONCE));
            at_once.for_each(|(blocks, sums)| Checksum::of_blocks(blocks, sums));
            self = sums.iter().fold(self, |sum, block| sum.step(block.0));
        }
        self
    }

    /// The sum of each block by itself. Whole ones are read at once: several streams come faster from memory than one.
    #[cfg(feature = "parallel")]
    fn of_blocks(bytes: &[u8], sums: &mut [Checksum]) {
        if bytes.len() < AT_ONCE * BLOCK {
            return bytes.chunks(BLOCK).zip(sums).for_each(|(block, sum)| *sum = sum.add_wide(block));
        }
        let mut blocks = [&[][..]; AT_ONCE];
        for (block, bytes) in blocks.iter_mut().zip(bytes.as_chunks::<BLOCK>().0) {
            *block = bytes.as_chunks::<32>().0;
        }
        let mut lanes = [[Checksum::NONE; 4]; AT_ONCE];
        for at in 0..BLOCK / 32 {
            for (lanes, block) in lanes.iter_mut().zip(blocks) {
                for (lane, word) in lanes.iter_mut().zip(block[at].as_chunks::<8>().0) {
                    *lane = lane.step(u64::from_le_bytes(*word));
                }
            }
        }
        sums.iter_mut().zip(lanes).for_each(|(sum, lanes)| *sum = Checksum::joined(lanes));
    }

    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(all(test, feature = "parallel"))]
mod tests {
    use super::*;

    /// However many blocks are read at once, the sum is that of one after the other.
    #[test]
    fn blocks_that_are_read_at_once_keep_the_sum() {
        let bytes: alloc::vec::Vec<u8> = (0..6 * BLOCK + 77).map(|i| ((i * i) >> 7) as u8).collect();
        for len in [0, 31, BLOCK, 2 * BLOCK + 1, 5 * BLOCK, 5 * BLOCK + 40, 6 * BLOCK, bytes.len()] {
            let (first, others) = bytes[..len].split_at(len.min(BLOCK));
            let first = Checksum::NONE.add_wide(first);
            let one_by_one =
                others.chunks(BLOCK).fold(first, |sum, block| sum.step(Checksum::NONE.add_wide(block).0));
            assert_eq!(Checksum::NONE.add_blocks(&bytes[..len]).value(), one_by_one.value(), "{len}");
        }
    }
}
