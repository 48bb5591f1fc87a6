//! The model file, `.bantam`.
//!
//! Little-endian. A header of 64 bytes, a table, and the weights in the nodes' order, each array at a multiple of 64 bytes
//! so that it can be used where it lies. What can be derived, such as the shapes of the weights, is not stored and so
//! cannot be wrong.
//!
//! | bytes | header |
//! | --- | --- |
//! | 0-7 | `BANTAM\r\n` |
//! | 8-11 | version of the format |
//! | 12-15 | bytes of the table |
//! | 16-23 | bytes of the file, a multiple of 64 |
//! | 24-31 | checksum of all other bytes |
//! | 32-63 | zero |
//!
//! | the table of version 2 | |
//! | --- | --- |
//! | inputs | a byte for how many; each has its element type, its number of dimensions, and these |
//! | nodes | how many, and how many values they read in all; then each node |
//! | outputs | how many, and which values |
//! | [metadata](crate::Metadata) | how many bytes, and these |
//!
//! | a node | |
//! | --- | --- |
//! | flags | a byte: 1 it is trainable, 2 it shares an earlier node's weights, 4 and on its first array of weights is frozen, … |
//! | names | its own, two bytes for how long it is and its letters, and that of its layer |
//! | what it reads | a byte for how many, and which values: the inputs come first, then the nodes |
//! | whose weights it shares | the node, if the flag is set |
//! | weights | a byte for how many, and the element type of each |
//! | attributes | two bytes for how many bytes there are, and these |
//!
//! Element types are 0, `f32`; others are kept for quantised models. Counts and sizes without another width have 32 bits.
//! A file of version 1, a chain of layers, [is read too](v1), by [`Model::from_bytes`] alone.

mod v1;

use super::model::{Blueprint, Model};
use crate::checksum::Checksum;
use crate::error::{Error, ModelFileProblem};
use crate::layers::{self, Attributes, LayerType, MAX_WEIGHTS};
use crate::memory::heap;
use crate::shape::Shape;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

const MAGIC: [u8; 8] = *b"BANTAM\r\n";
const VERSION: u32 = 2;
const HEADER: usize = 64;
const ALIGNMENT: usize = 64;
const VERSION_AT: core::ops::Range<usize> = 8..12;
const CHECKSUM: core::ops::Range<usize> = 24..32;

/// Flags of a node.
const TRAINABLE: u8 = 1;
const SHARES: u8 = 2;
/// The first of the bits of frozen weights, one for each of [`MAX_WEIGHTS`].
const FROZEN: u32 = 2;
const _: () = assert!(MAX_WEIGHTS <= (u8::BITS - FROZEN) as usize);

/// Bytes of a node without names, inputs, weights and attributes.
const LEAST_NODE: usize = 9;

