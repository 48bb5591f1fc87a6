//! What all operators need: values, and their shapes.
//!
//! Channels are last in the file as they are here, so that a value lies in memory in the order of its axes: to reshape it is to
//! say other sizes.

use super::graph::{Graph, Node};
use crate::import::Report;
use crate::import::constant::{Constant, Int, Ints, Tensor};
use crate::import::net::{Id, Net};
use crate::import::refused::Refused;
use bantam::{Relu, Relu6, Tanh};

/// A value of the graph.
#[derive(Clone)]
pub enum Value {
    /// One that could not be imported, for a reason that is noted.
    Unknown,
    Constant(Constant),
    Map(Map),
    /// Maps in the blocks of a dilated convolution.
    Blocks(Blocks),
}

/// What depends on the input: a value of the net, and its sizes in the file.
#[derive(Clone)]
pub struct Map {
    pub id: Id,
    pub dims: Vec<Int>,
    /// Whether nobody else reads the layer that gives it.
    pub exclusive: bool,
}

/// Maps whose pixels that are so far apart are samples of their own, as `SPACE_TO_BATCH_ND` gives them.
#[derive(Clone)]
pub struct Blocks {
    /// As they were before.
    pub map: Map,
    pub apart: [usize; 2],
    /// Zeros around them, `[[top, bottom], [left, right]]`.
    pub pads: [[usize; 2]; 2],
}

/// The most numbers that say what an operator does.
const MOST_NUMBERS: usize = 1 << 12;

/// What a node gives.
pub type Given = Result<Vec<Value>, Refused>;

/// A graph on its way to a net.
pub struct Importer<'a> {
    pub graph: &'a Graph<'a>,
    /// How many samples the graph is for, which may be open.
    pub batch: Int,
    pub net: Net,
    pub values: Vec<Value>,
    pub report: &'a mut Report,
    /// How many elements may still be computed: a small file may say one constant very often.
    pub left: usize,
}

/// The only output of a node.
pub fn one(value: Value) -> Given {
    Ok(vec![value])
}

/// Known sizes.
pub fn known(dims: &[usize]) -> Vec<Int> {
    dims.iter().map(|&dim| Int::Known(dim as i64)).collect()
}

/// Sizes to be read.
pub fn shape(dims: &[Int]) -> String {
    let dims = dims.iter().map(|dim| match dim {
        Int::Known(size) => size.to_string(),
        Int::Batch(1) => "batch".into(),
        Int::Batch(times) => format!("batch·{times}"),
    });
    format!("[{}]", dims.collect::<Vec<_>>().join(", "))
}

/// The number of an axis of so many, which may be counted from the last.
///
/// # Errors
/// There is no such axis.
pub fn axis(axis: i64, rank: usize) -> Result<usize, Refused> {
    let from_first = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    let found = usize::try_from(from_first).ok().filter(|&axis| axis < rank);
    found.ok_or_else(|| Refused::expected_got("axis", format!("-{rank} to {}", rank as i64 - 1), axis))
}

