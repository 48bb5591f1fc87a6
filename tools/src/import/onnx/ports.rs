//! Inputs and outputs of the net.

use super::arrangement::{Arrangement, Factor, size};
use super::graph::{Graph, Node};
use super::importer::{Importer, Map, Value};
use super::layout;
use super::proto::{DimensionProto, ValueInfoProto};
use super::tensor::{BFLOAT16, DOUBLE, FLOAT, FLOAT16, type_name};
use crate::import::constant::{Int, elements};
use crate::import::net::Id;
use crate::import::refused::Refused;
use crate::import::{ImportOptions, Port, Unsupported};

/// The most dimensions of a sample.
pub const MOST_OF_A_SAMPLE: usize = bantam::Shape::MAX_RANK - 1;

impl Importer<'_> {
    /// Makes the inputs, channels last, and tells which cannot be.
    pub fn inputs(&mut self, options: &ImportOptions) -> Vec<Unsupported> {
        let readers = layout::readers(self.graph);
        let mut refused = Vec::new();
        let known = |info: &ValueInfoProto| dims(info).and_then(|dims| dims.first().and_then(size_of));
        let graph = self.graph;
        let batches: Vec<Option<usize>> = graph.inputs.iter().map(|(_, info)| known(info)).collect();
        if let [Some(first), others @ ..] = &batches[..] {
            if let Some(other) = others.iter().position(|other| other != &Some(*first) && other.is_some()) {
                let got = others[other].unwrap_or_default();
                let problem = Refused::expected_got(
                    "first dimension",
                    format!("the batch, {first} as of the first input"),
                    got,
                );
                refused.push(problem.part(&graph.inputs[other + 1].1.name));
            } else if others.iter().all(Option::is_some) {
                self.batch = Int::Known(*first as i64);
            }
        }
        for &(value, info) in &graph.inputs {
            match self.input(value, info, &readers, options) {
                Ok(map) => self.values[value] = Value::Map(map),
                Err(problem) => refused.push(problem.part(&info.name)),
            }
        }
        refused
    }

    fn input(
        &mut self,
        value: usize,
        info: &ValueInfoProto,
        readers: &[Vec<usize>],
        options: &ImportOptions,
    ) -> Result<Map, Refused> {
        let tensor = info.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
        let tensor = tensor.ok_or_else(|| Refused::new("input: expected a tensor"))?;
        if ![FLOAT, DOUBLE, FLOAT16, BFLOAT16].contains(&tensor.elem_type) {
            let line = format!(
                "{}: elements of {} in the file, floats of the same values here",
                info.name,
                type_name(tensor.elem_type)
            );
            self.report.notes.push(line);
        }
        let told = dims(info).ok_or_else(|| Refused::new("input: expected a shape, found none"))?;
        let rank = told.len();
        if !(1..=MOST_OF_A_SAMPLE + 1).contains(&rank) {
            return Err(Refused::expected_got("dimensions", "the batch, and up to four", rank));
        }
        let channels = layout::channels(self.graph, readers, value, rank);
        let sizes = self.sizes(info, told, channels, options)?;
        elements(&sizes)?;
        let usual = |sizes: &[usize]| if matches!(sizes[3], 1 | 3) && sizes[1] > 4 { 3 } else { 1 };
        let channels = channels.or_else(|| (rank == 4).then(|| usual(&sizes))).filter(|&axis| axis > 0);
        let axes: Vec<usize> = (1..rank).filter(|&axis| Some(axis) != channels).chain(channels).collect();
        let mut lies = Arrangement::of_samples(&sizes[1..], &mut self.factors);
        lies.order = axes.iter().flat_map(|&axis| lies.axes[axis].clone()).collect();
        let here: Vec<usize> = axes.iter().map(|&axis| sizes[axis]).collect();
        let turned = axes.windows(2).any(|pair| pair[0] > pair[1]);
        self.report
            .inputs
            .push(Port { name: info.name.clone(), channels_first: turned && channels == Some(1) });
        if turned {
            let line = format!(
                "input \"{}\": [N, {}] in the file, [N, {}] here",
                info.name,
                list(&sizes[1..]),
                list(&here)
            );
            self.report.notes.push(line);
        }
        let here = if here.is_empty() { vec![1] } else { here };
        let id = self.net.input(here);
        Ok(Map { id, lies, exclusive: false })
    }

    /// The sizes of an input, of which the first does not matter.
    fn sizes(
        &self,
        info: &ValueInfoProto,
        told: &[DimensionProto],
        channels: Option<usize>,
        options: &ImportOptions,
    ) -> Result<Vec<usize>, Refused> {
        let pixels: Vec<usize> = (1..told.len()).filter(|&axis| axis != channels.unwrap_or(1)).collect();
        let mut sizes = vec![1];
        let mut open = Vec::new();
        for (axis, dim) in told.iter().enumerate().skip(1) {
            let name = called(info, axis, dim);
            let at = pixels.iter().position(|&pixel| pixel == axis);
            let by_pixels =
                || options.input_size.filter(|_| pixels.len() == 2).and_then(|size| size.get(at?).copied());
            let given = size_of(dim).or_else(|| options.dimension_of(&name)).or_else(by_pixels);
            match given {
                Some(size) => sizes.push(size),
                None => open.push(name),
            }
        }
        if open.is_empty() {
            return Ok(sizes);
        }
        let advice = "give it by ImportOptions::dimension or --dimension NAME=SIZE";
        Err(Refused::expected_got(
            "dimensions",
            "sizes",
            format!("\"{}\", which is open", open.join("\", \"")),
        )
        .advice(advice))
    }

    /// Puts the outputs into the order of the file, except that channels which come first there are last, and tells which cannot
    /// be.
    pub fn outputs(&mut self, refused: &mut Vec<Unsupported>) -> Vec<Id> {
        let graph = self.graph;
        let mut ids = Vec::new();
        for &output in &graph.outputs {
            match self.values[output].clone() {
                Value::Map(map) => match self.output(graph.names[output], &map) {
                    Ok(id) => ids.push(id),
                    Err(problem) => refused.push(problem.part(graph.names[output])),
                },
                Value::Constant(_) | Value::Filled(_) => {
                    refused.push(
                        Refused::new("output: expected one that depends on the input, got a constant")
                            .part(graph.names[output]),
                    );
                }
                Value::Unknown => {}
            }
        }
        ids
    }

    fn output(&mut self, name: &str, map: &Map) -> Result<Id, Refused> {
        let lies = &map.lies;
        let Some((first, others)) = lies.axes.split_first() else {
            return Err(Refused::new("output: expected a batch"));
        };
        if first.first() != Some(&Factor::BATCH) || (first.len() > 1 && self.batch != Int::Known(1)) {
            return Err(Refused::expected_got("output", "the batch as the first dimension", self.shape(map)));
        }
        let mut groups: Vec<Vec<Factor>> = others.to_vec();
        if first.len() > 1 {
            groups.insert(0, first[1..].to_vec());
        }
        let mut channels_first = false;
        if let [channels, pixels @ ..] = &groups[..]
            && first.len() == 1
            && lies.order != lies.logical()
            && lies.order == [&pixels.concat()[..], channels].concat()
        {
            let sizes: Vec<usize> = groups.iter().map(|group| size(group)).collect();
            groups.rotate_left(1);
            let here: Vec<usize> = groups.iter().map(|group| size(group)).collect();
            channels_first = true;
            self.report.notes.push(format!(
                "output \"{name}\": [N, {}] in the file, [N, {}] here",
                list(&sizes),
                list(&here)
            ));
        }
        if groups.is_empty() {
            groups.push(Vec::new());
        }
        if groups.len() > MOST_OF_A_SAMPLE {
            return Err(Refused::expected_got(
                "output",
                "the batch, and up to four dimensions",
                self.shape(map),
            ));
        }
        self.report.outputs.push(Port { name: name.into(), channels_first });
        // Layers that put it so are called by its name.
        let proto = super::proto::NodeProto::default();
        let node = Node { name, proto: &proto, inputs: Vec::new(), outputs: Vec::new(), opset: 0 };
        let groups: Vec<&[Factor]> = groups.iter().map(|group| &group[..]).collect();
        let id = self.laid(&node, map, &groups);
        if self.net.layer_of(id).is_some() {
            return Ok(id);
        }
        // A net has a layer at least, even if the file only says its input in other words.
        let dims = self.net.dims(id).to_vec();
        let same: Vec<i32> = dims.iter().map(|&dim| i32::try_from(dim).unwrap_or(i32::MAX)).collect();
        Ok(self.net.layer(name, bantam::Reshape::new(same), &[id], dims))
    }
}

fn dims(info: &ValueInfoProto) -> Option<&[DimensionProto]> {
    Some(&info.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?.dim)
}

/// What that axis of an input is called.
fn called(info: &ValueInfoProto, axis: usize, dim: &DimensionProto) -> String {
    match &dim.dim_param {
        Some(name) if !name.is_empty() => name.clone(),
        _ => format!("{}.{axis}", info.name),
    }
}

/// What the axes behind the batch are called whose sizes the file leaves open.
pub fn open(graph: &Graph<'_>) -> Vec<String> {
    let mut open = Vec::new();
    for (_, info) in &graph.inputs {
        for (axis, dim) in dims(info).unwrap_or_default().iter().enumerate().skip(1) {
            let name = called(info, axis, dim);
            if size_of(dim).is_none() && !open.contains(&name) {
                open.push(name);
            }
        }
    }
    open
}

/// A size that the file says.
fn size_of(dim: &DimensionProto) -> Option<usize> {
    dim.dim_value.and_then(|size| usize::try_from(size).ok()).filter(|&size| size > 0)
}

fn list(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}
