//! ONNX.
//!
//! Operators take channels first, the model has them last. Nothing is moved for that: each value knows in which order its tensor
//! has the axes, and is transposed where an operator wants another, at most once for each order; weights are turned while they
//! are written. An image is transposed at the input, and no more: functions, sums and concatenations take any order, a permutation
//! is other words, and dense layers behind a flatten have their rows in the order of the map.

mod array;
mod exporter;
mod file;
mod layers;
mod order;

use super::{Cause, ExportOptions};
use crate::import::Unsupported;
use crate::import::onnx::proto::{
    DimensionProto, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use bantam::{ChannelOrder, Metadata, Model};
use exporter::{Exporter, Tensor, Value};
use serde_json::json;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::Path;

/// Versions of operators that mean here what they mean in all of them: 13 brought most of today's forms.
const OPSETS: RangeInclusive<u32> = 13..=28;

/// The version if nothing needs a later one: it has layer normalisation, and programs of 2022 read it (ONNX 1.12, ONNX Runtime 1.12).
const OPSET: u32 = 17;

/// The version of the file's messages that came with an opset (onnx 1.23.2, `helper.VERSION_TABLE`): programs refuse later ones
/// than they know.
fn ir_version(opset: u32) -> i64 {
    match opset {
        ..=14 => 7,
        15..=18 => 8,
        19..=20 => 9,
        21..=22 => 10,
        23 => 11,
        24 => 12,
        25..=27 => 13,
        _ => 14,
    }
}

/// Writes a model to a file, and large weights to another beside it.
pub fn export(model: &Model<'_>, path: &Path, options: &ExportOptions) -> Result<(), Cause> {
    export_within(model, path, options, file::MOST)
}

/// The same, with no more than that many bytes of weights in the model's file.
fn export_within(model: &Model<'_>, path: &Path, options: &ExportOptions, most: u64) -> Result<(), Cause> {
    if let Some(got) = options.opset.filter(|opset| !OPSETS.contains(opset)) {
        let expected = format!("{} to {}", OPSETS.start(), OPSETS.end());
        return Err(Cause::Option { what: "opset", expected, got: got.to_string() });
    }
    let mut exporter = Exporter::new(model, options.batch, options.opset, OPSET);
    let mut graph = GraphProto { name: "bantam".into(), ..GraphProto::default() };
    for (index, shape) in model.input_shapes().iter().enumerate() {
        let name = if index == 0 { "input".into() } else { format!("input_{index}") };
        let (name, rank) = (exporter.unique(&name), shape.rank());
        let order = if options.channels_first { order::channels_first(rank) } else { order::natural(rank) };
        graph.input.push(port(&name, shape.dims(), &order, options.batch));
        let tensors = vec![Tensor { name, order }];
        exporter.values.push(Value { dims: shape.dims().to_vec(), tensors, turned: None });
    }
    let mut refused = Vec::new();
    for (at, node) in model.nodes().iter().enumerate() {
        if let Err(part) = layers::write(&mut exporter, at) {
            refused.push(Unsupported { name: node.name().into(), ..part });
            // Those behind it are looked at too.
            let order = order::natural(node.output_shape().rank());
            exporter.set(at, node.name().into(), order);
        }
    }
    if !refused.is_empty() {
        return Err(Cause::Unsupported(refused));
    }
    for &value in model.outputs() {
        let name = output(&mut exporter, value, &graph);
        let dims = &exporter.values[value].dims;
        graph.output.push(port(&name, dims, &order::natural(dims.len()), options.batch));
    }
    graph.node = std::mem::take(&mut exporter.nodes);
    let head = ModelProto {
        ir_version: ir_version(exporter.opset),
        producer_name: "bantam".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: exporter.opset.into() }],
        metadata_props: metadata(&model.metadata()?),
        ..ModelProto::default()
    };
    file::write(&head, &graph, &exporter.arrays, path, most)
}

/// The name of the tensor that an output is, as the model has it: a copy if that is an input, or another output, too.
fn output(exporter: &mut Exporter<'_>, value: usize, graph: &GraphProto) -> String {
    let order = order::natural(exporter.values[value].dims.len());
    let tensor = exporter.read(value, &order);
    let name = exporter.value_name(value);
    let taken = graph.output.iter().chain(&graph.input).any(|port| port.name == tensor);
    if tensor == name && !taken {
        return name;
    }
    let name = if exporter.is_given(&name) { exporter.unique(&name) } else { name };
    exporter.operator(
        &format!("{name}/identity"),
        "Identity",
        &[tensor],
        std::slice::from_ref(&name),
        vec![],
    );
    name
}

/// A batch of samples of these sizes, as an input or an output of the graph.
fn port(name: &str, dims: &[usize], order: &[usize], batch: Option<usize>) -> ValueInfoProto {
    let known = |size: usize| DimensionProto { dim_value: Some(size as i64), dim_param: None };
    let open = DimensionProto { dim_value: None, dim_param: Some("batch".into()) };
    let size = |&axis: &usize| match axis.checked_sub(1) {
        Some(axis) => known(dims[axis]),
        None => batch.map_or_else(|| open.clone(), known),
    };
    let shape = Some(TensorShapeProto { dim: order.iter().map(size).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: 1, shape });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

/// What the model says beside the net, by keys.
fn metadata(metadata: &Metadata) -> Vec<StringStringEntryProto> {
    let Metadata { class_names, scaling, channel_order, notes } = metadata;
    let mut entries = Vec::new();
    let mut add = |key: &str, value: String| entries.push(StringStringEntryProto { key: key.into(), value });
    if !class_names.is_empty() {
        add("class_names", json!(class_names).to_string());
    }
    if !scaling.is_empty() {
        let pairs: Vec<[f32; 2]> = scaling.iter().map(|scaling| [scaling.scale, scaling.offset]).collect();
        add("scaling", json!(pairs).to_string());
    }
    if *channel_order == ChannelOrder::Bgr {
        add("channel_order", "BGR".into());
    }
    for (key, value) in notes {
        add(key, value.clone());
    }
    // The checker wants each key once.
    let mut known = HashSet::new();
    entries.retain(|entry| known.insert(entry.key.clone()));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{ImportOptions, import};
    use bantam::Sequential;
    use std::fs;

    /// `onnx_exports.py` holds the two files against each other too.
    #[test]
    fn weights_of_large_models_go_to_a_file_beside() {
        let folder = tempfile::tempdir().unwrap();
        let folder = std::env::var_os("BANTAM_EXPORTS").map_or(folder.path().to_path_buf(), Into::into);
        let path = folder.join("beside.onnx");
        let model = Sequential::new([8, 8, 3]).conv2d(20, 3).relu().conv2d(7, 3).flatten().dense(5);
        let model = model.build(1).unwrap();
        export_within(&model, &path, &ExportOptions::new(), 4 * model.parameter_count() as u64 - 1).unwrap();
        let beside = fs::metadata(folder.join("beside.onnx.data")).unwrap().len();
        // Three kernels; biases stay in the model's file. Each begins at a page.
        assert_eq!(beside, 4096 + 2 * 4096 + 4 * 112 * 5);
        assert!(fs::metadata(&path).unwrap().len() < 4096);
        let back = import(&path, &ImportOptions::new()).unwrap().model;
        for (a, b) in model.parameters().iter().zip(back.parameters()) {
            assert_eq!(a.values(), b.values());
        }
        export(&model, &folder.join("inside.onnx"), &ExportOptions::new()).unwrap();
        let back = import(folder.join("inside.onnx"), &ImportOptions::new()).unwrap().model;
        assert_eq!(back.parameters()[0].values(), model.parameters()[0].values());
    }
}
