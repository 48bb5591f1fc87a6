//! HDF5, as much of it as a tree of arrays with texts beside them takes: version 0 of the superblock, groups with tables of
//! symbols, arrays in one piece, and attributes of texts. All readers of HDF5 know these oldest parts of the format
//! (HDF5 File Format Specification Version 3.0, sections II.A, III.A.1, III.B, III.D and IV.A).
//!
//! The superblock is followed by all arrays, which are written as they are, and then by what tells where they are.

use super::sink::Sink;
use bantam::Error;
use std::collections::BTreeMap;

/// A group: attributes, and what is in it by names.
#[derive(Default)]
pub struct Group<'a> {
    pub attributes: Vec<(String, Texts)>,
    groups: BTreeMap<String, Group<'a>>,
    arrays: BTreeMap<String, Array<'a>>,
}

struct Array<'a> {
    shape: Vec<usize>,
    values: &'a [f32],
}

/// What is in a group.
enum Member<'m, 'a> {
    Group(&'m Group<'a>),
    Array(&'m Array<'a>),
}

/// What an attribute says.
pub enum Texts {
    One(String),
    List(Vec<String>),
}

/// Bytes in the header of an object, of which an attribute is no longer.
const MAX_ATTRIBUTE: usize = 64_512;

/// An address that is none.
const UNDEFINED: u64 = u64::MAX;

const SUPERBLOCK: u64 = 96;

/// Symbols in a node of a table: twice the superblock's `leaf K`.
const SYMBOLS: usize = 8;

/// Bytes of a symbol.
const SYMBOL: usize = 40;

impl<'a> Group<'a> {
    /// The group of that name, which is made if there is none. Slashes part groups in groups.
    pub fn group(&mut self, name: &str) -> &mut Group<'a> {
        let parts = name.split('/').filter(|part| !part.is_empty());
        parts.fold(self, |group, part| group.groups.entry(part.into()).or_default())
    }

    /// Puts an array of that name into it.
    pub fn array(&mut self, name: &str, shape: &[usize], values: &'a [f32]) {
        let (folders, last) = name.rsplit_once('/').unwrap_or(("", name));
        self.group(folders).arrays.insert(last.into(), Array { shape: shape.to_vec(), values });
    }

    /// All that is in it, in the order of the names' bytes.
    fn members<'m>(&'m self) -> BTreeMap<&'m str, Member<'m, 'a>> {
        let groups = self.groups.iter().map(|(name, group)| (name.as_str(), Member::Group(group)));
        let arrays = self.arrays.iter().map(|(name, array)| (name.as_str(), Member::Array(array)));
        groups.chain(arrays).collect()
    }

    /// An attribute that is a list of texts. One that is too long is in parts, `name0`, `name1`, …, as Keras has them.
    pub fn list(&mut self, name: &str, texts: Vec<String>) {
        let size = texts.iter().map(String::len).max().unwrap_or(0).max(1);
        let in_one = (MAX_ATTRIBUTE / size).max(1);
        if texts.len() <= in_one {
            self.attributes.push((name.into(), Texts::List(texts)));
            return;
        }
        for (part, texts) in texts.chunks(in_one).enumerate() {
            self.attributes.push((format!("{name}{part}"), Texts::List(texts.to_vec())));
        }
    }

    /// Writes it as the root of a file.
    pub fn write(&self, sink: &mut Sink) -> Result<(), Error> {
        let mut file =
            File { arrays: Vec::new(), end_of_arrays: SUPERBLOCK, index: Vec::new(), width: self.width() };
        file.place(self);
        let mut next = SUPERBLOCK;
        let root = file.group(self, &mut next);
        sink.write(&file.superblock(root))?;
        for values in &file.arrays {
            // A piece at a time: they may be most of the memory.
            for values in values.chunks(1 << 16) {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                sink.write(&bytes)?;
            }
            sink.write(&[0; 4][..4 * (values.len() % 2)])?;
        }
        sink.write(&file.index)
    }

    /// The most nodes of symbols that a group has, in it or below.
    fn width(&self) -> usize {
        let own = (self.groups.len() + self.arrays.len()).div_ceil(SYMBOLS);
        self.groups.values().map(Group::width).fold(own, usize::max)
    }
}

