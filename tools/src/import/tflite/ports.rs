//! Inputs and outputs of the net.

use super::graph::Graph;
use super::importer::{Importer, Map, Value, known, shape};
use super::schema::{element, type_name};
use crate::import::constant::{Int, elements};
use crate::import::net::Id;
use crate::import::refused::Refused;
use crate::import::{ImportOptions, Port, Unsupported};

/// The most dimensions of a sample.
const MOST_OF_A_SAMPLE: usize = bantam::Shape::MAX_RANK - 1;

impl Importer<'_> {
    /// Makes the inputs, and tells which cannot be.
    pub fn inputs(&mut self, options: &ImportOptions) -> Vec<Unsupported> {
        let (graph, mut refused) = (self.graph, Vec::new());
        let first = |tensor: usize| graph.tensors[tensor].shape.first().copied();
        let batches: Vec<Option<i32>> = graph.inputs.iter().map(|port| first(port.tensor)).collect();
        if let Some(&Some(batch)) = batches.first()
            && batch > 0
            && batches.iter().all(|other| *other == Some(batch))
        {
            self.batch = Int::Known(batch.into());
        }
        for (port, batch) in graph.inputs.iter().zip(batches) {
            let told = match self.batch {
                Int::Known(_) => Ok(()),
                Int::Batch(_) if batch == Some(-1) => Ok(()),
                Int::Batch(_) => Err(Refused::expected_got(
                    "first dimension",
                    "the batch, as of the other inputs",
                    batch.map_or("none".into(), |batch| batch.to_string()),
                )),
            };
            match told.and_then(|()| self.input(port.tensor, &port.name, options)) {
                Ok(map) => self.values[port.tensor] = Value::Map(map),
                Err(problem) => refused.push(problem.part(&port.name)),
            }
        }
        refused
    }

    fn input(&mut self, tensor: usize, name: &str, options: &ImportOptions) -> Result<Map, Refused> {
        let tensor = &self.graph.tensors[tensor];
        if ![element::FLOAT32, element::FLOAT16].contains(&tensor.element) {
            let line = format!(
                "{name}: elements of {} in the file, floats of the same values here",
                type_name(tensor.element)
            );
            self.report.notes.push(line);
        }
        let rank = tensor.shape.len();
        if !(1..=MOST_OF_A_SAMPLE + 1).contains(&rank) {
            return Err(Refused::expected_got("dimensions", "the batch, and up to four", rank));
        }
        let (mut sizes, mut open) = (Vec::new(), Vec::new());
        for (axis, &dim) in tensor.shape.iter().enumerate().skip(1) {
            let called = called(name, axis);
            let by_pixels =
                || options.input_size.filter(|_| rank == 4).and_then(|size| size.get(axis - 1).copied());
            match size_of(dim).or_else(|| options.dimension_of(&called)).or_else(by_pixels) {
                Some(size) => sizes.push(size),
                None => open.push(called),
            }
        }
        if !open.is_empty() {
            let advice = "give it by ImportOptions::dimension or --dimension NAME=SIZE";
            let got = format!("\"{}\", which is open", open.join("\", \""));
            return Err(Refused::expected_got("dimensions", "sizes", got).advice(advice));
        }
        elements(&sizes)?;
        self.report.inputs.push(Port { name: name.into(), channels_first: false });
        let dims = [vec![self.batch], known(&sizes)].concat();
        let id = self.net.input(if sizes.is_empty() { vec![1] } else { sizes });
        Ok(Map { id, dims, exclusive: false })
    }

    /// The outputs with the sizes that the file has, and which cannot be.
    pub fn outputs(&mut self, refused: &mut Vec<Unsupported>) -> Vec<Id> {
        let graph = self.graph;
        let mut ids = Vec::new();
        for port in &graph.outputs {
            match self.values[port.tensor].clone() {
                Value::Map(map) => match self.output(&port.name, &map) {
                    Ok(id) => ids.push(id),
                    Err(problem) => refused.push(problem.part(&port.name)),
                },
                Value::Constant(_) => {
                    let problem =
                        Refused::new("output: expected one that depends on the input, got a constant");
                    refused.push(problem.part(&port.name));
                }
                Value::Blocks(_) => {
                    let problem = Refused::new("output: expected maps, got their pixels in blocks");
                    refused.push(problem.part(&port.name));
                }
                Value::Unknown => {}
            }
        }
        if graph.outputs.is_empty() {
            refused.push(Refused::new("expected an output, found none").part("graph"));
        }
        ids
    }

    fn output(&mut self, name: &str, map: &Map) -> Result<Id, Refused> {
        if matches!(map.dims.first(), Some(&Int::Batch(times)) if times > 1) {
            return Err(Refused::expected_got(
                "output",
                "the batch as the first dimension",
                shape(&map.dims),
            ));
        }
        let mut sample = self.sample(map)?;
        if sample.is_empty() {
            sample.push(1);
        }
        if sample.len() > MOST_OF_A_SAMPLE {
            return Err(Refused::expected_got(
                "output",
                "the batch, and up to four dimensions",
                shape(&map.dims),
            ));
        }
        self.report.outputs.push(Port { name: name.into(), channels_first: false });
        let id = self.net.reshape(name, map.id, &sample);
        if self.net.layer_of(id).is_some() {
            return Ok(id);
        }
        // A net has a layer at least, even if the file only says its input in other words.
        let same: Vec<i32> = sample.iter().map(|&dim| i32::try_from(dim).unwrap_or(i32::MAX)).collect();
        Ok(self.net.layer(name, bantam::Reshape::new(same), &[id], sample))
    }
}

/// What that axis of an input is called.
fn called(input: &str, axis: usize) -> String {
    format!("{input}.{axis}")
}

/// What the axes behind the batch are called whose sizes the file leaves open.
pub fn open(graph: &Graph<'_>) -> Vec<String> {
    let mut open = Vec::new();
    for port in &graph.inputs {
        let dims = graph.tensors[port.tensor].shape.iter().enumerate().skip(1);
        open.extend(
            dims.filter(|(_, dim)| size_of(**dim).is_none()).map(|(axis, _)| called(&port.name, axis)),
        );
    }
    open
}

/// A size that the file says.
fn size_of(dim: i32) -> Option<usize> {
    usize::try_from(dim).ok().filter(|&size| size > 0)
}
