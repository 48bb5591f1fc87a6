//! ONNX files that are cut, broken, hostile, or have their weights elsewhere.

use super::onnx::{CASES, each};
use bantam_tools::import::onnx::from_bytes;
use bantam_tools::import::{Cause, ImportError, ImportOptions, import};
use prost::Message;
use prost::bytes::Bytes;
use std::fs;

/// As much of a file's messages as the tests change.
#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opsets: Vec<Opset>,
}

#[derive(Clone, PartialEq, Message)]
struct Opset {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    nodes: Vec<Bytes>,
    #[prost(message, repeated, tag = "5")]
    weights: Vec<Tensor>,
    #[prost(bytes = "bytes", repeated, tag = "11")]
    inputs: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "12")]
    outputs: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "bytes", optional, tag = "9")]
    raw: Option<Bytes>,
    #[prost(message, repeated, tag = "13")]
    external: Vec<Entry>,
    #[prost(int32, tag = "14")]
    location: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// A node without attributes.
#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    inputs: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    outputs: Vec<String>,
    #[prost(string, tag = "4")]
    operator: String,
}

/// An input.
#[derive(Clone, PartialEq, Message)]
struct Input {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Message)]
struct Kind {
    #[prost(message, optional, tag = "1")]
    tensor: Option<OfTensor>,
}

#[derive(Clone, PartialEq, Message)]
struct OfTensor {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Dims>,
}

#[derive(Clone, PartialEq, Message)]
struct Dims {
    #[prost(message, repeated, tag = "1")]
    dims: Vec<Dim>,
}

#[derive(Clone, PartialEq, Message)]
struct Dim {
    #[prost(int64, optional, tag = "1")]
    size: Option<i64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
}

fn file(name: &str) -> Vec<u8> {
    let mut found = Vec::new();
    each(CASES, name, |case| {
        if case.name == name {
            found = case.model.clone();
        }
    });
    assert!(!found.is_empty(), "{name}");
    found
}

/// A file with something changed.
fn changed(name: &str, change: impl FnOnce(&mut Model)) -> Vec<u8> {
    let mut model = Model::decode(&file(name)[..]).unwrap();
    change(&mut model);
    model.encode_to_vec()
}

fn problem(file: Vec<u8>) -> String {
    from_bytes(file, &ImportOptions::new()).map(|_| ()).unwrap_err().to_string()
}

/// Of one size the file says the name, of the other nothing.
#[test]
fn sizes_that_the_file_leaves_open_are_given_by_their_names_and_no_others() {
    let whole = from_bytes(file("conv"), &ImportOptions::new()).unwrap().model;
    let &[height, width, _] = whole.input_shape().dims() else { panic!() };
    let mut last = String::new();
    let open = changed("conv", |model| {
        let input = &mut model.graph.as_mut().unwrap().inputs[0];
        let mut told = Input::decode(&input[..]).unwrap();
        let dims = &mut told.kind.as_mut().unwrap().tensor.as_mut().unwrap().shape.as_mut().unwrap().dims;
        dims[2] = Dim { size: None, name: Some("height".into()) };
        dims[3] = Dim::default();
        last = format!("{}.3", told.name);
        *input = told.encode_to_vec().into();
    });
    let given = ImportOptions::new().dimension("height", height).dimension(&last, width);
    let model = from_bytes(open.clone(), &given).unwrap().model;
    assert_eq!((model.input_shape(), model.output_shape()), (whole.input_shape(), whole.output_shape()));

    let refused = |file: &[u8], name: &str| {
        let given = ImportOptions::new().input_size(height, width).dimension(name, 7);
        from_bytes(file.to_vec(), &given).map(|_| ()).unwrap_err().to_string()
    };
    let expected = format!("dimension: expected one that the file leaves open, \"height\", \"{last}\", got ");
    assert_eq!(refused(&open, "hieght"), expected.clone() + "\"hieght\"");
    // The first is the batch.
    assert_eq!(
        refused(&open, &last.replace('3', "0")),
        expected + &format!("\"{}\"", last.replace('3', "0"))
    );
    let none = "dimension: expected none, as all sizes but the batch's are in the file, got \"height\"";
    assert_eq!(refused(&file("conv"), "height"), none);
}

