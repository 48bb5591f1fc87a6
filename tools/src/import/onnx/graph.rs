//! The graph of a file, its names checked and made numbers.

use super::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::import::Cause;
use crate::import::refused::Refused;
use std::collections::HashMap;

/// The opsets whose operators are known: those before have other rules of broadcasting, those after are not there yet.
pub const OPSETS: std::ops::RangeInclusive<i64> = 7..=28;

/// Nodes in an order in which each reads what is there.
pub struct Graph<'a> {
    pub opset: i64,
    /// Of each value.
    pub names: Vec<&'a str>,
    /// What is told when the net runs, with the number of its value.
    pub inputs: Vec<(usize, &'a ValueInfoProto)>,
    pub constants: Vec<(usize, &'a TensorProto)>,
    pub nodes: Vec<Node<'a>>,
    pub outputs: Vec<usize>,
    /// How often each value is read, or is an output.
    pub readers: Vec<usize>,
}

/// An operator of the graph.
#[derive(Clone)]
pub struct Node<'a> {
    /// As the file has it, or its output's name.
    pub name: &'a str,
    pub proto: &'a NodeProto,
    /// Values; those that are left out are `None`.
    pub inputs: Vec<Option<usize>>,
    pub outputs: Vec<Option<usize>>,
    pub opset: i64,
}

impl<'a> Graph<'a> {
    /// # Errors
    /// The opset is not one that is known, or a name is given twice, or read before it is given.
    pub fn new(model: &'a ModelProto) -> Result<Graph<'a>, Cause> {
        let default = |domain: &str| domain.is_empty() || domain == "ai.onnx";
        let opset = model.opset_import.iter().find(|set| default(&set.domain)).map(|set| set.version);
        let opset = opset.ok_or_else(|| {
            let others: Vec<&str> = model.opset_import.iter().map(|set| &set.domain[..]).collect();
            Refused::expected_got("operators", "ONNX's own", format!("those of {others:?}")).of("model")
        })?;
        if !OPSETS.contains(&opset) {
            let (first, last) = (OPSETS.start(), OPSETS.end());
            let advice = "convert it with onnx.version_converter";
            let refused = Refused::expected_got("opset", format!("{first} to {last}"), opset);
            return Err(refused.advice(advice).of("model"));
        }
        let graph =
            model.graph.as_ref().ok_or_else(|| Cause::damaged("model", "expected a graph, found none"))?;
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |values| &values.name);
            return Err(Refused::new("sparse weights").advice("export them dense").of(name));
        }
        let mut values = Values::default();
        let mut constants = Vec::with_capacity(graph.initializer.len());
        for tensor in &graph.initializer {
            constants.push((values.give(&tensor.name)?, tensor));
        }
        let mut inputs = Vec::new();
        for input in &graph.input {
            // Before IR 4 weights are inputs too.
            if !values.numbers.contains_key(input.name.as_str()) {
                inputs.push((values.give(&input.name)?, input));
            }
        }
        let (nodes, outputs) = values.nodes(graph, opset)?;
        let mut readers = vec![0; values.names.len()];
        nodes
            .iter()
            .flat_map(|node| node.inputs.iter().flatten())
            .chain(&outputs)
            .for_each(|&value| readers[value] += 1);
        Ok(Graph { opset, names: values.names, inputs, constants, nodes, outputs, readers })
    }
}

/// Names that were given.
#[derive(Default)]
struct Values<'a> {
    names: Vec<&'a str>,
    numbers: HashMap<&'a str, usize>,
}

impl<'a> Values<'a> {
    fn give(&mut self, name: &'a str) -> Result<usize, Cause> {
        if self.numbers.insert(name, self.names.len()).is_some() {
            return Err(Cause::damaged(
                format!("value \"{name}\""),
                "expected a name that is given once, found it twice",
            ));
        }
        self.names.push(name);
        Ok(self.names.len() - 1)
    }

    fn read(&self, name: &str, by: &str) -> Result<usize, Cause> {
        self.numbers.get(name).copied().ok_or_else(|| {
            let expected = "expected a value that an input, weights or an earlier node give";
            Cause::damaged(by, format!("{expected}, got \"{name}\""))
        })
    }

    fn nodes(&mut self, graph: &'a GraphProto, opset: i64) -> Result<(Vec<Node<'a>>, Vec<usize>), Cause> {
        let mut nodes = Vec::with_capacity(graph.node.len());
        for proto in &graph.node {
            let first = proto.output.iter().find(|name| !name.is_empty()).map_or("", String::as_str);
            let name = if proto.name.is_empty() { first } else { &proto.name };
            let by = format!("node \"{name}\"");
            let read = |input: &String| (!input.is_empty()).then(|| self.read(input, &by)).transpose();
            let inputs = proto.input.iter().map(read).collect::<Result<_, _>>()?;
            let give = |output: &'a String| (!output.is_empty()).then(|| self.give(output)).transpose();
            let outputs = proto.output.iter().map(give).collect::<Result<_, _>>()?;
            nodes.push(Node { name, proto, inputs, outputs, opset });
        }
        let outputs = graph.output.iter().map(|output| self.read(&output.name, "output of the graph"));
        Ok((nodes, outputs.collect::<Result<_, _>>()?))
    }
}

impl<'a> Node<'a> {
    /// What it does.
    pub fn op(&self) -> &'a str {
        &self.proto.op_type
    }

    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// Some writers leave zeros out.
    pub fn int(&self, name: &str) -> Option<i64> {
        const INT: i32 = 2;
        let attribute = self.attribute(name)?;
        attribute.i.or((attribute.r#type == INT).then_some(0))
    }

    /// Whether a number that means yes or no is other than 0.
    pub fn flag(&self, name: &str) -> bool {
        self.int(name).is_some_and(|flag| flag != 0)
    }

    /// As [`int`](Self::int).
    pub fn float(&self, name: &str) -> Option<f32> {
        const FLOAT: i32 = 1;
        let attribute = self.attribute(name)?;
        attribute.f.or((attribute.r#type == FLOAT).then_some(0.0))
    }

    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| &attribute.ints[..])
    }

    pub fn floats(&self, name: &str) -> Option<&'a [f32]> {
        self.attribute(name).map(|attribute| &attribute.floats[..])
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        let bytes = self.attribute(name)?.s.as_ref()?;
        str::from_utf8(bytes).ok()
    }

    pub fn texts(&self, name: &str) -> Option<Vec<&'a str>> {
        self.attribute(name)?.strings.iter().map(|bytes| str::from_utf8(bytes).ok()).collect()
    }

    pub fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        self.attribute(name)?.t.as_ref()
    }

    /// The number of an axis of so many, which may be counted from the last.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn axis(axis: i64, rank: usize) -> Result<usize, Refused> {
        let from_first = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
        let found = from_first.and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis < rank);
        found.ok_or_else(|| Refused::expected_got("axis", format!("-{rank} to {}", rank as i64 - 1), axis))
    }
}
