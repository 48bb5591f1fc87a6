//! FlatBuffers: tables, vectors and strings that lie where others say.
//!
//! Every offset is checked when it is followed, and what is read is counted: a vector may be said to be in many tables, so that
//! a small file would be a large one else. Tables are no deeper than the schema.

use crate::import::refused::Refused;
use std::cell::Cell;
use std::ops::Range;

/// How often the bytes of a file may be read as vectors: writers share names.
const READINGS: usize = 4;

/// The bytes of a file.
pub struct Flat<'a> {
    bytes: &'a [u8],
    /// How many bytes of vectors may still be read.
    left: Cell<usize>,
}

/// A table: fields, of which each may be missing.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    flat: &'a Flat<'a>,
    at: usize,
    /// How many bytes its fields have.
    len: usize,
    /// Where each field begins, from the table's start.
    places: &'a [[u8; 2]],
}

fn damaged(at: usize, problem: String) -> Refused {
    Refused { offset: Some(at as u64), ..Refused::damaged(problem) }
}

impl<'a> Flat<'a> {
    pub fn new(bytes: &'a [u8]) -> Flat<'a> {
        Flat { bytes, left: Cell::new(bytes.len().saturating_mul(READINGS)) }
    }

    /// The table that the file begins with.
    ///
    /// # Errors
    /// There is none in the file. So of all that follow an offset.
    pub fn root(&'a self) -> Result<Table<'a>, Refused> {
        self.table(self.followed(0)?)
    }

    fn read<const N: usize>(&self, at: usize) -> Result<[u8; N], Refused> {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or_else(|| {
            let left = self.bytes.len().saturating_sub(at);
            damaged(at, format!("expected {N} bytes, {left} are left"))
        })
    }

    /// Where the offset at a place leads.
    fn followed(&self, at: usize) -> Result<usize, Refused> {
        let offset = u32::from_le_bytes(self.read(at)?) as usize;
        let to = at.checked_add(offset).filter(|&to| offset > 0 && to < self.bytes.len());
        to.ok_or_else(|| {
            let len = self.bytes.len();
            damaged(at, format!("expected an offset into the file of {len} bytes, got {offset}"))
        })
    }

    fn table(&'a self, at: usize) -> Result<Table<'a>, Refused> {
        let back = i64::from(i32::from_le_bytes(self.read(at)?));
        let places = usize::try_from(at as i64 - back).ok().filter(|&places| places < self.bytes.len());
        let places = places.ok_or_else(|| {
            damaged(at, format!("expected a table, got one whose list of fields is {back} bytes before it"))
        })?;
        let [size, len] = [0, 2].map(|more| self.read(places + more).map(u16::from_le_bytes));
        let (size, len) = (usize::from(size?), usize::from(len?));
        let listed = self.bytes.get(places..).and_then(|rest| rest.get(4..size));
        let listed = listed.filter(|_| len >= 4 && self.bytes.len() - at >= len).ok_or_else(|| {
            damaged(places, format!("expected a list of fields, got {size} bytes for a table of {len}"))
        })?;
        Ok(Table { flat: self, at, len, places: listed.as_chunks().0 })
    }

    /// The bytes of so many elements behind their number.
    fn vector(&self, at: usize, width: usize) -> Result<Range<usize>, Refused> {
        let count = u32::from_le_bytes(self.read(at)?) as usize;
        let start = at + 4;
        let end = count.checked_mul(width).and_then(|len| start.checked_add(len));
        let end = end.filter(|&end| end <= self.bytes.len()).ok_or_else(|| {
            let left = self.bytes.len() - start;
            damaged(at, format!("expected {count} elements of {width} bytes, {left} bytes are left"))
        })?;
        Ok(start..end)
    }

    /// The same, counted.
    fn list(&self, at: usize, width: usize) -> Result<Range<usize>, Refused> {
        let range = self.vector(at, width)?;
        let left = self.left.get().checked_sub(range.len()).ok_or_else(|| {
            damaged(at, format!("expected vectors that do not overlap, found {READINGS} times the file"))
        })?;
        self.left.set(left);
        Ok(range)
    }
}

impl<'a> Table<'a> {
    /// Where it begins.
    pub fn offset(&self) -> u64 {
        self.at as u64
    }

    /// Where a field of so many bytes is.
    fn field(&self, index: usize, width: usize) -> Result<Option<usize>, Refused> {
        let place = self.places.get(index).map_or(0, |&place| usize::from(u16::from_le_bytes(place)));
        match place {
            0 => Ok(None),
            place if place >= 4 && place + width <= self.len => Ok(Some(self.at + place)),
            place => {
                let len = self.len;
                Err(damaged(
                    self.at,
                    format!("expected field {index} in a table of {len} bytes, got byte {place}"),
                ))
            }
        }
    }

    fn number<const N: usize>(&self, index: usize) -> Result<Option<[u8; N]>, Refused> {
        self.field(index, N)?.map(|at| self.flat.read(at)).transpose()
    }

    /// A field of one byte.
    pub fn byte(&self, index: usize) -> Result<u8, Refused> {
        Ok(self.number(index)?.map_or(0, |[byte]| byte))
    }

    /// A field of four bytes, if it is there.
    pub fn int(&self, index: usize) -> Result<Option<i32>, Refused> {
        Ok(self.number(index)?.map(i32::from_le_bytes))
    }

    pub fn float(&self, index: usize) -> Result<Option<f32>, Refused> {
        Ok(self.number(index)?.map(f32::from_le_bytes))
    }

    /// A field of eight bytes.
    pub fn long(&self, index: usize) -> Result<u64, Refused> {
        Ok(self.number(index)?.map_or(0, u64::from_le_bytes))
    }

    fn followed(&self, index: usize) -> Result<Option<usize>, Refused> {
        self.field(index, 4)?.map(|at| self.flat.followed(at)).transpose()
    }

    pub fn table(&self, index: usize) -> Result<Option<Table<'a>>, Refused> {
        self.followed(index)?.map(|at| self.flat.table(at)).transpose()
    }

    /// A vector of tables, none if it is missing.
    pub fn tables(&self, index: usize) -> Result<Vec<Table<'a>>, Refused> {
        let Some(at) = self.followed(index)? else { return Ok(Vec::new()) };
        let range = self.flat.list(at, 4)?;
        range.step_by(4).map(|at| self.flat.table(self.flat.followed(at)?)).collect()
    }

    /// A vector of numbers of four bytes.
    pub fn ints(&self, index: usize) -> Result<Option<Vec<i32>>, Refused> {
        let Some(at) = self.followed(index)? else { return Ok(None) };
        let bytes = &self.flat.bytes[self.flat.list(at, 4)?];
        Ok(Some(bytes.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect()))
    }

    /// Where the bytes of a vector are.
    pub fn bytes(&self, index: usize) -> Result<Option<Range<usize>>, Refused> {
        self.followed(index)?.map(|at| self.flat.vector(at, 1)).transpose()
    }

    /// How many elements a vector has.
    pub fn count(&self, index: usize) -> Result<usize, Refused> {
        Ok(self.bytes(index)?.map_or(0, |range| range.len()))
    }

    pub fn text(&self, index: usize) -> Result<Option<&'a str>, Refused> {
        let Some(at) = self.followed(index)? else { return Ok(None) };
        let bytes: &'a [u8] = &self.flat.bytes[self.flat.list(at, 1)?];
        str::from_utf8(bytes).map(Some).map_err(|problem| damaged(at, format!("expected UTF-8: {problem}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table at 12 of 12 bytes, whose list of fields at 4 says where two of them are, and a string at 24.
    fn file() -> Vec<u8> {
        let mut bytes = vec![12, 0, 0, 0];
        bytes.extend([8, 0, 12, 0, 4, 0, 8, 0]);
        bytes.extend([8, 0, 0, 0, 42, 0, 0, 0, 4, 0, 0, 0]);
        bytes.extend([3, 0, 0, 0, b'a', b'b', b'c']);
        bytes
    }

    #[test]
    fn fields_are_where_their_list_says() {
        let bytes = file();
        let flat = Flat::new(&bytes);
        let root = flat.root().unwrap();
        assert_eq!(root.int(0), Ok(Some(42)));
        assert_eq!(root.text(1), Ok(Some("abc")));
        assert_eq!(root.int(2), Ok(None));
    }

    #[test]
    fn what_reaches_behind_the_file_is_damage_with_its_place() {
        let mut bytes = file();
        bytes[24] = 4;
        let flat = Flat::new(&bytes);
        let problem = flat.root().unwrap().text(1).unwrap_err();
        assert_eq!((problem.damaged, problem.offset), (true, Some(24)));
        assert_eq!(problem.what, "expected 4 elements of 1 bytes, 3 bytes are left");
    }

    #[test]
    fn a_vector_is_not_read_for_ever() {
        let bytes = file();
        let flat = Flat::new(&bytes);
        let root = flat.root().unwrap();
        let reads = (0..1000).take_while(|_| root.text(1).is_ok()).count();
        assert_eq!(reads, READINGS * bytes.len() / 3);
    }
}
