//! The IDX format: bytes in up to three dimensions, perhaps compressed with gzip.

use bantam_tools::draw::count;
use flate2::read::GzDecoder;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes and the sizes of their dimensions, outermost first.
#[derive(Debug, PartialEq, Eq)]
pub struct Idx {
    /// The sizes.
    pub dims: Vec<usize>,
    /// As many bytes as their product.
    pub data: Vec<u8>,
}

/// Why bytes are not an IDX array.
#[derive(Debug)]
pub enum Problem {
    /// They cannot be read, or not be decompressed.
    Io(io::Error),
    /// A folder has no file of that name, neither plain nor with `.gz` after it.
    Missing {
        /// The name.
        name: String,
    },
    /// They do not begin as an array of bytes of that many dimensions.
    Foreign {
        /// Dimensions expected.
        dims: u8,
        /// The first four bytes.
        found: [u8; 4],
    },
    /// They end too early, or go on.
    Length {
        /// Bytes that the sizes ask for.
        expected: u64,
        /// Bytes found; one more than expected stands for any number more.
        found: u64,
    },
    /// They claim to be larger than any data set that this is made for.
    TooLarge {
        /// The sizes claimed.
        dims: Vec<u32>,
    },
}

/// More than any set of small pictures has.
const MOST_BYTES: u64 = 1 << 30;

/// Reads an array of `dims` dimensions. Memory grows with what is really there, not with what the
/// header claims.
///
/// # Errors
/// See [`Problem`].
///
/// ```
/// let bytes = [0, 0, 8, 1, 0, 0, 0, 2, 7, 9];
/// assert_eq!(mnist::idx::read(&bytes[..], 1)?.data, [7, 9]);
/// # Ok::<(), mnist::idx::Problem>(())
/// ```
pub fn read(bytes: impl Read, dims: u8) -> Result<Idx, Problem> {
    let mut bytes = BufReader::new(bytes);
    if bytes.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        read_plain(GzDecoder::new(bytes), dims)
    } else {
        read_plain(bytes, dims)
    }
}

fn read_plain(mut bytes: impl Read, dims: u8) -> Result<Idx, Problem> {
    const UNSIGNED_BYTES: u8 = 8;
    let found = word(&mut bytes, 0, dims)?;
    if found != [0, 0, UNSIGNED_BYTES, dims] {
        return Err(Problem::Foreign { dims, found });
    }
    let mut claimed = Vec::new();
    for i in 1..=dims {
        claimed.push(u32::from_be_bytes(word(&mut bytes, i, dims)?));
    }
    let expected = claimed.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim.into()));
    let Some(expected) = expected.filter(|&bytes| bytes <= MOST_BYTES) else {
        return Err(Problem::TooLarge { dims: claimed });
    };
    let mut data = Vec::new();
    // One byte more, to see whether there is one, and so that a checksum at the end is checked.
    bytes.take(expected + 1).read_to_end(&mut data)?;
    let found = data.len() as u64;
    if found != expected {
        return Err(Problem::Length { expected, found });
    }
    Ok(Idx { dims: claimed.into_iter().map(|dim| dim as usize).collect(), data })
}

/// The `index`th word of the header.
fn word(bytes: &mut impl Read, index: u8, dims: u8) -> Result<[u8; 4], Problem> {
    let mut word = [0; 4];
    let mut filled = 0;
    while filled < 4 {
        match bytes.read(&mut word[filled..])? {
            0 => {
                let expected = 4 * (u64::from(dims) + 1);
                return Err(Problem::Length { expected, found: 4 * u64::from(index) + filled as u64 });
            }
            n => filled += n,
        }
    }
    Ok(word)
}

/// A problem and the file that has it.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    problem: Problem,
}

/// Reads the file of that name in a folder, or the one with `.gz` after it.
///
/// # Errors
/// There is neither, or it is no such array.
pub fn load(folder: &Path, name: &str, dims: u8) -> Result<Idx, FileError> {
    use io::ErrorKind::{NotADirectory, NotFound};
    for path in [folder.join(name), folder.join(format!("{name}.gz"))] {
        match File::open(&path) {
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => {}
            file => {
                let array = file.map_err(Problem::Io).and_then(|file| read(file, dims));
                return array.map_err(|problem| FileError { path, problem });
            }
        }
    }
    Err(FileError { path: folder.to_path_buf(), problem: Problem::Missing { name: name.to_string() } })
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Problem {
        Problem::Io(error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Io(error) => error.fmt(f),
            Problem::Missing { name } => {
                write!(f, "expected a folder with {name} or {name}.gz, found neither")
            }
            Problem::Foreign { dims, found } => {
                let dimensions = count(*dims, "dimension");
                write!(f, "expected an IDX file of bytes in {dimensions} (00 00 08 {dims:02x}), found ")?;
                let [a, b, c, d] = found;
                write!(f, "{a:02x} {b:02x} {c:02x} {d:02x}")
            }
            Problem::Length { expected, found } if found > expected => {
                write!(f, "expected {}, found more", count(*expected, "byte"))
            }
            Problem::Length { expected, found } => {
                write!(f, "expected {}, found {found}: it is cut short", count(*expected, "byte"))
            }
            Problem::TooLarge { dims } => {
                write!(f, "expected at most {MOST_BYTES} bytes, found sizes {dims:?}")
            }
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for Problem {}
impl std::error::Error for FileError {}
