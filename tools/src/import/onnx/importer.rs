//! What all operators need: values, and ways to have them in memory as a layer wants them.

use super::arrangement::{Arrangement, Factor, Factors, size};
use super::filled::Filled;
use super::graph::{Graph, Node};
use crate::import::Report;
use crate::import::constant::{Constant, Int, Ints, Tensor};
use crate::import::net::{Id, Net};
use crate::import::refused::Refused;

/// A value of the graph.
#[derive(Clone)]
pub enum Value {
    /// One that could not be imported, for a reason that is noted.
    Unknown,
    Constant(Constant),
    Filled(Filled),
    Map(Map),
}

/// What depends on the input: a value of the net, and how the file sees it.
#[derive(Clone)]
pub struct Map {
    pub id: Id,
    pub lies: Arrangement,
    /// Whether nobody else reads the layer that gives it.
    pub exclusive: bool,
}

/// What a node gives.
pub type Given = Result<Vec<Value>, Refused>;

/// The most arrays of a file that are remembered of a constant.
const MOST_ROOTS: usize = 8;

/// A graph on its way to a net.
pub struct Importer<'a> {
    pub graph: &'a Graph<'a>,
    /// How many samples the graph is for, which may be open.
    pub batch: Int,
    pub factors: Factors,
    pub net: Net,
    pub values: Vec<Value>,
    /// The arrays of the file that each constant is made of.
    pub roots: Vec<Vec<usize>>,
    pub report: &'a mut Report,
}

/// The only output of a node.
pub fn one(value: Value) -> Given {
    Ok(vec![value])
}

