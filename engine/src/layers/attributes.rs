use crate::error::{Error, ModelFileProblem};
use crate::memory::heap;
use alloc::vec::Vec;
use bantam_kernels::conv2d::Padding;
use bantam_kernels::max_pool2d::Windows;

/// Attributes of a layer as a model's file has them: little-endian, without gaps.
///
/// Reading never fails, so that a layer's `read` is as short as its `write`: what was missing, or means nothing, is reported
/// when all has been read.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    /// The first that was not as it should be.
    problem: Option<ModelFileProblem>,
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Attributes<'a> {
        Attributes { rest: bytes, problem: None }
    }

    /// Whether all that was read was there and meant something.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.problem {
            None => Ok(()),
            Some(problem) => Err(problem.into()),
        }
    }

    /// The same, and nothing is left.
    pub(crate) fn check_end(&mut self, what: &'static str) -> Result<(), Error> {
        self.expect(what, 0, self.rest.len());
        self.check()
    }

    /// Says that what was read means nothing.
    pub fn refuse(&mut self, what: &'static str) {
        self.say(ModelFileProblem::Field { what });
    }

    /// Says that a number is not the one that it should be.
    pub(crate) fn expect(&mut self, what: &'static str, expected: usize, got: usize) {
        if expected != got {
            self.say(ModelFileProblem::Number { what, expected, got });
        }
    }

    #[cold]
    #[inline(never)]
    fn say(&mut self, problem: ModelFileProblem) {
        self.problem.get_or_insert(problem);
    }

    /// The next byte, which stays.
    pub(crate) fn peek(&self, at: usize) -> Option<u8> {
        self.rest.get(at).copied()
    }

    /// Whether there are attributes left: those that were added to a layer later are written last.
    pub fn more(&self) -> bool {
        !self.rest.is_empty()
    }

    /// So many bytes; none where there are fewer. `what` they are is said then.
    pub fn take(&mut self, len: usize, what: &'static str) -> &'a [u8] {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                taken
            }
            None => {
                self.say(ModelFileProblem::CutShort { what, expected: len, got: self.rest.len() });
                &[]
            }
        }
    }

    /// Bytes behind two that say how many they are.
    pub(crate) fn block(&mut self, what: &'static str) -> &'a [u8] {
        let len = self.word(2, what);
        self.take(len as usize, what)
    }

    /// The same, letters.
    pub(crate) fn text(&mut self, what: &'static str) -> &'a str {
        core::str::from_utf8(self.block(what)).unwrap_or_else(|_| {
            self.refuse(what);
            ""
        })
    }

    /// A whole number of so many bytes.
    fn word(&mut self, bytes: usize, what: &'static str) -> u32 {
        self.take(bytes, what).iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
    }

    /// A byte.
    pub fn byte(&mut self, what: &'static str) -> u8 {
        self.word(1, what) as u8
    }

    /// Yes or no.
    pub fn flag(&mut self, what: &'static str) -> bool {
        let byte = self.byte(what);
        if byte > 1 {
            self.refuse(what);
        }
        byte == 1
    }

    /// A size of 32 bits.
    pub fn size(&mut self, what: &'static str) -> usize {
        self.word(4, what) as usize
    }

    /// So many sizes.
    pub fn sizes<const N: usize>(&mut self, what: &'static str) -> [usize; N] {
        let mut sizes = [0; N];
        self.fill(&mut sizes, what);
        sizes
    }

    #[inline(never)] // One copy, however many sizes.
    fn fill(&mut self, sizes: &mut [usize], what: &'static str) {
        for size in sizes {
            *size = self.size(what);
        }
    }

    /// A number.
    pub fn number(&mut self, what: &'static str) -> f32 {
        f32::from_bits(self.word(4, what))
    }

    /// How far a window reaches past the edges.
    pub fn padding(&mut self) -> Padding {
        let what = "padding";
        match self.byte(what) {
            0 => Padding::Valid,
            1 => Padding::Same,
            2 => {
                let [top, bottom, left, right] = self.sizes(what);
                Padding::Explicit { top, bottom, left, right }
            }
            _ => {
                self.refuse(what);
                Padding::Valid
            }
        }
    }

    /// The windows of a pool.
    #[inline(never)] // One copy for all pools.
    pub(super) fn windows(&mut self) -> Windows {
        let what = "pool";
        let [size, stride] = [self.sizes(what), self.sizes(what)];
        let padding = self.padding();
        let mut windows = Windows { stride, padding, ..Windows::new(size) };
        if self.more() {
            windows.dilation = self.sizes(what);
            windows.ceil = self.flag(what);
            windows.count_padding = self.flag(what);
        }
        windows
    }
}

/// Attributes of a layer as they are written.
#[derive(Debug, Default)]
pub struct AttributesMut {
    bytes: Vec<u8>,
    refused: Option<Error>,
}

impl AttributesMut {
    /// What was written.
    pub(crate) fn into_bytes(self) -> Result<Vec<u8>, Error> {
        match self.refused {
            None => Ok(self.bytes),
            Some(error) => Err(error),
        }
    }

    /// Some bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        match heap::extend(&mut self.bytes, bytes) {
            Ok(()) => {}
            Err(error) => self.refused = Some(error),
        }
    }

    /// A byte.
    pub fn byte(&mut self, byte: u8) {
        self.bytes(&[byte]);
    }

    /// Yes or no.
    pub fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    /// A size. No model has one of more than 32 bits.
    pub fn size(&mut self, size: usize) {
        match u32::try_from(size) {
            Ok(size) => self.bytes(&size.to_le_bytes()),
            Err(_) => {
                let (what, max) = ("sizes of a layer", u32::MAX as usize);
                self.refused = Some(Error::TooMany { what, max, got: size });
            }
        }
    }

    /// Some sizes.
    pub fn sizes(&mut self, sizes: &[usize]) {
        sizes.iter().for_each(|&size| self.size(size));
    }

    /// A number.
    pub fn number(&mut self, number: f32) {
        self.bytes(&number.to_le_bytes());
    }

    /// How far a window reaches past the edges.
    pub fn padding(&mut self, padding: Padding) {
        match padding {
            Padding::Valid => self.byte(0),
            Padding::Same => self.byte(1),
            Padding::Explicit { top, bottom, left, right } => {
                self.byte(2);
                self.sizes(&[top, bottom, left, right]);
            }
        }
    }

    /// The windows of a pool.
    pub(super) fn windows(&mut self, windows: &Windows) {
        let Windows { size, stride, dilation, padding, ceil, count_padding } = *windows;
        self.sizes(&size);
        self.sizes(&stride);
        self.padding(padding);
        if dilation != [1, 1] || ceil || count_padding {
            self.sizes(&dilation);
            self.flag(ceil);
            self.flag(count_padding);
        }
    }
}