impl Importer<'_> {
    fn value(&self, node: &Node<'_>, input: usize) -> Option<&Value> {
        node.inputs.get(input).copied().flatten().map(|tensor| &self.values[tensor])
    }

    /// An input that depends on the net's input.
    ///
    /// # Errors
    /// It is missing, or a constant.
    pub fn map(&self, node: &Node<'_>, input: usize) -> Result<Map, Refused> {
        match self.value(node, input) {
            Some(Value::Map(map)) => Ok(map.clone()),
            Some(_) => Err(Refused::new(format!("input {input}: expected a map, got a constant"))),
            None => Err(Refused::new(format!("input {input}: expected a map, found none"))),
        }
    }

    /// An input of constant floats, if it is there.
    ///
    /// # Errors
    /// It depends on the net's input, or is of whole numbers.
    pub fn floats(&self, node: &Node<'_>, input: usize) -> Result<Option<Tensor>, Refused> {
        match self.value(node, input) {
            Some(Value::Constant(Constant::Floats(tensor))) => Ok(Some(tensor.clone())),
            Some(Value::Constant(Constant::Ints(_))) => {
                Err(Refused::new(format!("input {input}: expected floats, got whole numbers")))
            }
            Some(_) => Err(Refused::new(format!("input {input}: expected a constant, got a map"))),
            None => Ok(None),
        }
    }

    /// Weights: an input of constant floats of that rank that has to be there.
    pub fn weights(&self, node: &Node<'_>, input: usize, what: &str, rank: usize) -> Result<Tensor, Refused> {
        let found = self.floats(node, input)?;
        let found =
            found.ok_or_else(|| Refused::new(format!("input {input}: expected {what}, found none")))?;
        if found.dims.len() != rank || found.dims.contains(&0) {
            let expected = format!("{rank} dimensions of at least 1");
            return Err(Refused::expected_got(
                &format!("shape of {what}"),
                expected,
                format!("{:?}", found.dims),
            ));
        }
        Ok(found)
    }

    /// A bias of that length, if it is there.
    pub fn bias(&self, node: &Node<'_>, input: usize, len: usize) -> Result<Option<Tensor>, Refused> {
        match self.floats(node, input)? {
            Some(bias) if bias.len() != len => {
                let got = format!("{:?}", bias.dims);
                Err(Refused::expected_got("shape of the bias", format!("[{len}]"), got))
            }
            Some(bias) => bias.reshaped(vec![len]).map(Some),
            None => Ok(None),
        }
    }

    /// An input of constant whole numbers, if it is there.
    pub fn ints(&self, node: &Node<'_>, input: usize) -> Result<Option<&Ints>, Refused> {
        match self.value(node, input) {
            Some(Value::Constant(Constant::Ints(ints))) => Ok(Some(ints)),
            Some(Value::Constant(Constant::Floats(_))) => {
                Err(Refused::new(format!("input {input}: expected whole numbers, got floats")))
            }
            Some(_) => Err(Refused::new(format!("input {input}: expected a constant, got a map"))),
            None => Ok(None),
        }
    }

    /// The same, which has to be there, and of which none depends on the batch.
    pub fn numbers(&self, node: &Node<'_>, input: usize, what: &str) -> Result<Vec<i64>, Refused> {
        let found = self.ints(node, input)?;
        let ints =
            found.ok_or_else(|| Refused::new(format!("input {input}: expected {what}, found none")))?;
        if ints.values.len() > MOST_NUMBERS {
            let got = ints.values.len();
            return Err(Refused::expected_got(
                &format!("input {input}"),
                format!("{MOST_NUMBERS} numbers at most"),
                got,
            ));
        }
        let known: Option<Vec<i64>> = ints.values.iter().map(|value| value.known()).collect();
        known.ok_or_else(|| {
            Refused::new(format!("input {input}: expected {what} that do not depend on the batch"))
        })
    }

    /// The sizes of a sample.
    ///
    /// # Errors
    /// The first dimension is not the batch, or no memory could hold the map.
    pub fn sample(&self, map: &Map) -> Result<Vec<usize>, Refused> {
        let size = |dim: &Int| dim.known().and_then(|size| usize::try_from(size).ok());
        let sizes = |dims: &[Int]| dims.iter().map(size).collect::<Option<Vec<_>>>();
        let found = match map.dims.split_first() {
            Some((&Int::Batch(1), rest)) => sizes(rest),
            Some((&Int::Batch(times), rest)) => {
                sizes(rest).map(|rest| [&[times as usize], &rest[..]].concat())
            }
            Some((&first, rest)) if first == self.batch => sizes(rest),
            // One sample may go without its number.
            _ if self.batch == Int::Known(1) => sizes(&map.dims),
            _ => None,
        };
        let sizes = found.ok_or_else(|| {
            Refused::expected_got("shape", "the batch as the first dimension", shape(&map.dims))
        })?;
        // Nor any part of it, if there is a zero.
        let len = sizes.iter().try_fold(size_of::<f32>(), |len, &size| len.checked_mul(size.max(1)));
        if len.is_none_or(|len| len > isize::MAX as usize) {
            return Err(Refused::expected_got("shape", "one that fits memory", shape(&map.dims)));
        }
        Ok(sizes)
    }

    /// Maps `[N, H, W, C]`.
    ///
    /// # Errors
    /// It has other dimensions.
    pub fn pixels(&self, map: &Map) -> Result<[usize; 3], Refused> {
        let sample = self.sample(map)?;
        match (map.dims.len(), &sample[..]) {
            (4, &[h, w, c]) if !sample.contains(&0) => Ok([h, w, c]),
            _ => Err(Refused::expected_got("input", "a batch of maps [N, H, W, C]", shape(&map.dims))),
        }
    }

    /// The sizes of a batch of such samples.
    pub fn batch_of(&self, sample: &[usize]) -> Vec<Int> {
        [vec![self.batch], known(sample)].concat()
    }

    /// What a node gives, of a layer that has just been added.
    pub fn given(&self, node: &Node<'_>, id: Id, dims: Vec<Int>) -> Value {
        let exclusive = node.outputs.first().is_some_and(|&output| self.graph.readers[output] == 1);
        Value::Map(Map { id, dims, exclusive })
    }

    /// The same elements with other sizes.
    pub fn seen(&self, node: &Node<'_>, map: &Map, dims: Vec<Int>) -> Value {
        match self.given(node, map.id, dims) {
            Value::Map(given) => Value::Map(Map { exclusive: given.exclusive && map.exclusive, ..given }),
            other => other,
        }
    }

    /// What a node gives, behind the function that is a part of it.
    pub fn activated(&mut self, node: &Node<'_>, id: Id, dims: Vec<Int>, function: u8) -> Given {
        let name = |function: &str| format!("{}/{function}", node.name);
        let id = match function {
            0 => id,
            1 => self.net.function(&name("relu"), id, Relu),
            2 => self.net.bounded(&name("relu_n1_to_1"), id, [Some(-1.0), Some(1.0)])?,
            3 => self.net.function(&name("relu6"), id, Relu6),
            4 => self.net.function(&name("tanh"), id, Tanh),
            other => {
                let expected = "none, RELU, RELU_N1_TO_1, RELU6 or TANH";
                return Err(Refused::expected_got("fused activation", expected, format!("number {other}")));
            }
        };
        one(self.given(node, id, dims))
    }

    /// Counts elements that are computed.
    ///
    /// # Errors
    /// They are too many.
    pub fn compute(&mut self, elements: usize) -> Result<(), Refused> {
        let left = self.left.checked_sub(elements);
        self.left = left.ok_or_else(|| {
            let expected = format!("{} elements at most", self.left);
            Refused::expected_got("constants", expected, elements)
        })?;
        Ok(())
    }

    /// Notes that one layer became a part of another.
    pub fn fused(&mut self, what: &str, into: Id) {
        let into = self.net.layer_of(into).map(|layer| layer.name.clone()).unwrap_or_default();
        self.report.fused.push(format!("{what}: into {into}"));
    }
}
