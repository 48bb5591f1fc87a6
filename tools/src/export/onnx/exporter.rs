//! A graph that grows: tensors with the order of their axes, operators, initialisers.

use super::array::{Array, Data, Floats};
use super::order::{channels_first, is_same, letters, natural, permutation};
use crate::import::Unsupported;
use crate::import::onnx::proto::{AttributeProto, NodeProto};
use bantam::{Model, Node, Parameter};
use prost::bytes::Bytes;
use std::collections::HashSet;

/// A tensor of the graph, and which axis of its value each of its axes is.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub name: String,
    pub order: Vec<usize>,
}

/// A value of the model.
#[derive(Clone, Debug)]
pub struct Value {
    /// Of a sample.
    pub dims: Vec<usize>,
    /// The first is the one that was computed, the others are made of it.
    pub tensors: Vec<Tensor>,
    /// Sizes of the map that this was before it was flattened in another order than the model's, and that order. Dense layers
    /// alone read it, whose rows are put in that order.
    pub turned: Option<(Vec<usize>, Vec<usize>)>,
}

/// What is known so far.
pub struct Exporter<'m> {
    pub model: &'m Model<'m>,
    pub nodes: Vec<NodeProto>,
    pub arrays: Vec<Array<'m>>,
    pub values: Vec<Value>,
    /// As the caller told it.
    pub told_opset: Option<u32>,
    /// The oldest that has all operators so far.
    pub opset: u32,
    batch: Option<usize>,
    tensor_names: HashSet<String>,
    node_names: HashSet<String>,
}

/// Why a layer cannot go out.
pub fn refused(what: impl Into<String>, advice: &str) -> Unsupported {
    Unsupported { name: String::new(), what: what.into(), advice: advice.into() }
}

/// An attribute that is a whole number.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value), r#type: 2, ..AttributeProto::default() }
}

/// An attribute that is some sizes.
pub fn ints(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|&value| value as i64).collect();
    AttributeProto { name: name.into(), ints, r#type: 7, ..AttributeProto::default() }
}

/// An attribute that is a number.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f: Some(value), r#type: 1, ..AttributeProto::default() }
}

