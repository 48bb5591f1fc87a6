//! Groups, attributes and arrays of an HDF5 file.

use crate::import::Cause;
use half::{bf16, f16};
use hdf5_reader::error::Error;
use hdf5_reader::group::Group;
use hdf5_reader::{ByteOrder, Dataset, Datatype, Hdf5File, OpenOptions};
use std::path::Path;

/// How far groups lie in groups: those of a file that Keras wrote, five for each model in a model.
const MAX_DEPTH: usize = 64;

/// Groups that are looked into: a file may have one in itself.
const MAX_GROUPS: usize = 1 << 16;

/// Sees a group, its path, and the names of the arrays in it.
type See<'a> = dyn FnMut(&Group, &str, &[String]) -> Result<(), Cause> + 'a;

/// An open file.
pub(super) struct Hdf5 {
    file: Hdf5File,
    /// No array is larger: Keras does not compress.
    max_bytes: usize,
}

/// An array that has not been read yet.
pub(super) struct Array {
    /// Its name as the file says it: `"conv2d/kernel:0"`, or its number.
    pub name: String,
    /// The path in the file.
    pub path: String,
    pub shape: Vec<usize>,
    dataset: Dataset,
    max_bytes: usize,
}

/// The name of an object in a file, for errors.
fn damaged(path: &str, error: Error) -> Cause {
    let offset = match innermost(&error) {
        Error::UnexpectedEof { offset, .. } | Error::OffsetOutOfBounds(offset) => Some(*offset),
        _ => None,
    };
    let what = if path.is_empty() { "HDF5 file" } else { path };
    Cause::Damaged { what: what.into(), offset, problem: innermost(&error).to_string() }
}

fn innermost(error: &Error) -> &Error {
    match error {
        Error::Context { source, .. } => innermost(source),
        error => error,
    }
}

fn options(max_bytes: usize) -> OpenOptions {
    OpenOptions::default().with_max_read_bytes(max_bytes).with_max_chunk_bytes(max_bytes)
}

impl Hdf5 {
    pub fn open(path: &Path) -> Result<Hdf5, Cause> {
        let len = std::fs::metadata(path).map_err(Cause::Unreadable)?.len();
        let max_bytes = usize::try_from(len).unwrap_or(usize::MAX);
        let file =
            Hdf5File::open_with_options(path, options(max_bytes)).map_err(|error| damaged("", error))?;
        Ok(Hdf5 { file, max_bytes })
    }

    pub fn from_bytes(bytes: Vec<u8>) -> Result<Hdf5, Cause> {
        let max_bytes = bytes.len();
        let file =
            Hdf5File::from_vec_with_options(bytes, options(max_bytes)).map_err(|error| damaged("", error))?;
        Ok(Hdf5 { file, max_bytes })
    }

    pub fn root(&self) -> Result<Group, Cause> {
        self.file.root_group().map_err(|error| damaged("", error))
    }

    /// An array of a group, by a name with slashes.
    pub fn array(&self, group: &Group, within: &str, name: &str) -> Result<Array, Cause> {
        let path = format!("{within}/{name}");
        let in_path = |error| damaged(&path, error);
        let (folders, last) = name.rsplit_once('/').unwrap_or(("", name));
        let mut inner = group.clone();
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            inner = inner.group(part).map_err(in_path)?;
        }
        let dataset = inner.dataset(last).map_err(in_path)?;
        let shape = dataset.shape().iter().map(|&size| usize::try_from(size)).collect::<Result<_, _>>();
        let shape = shape.map_err(|error| Cause::damaged(&path, error))?;
        Ok(Array { name: name.into(), path, shape, dataset, max_bytes: self.max_bytes })
    }

    /// The arrays of a group that are called by numbers, in their order.
    pub fn numbered(&self, group: &Group, path: &str) -> Result<Vec<Array>, Cause> {
        let (_, arrays) = group.member_names().map_err(|error| damaged(path, error))?;
        let mut numbered: Vec<(usize, &String)> =
            arrays.iter().filter_map(|array| Some((array.parse().ok()?, array))).collect();
        numbered.sort();
        numbered.iter().map(|(_, array)| self.array(group, path, array)).collect()
    }

    /// Hands over each group below one, with its path, which begins with `within`, and the names of the arrays in it.
    pub fn visit(&self, group: &Group, within: &str, see: &mut See<'_>) -> Result<(), Cause> {
        let mut open = vec![(group.clone(), within.to_string(), 0)];
        let mut seen = 0;
        while let Some((group, path, depth)) = open.pop() {
            seen += 1;
            if depth > MAX_DEPTH || seen > MAX_GROUPS {
                let problem =
                    format!("expected at most {MAX_GROUPS} groups, {MAX_DEPTH} in each other, found more");
                return Err(Cause::damaged(&path, problem));
            }
            let (groups, arrays) = group.member_names().map_err(|error| damaged(&path, error))?;
            see(&group, &path, &arrays)?;
            for name in groups.iter().rev() {
                let inner = group.group(name).map_err(|error| damaged(&path, error))?;
                open.push((inner, format!("{path}/{name}"), depth + 1));
            }
        }
        Ok(())
    }
}

/// A group of a group, by a name with slashes.
pub(super) fn group(of: &Group, within: &str, name: &str) -> Result<Group, Cause> {
    let mut inner = of.clone();
    for part in name.split('/').filter(|part| !part.is_empty()) {
        inner = inner.group(part).map_err(|error| damaged(&format!("{within}/{name}"), error))?;
    }
    Ok(inner)
}

