//! The model file, `.bantam`.
//!
//! Little-endian. A header of 64 bytes, a table of the layers, and the weights in the layers'
//! order, each array at a multiple of 64 bytes so that it can be used where it lies. What can be
//! derived, such as the shapes of the weights, is not stored and so cannot be wrong.
//!
//! | bytes | header |
//! | --- | --- |
//! | 0-7 | `BANTAM\r\n` |
//! | 8-11 | version of the format |
//! | 12-15 | bytes of the table |
//! | 16-23 | bytes of the file, a multiple of 64 |
//! | 24-31 | checksum of all other bytes |
//! | 32-63 | zero |

use crate::checksum::Checksum;
use crate::layer::Blueprint;
use crate::{Conv2d, Error, Initializer, LayerKind, MaxPool2d, Model, ModelFileProblem, Padding, Shape};
use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

const MAGIC: [u8; 8] = *b"BANTAM\r\n";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const ALIGNMENT: usize = 64;
const CHECKSUM: core::ops::Range<usize> = 24..32;

/// Bytes at an address that a model file can be used from: `include_aligned!` makes one.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Aligned<T: ?Sized>(pub T);

/// The bytes of a file, in the program, at an address that [`Model::from_bytes`] takes: a
/// `&'static [u8]`.
///
/// ```no_run
/// # macro_rules! include_bytes { ($path:literal) => { b"" } }
/// static DIGITS: &[u8] = bantam::include_aligned!("digits.bantam");
/// ```
#[macro_export]
macro_rules! include_aligned {
    ($path:literal) => {{
        static FILE: &$crate::Aligned<[u8]> = &$crate::Aligned(*include_bytes!($path));
        &FILE.0
    }};
}

impl<'m> Model<'m> {
    /// Reads a model from the bytes of a file; the weights stay where they are and are borrowed.
    /// Everything is checked before anything is believed.
    ///
    /// ```
    /// use bantam::{Model, Sequential};
    /// let model = Sequential::new([4]).dense(2).build(1)?;
    /// assert_eq!(Model::from_bytes(&model.to_bytes()?)?, model);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ModelFile`]: the bytes are not a model file, of another version, cut short,
    /// damaged, or at an address that is no multiple of four.
    pub fn from_bytes(bytes: &'m [u8]) -> Result<Model<'m>, Error> {
        let (table, mut weights) = check(bytes)?;
        let mut reader = Reader { rest: table };
        let rank = usize::from(reader.u8("number of dimensions")?);
        let mut dims = [0; Shape::MAX_RANK];
        let dims = dims.get_mut(..rank).ok_or(ModelFileProblem::Field { what: "number of dimensions" })?;
        for dim in &mut *dims {
            *dim = reader.size("input shape")?;
        }
        let input = Shape::new(dims).map_err(|_| ModelFileProblem::Field { what: "input shape" })?;
        let count = reader.clone().take_while(Result::is_ok).count();
        let model = Model::assemble(input, count, reader, |_, _, shape| take_array(&mut weights, shape))?;
        if !weights.is_empty() {
            return Err(ModelFileProblem::Field { what: "number of weights" }.into());
        }
        Ok(model)
    }

    /// The bytes of the model's file.
    ///
    /// # Errors
    /// A name has more than 65,535 bytes or a size more than 32 bits.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut file = vec![0; HEADER];
        let dims = self.input_shape();
        file.push(dims.rank() as u8);
        for &dim in dims.dims() {
            put_size(&mut file, dim)?;
        }
        for layer in self.layers() {
            let name = layer.name().as_bytes();
            let len = u16::try_from(name.len());
            let len = len.map_err(|_| ModelFileProblem::Field { what: "length of a name" })?;
            file.push(u8::from(layer.is_trainable()));
            file.extend_from_slice(&len.to_le_bytes());
            file.extend_from_slice(name);
            put_kind(&mut file, layer.kind())?;
        }
        let table = file.len() - HEADER;
        pad(&mut file);
        for parameter in self.layers().iter().flat_map(|layer| layer.parameters()) {
            for value in parameter.values() {
                file.extend_from_slice(&value.to_le_bytes());
            }
            pad(&mut file);
        }
        let len = file.len() as u64;
        file[..8].copy_from_slice(&MAGIC);
        file[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let table = u32::try_from(table).map_err(|_| ModelFileProblem::Field { what: "table's length" })?;
        file[12..16].copy_from_slice(&table.to_le_bytes());
        file[16..24].copy_from_slice(&len.to_le_bytes());
        let sum = checksum(&file);
        file[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        Ok(file)
    }

    /// Writes the model's file as a whole or not at all: by an [`AtomicFile`](crate::AtomicFile).
    ///
    /// # Errors
    /// As [`to_bytes`](Model::to_bytes), and [`Error::File`] where the path leads to what is no regular
    /// file, or the system refuses.
    #[cfg(feature = "std")]
    pub fn save(&self, path: impl AsRef<std::path::Path>) -> Result<(), Error> {
        let bytes = self.to_bytes()?;
        let mut file = crate::AtomicFile::create(path)?;
        file.write(&bytes)?;
        file.commit()
    }
}

#[cfg(feature = "std")]
impl Model<'static> {
    /// Reads a model's file.
    ///
    /// # Errors
    /// As [`from_bytes`](Model::from_bytes), and [`Error::File`] where the system refuses.
    pub fn load(path: impl AsRef<std::path::Path>) -> Result<Model<'static>, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|problem| crate::atomic_file::file_error(path, &problem))?;
        // A vector of bytes may lie anywhere, one of words where weights can be read.
        let len = bytes.len().div_ceil(size_of::<u64>());
        let mut words = crate::heap::list(len)?;
        words.resize(len, 0u64);
        let aligned = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()];
        aligned.copy_from_slice(&bytes);
        Ok(Model::from_bytes(aligned)?.into_owned())
    }
}

