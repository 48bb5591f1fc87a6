//! The program as a person uses it.

use bantam::{Dropout, Model, Sequential};
use bantam_tools::export::{ExportOptions, export};
use bantam_zoo::mobilenet;
use image::{Rgb, RgbImage};
use safetensors::SafeTensors;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_transfer")).current_dir(folder).args(arguments).output().unwrap()
}

/// What the program says when it succeeds.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the program says when it refuses.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Reddish cats and bluish dogs in `pets`, and a base in `base.bantam`.
fn pets() -> TempDir {
    let folder = TempDir::new().unwrap();
    for (part, count) in [("train", 6), ("validation", 2), ("test", 4)] {
        for (class, channel) in [("cats", 0), ("dogs", 2)] {
            let class = folder.path().join("pets").join(part).join(class);
            fs::create_dir_all(&class).unwrap();
            for which in 0..count {
                let pixel = |x: u32, y: u32| {
                    let mut pixel = [(x * 5 + which) as u8 / 2, (y * 3) as u8 / 2, (x + y) as u8 / 2];
                    pixel[channel] = 200 + which as u8;
                    Rgb(pixel)
                };
                RgbImage::from_fn(24, 20, pixel).save(class.join(format!("{which}.png"))).unwrap();
            }
        }
    }
    let net = Sequential::new([14, 14, 3]).rescaling(1.0 / 255.0, 0.0).conv2d(4, 3).relu().max_pool2d(2);
    let net = net.conv2d(8, 3).relu().named("seen").flatten().dense(3);
    net.build(1).unwrap().save(folder.path().join("base.bantam")).unwrap();
    folder
}

/// A model's weights of a layer.
fn weights(model: &Model<'_>, layer: &str) -> Vec<f32> {
    model.weights(layer).unwrap()[0].values().to_vec()
}

#[test]
fn digits_are_moved_to_other_digits() {
    let folder = TempDir::new().unwrap();
    let learn = |threads: &str| {
        let few = ["--pictures", "2", "--epochs", "2", "--base-pictures", "100", "--base-epochs", "3"];
        said(folder.path(), &[&few[..], &["--threads", threads, "--json"]].concat())
    };
    let lines = learn("1");
    assert_eq!(lines, learn("2"), "threads changed the result");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = lines.iter().filter_map(|line| line["training"].as_str()).collect();
    let twice = ["scratch", "scratch", "features", "features", "end-to-end", "end-to-end"];
    assert_eq!(names, [&["base"; 3][..], &twice, &["fine-tuned", "fine-tuned"]].concat());
    assert!(lines[2]["validation_accuracy"].as_f64().unwrap() > 0.8, "{}", lines[2]);
    let end = lines.last().unwrap().as_object().unwrap();
    let keys: Vec<_> = end.keys().map(String::as_str).collect();
    assert_eq!(keys, ["scratch", "features", "end_to_end", "fine_tuned"]);
    assert!(end.values().all(|share| (0.0..1.0).contains(&share.as_f64().unwrap())), "{end:?}");
    for name in ["base", "scratch", "features", "end-to-end", "fine-tuned"] {
        assert!(folder.path().join(format!("transfer-{name}.svg")).exists(), "{name}");
    }
}

