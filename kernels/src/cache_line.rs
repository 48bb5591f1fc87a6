/// Sixteen numbers on a cache line of their own: memory made of lines is fast to load vectors from.
///
/// Kernels take slices that lie anywhere. Where packed weights or Winograd's scratch do not begin at a
/// multiple of 64 bytes, every AVX-512 load touches two lines and a convolution is slower by a sixth.
///
/// ```
/// use bantam_kernels::CacheLine;
/// let mut lines = [CacheLine::ZERO; 3];
/// let numbers = CacheLine::numbers_mut(&mut lines);
/// numbers[20] = 1.0;
/// assert_eq!(numbers.len(), 3 * CacheLine::NUMBERS);
/// assert_eq!(numbers.as_ptr().align_offset(64), 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct CacheLine([f32; CacheLine::NUMBERS]);

impl CacheLine {
    /// How many numbers a line has.
    pub const NUMBERS: usize = 16;
    /// A line of zeros.
    pub const ZERO: CacheLine = CacheLine([0.0; CacheLine::NUMBERS]);

    /// The numbers of lines that follow each other.
    pub const fn numbers(lines: &[CacheLine]) -> &[f32] {
        // SAFETY: a line is sixteen numbers and nothing else, and lines lie without gaps.
        unsafe { core::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * CacheLine::NUMBERS) }
    }

    /// As [`numbers`](Self::numbers), to be changed.
    pub const fn numbers_mut(lines: &mut [CacheLine]) -> &mut [f32] {
        // SAFETY: as in `numbers`; any bits are a number, so that no line can become illegal.
        unsafe {
            core::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * CacheLine::NUMBERS)
        }
    }
}