/// The table and the weights of a file that is what it says.
fn check(bytes: &[u8]) -> Result<(&[u8], &[u8]), ModelFileProblem> {
    if bytes.is_empty() {
        return Err(ModelFileProblem::Empty);
    }
    if !bytes.starts_with(&MAGIC) {
        return Err(ModelFileProblem::Foreign);
    }
    let got = bytes.len();
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return Err(ModelFileProblem::Length { expected: HEADER, got });
    };
    let u32_at = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
    let (version, table) = (u32_at(8), u32_at(12) as usize);
    let expected = usize::try_from(u64_at(16)).unwrap_or(usize::MAX);
    if version != VERSION {
        return Err(ModelFileProblem::Version { expected: VERSION, got: version });
    }
    if expected != got {
        return Err(ModelFileProblem::Length { expected, got });
    }
    let (stated, found) = (u64_at(CHECKSUM.start), checksum(bytes));
    if stated != found {
        return Err(ModelFileProblem::Checksum { expected: stated, got: found });
    }
    let body = &bytes[HEADER..];
    let weights = table.checked_next_multiple_of(ALIGNMENT).and_then(|start| body.get(start..));
    match (body.get(..table), weights) {
        (Some(table), Some(weights)) => Ok((table, weights)),
        _ => Err(ModelFileProblem::Field { what: "table's length" }),
    }
}

/// The checksum's own place is left out.
fn checksum(bytes: &[u8]) -> u64 {
    Checksum::NONE.add(&bytes[..CHECKSUM.start]).add(&bytes[CHECKSUM.end..]).value()
}

/// The next array of weights, borrowed if the machine stores numbers as the file does.
fn take_array<'m>(weights: &mut &'m [u8], shape: Shape) -> Result<Cow<'m, [f32]>, Error> {
    let bytes = size_of::<f32>() * shape.elements();
    let padded = bytes.checked_next_multiple_of(ALIGNMENT);
    let Some((array, rest)) = padded.and_then(|padded| weights.split_at_checked(padded)) else {
        return Err(ModelFileProblem::Field { what: "number of weights" }.into());
    };
    *weights = rest;
    if cfg!(target_endian = "big") {
        let (words, _) = array[..bytes].as_chunks::<4>();
        return Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect());
    }
    let numbers = bytemuck::try_cast_slice(&array[..bytes]);
    Ok(Cow::Borrowed(numbers.map_err(|_| ModelFileProblem::Misaligned { expected: align_of::<f32>() })?))
}

fn pad(file: &mut Vec<u8>) {
    file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
}

fn put_size(file: &mut Vec<u8>, size: usize) -> Result<(), ModelFileProblem> {
    let size =
        u32::try_from(size).map_err(|_| ModelFileProblem::Field { what: "size of more than 32 bits" })?;
    file.extend_from_slice(&size.to_le_bytes());
    Ok(())
}