/// The only element type that there is yet.
const F32: u8 = 0;

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
    /// Reads a model from the bytes of a file; the weights stay where they are and are borrowed. Everything is checked
    /// before anything is believed.
    ///
    /// With the feature `parallel` the threads of rayon's current pool share the checksum of a file of more than two
    /// megabytes.
    ///
    /// It knows every layer of this library and version 1 of the file, so that all that is linked: a program for a chip
    /// names its layers, [`from_bytes_with`](Model::from_bytes_with).
    ///
    /// ```
    /// use bantam::{Model, Sequential};
    /// let model = Sequential::new([4]).dense(2).build(1)?;
    /// assert_eq!(Model::from_bytes(&model.to_bytes()?)?, model);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ModelFile`]: the bytes are not a model file, of another version, cut short, damaged, or at an address that
    /// is no multiple of four. Or what they say is no model.
    pub fn from_bytes(bytes: &'m [u8]) -> Result<Model<'m>, Error> {
        if bytes.get(VERSION_AT) == Some(&v1::VERSION.to_le_bytes()) {
            let (table, weights) = open(bytes, v1::VERSION, v1::checksum)?;
            return v1::read(Attributes::new(table), weights);
        }
        Model::from_bytes_with(bytes, layers::ALL)
    }

    /// As [`from_bytes`](Model::from_bytes), with these layers: [`layers!`](crate::layers) or
    /// [`trainable_layers!`](crate::trainable_layers) lists them, and those of other crates.
    ///
    /// # Errors
    /// As [`from_bytes`](Model::from_bytes), or the file is of version 1; and [`Error::UnknownLayerTypes`] names all layers of the file that are not
    /// listed.
    #[inline(never)] // What reads it once has no place in the caller's frame.
    pub fn from_bytes_with(bytes: &'m [u8], layers: &[&'static LayerType]) -> Result<Model<'m>, Error> {
        let (table, weights) = open(bytes, VERSION, checksum)?;
        let mut model = Model::empty();
        read(&mut model, Attributes::new(table), layers, weights)?;
        Ok(model)
    }

    /// The bytes of the model's file.
    ///
    /// # Errors
    /// A name or a layer's attributes have more than 65,535 bytes, a size more than 32 bits, or there is no memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut file = Writer { bytes: heap::list(HEADER)? };
        file.bytes.resize(HEADER, 0);
        file.small(self.inputs.len(), "number of inputs")?;
        for input in &self.inputs {
            file.bytes.extend([F32, input.rank() as u8]);
            input.dims().iter().try_for_each(|&dim| file.size(dim))?;
        }
        file.size(self.nodes.len())?;
        file.size(self.edges.len())?;
        for (index, node) in self.nodes.iter().enumerate() {
            let shares = self.shares(index);
            let flags =
                if node.trainable { TRAINABLE } else { 0 } | if shares.is_some() { SHARES } else { 0 };
            let frozen = if shares.is_some() { 0 } else { self.frozen(node) };
            file.bytes.push(flags | frozen << FROZEN);
            file.text(node.name.as_bytes(), "length of a name")?;
            file.text(node.layer.name.as_bytes(), "length of a name")?;
            file.small(node.inputs.len(), "number of inputs")?;
            self.inputs_of(node).iter().try_for_each(|&value| file.size(value))?;
            if let Some(earlier) = shares {
                file.size(earlier)?;
            }
            file.small(node.parameters.len(), "number of weights")?;
            file.bytes.extend(node.parameters.clone().map(|_| F32));
            file.text(&node.attributes, "length of attributes")?;
        }
        file.size(self.outputs.len())?;
        self.outputs.iter().try_for_each(|&value| file.size(value))?;
        file.size(self.metadata.len())?;
        heap::extend(&mut file.bytes, &self.metadata)?;
        let table = file.bytes.len() - HEADER;
        file.pad()?;
        for parameter in &self.parameters {
            heap::reserve(&mut file.bytes, size_of_val(parameter.values()) + ALIGNMENT)?;
            parameter.values().iter().for_each(|value| file.bytes.extend_from_slice(&value.to_le_bytes()));
            file.pad()?;
        }
        let mut file = file.bytes;
        let len = file.len() as u64;
        file[..8].copy_from_slice(&MAGIC);
        file[VERSION_AT].copy_from_slice(&VERSION.to_le_bytes());
        let table = u32::try_from(table).map_err(|_| field("table's length"))?;
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
        let (words, len) = read_words(path)?;
        Ok(Model::from_bytes(&bytemuck::cast_slice(&words)[..len])?.into_owned())
    }
}

/// The bytes of a file, so many, in words: a vector of bytes may lie anywhere, one of words where weights can be read.
#[cfg(feature = "std")]
pub(crate) fn read_words(path: impl AsRef<std::path::Path>) -> Result<(Vec<u64>, usize), Error> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|problem| crate::atomic_file::file_error(path, &problem))?;
    let mut words = heap::filled(bytes.len().div_ceil(size_of::<u64>()), 0u64)?;
    bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(&bytes);
    Ok((words, bytes.len()))
}