/// Whether a group has one of that name.
pub(super) fn has_group(of: &Group, within: &str, name: &str) -> Result<bool, Cause> {
    let (groups, _) = of.member_names().map_err(|error| damaged(within, error))?;
    Ok(groups.iter().any(|group| group == name))
}

/// An attribute that is a text.
pub(super) fn text(of: &Group, within: &str, name: &str) -> Result<Option<String>, Cause> {
    let what = || format!("{within}, attribute {name}");
    let attributes = of.attributes().map_err(|error| damaged(&what(), error))?;
    let Some(attribute) = attributes.iter().find(|attribute| attribute.name == name) else { return Ok(None) };
    attribute.read_string().map(Some).map_err(|error| damaged(&what(), error))
}

/// An attribute that is a list of texts. One that is too long for an attribute is in parts, `name0`, `name1`, ….
pub(super) fn texts(of: &Group, within: &str, name: &str) -> Result<Option<Vec<String>>, Cause> {
    let attributes = of.attributes().map_err(|error| damaged(within, error))?;
    let list = |name: &str| -> Result<Option<Vec<String>>, Cause> {
        let Some(attribute) = attributes.iter().find(|attribute| attribute.name == name) else {
            return Ok(None);
        };
        // An empty list is one of numbers.
        if attribute.shape.contains(&0) {
            return Ok(Some(Vec::new()));
        }
        let list = attribute.read_strings();
        list.map(Some).map_err(|error| damaged(&format!("{within}, attribute {name}"), error))
    };
    if let Some(whole) = list(name)? {
        return Ok(Some(whole));
    }
    let Some(mut all) = list(&format!("{name}0"))? else { return Ok(None) };
    for part in 1.. {
        match list(&format!("{name}{part}"))? {
            Some(more) => all.extend(more),
            None => break,
        }
    }
    Ok(Some(all))
}

impl Array {
    fn elements(&self) -> usize {
        self.shape.iter().fold(1, |all, &size| all.saturating_mul(size))
    }

    /// What its numbers are, if they can be read as `f32`.
    fn read_as(&self) -> Result<fn(&[u8]) -> f32, String> {
        let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let double = |bytes: &[u8]| {
            let mut eight = [0; 8];
            eight.copy_from_slice(bytes);
            f64::from_le_bytes(eight) as f32
        };
        match self.dataset.dtype() {
            Datatype::FloatingPoint { size: 4, byte_order: ByteOrder::LittleEndian } => Ok(number),
            Datatype::FloatingPoint { size: 8, byte_order: ByteOrder::LittleEndian } => Ok(double),
            Datatype::FloatingPoint { size: 2, byte_order: ByteOrder::LittleEndian } => {
                Ok(|bytes| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32())
            }
            // NumPy has no bfloat16, and h5py writes its bits.
            Datatype::Opaque { size: 2, .. } => {
                Ok(|bytes| bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32())
            }
            Datatype::FixedPoint { size, signed, .. } => {
                Err(format!("{}int{}", if *signed { "" } else { "u" }, 8 * u32::from(*size)))
            }
            other => Err(format!("{other:?}")),
        }
    }

    /// One whole number that is not negative.
    pub fn read_count(&self) -> Result<u64, Cause> {
        let expected =
            |got: String| Cause::damaged(&self.path, format!("expected one whole number, got {got}"));
        let size = match self.dataset.dtype() {
            Datatype::FixedPoint { size: size @ (4 | 8), byte_order: ByteOrder::LittleEndian, .. } => *size,
            other => return Err(expected(format!("{other:?}"))),
        };
        if self.elements() != 1 {
            return Err(expected(format!("{:?} of them", self.shape)));
        }
        let bytes = self.dataset.read_raw_bytes().map_err(|error| damaged(&self.path, error))?;
        let mut eight = [0; 8];
        eight[..bytes.len().min(8)].copy_from_slice(&bytes[..bytes.len().min(8)]);
        let count = i64::from_le_bytes(eight);
        u64::try_from(count)
            .ok()
            .filter(|_| bytes.len() == usize::from(size))
            .ok_or_else(|| expected(count.to_string()))
    }

    /// What its numbers are, if they are none that can be read.
    pub fn foreign_kind(&self) -> Option<String> {
        self.read_as().err()
    }

    pub fn read(&self) -> Result<Vec<f32>, Cause> {
        let in_path = |error| damaged(&self.path, error);
        let number = self.read_as().map_err(|kind| {
            Cause::damaged(&self.path, format!("expected floating-point numbers, got {kind}"))
        })?;
        let (len, max) = (self.dataset.raw_byte_len().map_err(in_path)?, self.max_bytes);
        if len > max {
            return Err(Cause::damaged(&self.path, format!("{len} bytes, the file has {max} in all")));
        }
        if matches!(self.dataset.dtype(), Datatype::FloatingPoint { size: 4, .. }) {
            let mut values = vec![0.0; self.elements()];
            self.dataset.read_into(&mut values).map_err(in_path)?;
            return Ok(values);
        }
        let bytes = self.dataset.read_raw_bytes().map_err(in_path)?;
        let size = self.dataset.raw_element_size().map_err(in_path)?;
        Ok(bytes.chunks_exact(size.max(1)).map(number).collect())
    }
}
