//! Features on a disk: what a frozen base gives for each sample of a data set, computed once and learnt from as often as one
//! likes.
//!
//! Neither to write nor to read a file takes more memory than a batch. It is little-endian: a header of 128 bytes, then a record
//! for each sample.
//!
//! | bytes | header |
//! | --- | --- |
//! | 0-7 | `BANTAMF\n` |
//! | 8-11 | version of the format |
//! | 12-15 | dimensions of a sample's features |
//! | 16-55 | their sizes, 64 bits each |
//! | 56-63 | numbers of a target |
//! | 64-71 | samples |
//! | 72-79, 80-87 | checksums of the base and of the data set |
//! | 120-127 | checksum of the bytes before |
//! | others | zero |
//!
//! A record is a checksum (XXH3) of its number in the file and of what follows: weight, target and features, 32 bits each.

use bantam::{AtomicFile, Dataset, Error, FeatureBatch, Features, Model, Options, Shape};
use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

const MAGIC: [u8; 8] = *b"BANTAMF\n";
const VERSION: u32 = 1;
const HEADER: usize = 128;

/// Bytes that are handed to the disk at a time, or those of a batch if these are more.
const CHUNK: usize = 1 << 22;

/// Features in a file, as a data set.
///
/// ```
/// use bantam::{Dataset, Options, Samples, Sequential, Tensor};
/// use bantam_tools::features::{FeatureFile, checksum};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("images.features");
/// let base = Sequential::new([8, 8, 1]).conv2d(4, 3).relu().max_pool2d(2).build(1)?;
/// let images = Samples::new(Tensor::zeros(&[6, 8, 8, 1])?, Tensor::zeros(&[6, 1])?)?;
/// let sum = checksum(&images)?;
/// FeatureFile::write(&path, &base, &images, sum, Options::new(4), &mut |_done| {})?;
/// let features = FeatureFile::open(&path, &base, sum)?;
/// assert_eq!((features.len(), features.input_shape().dims()), (6, &[3, 3, 4][..]));
/// # Ok::<(), bantam_tools::Failure>(())
/// ```
pub struct FeatureFile {
    path: PathBuf,
    file: File,
    shape: Shape,
    target_len: usize,
    len: usize,
    /// Room for a record.
    room: Cell<Vec<u8>>,
    /// The weight of the record that was read last, and its number.
    weight: Cell<(usize, f32)>,
}

/// Why there is no file of features, or not the one that was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum FeatureError {
    /// The system refused.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it said.
        problem: io::Error,
    },
    /// It is none, is of another version, or damaged.
    Broken {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
    },
    /// It is of another base or data set, and is to be written anew.
    Stale {
        /// The file.
        path: PathBuf,
        /// `"base"` or `"data set"`.
        of: &'static str,
    },
    /// It cannot be computed or written.
    Write(Error),
}

impl FeatureFile {
    /// Computes the features of all samples, so many at a time as `options` says, and replaces the file as a whole or not at
    /// all. `data_checksum` is what [`open`](FeatureFile::open) will hold against: [`checksum`], or
    /// [`ImageSet::checksum`](crate::images::ImageSet::checksum), which decodes no image. `progress` is told how many samples
    /// are done.
    ///
    /// # Errors
    /// [`FeatureError::Write`]: the file cannot be written, or what [`Features`] refuses.
    pub fn write(
        path: impl AsRef<Path>,
        base: &Model<'_>,
        data: &dyn Dataset,
        data_checksum: u64,
        options: Options,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), FeatureError> {
        let mut file = AtomicFile::create(path)?;
        let mut features = Features::new(base, data, options)?;
        let shape = base.output_shape();
        let sums = [base_checksum(base)?, data_checksum];
        let mut bytes = header(shape, data.target_len(), data.len(), sums).to_vec();
        while let Some(batch) = features.next_batch()? {
            let FeatureBatch { first, features, targets, weights } = batch;
            let rows = features.chunks_exact(shape.elements()).zip(targets.chunks_exact(data.target_len()));
            for ((index, weight), (features, target)) in (first..).zip(weights).zip(rows) {
                let start = bytes.len();
                bytes.extend([0; 8]);
                for number in [*weight].iter().chain(target).chain(features) {
                    bytes.extend(number.to_le_bytes());
                }
                let sum = xxh3_64_with_seed(&bytes[start + 8..], index as u64);
                bytes[start..][..8].copy_from_slice(&sum.to_le_bytes());
            }
            let done = first + weights.len();
            if bytes.len() >= CHUNK || done == data.len() {
                file.write(&bytes)?;
                bytes.clear();
            }
            progress(done);
        }
        Ok(file.commit()?)
    }

