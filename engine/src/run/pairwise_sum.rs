use crate::error::Error;
use bantam_kernels::conv2d::Activation;
use bantam_kernels::{Isa, elementwise};

/// Adds up the gradients of parts that come one after the other: in pairs, and the pairs' sums in pairs, as parts are added
/// that are all there at once. Errors grow with the logarithm of their number.
pub(crate) struct PairwiseSum<'a> {
    isa: Isa,
    /// Room for [`Parts::sums`](crate::plan::parts::Parts::sums) of them; those of the most parts come first.
    sums: &'a mut [f32],
    len: usize,
    waiting: usize,
    parts: usize,
}

impl<'a> PairwiseSum<'a> {
    /// Of gradients of so many elements.
    pub fn new(isa: Isa, sums: &'a mut [f32], len: usize) -> PairwiseSum<'a> {
        PairwiseSum { isa, sums, len, waiting: 0, parts: 0 }
    }

    /// Adds the next part's.
    pub fn add(&mut self, gradients: &[f32]) -> Result<(), Error> {
        let part = self.parts;
        self.parts += 1;
        if part.is_multiple_of(2) {
            self.sums[self.waiting * self.len..][..self.len].copy_from_slice(gradients);
            self.waiting += 1;
            return Ok(());
        }
        let sum = &mut self.sums[(self.waiting - 1) * self.len..][..self.len];
        elementwise::add_assign(self.isa, Activation::None, sum, gradients)?;
        (1..part.trailing_ones()).try_for_each(|_| self.add_last())
    }

    /// The sum of all that were added.
    pub fn finish(mut self) -> Result<&'a mut [f32], Error> {
        while self.waiting > 1 {
            self.add_last()?;
        }
        Ok(&mut self.sums[..self.len])
    }

    /// Adds the last of the sums that wait to the one before it.
    fn add_last(&mut self) -> Result<(), Error> {
        self.waiting -= 1;
        let (sums, last) = self.sums.split_at_mut(self.waiting * self.len);
        let sum = &mut sums[(self.waiting - 1) * self.len..];
        Ok(elementwise::add_assign(self.isa, Activation::None, sum, &last[..self.len])?)
    }
}
