//! Models and weights that Keras has written, beside what it computes with them.

use bantam::{Model, Options, Sequential, Session, Shape};
use bantam_tools::import::keras::{Which, load_weights, read, read_weights};
use bantam_tools::import::{Cause, Import, ImportOptions, Unsupported, import};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use safetensors::SafeTensors;
use serde_json::json;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

/// A file of `tests/golden/keras`.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keras").join(name)
}

/// What Keras recorded of a model: its inputs or its outputs, and their shapes, `[N, …]`.
pub fn recorded(file: &str, name: &str, which: &str) -> Vec<(Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(golden(file)).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let one = |index: usize| {
        let tensor = all.tensor(&format!("{name}/{which}/{index}")).ok()?;
        let numbers = tensor.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        Some((tensor.shape().to_vec(), numbers.collect()))
    };
    (0..).map_while(one).collect()
}

/// Asserts that a model gives what Keras gave. The difference is in units of the root mean square of the output, or of 1 where
/// that is smaller; sums here are of fewer than 64 products, layer behind layer.
fn equals(model: &Model<'_>, file: &str, name: &str) {
    let (inputs, outputs) = (recorded(file, name, "input"), recorded(file, name, "output"));
    assert!(!inputs.is_empty() && !outputs.is_empty(), "{name}: nothing recorded");
    let shapes = |arrays: &[(Vec<usize>, Vec<f32>)]| -> Vec<Shape> {
        arrays.iter().map(|(shape, _)| Shape::new(&shape[1..]).unwrap()).collect()
    };
    assert_eq!(model.input_shapes(), shapes(&inputs), "{name}");
    assert_eq!(model.output_shapes().collect::<Vec<_>>(), shapes(&outputs), "{name}");
    let mut session = Session::new(model, Options::new(inputs[0].0[0])).unwrap();
    session.run_all(&inputs.iter().map(|(_, values)| &values[..]).collect::<Vec<_>>()).unwrap();
    for (index, (_, expected)) in outputs.iter().enumerate() {
        let square = expected.iter().map(|x| x * x).sum::<f32>() / expected.len() as f32;
        let largest =
            session.output(index).iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let difference = largest / square.sqrt().max(1.0);
        assert!(difference < 2e-6, "{name}, output {index}: {difference:e}");
    }
}

fn imported(name: &str) -> Import {
    import(golden(name), &ImportOptions::new()).unwrap_or_else(|error| panic!("{error}"))
}

fn names<'a>(model: &'a Model<'_>) -> Vec<&'a str> {
    model.nodes().iter().map(bantam::Node::name).collect()
}

pub const KERAS_3: &str = "keras_models.safetensors";
const KERAS_2: &str = "tf_keras_models.safetensors";

#[test]
fn every_layer_gives_what_it_gives_in_keras() {
    for name in ["layers_of_maps", "layers_of_series"] {
        equals(&imported(&format!("{name}.keras")).model, KERAS_3, name);
    }
}

#[test]
fn models_in_models_are_laid_out_in_one() {
    let Import { model, report } = imported("nested.keras");
    equals(&model, KERAS_3, "nested");
    // A name that is there twice has its model's before it, a second call its number behind it, an activation its layer.
    let of_calls = ["shared", "shared/relu", "bn", "inner/conv"];
    let names = names(&model);
    for name in
        of_calls.iter().chain(&["again", "again/sigmoid", "again:1", "again:1/sigmoid", "head/softmax"])
    {
        assert!(names.contains(name), "{name}: {names:?}");
    }
    assert!(names.contains(&"bn:1") && names.contains(&"tail/conv") && names.contains(&"re_lu"), "{names:?}");
    // Weights are there once, whoever uses them.
    let once = [3 * 27 + 3, 3 + 2 * 3, 9 + 3, 3 * 27 + 3, 6 + 2, 72 * 3 + 3];
    assert_eq!(model.parameter_count(), once.iter().sum::<usize>());
    assert!(
        !model.node("inner/conv").unwrap().is_trainable() && model.node("shared").unwrap().is_trainable()
    );
    // Without a scale there is none to be learnt.
    let trainable: Vec<bool> =
        model.weights("bn").unwrap().iter().map(bantam::Parameter::is_trainable).collect();
    assert_eq!(trainable, [true, false, false]);
    assert_eq!((report.operators["Conv2D"], report.producer.as_deref()), (5, Some("Keras 3.15.1")));
}