/// Where a group is: its header, tree and heap.
struct Place {
    header: u64,
    tree: u64,
    heap: u64,
}

/// A file that is put together.
struct File<'a> {
    arrays: Vec<&'a [f32]>,
    end_of_arrays: u64,
    /// What comes behind the arrays.
    index: Vec<u8>,
    /// Of the largest group, in nodes.
    width: usize,
}

impl<'a> File<'a> {
    /// Gives all arrays a place, in order.
    fn place(&mut self, group: &Group<'a>) {
        for member in group.members().into_values() {
            match member {
                Member::Group(group) => self.place(group),
                Member::Array(Array { values, .. }) => {
                    self.arrays.push(values);
                    self.end_of_arrays += bytes_of(values);
                }
            }
        }
    }

    /// Adds a part of the index, at a multiple of 8 bytes, and gives its address.
    fn add(&mut self, bytes: &[u8]) -> u64 {
        let address = self.end_of_arrays + self.index.len() as u64;
        self.index.extend_from_slice(bytes);
        self.index.resize(self.index.len().next_multiple_of(8), 0);
        address
    }

    /// The half of how many nodes a tree's root has room for.
    fn half_width(&self) -> usize {
        self.width.div_ceil(2).max(16)
    }

    /// Adds a group behind what is in it. `next` is where its first array is.
    fn group(&mut self, group: &Group<'a>, next: &mut u64) -> Place {
        // The first name is that of the root, which has none.
        let mut names = vec![0; 8];
        let mut symbols = Vec::new();
        for (name, member) in group.members() {
            let at = names.len() as u64;
            names.extend_from_slice(name.as_bytes());
            names.resize((names.len() + 1).next_multiple_of(8), 0);
            let symbol = match member {
                Member::Group(inner) => {
                    let Place { header, tree, heap } = self.group(inner, next);
                    symbol(at, header, Some([tree, heap]))
                }
                Member::Array(Array { shape, values }) => {
                    let address = if values.is_empty() { UNDEFINED } else { *next };
                    *next += bytes_of(values);
                    symbol(at, self.add(&header(&array(shape, values.len(), address))), None)
                }
            };
            symbols.push((at, symbol));
        }
        let tree = self.tree(&symbols);
        let segment = self.add(&names);
        let mut heap = b"HEAP\0\0\0\0".to_vec();
        // No bytes of it are free, for which the list begins with 1.
        for number in [names.len() as u64, 1, segment] {
            heap.extend(number.to_le_bytes());
        }
        let heap = self.add(&heap);
        let mut messages = message(0x11, &[tree.to_le_bytes(), heap.to_le_bytes()].concat());
        for (name, texts) in &group.attributes {
            messages.push_message(attribute(name, texts));
        }
        Place { header: self.add(&header(&messages)), tree, heap }
    }

    /// Adds nodes with symbols, and a tree of one level over them.
    fn tree(&mut self, symbols: &[(u64, Vec<u8>)]) -> u64 {
        let mut tree = b"TREE\0\0".to_vec();
        tree.extend((symbols.len().div_ceil(SYMBOLS) as u16).to_le_bytes());
        tree.extend([UNDEFINED.to_le_bytes(); 2].concat());
        tree.extend(0u64.to_le_bytes());
        for some in symbols.chunks(SYMBOLS) {
            let mut node = b"SNOD\x01\0".to_vec();
            node.extend((some.len() as u16).to_le_bytes());
            some.iter().for_each(|(_, symbol)| node.extend_from_slice(symbol));
            node.resize(8 + SYMBOLS * SYMBOL, 0);
            tree.extend(self.add(&node).to_le_bytes());
            // The last name of each.
            tree.extend(some.last().map_or(0, |&(name, _)| name).to_le_bytes());
        }
        tree.resize(24 + 8 * (4 * self.half_width() + 1), 0);
        self.add(&tree)
    }