    /// A file that [`write`](FeatureFile::write) has written, of this base and of the data set of this checksum. Records are
    /// read, and their checksums held against, as they are asked for.
    ///
    /// # Errors
    /// There is none, it is of another base or data set, or damaged.
    pub fn open(
        path: impl Into<PathBuf>,
        base: &Model<'_>,
        data_checksum: u64,
    ) -> Result<FeatureFile, FeatureError> {
        let path = path.into();
        match FeatureFile::open_any(&path) {
            Err(problem) => Err(FeatureError::Unreadable { path, problem }),
            Ok(Err(problem)) => Err(FeatureError::Broken { path, problem }),
            Ok(Ok((_, [of_base, _]))) if of_base != base_checksum(base)? => {
                Err(FeatureError::Stale { path, of: "base" })
            }
            Ok(Ok((_, [_, of_data]))) if of_data != data_checksum => {
                Err(FeatureError::Stale { path, of: "data set" })
            }
            Ok(Ok((file, _))) => Ok(file),
        }
    }

    /// A file and the checksums of what it is of, or what is wrong with it.
    fn open_any(path: &Path) -> io::Result<Result<(FeatureFile, [u64; 2]), String>> {
        let mut file = File::open(path)?;
        let got = file.metadata()?.len();
        let mut header = [0; HEADER];
        if got < HEADER as u64 {
            return Ok(Err(format!("expected {HEADER} bytes or more, found {got}")));
        }
        file.read_exact(&mut header)?;
        if !header.starts_with(&MAGIC) {
            return Ok(Err("expected the bytes \"BANTAMF\" at its start, found others".into()));
        }
        let half = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
        let word = |at: usize| u64::from(half(at)) | u64::from(half(at + 4)) << 32;
        if half(8) != VERSION {
            return Ok(Err(format!("expected version {VERSION} of the format, found {}", half(8))));
        }
        if word(HEADER - 8) != xxh3_64(&header[..HEADER - 8]) {
            return Ok(Err("its header's checksum is another than that of its bytes".into()));
        }
        // Whoever made the header, no size is believed that the file's length does not bear out.
        let size = |at: usize| usize::try_from(word(at)).unwrap_or(usize::MAX);
        let rank = (half(12) as usize).min(Shape::MAX_RANK + 1);
        let dims: Vec<usize> = (0..rank).map(|dim| size(16 + 8 * dim)).collect();
        let shape = match Shape::new(&dims) {
            Ok(shape) => shape,
            Err(problem) => return Ok(Err(format!("shape of the features: {problem}"))),
        };
        let (target_len, len) = (size(56), size(64));
        let record = record_bytes(shape, target_len);
        let expected = record.and_then(|record| record.checked_mul(len as u64)?.checked_add(HEADER as u64));
        if expected != Some(got) || target_len == 0 || len == 0 {
            let expected = expected.map_or("more than there can be".into(), |bytes| bytes.to_string());
            return Ok(Err(format!("expected {expected} bytes by its header, found {got}")));
        }
        let (room, weight) = (Cell::default(), Cell::new((usize::MAX, 1.0)));
        let path = path.to_path_buf();
        Ok(Ok((FeatureFile { path, file, shape, target_len, len, room, weight }, [word(72), word(80)])))
    }

    fn read_record(&self, index: usize, record: &mut Vec<u8>) -> Result<(), String> {
        let bytes = record_bytes(self.shape, self.target_len).unwrap_or(0);
        record.resize(bytes as usize, 0);
        let mut file = &self.file;
        let read = file.seek(SeekFrom::Start(HEADER as u64 + index as u64 * bytes));
        read.and_then(|_| file.read_exact(record)).map_err(|problem| problem.to_string())?;
        let (sum, numbers) = record.split_at(8);
        if xxh3_64_with_seed(numbers, index as u64).to_le_bytes() != *sum {
            return Err("the record's checksum is another than that of its bytes".into());
        }
        Ok(())
    }
}

