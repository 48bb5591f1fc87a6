use core::fmt;

/// Why a kernel refused its arguments. Nothing was written when one is returned, but for
/// [`NotFinite`](Error::NotFinite).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A slice does not have the length that its shape asks for.
    Length {
        /// Which argument.
        what: &'static str,
        /// Elements that the shape asks for.
        expected: usize,
        /// Elements that came.
        got: usize,
    },
    /// A size that must be at least one is zero.
    ZeroSize {
        /// Which size.
        what: &'static str,
    },
    /// A product of sizes does not fit `isize::MAX` bytes.
    TooLarge {
        /// Which array.
        what: &'static str,
    },
    /// A window is larger than the padded input that it slides over.
    WindowExceedsInput {
        /// Extent of the window.
        window: usize,
        /// Extent of the input with its padding.
        padded: usize,
    },
    /// Channels that cannot be parted into so many groups.
    Groups {
        /// Into how many.
        groups: usize,
        /// Input or output channels.
        channels: usize,
    },
    /// Winograd's algorithm has no such form: squares are for windows of 3×3 with stride 1, tiles of rows for 3
    /// columns or, with stride 2, 3 or 7, both without dilation and groups; or there is none for the instruction set.
    NotWinograd,
    /// Sums overflowed in Winograd's algorithm, or it was given a NaN or an infinity. What was written means
    /// nothing. The sums in a tile are larger than its outputs: [direct](crate::conv2d::Geometry::direct_only)
    /// computation may have them.
    NotFinite,
    /// A value lies outside the range that the kernel can treat.
    OutOfRange {
        /// Which argument.
        what: &'static str,
        /// The largest legal value.
        max: usize,
        /// The value that came.
        got: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Length { what, expected, got } => {
                write!(f, "{what}: expected {expected} elements, got {got}")
            }
            Error::ZeroSize { what } => write!(f, "{what}: expected at least 1, got 0"),
            Error::TooLarge { what } => {
                write!(f, "{what}: expected at most isize::MAX bytes, the product of its sizes is larger")
            }
            Error::WindowExceedsInput { window, padded } => {
                write!(f, "window: expected at most the padded input's {padded}, got {window}")
            }
            Error::Groups { groups, channels } => {
                write!(f, "groups: expected a divisor of {channels} channels, got {groups}")
            }
            Error::NotWinograd => f.write_str(
                "Winograd: expected windows of 3×3 with stride 1, or along the rows of 3 or 7 columns with \
                 stride 2; no dilation, one group, and an instruction set that has such code",
            ),
            Error::NotFinite => f.write_str(
                "Winograd: expected finite sums, got an overflow or a NaN; direct_only has a larger range",
            ),
            Error::OutOfRange { what, max, got } => {
                write!(f, "{what}: expected at most {max}, got {got}")
            }
        }
    }
}

impl core::error::Error for Error {}

/// Checks a slice's length at a kernel's door.
pub(crate) fn check<T>(what: &'static str, slice: &[T], expected: usize) -> Result<(), Error> {
    if slice.len() == expected { Ok(()) } else { Err(Error::Length { what, expected, got: slice.len() }) }
}

/// Checks sizes that must be at least one. The names are apart, where they cost no code.
pub(crate) fn check_sizes<const N: usize>(names: &[&'static str; N], sizes: [usize; N]) -> Result<(), Error> {
    #[inline(never)] // One copy, for flash.
    fn check(names: &[&'static str], sizes: &[usize]) -> Result<(), Error> {
        match names.iter().zip(sizes).find(|&(_, &size)| size == 0) {
            Some((what, _)) => Err(Error::ZeroSize { what }),
            None => Ok(()),
        }
    }
    check(names, &sizes)
}

/// Checks that `f32` arrays of such sizes can exist.
pub(crate) fn check_arrays<const N: usize>(
    names: &[&'static str; N],
    arrays: [&[usize]; N],
) -> Result<(), Error> {
    #[inline(never)]
    fn check(names: &[&'static str], arrays: &[&[usize]]) -> Result<(), Error> {
        names.iter().zip(arrays).try_for_each(|(what, sizes)| elements(what, sizes).map(drop))
    }
    check(names, &arrays)
}

/// The product of `sizes`, if an `f32` array of that many elements can exist.
pub(crate) fn elements(what: &'static str, sizes: &[usize]) -> Result<usize, Error> {
    let mut bytes = size_of::<f32>();
    for &size in sizes {
        bytes = bytes.checked_mul(size).ok_or(Error::TooLarge { what })?;
    }
    if bytes > isize::MAX as usize {
        return Err(Error::TooLarge { what });
    }
    Ok(bytes / size_of::<f32>())
}
