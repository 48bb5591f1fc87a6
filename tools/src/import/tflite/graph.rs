//! The graph of a file, its numbers checked.

use super::flat::{Flat, Table};
use super::names;
use super::schema::{OPERATORS, element, options_of};
use crate::import::Cause;
use crate::import::constant::MOST_DIMENSIONS;
use crate::import::refused::Refused;
use std::collections::HashMap;
use std::ops::Range;

/// The version of the schema; there has been no other since 2017.
const VERSION: i32 = 3;

/// Operators in an order in which each reads what is there.
pub struct Graph<'a> {
    /// Of each value.
    pub tensors: Vec<Tensor<'a>>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub nodes: Vec<Node<'a>>,
    /// How often each value is read, or is an output.
    pub readers: Vec<usize>,
    /// Which node gives each value.
    pub given_by: Vec<Option<usize>>,
    /// The last node that reads each value first of all.
    pub read_by: Vec<Option<usize>>,
    /// What the file says of its writer.
    pub producer: Option<String>,
    /// Which other graphs the file has.
    pub others: usize,
}

/// A value that goes in or comes out, as the file's signature calls it.
pub struct Port {
    pub tensor: usize,
    pub name: String,
}

/// A value, as it is described.
pub struct Tensor<'a> {
    pub name: &'a str,
    /// Sizes, of which open ones are −1.
    pub shape: Vec<i32>,
    pub element: u8,
    /// Where the file has its bytes, if it is constant.
    pub data: Option<Range<usize>>,
    pub quantised: bool,
    /// What is said of it that is not imported.
    pub foreign: Option<&'static str>,
    offset: u64,
}

/// An operator of the graph.
pub struct Node<'a> {
    /// Made of its output's name.
    pub name: String,
    pub op: &'a str,
    pub custom: bool,
    /// Values; those that are left out are `None`.
    pub inputs: Vec<Option<usize>>,
    pub outputs: Vec<usize>,
    options: Option<Table<'a>>,
}

impl<'a> Graph<'a> {
    /// # Errors
    /// Something leads out of the file, or to nothing.
    pub fn new(flat: &'a Flat<'a>, len: usize) -> Result<Graph<'a>, Cause> {
        let of_model = |problem: Refused| problem.of("model");
        let model = flat.root().map_err(of_model)?;
        let version = model.int(0).map_err(of_model)?.unwrap_or(0);
        if version != VERSION {
            return Err(Refused::expected_got("schema", format!("version {VERSION}"), version).of("model"));
        }
        let buffers = buffers(&model, len).map_err(|problem| problem.of("buffers"))?;
        let operators = operators(&model).map_err(|problem| problem.of("operator codes"))?;
        let subgraphs = model.tables(2).map_err(of_model)?;
        let Some(subgraph) = subgraphs.first() else {
            return Err(Cause::damaged("model", "expected a graph, found none"));
        };
        let listed = subgraph.tables(0).map_err(|problem| problem.of("tensors"))?;
        let mut tensors = Vec::with_capacity(listed.len());
        for (index, table) in listed.iter().enumerate() {
            let tensor = Tensor::new(table, &buffers);
            tensors.push(tensor.map_err(|problem| problem.of(&format!("tensor {index}")))?);
        }
        let ports = |field: usize, what: &str| -> Result<Vec<usize>, Cause> {
            let told = subgraph.ints(field).map_err(|problem| problem.of(what))?.unwrap_or_default();
            told.iter().map(|&at| number(at, tensors.len(), what)).collect()
        };
        let (inputs, outputs) = (ports(1, "inputs of the graph")?, ports(2, "outputs of the graph")?);
        let signature = signature(&model).map_err(|problem| problem.of("signatures"))?;
        let port = |which: usize, tensor: usize| {
            let told = signature[which].get(&(tensor as i32));
            let name = told.map_or_else(|| names::of_port(tensors[tensor].name), |name| name.to_string());
            Port { tensor, name }
        };
        let inputs: Vec<Port> = inputs.into_iter().map(|tensor| port(0, tensor)).collect();
        let outputs: Vec<Port> = outputs.into_iter().map(|tensor| port(1, tensor)).collect();
        let mut nodes = Vec::new();
        for (index, table) in
            subgraph.tables(3).map_err(|problem| problem.of("operators"))?.iter().enumerate()
        {
            nodes.push(Node::new(table, &operators, tensors.len(), &format!("operator {index}"))?);
        }
        names::give(&mut nodes, &tensors, &outputs);
        let readers = readers(&tensors, &inputs, &outputs, &nodes)?;
        let text = model.text(3).map_err(|problem| problem.of("description"))?;
        let producer = text.map(str::trim).filter(|text| !text.is_empty()).map(String::from);
        let (mut given_by, mut read_by) = (vec![None; tensors.len()], vec![None; tensors.len()]);
        for (index, node) in nodes.iter().enumerate() {
            node.outputs.iter().for_each(|&output| given_by[output] = Some(index));
            node.inputs.iter().take(1).flatten().for_each(|&input| read_by[input] = Some(index));
        }
        let others = subgraphs.len() - 1;
        Ok(Graph { tensors, inputs, outputs, nodes, readers, given_by, read_by, producer, others })
    }
}