/// The table and the weights of a file that is what it says.
fn open(
    bytes: &[u8],
    version: u32,
    checksum: fn(&[u8]) -> u64,
) -> Result<(&[u8], Arrays<'_>), ModelFileProblem> {
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
    let table = u32_at(12) as usize;
    if u32_at(VERSION_AT.start) != version {
        return Err(ModelFileProblem::Version { expected: version, got: u32_at(VERSION_AT.start) });
    }
    let expected = usize::try_from(u64_at(16)).unwrap_or(usize::MAX);
    if expected != got {
        return Err(ModelFileProblem::Length { expected, got });
    }
    let (stated, found) = (u64_at(CHECKSUM.start), checksum(bytes));
    if stated != found {
        let [expected, got] = [stated, found].map(u64::to_le_bytes);
        return Err(ModelFileProblem::Checksum { expected, got });
    }
    let body = &bytes[HEADER..];
    let weights = table.checked_next_multiple_of(ALIGNMENT).and_then(|start| body.get(start..));
    match (body.get(..table), weights) {
        (Some(table), Some(rest)) => Ok((table, Arrays { rest })),
        _ => Err(ModelFileProblem::Field { what: "table's length" }),
    }
}

/// Of a file with a header of 64 bytes, in which the checksum's own place is left out.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    Checksum::NONE
        .add(&bytes[..CHECKSUM.start])
        .add(&bytes[CHECKSUM.end..HEADER])
        .add_blocks(&bytes[HEADER..])
        .value()
}

/// Reads the table of version 2 into a model without anything.
fn read<'m>(
    model: &mut Model<'m>,
    mut table: Attributes<'m>,
    layers: &[&'static LayerType],
    mut weights: Arrays<'m>,
) -> Result<(), Error> {
    let count = usize::from(table.byte("number of inputs"));
    heap::reserve(&mut model.inputs, count)?;
    for _ in 0..count {
        let of_one = table.byte("element type");
        element_type(&mut table, of_one);
        model.inputs.push(shape(&mut table));
    }
    let [nodes, edges] = table.sizes("number of nodes");
    // No memory is claimed for what cannot be there.
    let least = nodes.saturating_mul(LEAST_NODE).saturating_add(edges.saturating_mul(size_of::<u32>()));
    let mut ahead = table;
    ahead.take(least, "layers");
    ahead.check()?;
    model.claim(nodes, edges)?;
    let mut missing = Missing::default();
    for _ in 0..nodes {
        let flags = table.byte("flags of a node");
        let (name, layer) = (table.text("layer's name"), table.text("kind of layer"));
        let count = usize::from(table.byte("number of inputs"));
        let mut inputs = Attributes::new(table.take(count * size_of::<u32>(), "what a node reads"));
        let shares = (flags & SHARES != 0).then(|| table.size("whose weights a node shares"));
        let count = usize::from(table.byte("number of weights"));
        let types = table.take(count, "element types");
        let frozen = flags >> FROZEN;
        if frozen != 0 && (shares.is_some() || frozen.ilog2() as usize >= count) {
            table.refuse("flags of a node");
        }
        let attributes = table.block("attributes");
        table.check()?;
        let Some(layer) = missing.find(layer, layers)? else { continue };
        let (name, attributes) = (Cow::Borrowed(name), Cow::Borrowed(attributes));
        let blueprint =
            Blueprint { name, layer, attributes, trainable: flags & TRAINABLE != 0, frozen, shares };
        let mut reads = core::iter::from_fn(|| inputs.more().then(|| inputs.size("what a node reads")));
        types.iter().for_each(|&of_one| element_type(&mut table, of_one));
        table.check()?;
        model.push(blueprint, &mut reads, &mut |spec| weights.take(spec.shape))?;
        let arrays = model.nodes.last().map_or(0, |node| node.parameters.len());
        table.expect("arrays of weights", arrays, types.len());
    }
    missing.none()?;
    table.expect("values that all layers read", edges, model.edges.len());
    let count = table.size("number of outputs");
    let mut values = Attributes::new(table.take(count.saturating_mul(size_of::<u32>()), "outputs"));
    table.check()?;
    let mut outputs = heap::list(count)?;
    for _ in 0..count {
        outputs.push(values.size("outputs"));
    }
    model.set_outputs(outputs)?;
    let len = table.size("length of metadata");
    model.metadata = Cow::Borrowed(table.take(len, "metadata"));
    table.check_end("bytes after the table")?;
    weights.check_end()
}