#[test]
fn products_of_two_maps_are_told_from_those_with_a_constant_first() {
    let with = |name: &str, change: &dyn Fn(&mut Node)| {
        let file = changed(name, |model| {
            let node = &mut model.graph.as_mut().unwrap().nodes[0];
            let mut product = Node::decode(&node[..]).unwrap();
            change(&mut product);
            *node = product.encode_to_vec().into();
        });
        from_bytes(file, &ImportOptions::new()).map(|_| ()).unwrap_err().to_string()
    };
    let maps = "factors: expected a map and a constant matrix, got two maps, [2, 3, 3] and [2, 3, 3]; no layer \
                multiplies two maps with each other, as attention does";
    for operator in ["MatMul", "Gemm"] {
        let told = with("refused/matmul_of_maps", &|node| node.operator = operator.into());
        assert!(told.contains(&format!("{operator}: {maps}")), "{told}");
    }
    let told = with("matmul", &|node| node.inputs.reverse());
    let expected = "MatMul: factors: expected a map and a constant matrix, got a constant and a map, ";
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_layer_normalisation_that_is_spelled_out_has_a_way_in() {
    let file = changed("conv", |model| {
        let node = &mut model.graph.as_mut().unwrap().nodes[0];
        let mut root = Node::decode(&node[..]).unwrap();
        (root.operator, root.inputs) = ("Sqrt".into(), root.inputs[..1].to_vec());
        *node = root.encode_to_vec().into();
    });
    let told = problem(file);
    assert!(told.contains("Sqrt") && told.contains("opset 17"), "{told}");
}

#[test]
fn a_file_that_is_cut_anywhere_is_an_error() {
    for name in ["conv", "reshape_as_torch_writes", "squeeze_and_excite"] {
        let whole = file(name);
        for len in 0..whole.len() {
            // The last field is the opset, without which nothing is known.
            let error = from_bytes(whole[..len].to_vec(), &ImportOptions::new()).unwrap_err();
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn a_cut_is_told_with_its_place() {
    let whole = file("conv");
    let Err(Cause::Damaged { what, offset, problem }) =
        from_bytes(whole[..whole.len() / 2].to_vec(), &ImportOptions::new())
    else {
        panic!("expected damage");
    };
    assert!(what.starts_with("graph") || what == "model", "{what}");
    assert!(offset.is_some_and(|offset| offset < whole.len() as u64), "{offset:?}");
    assert!(problem.contains("are left"), "{problem}");
}

#[test]
fn no_flipped_byte_makes_it_panic() {
    for name in [
        "conv",
        "slice_steps",
        "concat_of_boxes",
        "resize_to_sizes",
        "weights_are_filled_in_the_graph",
        "lstm_bidirectional",
        "gru_over_steps_that_are_turned",
        "lstm_begins_with_zeros",
        "pad_reflect",
        "where_of_a_range",
        "range_of_floats",
        "shared_kernels",
    ] {
        let mut file = file(name);
        for at in 0..file.len() {
            for flip in [1, 0x80, 0xff] {
                file[at] ^= flip;
                let _ = from_bytes(file.clone(), &ImportOptions::new());
                file[at] ^= flip;
            }
        }
    }
}

#[test]
fn weights_have_as_many_bytes_as_their_shape_says() {
    for by in [-4i64, 4] {
        let file = changed("conv", |model| {
            let raw = model.graph.as_mut().unwrap().weights[0].raw.as_mut().unwrap();
            let mut bytes = raw.to_vec();
            bytes.resize((bytes.len() as i64 + by) as usize, 0);
            *raw = bytes.into();
        });
        let expected = format!("weights \"w\": bytes of shape [4, 3, 3, 3]: expected 432, got {}", 432 + by);
        assert_eq!(problem(file), expected);
    }
    let huge =
        changed("conv", |model| model.graph.as_mut().unwrap().weights[0].dims = vec![i64::MAX, i64::MAX]);
    assert!(problem(huge).contains("expected one that fits memory"));
    let negative = changed("conv", |model| model.graph.as_mut().unwrap().weights[0].dims[0] = -4);
    assert!(problem(negative).contains("at least 0"));
}

/// ONNX Runtime takes the last (1.32.0).
#[test]
fn weights_of_one_name_are_given_once() {
    let file = changed("conv", |model| {
        let weights = &mut model.graph.as_mut().unwrap().weights;
        weights.push(weights[0].clone());
    });
    assert_eq!(problem(file), "value \"w\": expected a name that is given once, found it twice");
}

#[test]
fn opsets_from_7_to_28_are_read() {
    for (version, reads) in [(6, false), (7, true), (28, true), (29, false)] {
        let file = changed("conv", |model| model.opsets[0].version = version);
        match from_bytes(file, &ImportOptions::new()) {
            Ok(import) => assert!(reads && import.report.format == format!("ONNX, opset {version}")),
            Err(error) => assert!(!reads && error.to_string().contains("expected 7 to 28"), "{error}"),
        }
    }
}

#[test]
fn a_net_that_is_in_training_mode_is_told() {
    let import = from_bytes(file("dropout_that_trains"), &ImportOptions::new()).unwrap();
    assert!(import.report.warnings[0].contains("Dropout in training mode"), "{:?}", import.report.warnings);
}

/// Moves the weights of a file to another, and imports it.
fn with_weights_at(
    location: &str,
    [offset, length]: [Option<&str>; 2],
    shift: usize,
) -> Result<(), ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let mut weights = vec![7; shift];
    let file = changed("conv", |model| {
        let tensor = &mut model.graph.as_mut().unwrap().weights[0];
        weights.extend_from_slice(&tensor.raw.take().unwrap());
        tensor.location = 1;
        let entry = |(key, value): (&str, &str)| Entry { key: key.into(), value: value.into() };
        tensor.external.push(entry(("location", location)));
        tensor.external.extend(offset.map(|offset| entry(("offset", offset))));
        tensor.external.extend(length.map(|length| entry(("length", length))));
    });
    fs::write(inside.join("net.onnx"), file).unwrap();
    fs::write(inside.join("net.data"), &weights).unwrap();
    fs::write(folder.path().join("secret"), &weights).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("link")).unwrap();
    import(inside.join("net.onnx"), &ImportOptions::new()).map(|_| ())
}

#[test]
fn weights_may_be_in_a_file_beside() {
    with_weights_at("net.data", [None, None], 0).unwrap();
    with_weights_at("./net.data", [Some("5"), Some("432")], 5).unwrap();
}

#[test]
fn weights_are_not_read_from_elsewhere() {
    let told = |result: Result<(), ImportError>| result.unwrap_err().cause.to_string();
    for location in ["../secret", "/etc/hostname", "link", "inside/../../secret"] {
        if cfg!(unix) || location != "link" {
            let told = told(with_weights_at(location, [None, None], 0));
            assert!(told.contains("expected a file in the model's folder"), "{location}: {told}");
        }
    }
    for range in [[Some("1"), Some("432")], [Some("433"), None], [Some("18446744073709551615"), Some("2")]] {
        let told = told(with_weights_at("net.data", range, 0));
        assert!(told.contains("expected some of its 432"), "{range:?}: {told}");
    }
    assert!(told(with_weights_at("net.data", [Some("-1"), None], 0)).contains("expected a number"));
    assert!(told(with_weights_at("missing", [None, None], 0)).contains("missing"));
}