/// An attribute that is a word.
pub fn word(name: &str, value: &'static str) -> AttributeProto {
    let s = Some(Bytes::from_static(value.as_bytes()));
    AttributeProto { name: name.into(), s, r#type: 3, ..AttributeProto::default() }
}

impl<'m> Exporter<'m> {
    /// Names of the model's nodes are theirs alone.
    pub fn new(
        model: &'m Model<'m>,
        batch: Option<usize>,
        told_opset: Option<u32>,
        least: u32,
    ) -> Exporter<'m> {
        let names: HashSet<String> = model.nodes().iter().map(|node| node.name().into()).collect();
        Exporter {
            model,
            nodes: Vec::new(),
            arrays: Vec::new(),
            values: Vec::new(),
            told_opset,
            opset: told_opset.unwrap_or(least),
            batch,
            tensor_names: names.clone(),
            node_names: names,
        }
    }

    /// The node of that index.
    pub fn node(&self, at: usize) -> &'m Node<'m> {
        &self.model.nodes()[at]
    }

    /// The name of that node.
    pub fn name(&self, at: usize) -> &'m str {
        self.node(at).name()
    }

    /// What a node reads.
    pub fn inputs(&self, at: usize) -> &'m [usize] {
        self.model.inputs_of(self.node(at))
    }

    /// Sizes of the node's output, of a sample.
    pub fn output(&self, at: usize) -> Vec<usize> {
        self.node(at).output_shape().dims().to_vec()
    }

    /// Weights of a node, if it has any of that name.
    pub fn weights(&self, at: usize, name: &str) -> Option<&'m Parameter<'m>> {
        self.model.parameters_of(self.node(at)).iter().find(|weights| weights.name() == name)
    }

    /// Whether the caller wants operators of that version.
    pub fn has(&self, opset: u32) -> bool {
        self.told_opset.is_some_and(|told| told >= opset)
    }

    /// Says that an operator is of that version.
    pub fn need(&mut self, opset: u32, operator: &str) -> Result<(), Unsupported> {
        if let Some(told) = self.told_opset.filter(|&told| told < opset) {
            let what = format!("{operator}: expected opset {opset} or later, got {told}");
            return Err(refused(what, "leave out --opset"));
        }
        self.opset = self.opset.max(opset);
        Ok(())
    }

    /// A name that no tensor has yet.
    pub fn unique(&mut self, name: &str) -> String {
        unique(&mut self.tensor_names, name)
    }

    /// The size of a tensor's axis that is the batch, -1 if it is open.
    pub fn samples(&self) -> i64 {
        self.batch.map_or(-1, |samples| samples as i64)
    }

    /// Adds an operator with some outputs; an empty name is none.
    pub fn operator(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[String],
        outputs: &[String],
        attribute: Vec<AttributeProto>,
    ) {
        self.nodes.push(NodeProto {
            input: inputs.to_vec(),
            output: outputs.to_vec(),
            name: name.into(),
            op_type: op.into(),
            attribute,
            ..NodeProto::default()
        });
    }

    /// Adds an operator that is a part of a node, and gives its output.
    pub fn part(
        &mut self,
        at: usize,
        part: &str,
        op: &str,
        inputs: &[String],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let name = format!("{}/{part}", self.name(at));
        let name = unique(&mut self.node_names, &name);
        let output = self.unique(&name);
        self.operator(&name, op, inputs, std::slice::from_ref(&output), attributes);
        output
    }

    /// The name of the tensor that a node gives in that order. The model's own order has the node's name.
    pub fn output_name(&mut self, at: usize, order: &[usize]) -> String {
        match self.name(at) {
            name if order.is_sorted() => name.into(),
            name => self.unique(&format!("{name}/{}", letters(order))),
        }
    }

    /// Adds the operator that a node is, or the last of its, whose output is in that order.
    pub fn give(
        &mut self,
        at: usize,
        op: &str,
        inputs: &[String],
        attributes: Vec<AttributeProto>,
        order: Vec<usize>,
    ) {
        let name = self.output_name(at, &order);
        self.operator(self.name(at), op, inputs, std::slice::from_ref(&name), attributes);
        self.set(at, name, order);
    }

    /// Says which tensor a node's output is.
    pub fn set(&mut self, at: usize, name: String, order: Vec<usize>) {
        let tensors = vec![Tensor { name, order }];
        self.values.push(Value { dims: self.output(at), tensors, turned: None });
    }

    /// The tensor that was computed of a value.
    pub fn native(&self, value: usize) -> Tensor {
        self.values[value].tensors[0].clone()
    }

    /// The name of a value's tensor in that order, which is transposed if there is none yet.
    pub fn read(&mut self, value: usize, order: &[usize]) -> String {
        let Value { dims, tensors, .. } = &self.values[value];
        if let Some(tensor) = tensors.iter().find(|tensor| tensor.order == order) {
            return tensor.name.clone();
        }
        let (first, dims) = (tensors[0].clone(), dims.clone());
        let owner = self.value_name(value);
        let output = if order.is_sorted() && !self.is_given(&owner) {
            owner.clone()
        } else {
            self.unique(&format!("{owner}/{}", letters(order)))
        };
        let node = unique(&mut self.node_names, &format!("{output}/transpose"));
        if is_same(&first.order, order, &dims) {
            let shape = self.shape_of(&output, &dims, order, &first.order);
            self.operator(&node, "Reshape", &[first.name, shape], std::slice::from_ref(&output), vec![]);
        } else {
            let perm = ints("perm", &permutation(&first.order, order));
            self.operator(&node, "Transpose", &[first.name], std::slice::from_ref(&output), vec![perm]);
        }
        self.values[value].tensors.push(Tensor { name: output.clone(), order: order.to_vec() });
        output
    }

    /// The only input of a node, channels first.
    pub fn read_channels_first(&mut self, at: usize) -> String {
        let value = self.inputs(at)[0];
        self.read(value, &channels_first(self.values[value].dims.len()))
    }

    /// All inputs of a node in one order: the first of them that is not the model's.
    pub fn read_alike(&mut self, at: usize) -> (Vec<String>, Vec<usize>) {
        let values = self.inputs(at);
        let order = values.iter().map(|&value| self.native(value).order).find(|order| !order.is_sorted());
        let order = order.unwrap_or_else(|| natural(self.values[values[0]].dims.len()));
        (values.iter().map(|&value| self.read(value, &order)).collect(), order)
    }

    /// The name of a value: its node's, or its input's.
    pub fn value_name(&self, value: usize) -> String {
        match value.checked_sub(self.model.input_shapes().len()) {
            Some(at) => self.name(at).into(),
            None => self.values[value].tensors[0].name.clone(),
        }
    }

    /// Whether an operator gives a tensor of that name, or an input has it.
    pub fn is_given(&self, name: &str) -> bool {
        let inputs = &self.values[..self.model.input_shapes().len().min(self.values.len())];
        inputs.iter().any(|input| input.tensors[0].name == name)
            || self.nodes.iter().any(|node| node.output.iter().any(|output| output == name))
    }

    /// Adds an array, or gives the name of one that is the same.
    pub fn array(&mut self, name: &str, dims: &[usize], data: Data<'m>) -> String {
        let mut array = Array { name: String::new(), dims: dims.to_vec(), data };
        if let Some(same) = self.arrays.iter().find(|known| known.is(&array)) {
            return same.name.clone();
        }
        array.name = self.unique(name);
        self.arrays.push(array);
        self.arrays[self.arrays.len() - 1].name.clone()
    }

    /// Adds numbers that belong to a node.
    pub fn floats(&mut self, at: usize, name: &str, dims: &[usize], floats: Floats<'m>) -> String {
        self.array(&format!("{}/{name}", self.name(at)), dims, Data::Floats(floats))
    }

    /// Adds weights of a node as they are, if it has any of that name.
    pub fn vector(&mut self, at: usize, name: &str) -> Option<String> {
        let weights = self.weights(at, name)?;
        Some(self.floats(at, name, weights.shape().dims(), Floats::new(weights.values())))
    }

    /// Adds one number for each channel, as many as there are weights of that name.
    pub fn vector_or(&mut self, at: usize, name: &str, channels: usize, value: f32) -> String {
        self.vector(at, name)
            .unwrap_or_else(|| self.floats(at, name, &[channels], Floats::new(vec![value; channels])))
    }

    /// Adds a number by itself.
    pub fn scalar(&mut self, value: f32) -> String {
        self.array(&format!("constant/{value}"), &[], Data::Floats(Floats::new(vec![value])))
    }

    /// Adds whole numbers that belong to a node.
    pub fn whole(&mut self, at: usize, name: &str, numbers: Vec<i64>) -> String {
        self.array(&format!("{}/{name}", self.name(at)), &[numbers.len()], Data::Ints(numbers))
    }

    /// Adds the shape of a tensor with the axes of a value in that order, made of one in another.
    fn shape_of(&mut self, name: &str, dims: &[usize], order: &[usize], from: &[usize]) -> String {
        let batch = if order[0] == 0 && from[0] == 0 { 0 } else { self.samples() };
        let size = |&axis: &usize| if axis == 0 { batch } else { dims[axis - 1] as i64 };
        let sizes: Vec<i64> = order.iter().map(size).collect();
        self.array(&format!("{name}/shape"), &[sizes.len()], Data::Ints(sizes))
    }

    /// Adds the shape of a node's output in that order, made of a tensor in another order.
    pub fn shape(&mut self, at: usize, order: &[usize], from: &[usize]) -> String {
        self.shape_of(self.name(at), &self.output(at), order, from)
    }
}

/// A name that is not among those, to which it is added.
fn unique(names: &mut HashSet<String>, name: &str) -> String {
    let mut candidate = name.to_string();
    let mut number = 0;
    while !names.insert(candidate.clone()) {
        number += 1;
        candidate = format!("{name}_{number}");
    }
    candidate
}