#[test]
fn in_h5_names_tell_what_the_order_does_not() {
    equals(&imported("nested_keras3.h5").model, KERAS_3, "nested_keras3");
    let Import { model, report } = imported("keras2_nested.h5");
    equals(&model, KERAS_2, "keras2_nested");
    assert_eq!(report.producer.as_deref(), Some("Keras 2.21.0"));
    // Keras 2's formula.
    assert!(model.node("gate/hard_sigmoid").unwrap().layer::<bantam::HardSigmoidKeras2>().is_some());
    assert!(!model.node("frozen").unwrap().is_trainable());
}

#[test]
fn halves_are_read() {
    for kind in ["bfloat16", "float16"] {
        equals(&imported(&format!("{kind}.keras")).model, KERAS_3, kind);
    }
}

#[test]
fn layers_in_others_are_found_and_take_weights_again() {
    for (file, recorded, name) in
        [("wrapped.keras", KERAS_3, "wrapped"), ("keras2_wrapped.h5", KERAS_2, "keras2_wrapped")]
    {
        let mut model = imported(file).model;
        equals(&model, recorded, name);
        let whole = model.clone();
        for layer in ["conv", "middle/inner/conv", "steps", "both/forward", "both/backward", "head"] {
            let arrays = model.weights(layer).unwrap();
            let zeros: Vec<Vec<f32>> =
                arrays.iter().map(|array| vec![0.0; array.shape().elements()]).collect();
            let zeros: Vec<&[f32]> = zeros.iter().map(Vec::as_slice).collect();
            model.set_weights(layer, &zeros).unwrap();
        }
        load_weights(&mut model, golden(file), Which::All).unwrap();
        assert_eq!(model, whole, "{file}");
    }
}

fn base(top: usize) -> Sequential {
    let stem = Sequential::new([6, 6, 2]).conv2d(3, 3).named("stem").batch_normalization().named("bn").relu();
    let point = stem.depthwise_conv2d(2).named("depthwise").conv2d(2, 1).named("point").flatten();
    point.dense(top).named(&format!("top_{top}"))
}

fn flat() -> Model<'static> {
    let body = Sequential::new([6, 6, 2]).conv2d(3, 3).named("a").batch_normalization().named("b");
    let head = body.conv2d(3, 1).named("c").flatten().dense(4).named("e").relu().dense(2).named("f");
    head.build(1).unwrap()
}

#[test]
fn weights_are_loaded_from_every_layout() {
    for file in ["base.weights.h5", "keras1.h5"] {
        let mut model = base(3).build(1).unwrap();
        let loaded = load_weights(&mut model, golden(file), Which::All).unwrap();
        assert_eq!(loaded.loaded, ["stem", "bn", "depthwise", "point", "top_3"], "{file}");
        equals(&model, KERAS_3, "base");
    }
    for file in ["keras2_flat.weights.h5", "keras2_flat.h5", "keras2_flat.keras"] {
        let mut model = flat();
        load_weights(&mut model, golden(file), Which::All).unwrap();
        equals(&model, KERAS_2, "keras2_flat");
    }
    equals(&imported("keras2_flat.keras").model, KERAS_2, "keras2_flat");
    // Of a model in a model, by the layers' own names.
    let mut model = imported("nested_keras3.h5").model;
    let whole = model.clone();
    model.set_weights("again", &[&[0.0; 81], &[0.0; 3]]).unwrap();
    load_weights(&mut model, golden("nested_keras3.h5"), Which::All).unwrap();
    assert_eq!(model, whole);
}