/// A number that says which of so many.
fn number(at: i32, of: usize, what: &str) -> Result<usize, Cause> {
    usize::try_from(at)
        .ok()
        .filter(|&at| at < of)
        .ok_or_else(|| Cause::damaged(what, format!("expected the number of one of {of}, got {at}")))
}

/// How often each value is read.
///
/// # Errors
/// One is given twice, or read before it is given.
fn readers(
    tensors: &[Tensor<'_>],
    inputs: &[Port],
    outputs: &[Port],
    nodes: &[Node<'_>],
) -> Result<Vec<usize>, Cause> {
    let mut given: Vec<bool> = tensors.iter().map(|tensor| tensor.data.is_some()).collect();
    let give = |tensor: usize, given: &mut Vec<bool>| {
        let name = tensors[tensor].name;
        let twice = || {
            Cause::damaged(format!("tensor \"{name}\""), "expected one that is given once, found it twice")
        };
        if std::mem::replace(&mut given[tensor], true) { Err(twice()) } else { Ok(()) }
    };
    let mut readers = vec![0usize; tensors.len()];
    inputs.iter().try_for_each(|port| give(port.tensor, &mut given))?;
    let mut read = |tensor: usize, given: &[bool], by: &str| {
        readers[tensor] += 1;
        let nobody = || {
            let expected = "expected a tensor that an input, weights or an earlier operator give";
            Cause::damaged(by, format!("{expected}, got \"{}\"", tensors[tensor].name))
        };
        // A state that the net keeps is refused by its name, and so are weights of no elements.
        let known = given[tensor] || tensors[tensor].foreign.is_some() || tensors[tensor].shape.contains(&0);
        if known { Ok(()) } else { Err(nobody()) }
    };
    for node in nodes {
        let by = format!("operator \"{}\"", node.name);
        node.inputs.iter().flatten().try_for_each(|&tensor| read(tensor, &given, &by))?;
        node.outputs.iter().try_for_each(|&tensor| give(tensor, &mut given))?;
    }
    outputs.iter().try_for_each(|port| read(port.tensor, &given, "output of the graph"))?;
    Ok(readers)
}

/// Where the bytes of each buffer are: in the file's tables, or behind them where the file is larger than an offset can say.
fn buffers(model: &Table<'_>, len: usize) -> Result<Vec<Option<Range<usize>>>, Refused> {
    let one = |table: &Table<'_>| {
        if let Some(range) = table.bytes(0)? {
            return Ok(Some(range).filter(|range| !range.is_empty()));
        }
        let [offset, size] = [table.long(1)?, table.long(2)?];
        if offset <= 1 || size == 0 {
            return Ok(None);
        }
        let end = offset.checked_add(size).filter(|&end| end <= len as u64).ok_or_else(|| Refused {
            offset: Some(table.offset()),
            ..Refused::damaged(format!("expected {size} bytes from {offset} on in a file of {len}"))
        })?;
        Ok(Some(offset as usize..end as usize))
    };
    model.tables(4)?.iter().map(one).collect()
}

/// The name of each code, and whether it is an operator of the writer's own.
fn operators<'a>(model: &Table<'a>) -> Result<Vec<(&'a str, bool)>, Refused> {
    const CUSTOM: &str = "CUSTOM";
    let one = |table: &Table<'a>| {
        // Numbers that one byte cannot say are elsewhere.
        let code = i32::from(table.byte(0)?.cast_signed()).max(table.int(3)?.unwrap_or(0));
        let name = usize::try_from(code).ok().and_then(|code| OPERATORS.get(code)).copied();
        let name = name.ok_or_else(|| Refused {
            offset: Some(table.offset()),
            ..Refused::damaged(format!("expected an operator, 0 to {}, got {code}", OPERATORS.len() - 1))
        })?;
        let custom = name == CUSTOM;
        Ok((if custom { table.text(1)?.unwrap_or(CUSTOM) } else { name }, custom))
    };
    model.tables(1)?.iter().map(one).collect()
}

/// What the signature of the first graph calls its inputs and outputs.
fn signature<'a>(model: &Table<'a>) -> Result<[HashMap<i32, &'a str>; 2], Refused> {
    let mut found = [HashMap::new(), HashMap::new()];
    for table in model.tables(7)? {
        if table.int(4)?.unwrap_or(0) != 0 {
            continue;
        }
        for (field, found) in found.iter_mut().enumerate() {
            for map in table.tables(field)? {
                if let Some(name) = map.text(0)? {
                    found.insert(map.int(1)?.unwrap_or(0), name);
                }
            }
        }
        break;
    }
    Ok(found)
}

