//! Trainings that Keras has begun, and that go on here as they would there.

use ::safetensors::SafeTensors;
use bantam::{Loss, Samples, Tensor, Trainer};
use bantam_tools::import::keras::{Resumed, read_resumed, resume};
use bantam_tools::import::{Cause, ImportOptions, keras};
use std::io::{Cursor, Read};
use std::ops::ControlFlow;

/// What `keras_training.py` and `keras2_training.py` have written.
const TRAININGS: [&[u8]; 2] = [
    include_bytes!("../../golden/keras_training.safetensors"),
    include_bytes!("../../golden/keras2_training.safetensors"),
];

/// The trainings of a Keras, 3 or 2, and the name there of one of `2/NAME` or `NAME`.
fn trainings(name: &str) -> (SafeTensors<'static>, &str) {
    let (which, name) = name.strip_prefix("2/").map_or((0, name), |name| (1, name));
    (SafeTensors::deserialize(TRAININGS[which]).unwrap(), name)
}

fn numbers(name: &str) -> (Vec<usize>, Vec<f32>) {
    let (trainings, name) = trainings(name);
    let tensor = trainings.tensor(name).unwrap();
    (tensor.shape().to_vec(), tensor.data().as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect())
}

/// The file of a training.
fn file(name: &str) -> Vec<u8> {
    let (trainings, within) = trainings(name);
    let bytes = trainings.tensor(&format!("{within}/file")).unwrap().data().to_vec();
    if !name.ends_with(".h5") && !name.starts_with("2/") {
        return bytes;
    }
    let mut whole = Vec::new();
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    archive.by_index(0).unwrap().read_to_end(&mut whole).unwrap();
    whole
}