#[test]
fn a_base_takes_what_is_its_own() {
    for file in ["base.weights.h5", "keras1.h5"] {
        let mut model = base(5).build(1).unwrap();
        let before = model.clone();
        let error = load_weights(&mut model, golden(file), Which::All).unwrap_err().to_string();
        for part in ["top_5/kernel: the file has none", "top_5/bias: the file has none", "the model has not"]
        {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(model, before);
        let loaded = load_weights(&mut model, golden(file), Which::OfBoth).unwrap();
        assert_eq!((&loaded.missing[..], loaded.extra.len()), (&["top_5".to_string()][..], 2));
        let mut whole = base(3).build(2).unwrap();
        load_weights(&mut whole, golden(file), Which::All).unwrap();
        for name in ["stem", "bn", "depthwise", "point"] {
            assert_eq!(model.weights(name).unwrap(), whole.weights(name).unwrap());
        }
        assert_eq!(model.weights("top_5").unwrap(), before.weights("top_5").unwrap());
    }
}

#[test]
fn all_that_does_not_fit_is_told_at_once() {
    let body = Sequential::new([6, 6, 2]).conv2d(4, 3).named("stem").batch_normalization().named("bn");
    let mut model = body.flatten().dense(3).named("top_3").build(1).unwrap();
    let before = model.clone();
    let error = load_weights(&mut model, golden("base.weights.h5"), Which::OfBoth).unwrap_err().to_string();
    for part in [
        "stem/kernel: expected [3, 3, 2, 4], got [3, 3, 2, 3]",
        "bn/gamma: expected [4], got [3]",
        "top_3/kernel: ",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let theano = load_weights(&mut base(3).build(1).unwrap(), golden("theano.h5"), Which::All)
        .unwrap_err()
        .to_string();
    assert!(
        theano.contains("stem/kernel: a kernel in Theano's order; take the file for TensorFlow"),
        "{theano}"
    );
    let mut other = Sequential::new([2]).dense(1).named("other").build(1).unwrap();
    let error = load_weights(&mut other, golden("keras1.h5"), Which::OfBoth).unwrap_err().to_string();
    assert!(error.contains("other: the file has none"), "{error}");
    assert_eq!(model, before);
}

#[test]
fn files_that_are_no_model_say_what_they_are() {
    let cause = |name: &str| import(golden(name), &ImportOptions::new()).unwrap_err();
    let error = cause("base.weights.h5");
    assert!(
        matches!(error.cause, Cause::Foreign { found: "weights of Keras without a model", .. }),
        "{error}"
    );
    assert!(cause(KERAS_3).to_string().contains("expected a model of a format that can be read"));
    assert!(cause("none.h5").to_string().contains("none.h5: No such file"));
}

/// A model of that configuration in an archive, with the weights of another.
fn archive(config: &serde_json::Value, version: &str) -> Vec<u8> {
    let bytes = std::fs::read(golden("bfloat16.keras")).unwrap();
    let mut old = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut weights = Vec::new();
    old.by_name("model.weights.h5").unwrap().read_to_end(&mut weights).unwrap();
    let mut new = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let metadata = format!("{{\"keras_version\": \"{version}\"}}");
    let config = config.to_string();
    let parts: [(&str, &[u8]); 3] = [
        ("config.json", config.as_bytes()),
        ("metadata.json", metadata.as_bytes()),
        ("model.weights.h5", &weights),
    ];
    for (name, content) in parts {
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        new.start_file(name, stored).unwrap();
        new.write_all(content).unwrap();
    }
    new.finish().unwrap().into_inner()
}

fn sequential(layers: &serde_json::Value) -> serde_json::Value {
    json!({ "class_name": "Sequential", "config": { "name": "net", "layers": layers } })
}

#[test]
fn all_that_the_engine_has_not_is_told_at_once_with_what_may_help() {
    let config = sequential(&json!([
        { "class_name": "InputLayer", "config": { "name": "in", "batch_shape": [null, 8, 8, 3] } },
        { "class_name": "Resizing", "config": { "name": "resizing", "height": 4, "width": 4 } },
        { "class_name": "Conv2D", "config": { "name": "conv", "filters": 2, "kernel_size": [3, 3], "data_format": "channels_first", "activation": "celu" } },
        { "class_name": "Lambda", "config": { "name": "mine" } },
        { "class_name": "GRU", "config": { "name": "gru", "units": 3, "reset_after": false } },
        { "class_name": "LSTM", "config": { "name": "lstm", "units": "three", "recurrent_activation": "hard_sigmoid" } },
        { "class_name": "Dense", "config": { "name": "head", "units": 2, "dtype": { "config": { "name": "int8_from_float32" } } } },
    ]));
    let Err(Cause::Unsupported(parts)) = read(archive(&config, "3.0.0"), &ImportOptions::new()) else {
        panic!()
    };
    let of = |name: &str| -> Vec<&Unsupported> { parts.iter().filter(|part| part.name == name).collect() };
    assert!(of("resizing")[0].advice.starts_with("--input-size 4x4"), "{parts:?}");
    assert!(
        of("conv")[0].what.contains("data_format is \"channels_first\"")
            && of("conv")[1].what.contains("celu")
    );
    assert_eq!(of("mine")[0].advice, "write it as a layer of Keras");
    assert!(of("gru")[0].what.contains("reset_after"));
    assert!(
        of("lstm").iter().any(|part| part.what.contains("units: expected a whole number, got \"three\"")),
        "{parts:?}"
    );
    assert!(of("lstm").iter().any(|part| part.what.contains("recurrent_activation")));
    assert!(of("head")[0].what.contains("quantised to int8_from_float32"));
}

#[test]
fn images_of_open_size_are_given_one() {
    let config = |last: &serde_json::Value| {
        sequential(&json!([
            { "class_name": "InputLayer", "config": { "name": "in", "batch_input_shape": [null, null, null, 3] } },
            { "class_name": "Resizing", "config": { "name": "resizing", "height": 4, "width": 6 } },
            last,
        ]))
    };
    let pool = json!({ "class_name": "MaxPooling2D", "config": { "name": "pool", "pool_size": [2, 2], "strides": [2, 2] } });
    let bytes = archive(&config(&pool), "3.0.0");
    let open = read(bytes.clone(), &ImportOptions::new()).unwrap_err().to_string();
    assert!(
        open.contains(
            "\"in\": an input of open size, [null,null,null,3]: \"in.1\", \"in.2\"; say the size of images by --input-size"
        ),
        "{open}"
    );
    let named = ImportOptions::new().dimension("in.1", 4).dimension("in.2", 6);
    assert_eq!(read(bytes.clone(), &named).unwrap().model.input_shape().dims(), [4, 6, 3]);
    let wrong = read(bytes.clone(), &named.dimension("in.3", 3)).unwrap_err().to_string();
    let expected = "dimension: expected one that the file leaves open, \"in.1\", \"in.2\", got \"in.3\"";
    assert_eq!(wrong, expected);
    let Import { model, report } = read(bytes, &ImportOptions::new().input_size(4, 6)).unwrap();
    assert_eq!((model.input_shape().dims(), model.output_shape().dims()), (&[4, 6, 3][..], &[2, 3, 3][..]));
    assert!(report.left_out[0].starts_with("resizing: Resizing, images have that size already"), "{report}");
}

#[test]
fn missing_weights_and_wrong_ones_are_told_at_once() {
    let config = sequential(&json!([
        { "class_name": "InputLayer", "config": { "name": "in", "batch_shape": [null, 5] } },
        { "class_name": "Dense", "config": { "name": "a", "units": 3 } },
        { "class_name": "Dense", "config": { "name": "c", "units": 3, "use_bias": false } },
    ]));
    let error = read(archive(&config, "3.0.0"), &ImportOptions::new()).unwrap_err().to_string();
    for part in [
        "a/kernel: expected [5, 3], got [5, 4]",
        "a/bias: expected [3], got [4]",
        "c/kernel: the file has none",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// Models within models whose calls multiply: a file of some kilobytes with as many layers as it likes.
#[test]
fn no_file_makes_more_layers_than_a_model_has() {
    let mut inner = json!({ "class_name": "ReLU", "config": { "name": "relu" } });
    for depth in 0..3 {
        let layers: Vec<_> = (0..8)
            .map(|i| {
                let mut layer = inner.clone();
                layer["config"]["name"] = format!("l{depth}_{i}").into();
                layer
            })
            .take(if depth == 0 { 8 } else { 2 })
            .collect();
        inner = sequential(&json!(layers));
    }
    let calls: Vec<_> = (0..600).map(|_| json!([["in", 0, 0, {}]])).collect();
    let config = json!({ "class_name": "Functional", "config": {
        "name": "net", "input_layers": [["in", 0, 0]], "output_layers": [["l", 0, 0]],
        "layers": [
            { "class_name": "InputLayer", "name": "in", "config": { "name": "in", "batch_shape": [null, 5] }, "inbound_nodes": [] },
            { "class_name": "Sequential", "name": "l", "config": inner["config"], "inbound_nodes": calls },
        ],
    } });
    let error = read(archive(&config, "3.0.0"), &ImportOptions::new()).unwrap_err().to_string();
    assert!(error.contains("expected at most 4096 calls of layers"), "{error}");
}

/// What the reader of a damaged file gives is an error, or a model as good as any.
fn survives(bytes: Vec<u8>) {
    if let Ok(Import { model, .. }) = read(bytes.clone(), &ImportOptions::new()) {
        assert!(!model.nodes().is_empty());
    }
    let mut model = base(3).build(1).unwrap();
    let before = model.clone();
    if read_weights(&mut model, bytes, Which::All).is_err() {
        assert_eq!(model, before, "changed although it failed");
    }
}

#[test]
fn damaged_files_are_refused() {
    for name in ["nested.keras", "bfloat16.keras", "keras2_nested.h5", "base.weights.h5", "keras1.h5"] {
        let whole = std::fs::read(golden(name)).unwrap();
        for part in 0..64 {
            let short = whole[..whole.len() * part / 64].to_vec();
            assert!(read(short.clone(), &ImportOptions::new()).is_err(), "{name}, {} bytes", short.len());
            survives(short);
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
        for _ in 0..128 {
            let mut bytes = whole.clone();
            for _ in 0..4 {
                let at = random.next_u64() as usize % bytes.len();
                bytes[at] ^= 1 << (random.next_u64() % 8);
            }
            survives(bytes);
        }
    }
}
