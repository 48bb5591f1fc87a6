//! TensorFlow Lite, schema version 3, in floats.
//!
//! The file's tables become a graph whose numbers are checked (`graph`), each layer of which is called by the tensor that it
//! gives (`names`); what depends on no input is computed (`fold`); and each operator becomes layers (`operators`). Channels are
//! last on both sides.

mod flat;
mod fold;
mod graph;
mod importer;
mod names;
mod operators;
mod ports;
mod quantised;
mod schema;
mod tensor;
mod walk;

use super::constant::{Int, MOST_COMPUTED};
use super::net::Net;
use super::{Cause, Import, ImportOptions, Report};
use bytes::Bytes;
use flat::Flat;
use graph::Graph;
use importer::{Importer, Value};
use std::fs;
use std::path::Path;

/// Reads a model from a file.
pub(super) fn import(path: &Path, options: &ImportOptions) -> Result<Import, Cause> {
    from_bytes(fs::read(path).map_err(Cause::Unreadable)?, options)
}

/// Reads a model from the bytes of a file.
///
/// # Errors
/// As [`import`](super::import).
pub fn from_bytes(bytes: Vec<u8>, options: &ImportOptions) -> Result<Import, Cause> {
    let bytes = Bytes::from(bytes);
    let flat = Flat::new(&bytes);
    let graph = Graph::new(&flat, bytes.len())?;
    options.check_dimensions(ports::open(&graph))?;
    let mut report = Report {
        format: "TensorFlow Lite, schema 3".into(),
        producer: graph.producer.clone(),
        ..Report::default()
    };
    graph.nodes.iter().for_each(|node| report.count(node.op));
    if graph.others > 0 {
        let line = format!(
            "{} more in the file, the first is imported",
            crate::draw::count(graph.others as u64, "graph")
        );
        report.notes.push(line);
    }
    if let Some(quantised) = quantised::found(&graph) {
        return Err(Cause::Unsupported(vec![quantised]));
    }
    let most = MOST_COMPUTED.saturating_add(bytes.len());
    let mut importer = Importer {
        graph: &graph,
        batch: Int::Batch(1),
        net: Net::default(),
        values: vec![Value::Unknown; graph.tensors.len()],
        report: &mut report,
        left: most,
    };
    let mut refused = importer.inputs(options);
    refused.extend(importer.constants(&bytes)?);
    refused.extend(walk::walk(&mut importer)?);
    let outputs = importer.outputs(&mut refused);
    if !refused.is_empty() {
        return Err(Cause::Unsupported(refused));
    }
    let model = importer.net.build(&outputs, most)?.model;
    Ok(Import { model, report })
}
