//! Nets over series as both exporters of PyTorch write them, beside PyTorch, and weights that several nodes read.

use super::onnx::{Array, CASES, Case, difference, each};
use bantam::Metadata;
use bantam_tools::export::{ExportOptions, export};
use bantam_tools::import::onnx::from_bytes;
use bantam_tools::import::{Cause, Import, ImportOptions, import};
use safetensors::SafeTensors;

/// What the script beside it has written.
const SERIES: &[u8] = include_bytes!("../../golden/onnx_series.safetensors");

/// Some layers and ten steps, each a sum of some ten products.
const TOLERANCE: f32 = 10.0 * 32.0 * f32::EPSILON;

fn arrays(file: &SafeTensors<'_>, kind: &str) -> Vec<Array> {
    let array = |index: usize| {
        let tensor = file.tensor(&format!("{kind}.{index}")).ok()?;
        let values = tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        Some(Array { shape: tensor.shape().to_vec(), values })
    };
    (0..).map_while(array).collect()
}

fn imported(file: Vec<u8>, name: &str) -> Import {
    from_bytes(file, &ImportOptions::new()).unwrap_or_else(|problem| panic!("{name}: {problem}"))
}

#[test]
fn nets_over_series_give_what_pytorch_gives() {
    let file = SafeTensors::deserialize(SERIES).unwrap();
    for net in ["forecast", "tagging", "columns", "twins"] {
        for exporter in ["script", "dynamo"] {
            let name = format!("{net}_{exporter}");
            let model = file.tensor(&format!("{name}/model")).unwrap().data().to_vec();
            let import = imported(model, &name);
            let inputs = arrays(&file, &format!("{net}/input"));
            let outputs = arrays(&file, &format!("{net}/output"));
            let difference = difference(inputs, outputs, &import).unwrap();
            assert!(difference <= TOLERANCE, "{name}: {difference:e}\n{}", import.report);
            // The layers of the twins are there once, with one bias for each gate where PyTorch has two. The newer exporter leaves
            // the normalisation, the older one makes it a bias of the convolution.
            if net == "twins" {
                let normalization = if exporter == "dynamo" { 4 * 4 } else { 4 };
                let others = (6 * 9 + 6) + 6 + 6 * 4 + (9 * 20 + 20) + (5 * 3 + 3);
                assert_eq!(import.model.parameter_count(), others + normalization, "{name}");
            }
        }
    }
}

fn case(name: &str, mut call: impl FnMut(&Case<'_>)) {
    let mut found = 0;
    each(CASES, name, |case| {
        if case.name == name {
            found += 1;
            call(case);
        }
    });
    assert_eq!(found, 1, "{name}");
}

#[test]
fn weights_that_several_nodes_read_are_there_once() {
    // Of the second kernel each has its own, for their biases differ.
    let counts = [("shared_kernels", (4 * 27 + 4) + 2 * (8 + 2), 1), ("shared_products", 25, 1)];
    for (name, count, shared) in counts {
        case(name, |case| {
            let import = imported(case.model.clone(), name);
            assert_eq!(import.model.parameter_count(), count, "{name}");
            let told = import.report.notes.iter().filter(|note| note.contains("the weights of"));
            assert_eq!(told.count(), shared, "{name}: {:?}", import.report.notes);
        });
    }
}

#[test]
fn what_is_refused_is_told_with_what_to_do() {
    let told = [
        ("log_softmax", "softmax in its place"),
        ("rnn", "LSTM and GRU are there"),
        ("lstm_without_a_batch", "batch_first=True"),
        ("lstm_begins_with_ones", "initial_h: expected zeros"),
        ("lstm_cell", "Y_c"),
        ("lstm_peepholes", "peepholes"),
        ("lstm_of_one_gate_for_two", "input_forget"),
        ("lstm_of_other_functions", "expected Sigmoid, Tanh, Tanh, got Sigmoid, Relu, Tanh"),
        ("lstm_clipped", "clip: expected none, got 3"),
        ("lstm_of_lengths", "sequence_lens: expected 5, got [5, 4]"),
        ("gru_long_and_backwards", "expected 32 at most, got 33"),
        ("gru_resets_before", "reset_after=True"),
        ("pad_reflect_beyond", "expected 0 to 3 of mode reflect for an axis of 4, got [4, 0]"),
    ];
    for (name, expected) in told {
        case(&format!("refused/{name}"), |case| {
            let Err(Cause::Unsupported(parts)) = from_bytes(case.model.clone(), &ImportOptions::new()) else {
                panic!("{name} is not refused");
            };
            let told = format!("{} {}", parts[0].what, parts[0].advice);
            assert!(told.contains(expected), "{name}: {told}");
        });
    }
}

/// A recurrent layer that goes backwards is the same layer again, and so is one that shares its weights.
#[test]
fn what_is_exported_comes_in_as_it_was() {
    use bantam::{GraphBuilder, Gru, Lstm, Scaling};
    let net = GraphBuilder::new();
    let (a, b) = (net.input([6, 3]), net.input([6, 3]));
    let gru = a.layer(Gru::new().units(4).return_sequences().go_backwards()).named("gru");
    let dense = gru.layer(Lstm::new().units(5)).named("lstm").dense(2).named("dense");
    let other = b.reuse_layer_of(gru).named("gru_1").layer(Lstm::new().units(5)).named("lstm_1");
    let mut model = net.build(&[net.add(&[dense, other.reuse_layer_of(dense).named("dense_1")])], 3).unwrap();
    let metadata = Metadata {
        class_names: vec!["cat".into(), "\"dog\"".into()],
        scaling: vec![Scaling { scale: 1.0 / 127.5, offset: -1.0 }],
        notes: vec![("license".into(), "CC0".into())],
        ..Metadata::default()
    };
    model.set_metadata(&metadata).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    export(&model, &path, &ExportOptions::new()).unwrap();
    let back = import(&path, &ImportOptions::new()).unwrap();
    assert_eq!(back.model.metadata().unwrap(), metadata);
    assert_eq!(back.model.parameter_count(), model.parameter_count(), "{}", back.report);
    let types = |model: &bantam::Model<'_>| -> Vec<&str> {
        model.nodes().iter().map(|node| node.layer_type().name()).collect()
    };
    assert_eq!(types(&back.model), types(&model));
    assert!(back.report.warnings.is_empty(), "{:?}", back.report.warnings);
}