impl<'a> Tensor<'a> {
    fn new(table: &Table<'a>, buffers: &[Option<Range<usize>>]) -> Result<Tensor<'a>, Refused> {
        let mut shape = table.ints(0)?.unwrap_or_default();
        // Open sizes are 1 in the one list, and −1 in the other.
        if let Some(open) = table.ints(7)?.filter(|open| open.len() == shape.len()) {
            shape.iter_mut().zip(open).filter(|(_, open)| *open == -1).for_each(|(size, open)| *size = open);
        }
        if shape.len() > MOST_DIMENSIONS {
            return Err(Refused::damaged(format!(
                "dimensions: expected {MOST_DIMENSIONS} at most, got {}",
                shape.len()
            )));
        }
        let buffer = table.int(2)?.unwrap_or(0).cast_unsigned() as usize;
        let data = buffers.get(buffer).cloned().ok_or_else(|| {
            let expected = format!("expected the number of one of {} buffers", buffers.len());
            Refused { offset: Some(table.offset()), ..Refused::damaged(format!("{expected}, got {buffer}")) }
        });
        // A file without any has no constants.
        let data = if buffers.is_empty() && buffer == 0 { None } else { data? };
        let foreign = if table.byte(5)? != 0 {
            Some("a state that the net keeps")
        } else if table.table(6)?.is_some() {
            Some("sparse weights")
        } else if table.int(10)?.unwrap_or(0) != 0 {
            Some("weights in another file")
        } else {
            None
        };
        let scales = table.table(4)?.map_or(Ok(0), |quantisation| quantisation.count(2))?;
        let element = table.byte(1)?;
        let floats = [element::FLOAT32, element::FLOAT16, element::FLOAT64, element::BFLOAT16];
        Ok(Tensor {
            name: table.text(3)?.unwrap_or(""),
            shape,
            element,
            data,
            quantised: scales > 0 && !floats.contains(&element),
            foreign,
            offset: table.offset(),
        })
    }

    /// Where it is described.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl<'a> Node<'a> {
    fn new(
        table: &Table<'a>,
        operators: &[(&'a str, bool)],
        tensors: usize,
        what: &str,
    ) -> Result<Node<'a>, Cause> {
        let read = |problem: Refused| problem.of(what);
        let code = table.int(0).map_err(read)?.unwrap_or(0);
        let (op, custom) = operators[number(code, operators.len(), what)?];
        let list = |field: usize| Ok::<_, Cause>(table.ints(field).map_err(read)?.unwrap_or_default());
        let one = |&at: &i32| if at == -1 { Ok(None) } else { number(at, tensors, what).map(Some) };
        let inputs = list(1)?.iter().map(one).collect::<Result<_, _>>()?;
        let outputs = list(2)?.iter().map(|&at| number(at, tensors, what)).collect::<Result<_, _>>()?;
        let kind = table.byte(3).map_err(read)?;
        let options = table.table(4).map_err(read)?;
        match options_of(op) {
            Some(expected) if kind != 0 && kind != expected => {
                return Err(Cause::damaged(
                    what,
                    format!("options of {op}: expected table {expected}, got {kind}"),
                ));
            }
            _ => {}
        }
        Ok(Node { name: String::new(), op, custom, inputs, outputs, options: options.filter(|_| kind != 0) })
    }

    /// A byte of its options: a truth or a choice.
    pub fn byte(&self, field: usize) -> Result<u8, Refused> {
        self.options.as_ref().map_or(Ok(0), |options| options.byte(field))
    }

    pub fn flag(&self, field: usize) -> Result<bool, Refused> {
        self.byte(field).map(|flag| flag != 0)
    }

    /// A number of its options.
    pub fn int(&self, field: usize, default: i32) -> Result<i32, Refused> {
        let number = self.options.as_ref().map_or(Ok(None), |options| options.int(field));
        number.map(|number| number.unwrap_or(default))
    }

    /// The same, of at least 1.
    pub fn size(&self, what: &str, field: usize, default: i32) -> Result<usize, Refused> {
        let size = self.int(field, default)?;
        let refused = || Refused::expected_got(what, "a number of at least 1", size);
        usize::try_from(size).ok().filter(|&size| size > 0).ok_or_else(refused)
    }

    pub fn float(&self, field: usize, default: f32) -> Result<f32, Refused> {
        let number = self.options.as_ref().map_or(Ok(None), |options| options.float(field));
        number.map(|number| number.unwrap_or(default))
    }

    pub fn ints(&self, field: usize) -> Result<Option<Vec<i32>>, Refused> {
        self.options.as_ref().map_or(Ok(None), |options| options.ints(field))
    }
}
