//! Shapes that are not as they should be. An error that tells of one takes memory, which may be missing too.

use crate::error::Error;
use crate::memory::heap::boxed;
use crate::shape::Shape;

impl Shape {
    /// The sizes as an array, if there are `N`.
    pub(crate) fn array<const N: usize>(&self, what: &'static str) -> Result<[usize; N], Error> {
        self.dims().try_into().map_err(|_| Error::rank(what, N, *self))
    }

    /// Checks that a tensor has this shape.
    pub(crate) fn require(&self, what: &'static str, got: Shape) -> Result<(), Error> {
        if *self == got { Ok(()) } else { Err(Error::shape(what, *self, got)) }
    }
}

impl Error {
    /// [`Error::Rank`], or that there is no memory for it.
    pub(crate) fn rank(what: &'static str, expected: usize, got: Shape) -> Error {
        boxed(got).map_or_else(|error| error, |got| Error::Rank { what, expected, got })
    }

    /// [`Error::NotFlat`], or that there is no memory for it.
    pub(crate) fn not_flat(got: Shape) -> Error {
        boxed(got).map_or_else(|error| error, |got| Error::NotFlat { got })
    }

    /// [`Error::Shape`], or that there is no memory for it.
    pub(crate) fn shape(what: &'static str, expected: Shape, got: Shape) -> Error {
        let error = || Ok(Error::Shape { what, expected: boxed(expected)?, got: boxed(got)? });
        error().unwrap_or_else(|missing| missing)
    }
}
