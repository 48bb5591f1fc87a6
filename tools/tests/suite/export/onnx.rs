//! ONNX files that come back as the model that they were made of.

use super::cases::{Case, OTHER_NETS, SMALL_NETS, layers, net, numbers};
use crate::import::command::npy;
use bantam::{ChannelOrder, GeneralRelu, Metadata, Model, Options, Scaling, Sequential, Session};
use bantam_tools::export::{Cause, ExportOptions, export};
use bantam_tools::import::{Import, ImportOptions, import};
use prost::Message;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const BATCH: usize = 2;

/// Rounding of a sum of some hundred products, or of a function behind one.
const TOLERANCE: f32 = 32.0 * f32::EPSILON;

fn inputs(model: &Model<'_>) -> Vec<Vec<f32>> {
    let shapes = model.input_shapes().iter().enumerate();
    shapes.map(|(i, shape)| numbers(i as u64 + 1, BATCH * shape.elements())).collect()
}

fn run(model: &Model<'_>, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut session = Session::new(model, Options::new(BATCH)).unwrap();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    session.run_all(&inputs).unwrap();
    (0..model.outputs().len()).map(|output| session.output(output).to_vec()).collect()
}

/// Matrices `[outer, inner]`, transposed.
fn turned(values: &[f32], outer: usize, inner: usize) -> Vec<f32> {
    let samples = values.chunks(outer * inner);
    samples.flat_map(|sample| (0..sample.len()).map(|i| sample[i % outer * inner + i / outer])).collect()
}

/// The largest difference, by the largest number.
fn difference(expected: &[Vec<f32>], got: &[Vec<f32>]) -> f32 {
    let mut largest = 0f32;
    for (expected, got) in expected.iter().zip(got) {
        assert_eq!(expected.len(), got.len());
        let scale = expected.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
        for (a, b) in expected.iter().zip(got) {
            largest =
                if a.is_nan() || b.is_nan() { f32::INFINITY } else { largest.max((a - b).abs() / scale) };
        }
    }
    largest
}

/// A model that went out and came in again, and how far its outputs are from the model's.
fn there_and_back(case: &Case, options: &ExportOptions) -> Result<(f32, Import), String> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("net.onnx");
    export(&case.model, &path, options).map_err(|problem| problem.to_string())?;
    let back = import(&path, &ImportOptions::new()).map_err(|problem| problem.to_string())?;
    let inputs = inputs(&case.model);
    let expected = run(&case.model, &inputs);
    let shapes = case.model.input_shapes().iter().zip(back.model.input_shapes());
    let turned_inputs = inputs.iter().zip(shapes).map(|(input, (shape, back))| match *shape.dims() {
        // No operator told which axis has the channels.
        [first, ref others @ ..] if shape != back => turned(input, first, others.iter().product()),
        _ => input.clone(),
    });
    let mut got = run(&back.model, &turned_inputs.collect::<Vec<_>>());
    for ((got, port), shape) in got.iter_mut().zip(&back.report.outputs).zip(case.model.output_shapes()) {
        if let (true, &[channels, ref pixels @ ..]) = (port.channels_first, shape.dims()) {
            *got = turned(got, pixels.iter().product(), channels);
        }
    }
    Ok((difference(&expected, &got), back))
}

/// Layers that want their numbers in an order of their own, or turn them.
fn may_turn(name: &str) -> bool {
    ["permute", "shuffle", "softmax_rows", "softmax_columns", "reshape", "group_normalization_vector"]
        .iter()
        .any(|part| name.starts_with(part))
}