fn resumed(name: &str) -> Resumed {
    read_resumed(file(name), &ImportOptions::new()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The largest difference of all weights from those that Keras has after as many steps more, in units of what the steps moved
/// them by.
fn difference(name: &str, steps: usize) -> f32 {
    let Resumed { import, optimizer } = resumed(name);
    let mut model = import.model;
    let before = model.clone();
    let keras = if name.starts_with("2/") { "2/" } else { "" };
    let tensor = |samples: &str| {
        let (shape, values) = numbers(&format!("{keras}{samples}"));
        Tensor::new(&shape, values).unwrap()
    };
    let samples = Samples::new(tensor("x"), tensor("y")).unwrap();
    let mut trainer = Trainer::new(optimizer, Loss::MeanSquaredError).batch_size(6).epochs(steps);
    trainer.fit(&mut model, &samples, None, &mut |_| ControlFlow::Continue(())).unwrap();
    let (mut largest, mut moved, mut compared) = (0.0f32, 0.0f32, 0);
    let far = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    for node in model.nodes() {
        let earlier = before.weights(node.name()).unwrap();
        for (parameter, earlier) in model.parameters_of(node).iter().zip(earlier) {
            let (_, expected) = numbers(&format!("{name}/after/{}/{}", node.name(), parameter.name()));
            assert_eq!(expected.len(), parameter.values().len());
            largest = largest.max(far(parameter.values(), &expected));
            moved = moved.max(far(earlier.values(), &expected));
            compared += 1;
        }
    }
    let (trainings, within) = trainings(name);
    let all =
        trainings.names().into_iter().filter(|known| known.starts_with(&format!("{within}/after/"))).count();
    assert_eq!(compared, all, "{name}: Keras has other weights");
    assert!(moved > 1e-3, "{name}: nothing was learnt");
    largest / moved
}

/// All that the scripts have.
const NAMES: [&str; 30] = [
    "sgd",
    "momentum",
    "rmsprop",
    "rmsprop.h5",
    "adam",
    "adam_by_schedule",
    "adam_by_steps",
    "adam.h5",
    "adamw",
    "nadam",
    "adamax",
    "adagrad",
    "lion",
    "new",
    "2/sgd",
    "2/momentum",
    "2/rmsprop",
    "2/adam",
    "2/adam_by_schedule",
    "2/adamw",
    "2/adamax",
    "2/adagrad",
    "2/lion",
    "2/new",
    "2/sgd_before_2.11",
    "2/momentum_before_2.11",
    "2/rmsprop_before_2.11",
    "2/adam_before_2.11",
    "2/adamax_before_2.11",
    "2/adagrad_before_2.11",
];

/// Gradients are sums of fewer than 100 products behind four layers, which the rules divide by roots of their own squares.
const TOLERANCE: f32 = 100.0 * 4.0 * f32::EPSILON;

#[test]
fn the_next_steps_are_those_of_keras() {
    let files = |which: usize| {
        let trainings = SafeTensors::deserialize(TRAININGS[which]).unwrap();
        trainings.names().into_iter().filter(|name| name.ends_with("/file")).count()
    };
    // And one of Nadam of Keras 2.
    assert_eq!(files(0) + files(1), NAMES.len() + 1);
    for name in NAMES {
        let largest = difference(name, 3);
        println!("{name}: {largest:e}");
        assert!(largest <= TOLERANCE, "{name}: {largest:e}");
        // Not by chance: another number of steps is another training.
        assert!(difference(name, 2) > 100.0 * TOLERANCE, "{name}");
    }
}

#[test]
fn the_report_says_how_far_the_training_is() {
    let notes = |name: &str| resumed(name).import.report.notes.join("\n");
    assert!(notes("adam").contains("optimizer: Adam after 3 steps"));
    assert!(notes("new").contains("optimizer: Adam after 0 steps"));
    let warnings = resumed("adamw").import.report.warnings;
    assert!(warnings.iter().any(|warning| warning.contains("which weights do not decay")), "{warnings:?}");
    assert!(notes("2/adam").contains("optimizer: Adam after 3 steps"));
    assert!(notes("2/new").contains("optimizer: Adam after 0 steps"));
    // A rate that was changed while it learnt is the variable's.
    assert_eq!(resumed("sgd").optimizer.rate(), 0.02);
}

#[test]
fn what_no_training_can_go_on_from_is_told() {
    let refused =
        |name: &str| resume(super::keras::golden(name), &ImportOptions::new()).unwrap_err().to_string();
    assert!(
        refused("bfloat16.keras").contains("\"optimizer\": the file has none; compile and train the model")
    );
    let nadam = read_resumed(file("2/nadam"), &ImportOptions::new()).unwrap_err().to_string();
    assert!(nadam.contains("\"Nadam\": of Keras 2, whose momenta are others"), "{nadam}");
    assert!(refused("base.weights.h5").contains("weights of Keras without a model"));

    let config = |edit: &dyn Fn(&str) -> String| {
        let bytes = file("adam");
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut edited = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for index in 0..archive.len() {
            let mut part = archive.by_index(index).unwrap();
            let (name, mut contents) = (part.name().to_string(), Vec::new());
            part.read_to_end(&mut contents).unwrap();
            if name == "config.json" {
                contents = edit(std::str::from_utf8(&contents).unwrap()).into_bytes();
            }
            edited.start_file(&name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut edited, &contents).unwrap();
        }
        read_resumed(edited.finish().unwrap().into_inner(), &ImportOptions::new())
    };
    assert!(config(&|config| config.into()).is_ok());
    let error = |from: &str, to: &str| {
        config(&|config| {
            assert!(config.contains(from), "{config}");
            config.replace(from, to)
        })
        .unwrap_err()
        .to_string()
    };
    let adam = r#""class_name": "Adam""#;
    assert!(
        error(adam, r#""class_name": "Ftrl""#).contains("\"Ftrl\": an optimiser that the engine has not")
    );
    // It remembers other things.
    let other = error(adam, r#""class_name": "Adamax""#);
    assert!(other.contains("optimizer: expected 20 arrays for 10 weights that learn, got 30"), "{other}");
    let rate = r#""learning_rate": 0.009999999776482582"#;
    let schedule =
        r#""learning_rate": {"class_name": "Mine", "config": {}}, "loss_scale_factor": 2.0, "beta_1": "a""#;
    let all = error(rate, schedule);
    for part in
        ["\"Mine\": initial_learning_rate: expected a number", "\"Mine\": a schedule that the engine has not"]
    {
        assert!(all.contains(part), "{part}: {all}");
    }
    let accumulated = error(r#""gradient_accumulation_steps": null"#, r#""gradient_accumulation_steps": 4"#);
    assert!(accumulated.contains("gradient_accumulation_steps: expected none, got 4"), "{accumulated}");
    // Weights that no longer learn.
    let frozen = error(r#""name": "last", "trainable": true"#, r#""name": "last", "trainable": false"#);
    assert!(frozen.contains("expected 24 arrays for 8 weights that learn, got 30"), "{frozen}");
    // A plain import does not ask.
    assert!(keras::read(file("adam.h5"), &ImportOptions::new()).is_ok());
    assert!(matches!(
        read_resumed(file("adam.h5")[..900].to_vec(), &ImportOptions::new()),
        Err(Cause::Damaged { .. })
    ));
}
