//! Weights that go out, and come in again.

use ::safetensors::SafeTensors;
use bantam::{ChannelOrder, GraphBuilder, Metadata, Model, Scaling, Sequential};
use bantam_tools::export::{ExportOptions, export};
use bantam_tools::import::keras::Which;
use bantam_tools::import::load_weights;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Layers of many kinds, one of which is used twice.
fn net(seed: u64) -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([9, 8, 3]);
    let x = x
        .conv2d(4, 3)
        .named("block/conv")
        .batch_normalization()
        .relu()
        .separable_conv2d(5, 3)
        .depthwise_conv2d(2);
    let a = x.flatten().dense(6).named("twice");
    let b = x.global_max_pool2d().dense(6).named("mean");
    let a = a.tanh().reuse_layer_of(b.dense(6).named("shared"));
    let series = net.add(&[a, b]).reshape([2, 3]);
    let both = ["both/forward", "both/backward"].map(|name| series.lstm(2).named(name));
    net.build(&[net.concatenate(&[both[0], both[1], series.gru(3)]).dense(2)], seed).unwrap()
}

fn written(model: &Model<'_>, folder: &TempDir, name: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    export(model, &path, &ExportOptions::new()).unwrap();
    path
}

fn load(model: &mut Model<'_>, path: &Path) {
    let report = load_weights(model, path, None, Which::All).unwrap_or_else(|error| panic!("{error}"));
    assert!(report.notes.is_empty() && report.left_out.is_empty(), "{report}");
}

#[test]
fn all_weights_come_in_again() {
    let folder = TempDir::new().unwrap();
    let model = net(1);
    for name in ["weights.safetensors", "legacy.h5", "tree.weights.h5"] {
        let path = written(&model, &folder, name);
        let mut other = net(2);
        assert_ne!(other, model);
        load(&mut other, &path);
        assert_eq!(other, model, "{name}");
        // The same bytes each time.
        let bytes = fs::read(&path).unwrap();
        assert_eq!(fs::read(written(&model, &folder, name)).unwrap(), bytes, "{name}");
    }
}

#[test]
fn safetensors_say_what_the_model_says() {
    let folder = TempDir::new().unwrap();
    let mut model =
        Sequential::new([4, 4, 3]).conv2d(2, 3).named("stem").flatten().dense(2).build(1).unwrap();
    model
        .set_metadata(&Metadata {
            class_names: vec!["cat".into(), "dog, \"wet\"".into()],
            scaling: vec![Scaling { scale: 0.5, offset: -1.0 }],
            channel_order: ChannelOrder::Bgr,
            notes: vec![("license".into(), "CC0".into())],
        })
        .unwrap();
    let bytes = fs::read(written(&model, &folder, "weights.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let said = header.metadata().clone().unwrap();
    let expected = [
        ("class_names", r#"["cat","dog, \"wet\""]"#),
        ("scaling", "[[0.5,-1.0]]"),
        ("channel_order", "BGR"),
        ("license", "CC0"),
    ];
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (key, value) in expected {
        assert_eq!(said[key], value);
    }
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let kernel = file.tensor("stem/kernel").unwrap();
    assert_eq!(kernel.shape(), [3, 3, 3, 2]);
    let values: Vec<f32> = kernel.data().as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect();
    assert_eq!(values, model.weights("stem").unwrap()[0].values());
    assert_eq!(file.len(), 4);
}

/// More layers than a node of HDF5 has room for, more nodes than a tree usually has, and names that are too long for an attribute.
#[test]
fn h5_of_many_layers_with_long_names() {
    let folder = TempDir::new().unwrap();
    let deep = |seed: u64| {
        let mut net = Sequential::new([2]);
        for index in 0..300 {
            net = net.dense(2).named(&format!("{}_{index}", "deep".repeat(60)));
        }
        net.build(seed).unwrap()
    };
    let (model, mut other) = (deep(1), deep(2));
    let path = written(&model, &folder, "deep.h5");
    let bytes = fs::read(&path).unwrap();
    let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    assert!(has(b"layer_names1\0") && !has(b"layer_names\0"));
    load(&mut other, &path);
    assert_eq!(other, model);
}

#[test]
fn other_endings_are_refused() {
    let folder = TempDir::new().unwrap();
    for name in ["weights.pt", "weights"] {
        let path = folder.path().join(name);
        let error = export(&net(1), &path, &ExportOptions::new()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(".safetensors"), "{error}");
        assert!(!path.exists());
    }
    let long = Sequential::new([2]).dense(1).named(&"long".repeat(20_000)).build(1).unwrap();
    let error = export(&long, folder.path().join("long.h5"), &ExportOptions::new()).unwrap_err();
    assert!(error.to_string().contains("a name of 80000 bytes, expected at most 32768"));
    let error = export(&net(1), folder.path().join("none/a.h5"), &ExportOptions::new()).unwrap_err();
    assert!(error.to_string().contains("none/a.h5"), "{error}");
}
