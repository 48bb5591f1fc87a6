//! ONNX, opset 7 to 28.
//!
//! The file's messages become a graph whose names are checked (`graph`); what depends on no input is computed (`fold`); and each
//! operator becomes layers (`operators`). Nothing is transposed on the way: `arrangement` keeps in which order the axes of each
//! value lie in memory, and operators take their weights in that order.

mod arrangement;
mod external;
mod filled;
mod fold;
mod graph;
mod importer;
mod layout;
mod metadata;
mod operators;
mod patterns;
mod ports;
pub(crate) mod proto;
mod tensor;
mod walk;
mod wire;

use super::constant::{Constant, Int, MOST_COMPUTED};
use super::net::{Built, Net};
use super::{Cause, Import, ImportOptions, Report, Transposes};
use arrangement::Factors;
use bytes::Bytes;
use external::Folder;
use graph::Graph;
use importer::Importer;
use prost::Message;
use proto::ModelProto;
use std::fs;
use std::path::Path;

/// Reads a model from a file, and weights from others in its folder.
pub(super) fn import(path: &Path, options: &ImportOptions) -> Result<Import, Cause> {
    let bytes = fs::read(path).map_err(Cause::Unreadable)?;
    let folder =
        path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    read(Bytes::from(bytes), folder, options)
}

/// Reads a model from the bytes of a file that has all of its weights.
///
/// # Errors
/// As [`import`](super::import).
pub fn from_bytes(bytes: Vec<u8>, options: &ImportOptions) -> Result<Import, Cause> {
    read(Bytes::from(bytes), None, options)
}

fn read(bytes: Bytes, folder: Option<&Path>, options: &ImportOptions) -> Result<Import, Cause> {
    let model = ModelProto::decode(bytes.clone()).map_err(|problem| match wire::damage(&bytes) {
        Some(damage) => {
            Cause::Damaged { what: damage.what, offset: Some(damage.offset as u64), problem: damage.problem }
        }
        None => Cause::damaged("model", problem),
    })?;
    let graph = Graph::new(&model)?;
    options.check_dimensions(ports::open(&graph))?;
    let mut report = Report { format: format!("ONNX, opset {}", graph.opset), ..Report::default() };
    let producer = format!("{} {}", model.producer_name, model.producer_version);
    report.producer = Some(producer.trim().to_string()).filter(|producer| !producer.is_empty());
    graph.nodes.iter().for_each(|node| report.count(node.op()));
    let folder = Folder::new(folder);
    let mut importer = Importer {
        graph: &graph,
        batch: Int::Batch(1),
        factors: Factors::default(),
        net: Net::default(),
        values: vec![importer::Value::Unknown; graph.names.len()],
        roots: vec![Vec::new(); graph.names.len()],
        report: &mut report,
    };
    let mut refused = importer.inputs(options);
    for &(value, tensor) in &graph.constants {
        match tensor::read(tensor, &|tensor| folder.bytes(tensor)) {
            Ok(constant) => {
                if let Constant::Floats(_) = constant {
                    importer.roots[value] = vec![value];
                }
                importer.values[value] = importer::Value::Constant(constant);
            }
            Err(problem) if problem.damaged => {
                return Err(problem.of(&format!("weights \"{}\"", tensor.name)));
            }
            // Said where they are read.
            Err(problem) if graph.readers[value] > 0 => refused.push(problem.part(&tensor.name)),
            Err(_) => {}
        }
    }
    refused.extend(walk::walk(&mut importer, &folder)?);
    let outputs = importer.outputs(&mut refused);
    if !refused.is_empty() {
        return Err(Cause::Unsupported(refused));
    }
    let most = MOST_COMPUTED.saturating_add(bytes.len()).saturating_add(folder.len());
    let Built { model: mut built, permutes: left, shared } = importer.net.build(&outputs, most)?;
    report.notes.extend(shared);
    metadata::read(&model.metadata_props, &mut built, &mut report);
    let transposes = report.operators.get("Transpose").copied().unwrap_or(0);
    report.transposes = Some(Transposes { removed: transposes.saturating_sub(left), left });
    Ok(Import { model: built, report })
}