fn put_kind(file: &mut Vec<u8>, kind: &LayerKind) -> Result<(), ModelFileProblem> {
    match *kind {
        LayerKind::Conv2d { filters, kernel, how, bias } => {
            file.push(1);
            for size in [filters, kernel[0], kernel[1], how.stride[0], how.stride[1]] {
                put_size(file, size)?;
            }
            put_padding(file, how.padding)?;
            file.push(u8::from(bias));
        }
        LayerKind::MaxPool2d(MaxPool2d { window, stride, padding, .. }) => {
            file.push(2);
            for size in [window[0], window[1], stride[0], stride[1]] {
                put_size(file, size)?;
            }
            put_padding(file, padding)?;
        }
        LayerKind::Flatten => file.push(3),
        LayerKind::Dense { units, bias } => {
            file.push(4);
            put_size(file, units)?;
            file.push(u8::from(bias));
        }
        LayerKind::Relu => file.push(5),
        LayerKind::Softmax => file.push(6),
        LayerKind::Dropout { rate } => {
            file.push(7);
            file.extend_from_slice(&rate.to_le_bytes());
        }
    }
    Ok(())
}

fn put_padding(file: &mut Vec<u8>, padding: Padding) -> Result<(), ModelFileProblem> {
    match padding {
        Padding::Valid => file.push(0),
        Padding::Same => file.push(1),
        Padding::Explicit { top, bottom, left, right } => {
            file.push(2);
            for size in [top, bottom, left, right] {
                put_size(file, size)?;
            }
        }
    }
    Ok(())
}

/// What is left of the table: a layer after the other.
#[derive(Clone)]
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], ModelFileProblem> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(ModelFileProblem::Field { what })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ModelFileProblem> {
        self.take(N, what)?.try_into().map_err(|_| ModelFileProblem::Field { what })
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, ModelFileProblem> {
        Ok(u8::from_le_bytes(self.array(what)?))
    }

    fn flag(&mut self, what: &'static str) -> Result<bool, ModelFileProblem> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(ModelFileProblem::Field { what }),
        }
    }

    fn size(&mut self, what: &'static str) -> Result<usize, ModelFileProblem> {
        usize::try_from(u32::from_le_bytes(self.array(what)?)).map_err(|_| ModelFileProblem::Field { what })
    }

    fn sizes<const N: usize>(&mut self, what: &'static str) -> Result<[usize; N], ModelFileProblem> {
        let mut sizes = [0; N];
        for size in &mut sizes {
            *size = self.size(what)?;
        }
        Ok(sizes)
    }

    fn padding(&mut self) -> Result<Padding, ModelFileProblem> {
        let what = "padding";
        Ok(match self.u8(what)? {
            0 => Padding::Valid,
            1 => Padding::Same,
            2 => {
                let [top, bottom, left, right] = self.sizes(what)?;
                Padding::Explicit { top, bottom, left, right }
            }
            _ => return Err(ModelFileProblem::Field { what }),
        })
    }

    fn layer(&mut self) -> Result<Blueprint<'a>, ModelFileProblem> {
        let trainable = self.flag("trainable flag")?;
        let len = u16::from_le_bytes(self.array("length of a name")?);
        let name = core::str::from_utf8(self.take(len.into(), "layer's name")?);
        let name = name.map_err(|_| ModelFileProblem::Field { what: "layer's name" })?.into();
        let kind = match self.u8("kind of layer")? {
            1 => {
                let [filters, kh, kw, vertical, horizontal] = self.sizes("convolution")?;
                let how = Conv2d { stride: [vertical, horizontal], ..Conv2d::padded(self.padding()?) };
                LayerKind::Conv2d { filters, kernel: [kh, kw], how, bias: self.flag("bias flag")? }
            }
            2 => {
                let [h, w, vertical, horizontal] = self.sizes("max-pool")?;
                let padding = self.padding()?;
                let how = MaxPool2d { window: [h, w], stride: [vertical, horizontal], ..MaxPool2d::new(1) };
                LayerKind::MaxPool2d(how.padding(padding))
            }
            3 => LayerKind::Flatten,
            4 => {
                let units = self.size("units")?;
                LayerKind::Dense { units, bias: self.flag("bias flag")? }
            }
            5 => LayerKind::Relu,
            6 => LayerKind::Softmax,
            7 => LayerKind::Dropout { rate: f32::from_le_bytes(self.array("dropout rate")?) },
            _ => return Err(ModelFileProblem::Field { what: "kind of layer" }),
        };
        Ok(Blueprint { name, kind, trainable, initializer: Initializer::default() })
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Blueprint<'a>, Error>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.layer().map_err(Error::from))
    }
}