impl Dataset for FeatureFile {
    fn len(&self) -> usize {
        self.len
    }

    fn input_shape(&self) -> Shape {
        self.shape
    }

    fn target_len(&self) -> usize {
        self.target_len
    }

    /// Of the sample that was read last; of another its record is read.
    fn weight(&self, index: usize) -> f32 {
        if self.weight.get().0 != index {
            let mut sample = (vec![0.0; self.shape.elements()], vec![0.0; self.target_len]);
            // A record that cannot be read is an error when it is learnt.
            let _ = self.read(index, &mut sample.0, &mut sample.1);
        }
        self.weight.get().1
    }

    fn read(&self, index: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
        let mut record = self.room.take();
        let read = self.read_record(index, &mut record);
        let mut numbers = record[8..].as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        let weight = numbers.next().unwrap_or(1.0);
        target.iter_mut().chain(input).zip(numbers).for_each(|(to, number)| *to = number);
        self.room.set(record);
        self.weight.set((index, weight));
        read.map_err(|problem| Error::Sample {
            index,
            problem: format!("{}: {problem}", self.path.display()),
        })
    }
}

/// Bytes of a record, if there can be so many.
fn record_bytes(shape: Shape, target_len: usize) -> Option<u64> {
    let numbers = (shape.elements() as u64).checked_add(target_len as u64)?.checked_add(1)?;
    numbers.checked_mul(4)?.checked_add(8).filter(|&bytes| isize::try_from(bytes).is_ok())
}

fn header(shape: Shape, target_len: usize, len: usize, sums: [u64; 2]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| header[at..][..bytes.len()].copy_from_slice(bytes);
    put(0, &MAGIC);
    put(8, &VERSION.to_le_bytes());
    put(12, &(shape.rank() as u32).to_le_bytes());
    shape.dims().iter().enumerate().for_each(|(at, &dim)| put(16 + 8 * at, &(dim as u64).to_le_bytes()));
    let counts = [target_len as u64, len as u64, sums[0], sums[1]];
    counts.iter().enumerate().for_each(|(at, number)| put(56 + 8 * at, &number.to_le_bytes()));
    let sum = xxh3_64(&header[..HEADER - 8]);
    header[HEADER - 8..].copy_from_slice(&sum.to_le_bytes());
    header
}

/// Of all samples of a data set, with their targets and weights, as they are outside of an epoch.
///
/// # Errors
/// One cannot be read.
pub fn checksum(data: &dyn Dataset) -> Result<u64, Error> {
    let mut input = vec![0.0; data.input_shape().elements()];
    let mut target = vec![0.0; data.target_len()];
    let mut sum = Xxh3::new();
    for index in 0..data.len() {
        data.read(index, &mut input, &mut target)?;
        for numbers in [&[data.weight(index)], &target[..], &input] {
            sum.update(bytemuck::cast_slice(numbers));
        }
    }
    Ok(sum.digest())
}

/// Of what a base computes: neither of what is frozen in it nor of what is said of it.
fn base_checksum(base: &Model<'_>) -> Result<u64, Error> {
    let mut base = base.clone();
    base.set_all_trainable(true);
    base.set_metadata(&bantam::Metadata::default())?;
    Ok(xxh3_64(&base.to_bytes()?))
}

impl From<Error> for FeatureError {
    fn from(error: Error) -> FeatureError {
        FeatureError::Write(error)
    }
}

impl fmt::Display for FeatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FeatureError::Unreadable { path, problem } => write!(f, "{}: {problem}", path.display()),
            FeatureError::Broken { path, problem } => {
                write!(f, "{}: file of features: {problem}", path.display())
            }
            FeatureError::Stale { path, of } => {
                write!(f, "{}: expected the features of this {of}, found those of another", path.display())
            }
            FeatureError::Write(problem) => problem.fmt(f),
        }
    }
}

impl std::error::Error for FeatureError {}

impl fmt::Debug for FeatureFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("FeatureFile");
        fields.field("path", &self.path).field("samples", &self.len).field("shape", &self.shape);
        fields.finish_non_exhaustive()
    }
}