#[test]
fn layers_come_back() {
    let mut wrong = Vec::new();
    let cases = layers();
    for case in cases.iter().filter(|case| case.comes_back) {
        match there_and_back(case, &ExportOptions::new()) {
            Ok((difference, back)) => {
                let left = back.report.transposes.unwrap().left;
                if difference > TOLERANCE {
                    wrong.push(format!("{}: {difference:e}", case.name));
                }
                if left > 0 && !may_turn(case.name) {
                    wrong.push(format!("{}: {left} transposes", case.name));
                }
            }
            Err(problem) => wrong.push(format!("{}: {problem}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Both are 0 at the threshold itself.
#[test]
fn a_threshold_comes_back_as_it_is() {
    let layer = GeneralRelu::new().threshold(0.3);
    let model = Sequential::new([4]).relu_with(layer).build(1).unwrap();
    let case = Case { name: "threshold", model, comes_back: true };
    let (_, back) = there_and_back(&case, &ExportOptions::new()).unwrap();
    assert_eq!(back.model.nodes()[0].layer::<GeneralRelu>(), Some(layer));
    let at = run(&back.model, &[[0.3, 0.3f32.next_up(), 0.3f32.next_down(), 1.0].repeat(BATCH)]);
    assert_eq!(at[0][..4], [0.0, 0.3f32.next_up(), 0.0, 1.0]);
}

/// Layers may be called as inputs and tensors are.
#[test]
fn names_that_are_taken_get_a_number() {
    let net = Sequential::new([6, 6, 3]).relu().named("input").conv2d(2, 3).named("input/nchw").relu6();
    let case = Case { name: "names", model: net.build(1).unwrap(), comes_back: true };
    let (difference, back) = there_and_back(&case, &ExportOptions::new()).unwrap();
    assert!(difference <= TOLERANCE, "{difference:e}");
    assert_eq!(back.report.inputs[0].name, "input_1");
    let names: Vec<&str> = back.model.nodes().iter().map(|node| node.name()).collect();
    assert_eq!(names, ["input", "input/nchw", "re_lu6"]);
}

/// Newer operators say in one what older ones spell out, some layers need newer ones.
#[test]
fn operators_of_other_versions_come_back() {
    let mut wrong = Vec::new();
    for opset in [13, 21, 28] {
        for case in layers().iter().filter(|case| case.comes_back) {
            match there_and_back(case, &ExportOptions::new().opset(opset)) {
                Ok((difference, _)) if difference <= TOLERANCE => {}
                Ok((difference, _)) => wrong.push(format!("{opset}: {}: {difference:e}", case.name)),
                Err(problem) if problem.contains("or later, got 13") => {
                    let known = [
                        "layer_normalization",
                        "batch_normalization1d",
                        "hard_swish",
                        "average_pool_dilated",
                    ];
                    assert!(
                        known.iter().any(|known| case.name.starts_with(known)),
                        "{}: {problem}",
                        case.name
                    );
                }
                Err(problem) => wrong.push(format!("{opset}: {}: {problem}", case.name)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The image is transposed at the input alone.
#[test]
fn nets_come_back_without_a_transpose() {
    for name in SMALL_NETS {
        let case = net(name);
        let (difference, back) = there_and_back(&case, &ExportOptions::new()).unwrap();
        let depth = case.model.nodes().len() as f32;
        assert!(difference <= depth * 4.0 * f32::EPSILON, "{name}: {difference:e}");
        let transposes = back.report.transposes.unwrap();
        // Of images of one channel there is nothing to turn.
        let removed = usize::from(case.model.input_shape().dims()[2] > 1);
        assert_eq!((transposes.removed, transposes.left), (removed, 0), "{name}");
        assert_eq!(back.model.parameter_count(), case.model.parameter_count(), "{name}");
        for node in case.model.nodes() {
            let weights = case.model.parameters_of(node);
            if !weights.is_empty() {
                assert_eq!(back.model.weights(node.name()).unwrap(), weights, "{name}");
            }
        }
        assert!(!back.report.inputs[0].channels_first);
    }
}

#[test]
fn channels_may_come_first_and_the_batch_be_known() {
    let case = net("resnet8");
    let options = ExportOptions::new().channels_first().batch(BATCH);
    let (difference, back) = there_and_back(&case, &options).unwrap();
    assert!(difference <= 100.0 * f32::EPSILON, "{difference:e}");
    assert!(back.report.inputs[0].channels_first);
    assert_eq!(back.report.operators.get("Transpose"), None);
}

/// As much of a file's messages as the tests read.
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(int64, tag = "1")]
    version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opsets: Vec<Opset>,
    #[prost(message, repeated, tag = "14")]
    metadata: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "11")]
    inputs: Vec<Port>,
    #[prost(message, repeated, tag = "12")]
    outputs: Vec<Port>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    operator: String,
}

#[derive(Clone, PartialEq, Message)]
struct Port {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Opset {
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

fn file(model: &Model<'_>, options: &ExportOptions) -> File {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("net.onnx");
    export(model, &path, options).unwrap();
    File::decode(&fs::read(path).unwrap()[..]).unwrap()
}

#[test]
fn names_and_notes_are_the_models() {
    let mut model =
        Sequential::new([8, 8, 3]).conv2d(2, 3).relu().flatten().dense(2).softmax().build(1).unwrap();
    model
        .set_metadata(&Metadata {
            class_names: vec!["cat".into(), "\"dog\"".into()],
            scaling: vec![Scaling { scale: 0.5, offset: -1.0 }],
            channel_order: ChannelOrder::Bgr,
            notes: vec![("license".into(), "CC0".into()), ("license".into(), "twice".into())],
        })
        .unwrap();
    let File { version, graph, opsets, metadata } = file(&model, &ExportOptions::new());
    assert_eq!((version, opsets[0].version), (8, 17));
    let Graph { nodes, inputs, outputs } = graph.unwrap();
    let names: Vec<(&str, &str)> = nodes.iter().map(|node| (&node.name[..], &node.operator[..])).collect();
    let expected = [
        ("input/nchw/transpose", "Transpose"),
        ("conv2d", "Conv"),
        ("re_lu", "Relu"),
        ("flatten", "Flatten"),
        ("dense", "Gemm"),
        ("softmax", "Softmax"),
    ];
    assert_eq!(names, expected);
    assert_eq!((&inputs[0].name[..], &outputs[0].name[..]), ("input", "softmax"));
    let metadata: HashMap<&str, &str> =
        metadata.iter().map(|entry| (&entry.key[..], &entry.value[..])).collect();
    let expected = [
        ("class_names", r#"["cat","\"dog\""]"#),
        ("scaling", "[[0.5,-1.0]]"),
        ("channel_order", "BGR"),
        ("license", "CC0"),
    ];
    assert_eq!(metadata, expected.into());
}

#[test]
fn versions_go_with_what_layers_need() {
    let versions = |options: &ExportOptions| {
        let model = Sequential::new([8, 8, 3]).average_pool2d_with(bantam::AveragePool2d::new(2).dilation(2));
        let file = file(&model.build(1).unwrap(), options);
        (file.version, file.opsets[0].version)
    };
    assert_eq!(versions(&ExportOptions::new()), (9, 19));
    assert_eq!(versions(&ExportOptions::new().opset(21)), (10, 21));
}

#[test]
fn all_that_cannot_go_out_is_named_at_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("net.onnx");
    let net =
        Sequential::new([8, 8, 3]).layer_normalization().hard_swish().conv2d(1, 1).layer_normalization();
    let model = net.build(1).unwrap();
    let refused = export(&model, &path, &ExportOptions::new().opset(13)).unwrap_err();
    let Cause::Unsupported(parts) = &refused.cause else { panic!("{refused}") };
    let names: Vec<&str> = parts.iter().map(|part| &part.name[..]).collect();
    assert_eq!(names, ["layer_normalization", "hard_swish", "layer_normalization_1"]);
    let told = refused.to_string();
    assert!(told.contains("3 parts cannot be exported:\n  \"layer_normalization\": LayerNormalization: expected opset 17 or later, got 13; leave out --opset"), "{told}");
    let told = export(&model, &path, &ExportOptions::new().opset(29)).unwrap_err().to_string();
    assert!(told.ends_with("net.onnx: opset: expected 13 to 28, got 29"), "{told}");
    let told = export(&model, folder.path().join("net.pb"), &ExportOptions::new()).unwrap_err().to_string();
    let endings = ".onnx, .h5 or .safetensors";
    assert!(
        told.ends_with(&format!("net.pb: expected a name that ends in {endings}, got \".pb\"")),
        "{told}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Writes models, inputs of each and outputs, for `onnx_exports.py` to hold against ONNX Runtime.
#[test]
#[ignore = "writes to the folder that BANTAM_EXPORTS names"]
fn exports_for_onnx_runtime() {
    let folder =
        PathBuf::from(std::env::var_os("BANTAM_EXPORTS").expect("BANTAM_EXPORTS: expected a folder"));
    for case in layers() {
        for (suffix, options) in [
            ("", ExportOptions::new()),
            (".21", ExportOptions::new().opset(21)),
            (".28", ExportOptions::new().opset(28).batch(BATCH).channels_first()),
        ] {
            write(&folder, &format!("{}{suffix}", case.name), &case, &options);
        }
    }
    for name in SMALL_NETS.into_iter().chain(OTHER_NETS) {
        write(&folder, &format!("net.{name}"), &net(name), &ExportOptions::new());
    }
}

fn write(folder: &Path, name: &str, case: &Case, options: &ExportOptions) {
    export(&case.model, folder.join(format!("{name}.onnx")), options).unwrap();
    let inputs = inputs(&case.model);
    let outputs = run(&case.model, &inputs);
    let shapes = case.model.input_shapes().iter().copied().chain(case.model.output_shapes());
    let names = (0..inputs.len()).map(|i| format!("input.{i}"));
    let names = names.chain((0..outputs.len()).map(|i| format!("output.{i}")));
    for ((array, shape), values) in names.zip(shapes).zip(inputs.iter().chain(&outputs)) {
        npy(&folder.join(format!("{name}.{array}.npy")), &[&[BATCH], shape.dims()].concat(), values);
    }
}