impl Importer<'_> {
    /// The arrays of the file that these constants are made of: a few, or none, for they may be of any number.
    pub fn roots_of(&self, inputs: &[Option<usize>]) -> Vec<usize> {
        let roots = inputs.iter().flatten().flat_map(|&input| &self.roots[input]);
        let roots: Vec<usize> = roots.copied().take(MOST_ROOTS + 1).collect();
        if roots.len() > MOST_ROOTS { Vec::new() } else { roots }
    }

    /// Notes that one layer became a part of another.
    pub fn fused(&mut self, what: &str, into: &str) {
        self.report.fused.push(format!("{what}: into {into}"));
    }

    /// An input that depends on the net's input.
    ///
    /// # Errors
    /// It is missing, or a constant.
    pub fn map(&self, node: &Node<'_>, input: usize) -> Result<Map, Refused> {
        match node.inputs.get(input).copied().flatten().map(|value| &self.values[value]) {
            Some(Value::Map(map)) => Ok(map.clone()),
            Some(_) => Err(Refused::new(format!("input {input}: expected a map, got a constant"))),
            None => Err(Refused::new(format!("input {input}: expected a map, found none"))),
        }
    }

    /// All inputs, which depend on the net's input.
    pub fn maps(&self, node: &Node<'_>) -> Result<Vec<Map>, Refused> {
        (0..node.inputs.len()).map(|input| self.map(node, input)).collect()
    }

    /// An input that is constant, if it is there.
    ///
    /// # Errors
    /// It depends on the net's input.
    pub fn constant(&self, node: &Node<'_>, input: usize) -> Result<Option<&Constant>, Refused> {
        match node.inputs.get(input).copied().flatten().map(|value| &self.values[value]) {
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(Value::Filled(_)) => Err(Refused::new(format!(
                "input {input}: expected a constant that does not depend on the batch"
            ))),
            Some(_) => Err(Refused::new(format!("input {input}: expected a constant, got a map"))),
            None => Ok(None),
        }
    }

    /// An input of constant floats, if it is there.
    pub fn floats(&self, node: &Node<'_>, input: usize) -> Result<Option<Tensor>, Refused> {
        match self.constant(node, input)? {
            Some(Constant::Floats(tensor)) => Ok(Some(tensor.clone())),
            Some(Constant::Ints(_)) => {
                Err(Refused::new(format!("input {input}: expected floats, got whole numbers")))
            }
            None => Ok(None),
        }
    }

    /// Weights: an input of constant floats that has to be there.
    pub fn weights(&self, node: &Node<'_>, input: usize, what: &str) -> Result<Tensor, Refused> {
        let found = self.floats(node, input)?;
        found.ok_or_else(|| Refused::new(format!("input {input}: expected {what}, found none")))
    }

    /// A vector of weights of that length.
    pub fn vector(&self, node: &Node<'_>, input: usize, what: &str, len: usize) -> Result<Tensor, Refused> {
        let weights = self.weights(node, input, what)?;
        if weights.dims != [len] {
            return Err(Refused::expected_got(
                &format!("shape of {what}"),
                format!("[{len}]"),
                format!("{:?}", weights.dims),
            ));
        }
        Ok(weights)
    }

    /// An input of constant whole numbers, if it is there.
    pub fn ints(&self, node: &Node<'_>, input: usize) -> Result<Option<&Ints>, Refused> {
        match self.constant(node, input)? {
            Some(Constant::Ints(ints)) => Ok(Some(ints)),
            Some(Constant::Floats(_)) => {
                Err(Refused::new(format!("input {input}: expected whole numbers, got floats")))
            }
            None => Ok(None),
        }
    }

    /// The same, none of which depends on the batch.
    pub fn numbers(&self, node: &Node<'_>, input: usize) -> Result<Option<Vec<i64>>, Refused> {
        let Some(ints) = self.ints(node, input)? else { return Ok(None) };
        let known = ints.values.iter().map(|value| value.known());
        let open =
            || Refused::new(format!("input {input}: expected numbers that do not depend on the batch"));
        known.collect::<Option<Vec<_>>>().map(Some).ok_or_else(open)
    }

    /// Whole numbers that are an attribute up to some opset and an input since.
    pub fn listed(
        &self,
        node: &Node<'_>,
        attribute: &str,
        input: usize,
    ) -> Result<Option<Vec<i64>>, Refused> {
        match node.ints(attribute) {
            Some(numbers) => Ok(Some(numbers.to_vec())),
            None => self.numbers(node, input),
        }
    }

    /// The only number of a constant.
    pub fn scalar(&self, value: usize) -> Option<f32> {
        match &self.values[value] {
            Value::Constant(Constant::Floats(tensor)) if tensor.len() == 1 => Some(tensor.to_vec()[0]),
            Value::Constant(Constant::Ints(ints)) => match ints.values[..] {
                [Int::Known(value)] => Some(value as f32),
                _ => None,
            },
            _ => None,
        }
    }

    /// What a node gives, of a layer that has just been added.
    pub fn given(&self, node: &Node<'_>, id: Id, lies: Arrangement) -> Value {
        let output = node.outputs.first().copied().flatten();
        Value::Map(Map { id, lies, exclusive: output.is_some_and(|output| self.graph.readers[output] == 1) })
    }

    /// The same elements, where they are, which the file sees otherwise.
    pub fn seen(&self, node: &Node<'_>, map: &Map, lies: Arrangement) -> Value {
        match self.given(node, map.id, lies) {
            Value::Map(given) => Value::Map(Map { exclusive: given.exclusive && map.exclusive, ..given }),
            other => other,
        }
    }

    /// The axes of a sample.
    ///
    /// # Errors
    /// The first axis is not the batch.
    pub fn sample_axes<'m>(&self, map: &'m Map) -> Result<&'m [Vec<Factor>], Refused> {
        match map.lies.axes.split_first() {
            Some((first, sample)) if first[..] == [Factor::BATCH] => Ok(sample),
            _ => Err(Refused::new(format!(
                "input of shape {}: expected the batch, and nothing else, as its first dimension",
                self.shape(map)
            ))),
        }
    }

    /// The shape that the file sees, to be read.
    pub fn shape(&self, map: &Map) -> String {
        let dims = map.lies.dims(self.batch).into_iter().map(|dim| match dim {
            Int::Known(size) => size.to_string(),
            Int::Batch(1) => "batch".into(),
            Int::Batch(times) => format!("batch·{times}"),
        });
        format!("[{}]", dims.collect::<Vec<_>>().join(", "))
    }

    /// The value with its elements in that order in memory. They are turned where they are not.
    pub fn turned(&mut self, node: &Node<'_>, map: &Map, order: &[Factor]) -> Id {
        let (mut id, mut now) = (map.id, map.lies.order.clone());
        let runs = runs(&now, order);
        if runs.len() <= 4 && runs.len() > 1 {
            let place = |run: &&[Factor]| now.iter().position(|factor| *factor == run[0]);
            let mut here = runs.clone();
            here.sort_by_key(|run| place(run));
            let dims: Vec<usize> = here.iter().map(|run| size(run)).collect();
            let axes: Vec<usize> =
                runs.iter().filter_map(|run| here.iter().position(|other| other == run)).collect();
            id = self.net.reshape(node.name, id, &dims);
            return self.net.permute(node.name, id, &axes);
        }
        // One after the other goes to its place: what is before it, what it passes, and what is behind stay together.
        for place in 0..order.len() {
            let from = now.iter().position(|factor| *factor == order[place]).unwrap_or(place);
            if from == place {
                continue;
            }
            let len = (0..order.len() - place)
                .take_while(|&i| now.get(from + i) == Some(&order[place + i]))
                .count();
            let parts = [0..place, place..from, from..from + len, from + len..now.len()];
            let parts = parts.map(|part| now[part].to_vec());
            let there: Vec<usize> = (0..4).filter(|&part| !parts[part].is_empty()).collect();
            let dims: Vec<usize> = there.iter().map(|&part| size(&parts[part])).collect();
            let moved = [0, 2, 1, 3];
            let axes: Vec<usize> =
                moved.iter().filter_map(|part| there.iter().position(|other| other == part)).collect();
            id = self.net.reshape(node.name, id, &dims);
            id = self.net.permute(node.name, id, &axes);
            now = moved.map(|part| parts[part].clone()).concat();
        }
        id
    }

    /// The value in memory as samples of that many dimensions, each of these factors in this order.
    pub fn laid(&mut self, node: &Node<'_>, map: &Map, groups: &[&[Factor]]) -> Id {
        let id = self.turned(node, map, &groups.concat());
        let dims: Vec<usize> = groups.iter().map(|group| size(group)).collect();
        self.net.reshape(node.name, id, &dims)
    }

    /// The value with these factors side by side: what lies before them, themselves, and what lies behind, with its place in
    /// memory. They are turned to lie in their order where they do not lie side by side, or where `ordered` asks for it.
    pub fn run(&mut self, node: &Node<'_>, map: &Map, run: &[Factor], ordered: bool) -> (Id, Run) {
        let order = &map.lies.order;
        let at = map.lies.run_of(run).filter(|&at| !ordered || order[at..][..run.len()] == *run);
        let (at, order) = at.map_or_else(
            || {
                let others = order.iter().filter(|factor| !run.contains(factor)).copied();
                (order.len() - run.len(), others.chain(run.iter().copied()).collect())
            },
            |at| (at, order.clone()),
        );
        let id = self.turned(node, map, &order);
        let run = Run {
            before: order[..at].to_vec(),
            run: order[at..at + run.len()].to_vec(),
            behind: order[at + run.len()..].to_vec(),
        };
        (id, run)
    }
}

/// An order of memory in three parts.
pub struct Run {
    pub before: Vec<Factor>,
    pub run: Vec<Factor>,
    pub behind: Vec<Factor>,
}

impl Run {
    /// The sizes of the parts.
    pub fn dims(&self) -> [usize; 3] {
        [size(&self.before), size(&self.run), size(&self.behind)]
    }

    /// The order with other factors in the middle.
    pub fn with(&self, run: &[Factor]) -> Vec<Factor> {
        [&self.before, run, &self.behind].concat()
    }
}

/// An order as pieces that are also side by side in another.
fn runs<'o>(now: &[Factor], order: &'o [Factor]) -> Vec<&'o [Factor]> {
    let place = |factor: &Factor| now.iter().position(|other| other == factor);
    order.chunk_by(|a, b| place(a).map(|at| at + 1) == place(b)).collect()
}