    fn superblock(&self, root: Place) -> Vec<u8> {
        let mut block = b"\x89HDF\r\n\x1a\n".to_vec();
        // Versions, and the bytes of an address and of a length.
        block.extend([0, 0, 0, 0, 0, 8, 8, 0]);
        block.extend((SYMBOLS as u16 / 2).to_le_bytes());
        block.extend((self.half_width() as u16).to_le_bytes());
        block.extend([0; 4]);
        let end = self.end_of_arrays + self.index.len() as u64;
        for address in [0, UNDEFINED, end, UNDEFINED] {
            block.extend(address.to_le_bytes());
        }
        block.extend(symbol(0, root.header, Some([root.tree, root.heap])));
        block
    }
}

/// An array's, up to a multiple of 8.
fn bytes_of(values: &[f32]) -> u64 {
    (4 * values.len() as u64).next_multiple_of(8)
}

/// A member of a group: where its name is in the heap, where its header, and of a group the tree and the heap.
fn symbol(name: u64, header: u64, group: Option<[u64; 2]>) -> Vec<u8> {
    let [tree, heap] = group.unwrap_or([0; 2]);
    let mut symbol = Vec::with_capacity(SYMBOL);
    symbol.extend([name.to_le_bytes(), header.to_le_bytes()].concat());
    symbol.extend(u64::from(group.is_some()).to_le_bytes());
    symbol.extend([tree.to_le_bytes(), heap.to_le_bytes()].concat());
    symbol
}

/// Messages of a header, and how many.
struct Messages {
    count: u16,
    bytes: Vec<u8>,
}

impl Messages {
    fn push_message(&mut self, other: Messages) {
        self.count += other.count;
        self.bytes.extend(other.bytes);
    }
}

fn message(kind: u16, data: &[u8]) -> Messages {
    let len = data.len().next_multiple_of(8);
    let mut bytes = [kind.to_le_bytes(), (len as u16).to_le_bytes(), [0; 2], [0; 2]].concat();
    bytes.extend_from_slice(data);
    bytes.resize(8 + len, 0);
    Messages { count: 1, bytes }
}

fn header(messages: &Messages) -> Vec<u8> {
    let mut header = vec![1, 0];
    header.extend(messages.count.to_le_bytes());
    header.extend(1u32.to_le_bytes());
    header.extend((messages.bytes.len() as u32).to_le_bytes());
    header.extend([0; 4]);
    header.extend_from_slice(&messages.bytes);
    header
}

/// What is said of an array of so many elements at that address.
fn array(shape: &[usize], len: usize, address: u64) -> Messages {
    let mut messages = message(1, &dataspace(shape));
    // IEEE 754, 32 bits, little-endian.
    let float = [0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0];
    messages.push_message(message(3, &float));
    // No other values than those that are written.
    messages.push_message(message(5, &[2, 2, 2, 0]));
    let mut layout = vec![3, 1];
    layout.extend([address.to_le_bytes(), (4 * len as u64).to_le_bytes()].concat());
    messages.push_message(message(8, &layout));
    messages
}

fn dataspace(shape: &[usize]) -> Vec<u8> {
    let mut space = vec![1, shape.len() as u8, 0, 0, 0, 0, 0, 0];
    shape.iter().for_each(|&size| space.extend((size as u64).to_le_bytes()));
    space
}

/// Texts of one length, with zeros behind the shorter ones.
fn attribute(name: &str, texts: &Texts) -> Messages {
    let (list, shape): (&[String], &[usize]) = match texts {
        Texts::One(text) => (std::slice::from_ref(text), &[]),
        Texts::List(texts) => (texts, &[texts.len()]),
    };
    let size = list.iter().map(String::len).max().unwrap_or(0).max(1);
    let mut kind = vec![0x13, 1, 0, 0];
    kind.extend((size as u32).to_le_bytes());
    let space = dataspace(shape);
    let mut data = vec![1, 0];
    for len in [name.len() + 1, kind.len(), space.len()] {
        data.extend((len as u16).to_le_bytes());
    }
    data.extend_from_slice(name.as_bytes());
    data.resize((data.len() + 1).next_multiple_of(8), 0);
    data.extend(kind);
    data.extend(space);
    for text in list {
        data.extend_from_slice(text.as_bytes());
        data.resize(data.len() + size - text.len(), 0);
    }
    message(12, &data)
}