#[test]
fn a_base_of_ones_own_is_moved_to_a_folder() {
    let folder = pets();
    let path = folder.path();
    let layers = ["--base", "base.bantam", "--cut", "seen", "--unfreeze-from", "conv2d_1"];
    let arguments = [&["pets"][..], &layers, &["--epochs", "3"]].concat();
    let text = said(path, &arguments);
    for said in
        ["from scratch: ", "features once: ", "end to end: ", "fine-tuned: ", "Wrote ./transfer.bantam"]
    {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    let [base, learnt] = ["base.bantam", "transfer.bantam"].map(|name| Model::load(path.join(name)).unwrap());
    assert_eq!(learnt.output_shape().elements(), 2);
    assert!(learnt.nodes().iter().any(|node| node.layer::<Dropout>().is_some()));
    assert_eq!(weights(&learnt, "conv2d"), weights(&base, "conv2d"), "what is frozen has learnt");
    assert_ne!(weights(&learnt, "conv2d_1"), weights(&base, "conv2d_1"), "fine-tuning learnt nothing");
}

/// A file that another program has written.
fn golden(name: &str) -> String {
    format!("{}/../../tools/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_net_of_the_zoo_is_cut_before_its_head_and_its_last_block_is_fine_tuned() {
    let folder = pets();
    let path = folder.path();
    let net = mobilenet().alpha(0.25).input([32, 32, 3]).classes(5).build(1).unwrap();
    net.save(path.join("mobilenet.bantam")).unwrap();
    let arguments = ["pets", "--base", "mobilenet.bantam", "--pool", "--epochs", "2", "--json"];
    let lines = said(path, &arguments);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = lines.iter().filter_map(|line| line["training"].as_str()).collect();
    let stages = ["scratch", "scratch", "features", "features", "end-to-end", "end-to-end"];
    assert_eq!(names, [&stages[..], &["fine-tuned", "fine-tuned"]].concat());
    assert!(lines.last().unwrap()["fine_tuned"].is_number());

    let learnt = Model::load(path.join("transfer.bantam")).unwrap();
    let names: Vec<&str> = learnt.nodes().iter().map(bantam::Node::name).collect();
    // Neither the pool nor the classes of the net that it was.
    let last = names.iter().position(|&name| name == "conv_pw_13_relu").unwrap();
    assert_eq!(learnt.nodes()[last + 1].layer_type().name(), "GlobalAveragePooling2D", "{names:?}");
    assert!(!names.contains(&"conv_preds"), "{names:?}");
    for (layer, learns) in
        [("conv_pw_11", false), ("conv_dw_12", true), ("conv_pw_13", true), ("conv_pw_13_bn", false)]
    {
        assert_eq!(weights(&learnt, layer) != weights(&net, layer), learns, "{layer}");
    }
    // What it says of images is what the net says, and the classes are the folder's.
    let (metadata, of_net) = (learnt.metadata().unwrap(), net.metadata().unwrap());
    assert_eq!(
        (metadata.class_names, metadata.scaling),
        (vec!["cats".into(), "dogs".into()], of_net.scaling)
    );
}

#[test]
fn weights_alone_are_those_of_a_net_of_the_zoo() {
    let folder = pets();
    let path = folder.path();
    let arguments =
        ["--net", "mobilenet", "--alpha", "0.25", "--input-size", "40x36", "--preprocessing", "caffe"];
    // With the top, which the base has not.
    let net = mobilenet().alpha(0.25).input([32, 32, 3]).classes(5).build(1).unwrap();
    export(&net, path.join("mobilenet.h5"), &ExportOptions::new()).unwrap();
    let base = ["pets", "--base", "mobilenet.h5", "--pool", "--epochs", "1"];
    let text = said(path, &[&base[..], &arguments].concat());
    assert!(text.contains("The base: [40, 36, 3] to [1, 1, 256], up to conv_pw_13_relu"), "{text}");
    let learnt = Model::load(path.join("transfer.bantam")).unwrap();
    assert_eq!(learnt.input_shape().dims(), [40, 36, 3]);
    assert_eq!(weights(&learnt, "conv1"), weights(&net, "conv1"));
    let metadata = learnt.metadata().unwrap();
    assert_eq!((metadata.channel_order, metadata.scaling.len()), (bantam::ChannelOrder::Bgr, 3));
}

#[test]
fn models_of_other_programs_are_bases() {
    let folder = pets();
    let path = folder.path();
    let bytes = fs::read(golden("onnx_nets.safetensors")).unwrap();
    let nets = SafeTensors::deserialize(&bytes).unwrap();
    fs::write(path.join("net.onnx"), nets.tensor("residual_script/model").unwrap().data()).unwrap();
    let of_onnx =
        said(path, &["pets", "--base", "net.onnx", "--pool", "--epochs", "1", "--preprocessing", "torch"]);
    assert!(of_onnx.contains("The base: "), "{of_onnx}");
    assert_eq!(Model::load(path.join("transfer.bantam")).unwrap().metadata().unwrap().scaling.len(), 3);
    let of_keras = said(path, &["pets", "--base", &golden("keras/nested_keras3.h5"), "--epochs", "1"]);
    assert!(of_keras.contains("The base: [6, 6, 3] to "), "{of_keras}");
    let learnt = Model::load(path.join("transfer.bantam")).unwrap();
    assert!(learnt.node("tail/conv").is_ok() && learnt.node("head").is_err());
}

#[test]
fn what_cannot_be_is_named() {
    let folder = pets();
    let path = folder.path();
    let with = |rest: &[&str]| refused(path, &[&["pets", "--base"][..], rest].concat());
    assert!(with(&["none.bantam"]).contains("none.bantam: "));
    let unknown = with(&["base.bantam", "--cut", "scene"]);
    assert!(unknown.contains("\"scene\"") && unknown.contains("\"seen\""), "{unknown}");
    let unknown = with(&["base.bantam", "--unfreeze-from", "conv2d_7", "--epochs", "1"]);
    assert!(unknown.contains("\"conv2d_7\""), "{unknown}");
    let flat = Sequential::new([4]).dense(3).build(1).unwrap();
    flat.save(path.join("flat.bantam")).unwrap();
    assert!(with(&["flat.bantam"]).contains("flat.bantam: expected a net of images"));
    let flat = with(&["flat.bantam", "--cut", "dense"]);
    assert!(flat.contains("expected a model of images [H, W, 1] or [H, W, 3], got one of [4]"), "{flat}");
    fs::write(path.join("pickle.pt"), [0x80, 2, 0, 0]).unwrap();
    assert!(with(&["pickle.pt"]).contains("pickle.pt: ") && with(&["pickle.pt"]).contains("a Python pickle"));
    // Weights of another net.
    let weights = golden("keras/keras1.h5");
    let alone = with(&[&weights]);
    assert!(alone.contains("weights of Keras without a model"), "{alone}");
    let other = with(&[&weights, "--net", "mobilenet", "--alpha", "0.25", "--input-size", "32x32"]);
    assert!(other.contains("conv1: the file has none"), "{other}");
    assert!(refused(path, &["--out", "nowhere"]).contains("nowhere/transfer.bantam"));
    for usage in [&["pets"][..], &["--base", "base.bantam"]] {
        assert_eq!(run(path, usage).status.code(), Some(2), "{usage:?}");
    }
}
