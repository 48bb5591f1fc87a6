/// FNV-1a (Fowler, Noll, Vo) over little-endian words of 64 bits, and over what is left by bytes. Each
/// step maps states one to one, so damage inside a single word is always noticed.
#[derive(Clone, Copy)]
pub(crate) struct Checksum(u64);

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

    pub fn value(self) -> u64 {
        self.0
    }
}