/// The layers of a file that the program does not name.
#[derive(Default)]
struct Missing {
    names: Vec<String>,
}

impl Missing {
    /// The layer of that name, if the program names it and all before.
    fn find(
        &mut self,
        name: &str,
        layers: &[&'static LayerType],
    ) -> Result<Option<&'static LayerType>, Error> {
        let known = layers.iter().find(|known| known.name == name);
        if known.is_none() && !self.names.iter().any(|other| other == name) {
            heap::push(&mut self.names, heap::text(name)?)?;
        }
        Ok(known.filter(|_| self.names.is_empty()).copied())
    }

    fn none(self) -> Result<(), Error> {
        if self.names.is_empty() { Ok(()) } else { Err(Error::UnknownLayerTypes { names: self.names }) }
    }
}

fn element_type(table: &mut Attributes<'_>, got: u8) {
    table.expect("element type", F32.into(), got.into());
}

fn shape(table: &mut Attributes<'_>) -> Shape {
    let got = usize::from(table.byte("number of dimensions"));
    let rank = got.min(Shape::MAX_RANK);
    table.expect("number of dimensions", rank, got);
    let mut dims = [0; Shape::MAX_RANK];
    dims.iter_mut().take(rank).for_each(|dim| *dim = table.size("input shape"));
    match Shape::new(&dims[..rank]) {
        Ok(shape) => shape,
        Err(_) => {
            table.refuse("input shape");
            Shape::SCALAR
        }
    }
}

fn field(what: &'static str) -> Error {
    ModelFileProblem::Field { what }.into()
}

/// What is left of the weights.
struct Arrays<'m> {
    rest: &'m [u8],
}

impl<'m> Arrays<'m> {
    /// Checks that none are left.
    fn check_end(&self) -> Result<(), Error> {
        match self.rest.len() {
            0 => Ok(()),
            got => Err(ModelFileProblem::Number { what: "bytes after the weights", expected: 0, got }.into()),
        }
    }

    /// The next array, borrowed if the machine stores numbers as the file does.
    fn take(&mut self, shape: Shape) -> Result<Cow<'m, [f32]>, Error> {
        let bytes = size_of::<f32>() * shape.elements();
        let padded = bytes.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX);
        let Some((array, rest)) = self.rest.split_at_checked(padded) else {
            let (what, got) = ("weights", self.rest.len());
            return Err(ModelFileProblem::CutShort { what, expected: padded, got }.into());
        };
        self.rest = rest;
        if cfg!(target_endian = "big") {
            let (words, _) = array[..bytes].as_chunks::<4>();
            return Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect());
        }
        let numbers = bytemuck::try_cast_slice(&array[..bytes]);
        Ok(Cow::Borrowed(numbers.map_err(|_| ModelFileProblem::Misaligned { expected: align_of::<f32>() })?))
    }
}

/// A file as it is written.
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn small(&mut self, size: usize, what: &'static str) -> Result<(), Error> {
        self.bytes.push(u8::try_from(size).map_err(|_| field(what))?);
        Ok(())
    }

    fn size(&mut self, size: usize) -> Result<(), Error> {
        let size = u32::try_from(size).map_err(|_| field("size of more than 32 bits"))?;
        heap::extend(&mut self.bytes, &size.to_le_bytes())
    }

    fn text(&mut self, text: &[u8], what: &'static str) -> Result<(), Error> {
        let len = u16::try_from(text.len()).map_err(|_| field(what))?;
        heap::extend(&mut self.bytes, &len.to_le_bytes())?;
        heap::extend(&mut self.bytes, text)
    }

    fn pad(&mut self) -> Result<(), Error> {
        let len = self.bytes.len().next_multiple_of(ALIGNMENT);
        heap::resize(&mut self.bytes, len)
    }
}
