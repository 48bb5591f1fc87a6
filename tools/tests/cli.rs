//! The program as a person uses it, on images made here.

use image::{Rgb, RgbImage};
use serde_json::Value;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The least size that the net takes.
const SIZE: &str = "46";

/// A folder with a set of reddish cats and bluish dogs in it, in `set`.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    for (class, channel) in [("cats", 0), ("dogs", 2)] {
        for which in 0..6 {
            let path = folder.path().join("set").join(class).join(format!("{which}.png"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let pixel = |x: u32, y: u32| {
                let mut pixel = [(x * 5 + which) as u8 / 2, (y * 3) as u8 / 2, (x + y) as u8 / 2];
                pixel[channel] = 200 + which as u8;
                Rgb(pixel)
            };
            RgbImage::from_fn(60, 50, pixel).save(path).unwrap();
        }
    }
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bantam")).current_dir(folder).args(arguments).output().unwrap()
}

/// What the program says when it succeeds.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the program says when it refuses.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Trains for some epochs, quickly, and gives what is said.
fn train(folder: &Path, more: &[&str]) -> String {
    let size = ["train", "set", "--size", SIZE, "--epochs", "2", "--batch-size", "4", "--rate", "1e-3"];
    said(folder, &[&size, more].concat())
}

#[test]
fn a_model_is_trained_and_used() {
    let folder = folder();
    let here = folder.path();
    let told = train(here, &["--augment", "--dropout", "0.2", "--csv", "--out", "pets.bantam"]);
    assert!(told.contains("2 classes: cats, dogs\n10 images to learn, 2 to validate\n"), "{told}");
    assert!(
        told.contains("epoch 2: loss ") && told.contains("Wrote pets.bantam, the model after "),
        "{told}"
    );
    let log = fs::read_to_string(here.join("pets.jsonl")).unwrap();
    let epochs: Vec<Value> = log.lines().map(json).collect();
    assert_eq!(epochs.len(), 2);
    assert_eq!((&epochs[1]["epoch"], &epochs[1]["samples"]), (&2.into(), &10.into()));

    let predicted =
        said(here, &["predict", "pets.bantam", "set/cats/1.png", "set/dogs/1.png", "--top", "2", "--json"]);
    for line in predicted.lines() {
        let classes = &json(line)["classes"];
        let sum = classes[0]["probability"].as_f64().unwrap() + classes[1]["probability"].as_f64().unwrap();
        assert!((sum - 1.0).abs() < 1e-5 && classes[0]["class"] != classes[1]["class"], "{line}");
    }
    let evaluated = json(&said(here, &["evaluate", "pets.bantam", "set", "--json"]));
    assert_eq!((&evaluated["images"], &evaluated["class_names"][1]), (&12.into(), &"dogs".into()));
    let counts: Vec<u64> = (0..4).map(|i| evaluated["confusion"][i / 2][i % 2].as_u64().unwrap()).collect();
    assert_eq!((counts[0] + counts[1], counts[2] + counts[3]), (6, 6));
    let accuracy = evaluated["accuracy"].as_f64().unwrap();
    assert!((accuracy - (counts[0] + counts[3]) as f64 / 12.0).abs() < 1e-6);
    let text = said(here, &["evaluate", "pets.bantam", "set"]);
    assert!(text.contains("true \\ read  cats  dogs\n") && text.contains("12 images: loss "), "{text}");

    let summary = json(&said(here, &["summary", "pets.bantam", "--json"]));
    assert_eq!((&summary["input"][0], &summary["notes"]["fit"]), (&46.into(), &"stretch".into()));
    let text = said(here, &["summary", "pets.bantam"]);
    assert!(text.contains("Total params: ") && text.contains("Classes: cats, dogs"), "{text}");
    let plan = said(here, &["plan", "pets.bantam", "--ram", "64M", "--batch-size", "2"]);
    assert!(plan.contains("conv2d + re_lu + max_pooling2d") && plan.contains("learns"), "{plan}");
    let plan = json(&said(here, &["plan", "pets.bantam", "--ram", "64M", "--batch-size", "2", "--json"]));
    let arena = plan["inference"]["arena"].as_u64().unwrap();
    assert_eq!(plan["inference"]["fits"], (arena <= 64 << 20));
    let steps = plan["inference"]["steps"].as_array().unwrap();
    assert!(
        steps.iter().all(|step| step["offset"].as_u64().unwrap() + step["bytes"].as_u64().unwrap() <= arena)
    );
    let way = &plan["training"][0];
    assert_eq!((&way["learns"], &way["weights"]), (&"from dense_1 on".into(), &513.into()), "{way}");
    assert_eq!(way["micro_batch"], 2);
    let timed = ["bench", "pets.bantam", "--seconds", "0.1", "--json", "--picture", "times.svg"];
    let timed = json(&said(here, &timed));
    let steps = timed["steps"].as_array().unwrap();
    let sum: f64 = steps.iter().map(|step| step["microseconds"].as_f64().unwrap()).sum();
    let whole = timed["microseconds"].as_f64().unwrap();
    assert!(sum <= whole && sum > 0.5 * whole, "{timed}");
    let picture = fs::read_to_string(here.join("times.svg")).unwrap();
    assert!(picture.contains("\nconv2d_1 + re_lu_1 + max_pooling2d_1\n"), "{picture}");
    said(here, &["evaluate", "pets.bantam", "set", "--picture", "confusion.png"]);
    let picture = image::open(here.join("confusion.png")).unwrap().to_rgb8();
    assert!(picture.pixels().any(|pixel| pixel.0 != [255; 3]));
}

#[test]
fn where_a_class_is_seen_is_laid_over_the_image() {
    let folder = folder();
    let here = folder.path();
    train(here, &["--threads", "1"]);
    let image = "set/cats/3.png";
    let line = said(here, &["explain", "model.bantam", image]);
    assert!(
        line.starts_with("Wrote explained.png: where \"") && line.contains("by the maps of re_lu_3, "),
        "{line}"
    );
    let picture = |file: &str| image::open(here.join(file)).unwrap().to_rgb8();
    // Two of 46 pixels a side, five times as large.
    assert_eq!(picture("explained.png").dimensions(), (466, 234));
    let told = json(&said(here, &["explain", "model.bantam", image, "--json"]));
    let map = told["map"].as_array().unwrap();
    assert_eq!(
        (&told["picture"], map.len(), map[0].as_array().unwrap().len()),
        (&"explained.png".into(), 2, 2)
    );
    let of_class = |class: &str| {
        let options = ["explain", "model.bantam", image, "--layer", "re_lu_1", "--out", class, "--class"];
        let line = said(here, &[&options[..], &[class.trim_end_matches(".png")]].concat());
        assert!(line.contains(" by the maps of re_lu_1, 20x20."), "{line}");
        picture(class)
    };
    assert_ne!(of_class("cats.png"), of_class("dogs.png"));
    let line = said(here, &["explain", "model.bantam", image, "--cover", "10", "--class", "dogs"]);
    let told =
        "Wrote explained.png: where \"dogs\" is seen, by squares of 10 pixels that are covered, 10x10.\n";
    assert_eq!(line, told);
    let refused = |more: &[&str]| refused(here, &[&["explain", "model.bantam", image], more].concat());
    assert!(refused(&["--class", "cows"]).contains("class: expected one of cats, dogs, got cows"));
    assert!(
        refused(&["--layer", "relu_1"]).contains("no layer is named \"relu_1\"; the nearest is \"re_lu_1\"")
    );
    assert!(refused(&["--layer", "flatten"]).contains("layer \"flatten\": map of the layer"));
    assert!(refused(&["--cover", "47"]).contains("patch: expected at most 46, got 47"));
}

#[test]
fn curves_are_drawn_of_what_a_log_has() {
    let folder = folder();
    let here = folder.path();
    train(here, &["--threads", "1"]);
    // As a kill leaves the log of another program.
    let log = fs::read_to_string(here.join("model.jsonl")).unwrap() + "{\"epoch\":3,\"los";
    fs::write(here.join("model.jsonl"), log).unwrap();
    assert_eq!(said(here, &["curves", "model.jsonl"]), "Wrote model.svg: 2 epochs.\n");
    let picture = fs::read_to_string(here.join("model.svg")).unwrap();
    for text in ["Loss", "Accuracy", "training", "validation"] {
        assert!(picture.contains(&format!("\n{text}\n")), "{text}: {picture}");
    }
    said(here, &["curves", "model.jsonl", "--smooth", "0.8", "--out", "smooth.png"]);
    assert_eq!(image::open(here.join("smooth.png")).unwrap().to_rgb8().dimensions(), (900, 360));

    fs::write(here.join("empty.jsonl"), "").unwrap();
    assert!(refused(here, &["curves", "empty.jsonl"]).contains("empty.jsonl: expected epochs, found none"));
    fs::write(here.join("other.jsonl"), "{\"epoch\":1}\n").unwrap();
    assert!(refused(here, &["curves", "other.jsonl"]).contains("other.jsonl: line 1: expected an epoch"));
    assert_eq!(run(here, &["curves", "model.jsonl", "--smooth", "1"]).status.code(), Some(2));
}

#[test]
fn the_file_is_the_same_on_any_number_of_threads() {
    let folder = folder();
    let bytes = |threads: &str, decoders: &str, seed: &str| {
        train(folder.path(), &["--augment", "--threads", threads, "--decoders", decoders, "--seed", seed]);
        fs::read(folder.path().join("model.bantam")).unwrap()
    };
    let one = bytes("1", "1", "1");
    assert!(bytes("2", "3", "1") == one);
    assert!(bytes("1", "1", "2") != one);
}

#[test]
fn steps_take_a_part_of_the_images_in_turn() {
    let folder = folder();
    let told = train(folder.path(), &["--steps", "2", "--split", "0", "--json"]);
    let lines: Vec<Value> = told.lines().map(json).collect();
    assert_eq!((lines.len(), &lines[0]["samples"]), (3, &8.into()));
    assert_eq!((&lines[2]["written_epoch"], &lines[2]["validation_accuracy"]), (&2.into(), &Value::Null));
}

/// Killed at any moment and told to go on, over and over, a training leaves the files of one that nothing happened to.
#[test]
fn a_training_that_is_killed_goes_on_to_the_same_files() {
    const FILES: [&str; 4] = ["model.bantam", "model.checkpoint", "model.jsonl", "model.csv"];
    let arguments = "train set --size 46 --epochs 12 --batch-size 4 --steps 3 --rate 1e-3 --schedule one-cycle \
                     --balanced --augment --dropout 0.25 --csv";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let files = |folder: &Path| FILES.map(|name| fs::read(folder.join(name)).unwrap());
    let whole = folder();
    let start = Instant::now();
    said(whole.path(), &arguments);
    let time = start.elapsed();
    let killed = folder();
    let resumed = [&arguments[..], &["--resume"]].concat();
    let mut went_on = 0;
    for kill in 0..8 {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bantam"));
        let mut program =
            program.current_dir(killed.path()).args(&resumed).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(time.mul_f64(0.15 + f64::from(kill * 5 % 8) / 16.0));
        program.kill().unwrap();
        program.wait().unwrap();
        went_on += usize::from(killed.path().join("model.checkpoint").exists());
    }
    said(killed.path(), &resumed);
    assert!(went_on > 0);
    assert!(files(whole.path()) == files(killed.path()));
    // There is nothing left to do.
    said(killed.path(), &resumed);
    assert!(files(whole.path()) == files(killed.path()));
    let other = refused(killed.path(), &["train", "set", "--size", "62", "--resume"]);
    assert!(
        other.contains(
            "model.checkpoint: expected a net for [62, 62, 3] with 17 layers, found one for [46, 46, 3]"
        ),
        "{other}"
    );
    let checkpoint = killed.path().join("model.checkpoint");
    let whole = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &whole[..1000]).unwrap();
    let torn = refused(killed.path(), &resumed);
    assert!(
        torn.contains(&format!("model.checkpoint: checkpoint: expected {} bytes, found 1000", whole.len())),
        "{torn}"
    );
    fs::write(&checkpoint, whole).unwrap();
    let log = killed.path().join("model.jsonl");
    fs::write(&log, "{\"epoch\": 1, \"samp").unwrap();
    let other = refused(killed.path(), &resumed);
    assert!(other.contains("model.jsonl: line 1: "), "{other}");
    assert_eq!(fs::read(log).unwrap().len(), 18);
}

/// Ctrl-C ends a training after its batch, in the middle of an epoch, and nothing of it is lost; so does the system's wish
/// that the program end, and whoever starts it may have told it to ignore either.
#[cfg(unix)]
#[test]
fn a_training_that_is_interrupted_goes_on_to_the_same_files() {
    let arguments = "train set --size 46 --epochs 60 --batch-size 2 --steps 40 --rate 1e-3 --augment";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let whole = folder();
    said(whole.path(), &arguments);
    let stopped = folder();
    let resumed = [&arguments[..], &["--resume"]].concat();
    // A shell starts what runs in the background so that it ignores Ctrl-C.
    for (signal, before) in [("-INT", ":"), ("-INT", "trap '' INT"), ("-TERM", "trap '' INT TERM")] {
        let mut program = Command::new("sh");
        let mut program = program
            .current_dir(stopped.path())
            .args(["-c", &format!("{before}; exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_bantam"))
            .args(&resumed)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It heeds the signal once it has said what it learns.
        let mut told = BufReader::new(program.stdout.take().unwrap()).lines();
        assert!(told.any(|line| line.unwrap().contains("to learn")));
        thread::sleep(Duration::from_millis(25));
        Command::new("kill").args([signal, &program.id().to_string()]).status().unwrap();
        told.for_each(drop);
        assert_eq!(program.wait().unwrap().code(), Some(130), "{signal}, {before}");
    }
    said(stopped.path(), &resumed);
    for name in ["model.bantam", "model.checkpoint", "model.jsonl"] {
        let [whole, stopped] = [&whole, &stopped].map(|folder| fs::read(folder.path().join(name)).unwrap());
        assert!(whole == stopped, "{name}");
    }
}

/// Who reads has read enough.
#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let folder = folder();
    for arguments in [&["completions", "bash"][..], &["--help"], &["train", "set", "--size", SIZE]] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut program = Command::new(env!("CARGO_BIN_EXE_bantam"));
        let output = program.current_dir(folder.path()).args(arguments).stdout(writer).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_training_ends_when_it_gets_no_better() {
    let folder = folder();
    let told = said(
        folder.path(),
        &["train", "set", "--size", SIZE, "--epochs", "40", "--rate", "0", "--patience", "2", "--json"],
    );
    assert_eq!(told.lines().count(), 3 + 1, "{told}");
    let alone = refused(folder.path(), &["train", "set", "--size", SIZE, "--split", "0", "--patience", "2"]);
    assert!(alone.contains("patience: expected a validation set"), "{alone}");
}

#[test]
fn more_than_two_classes_have_an_output_each() {
    let folder = folder();
    let eels = folder.path().join("set/eels");
    fs::create_dir(&eels).unwrap();
    for which in 0..6 {
        let pixel = |x, y| Rgb([0, 200, ((x * y + which) % 90) as u8]);
        RgbImage::from_fn(50, 60, pixel).save(eels.join(format!("{which}.jpg"))).unwrap();
    }
    train(folder.path(), &["--grey", "--fit", "crop", "--interpolation", "bicubic"]);
    let summary = json(&said(folder.path(), &["summary", "model.bantam", "--json"]));
    assert_eq!((&summary["output"][0], &summary["input"][2]), (&3.into(), &1.into()));
    assert_eq!(
        (&summary["notes"]["fit"], &summary["notes"]["interpolation"]),
        (&"crop".into(), &"bicubic".into())
    );
    let told = said(folder.path(), &["predict", "model.bantam", "set/eels/1.jpg", "--top", "5"]);
    assert!(["cats", "dogs", "eels"].iter().all(|class| told.contains(class)), "{told}");
    let other = self::folder();
    let refused =
        refused(other.path(), &["evaluate", folder.path().join("model.bantam").to_str().unwrap(), "set"]);
    assert_eq!(refused, "error: set: expected the classes cats, dogs, eels, found cats, dogs\n");
}

#[test]
fn broken_images_are_named() {
    let folder = folder();
    let here = folder.path();
    fs::write(here.join("set/cats/torn.jpg"), b"\xFF\xD8\xFF\xE0 torn").unwrap();
    let told = train(here, &["--split", "0", "--json", "--out", "other.bantam"]);
    let end = json(told.lines().last().unwrap());
    assert_eq!(end["skipped"][0]["image"], "set/cats/torn.jpg", "{end}");
    let told = train(here, &["--split", "0"]);
    assert!(told.contains("of 13 images: 1 skipped\nset/cats/torn.jpg: "), "{told}");
    let refusal =
        refused(here, &["train", "set", "--size", SIZE, "--epochs", "1", "--split", "0", "--refuse-broken"]);
    assert!(refusal.contains("error: sample 6: set/cats/torn.jpg: "), "{refusal}");
    let evaluated = json(&said(here, &["evaluate", "model.bantam", "set", "--json"]));
    assert_eq!(
        (&evaluated["images"], &evaluated["skipped"][0]["image"]),
        (&12.into(), &"set/cats/torn.jpg".into())
    );
    let whole = evaluated["loss"].as_f64().unwrap();
    fs::remove_file(here.join("set/cats/torn.jpg")).unwrap();
    let evaluated = json(&said(here, &["evaluate", "model.bantam", "set", "--json"]));
    assert!((evaluated["loss"].as_f64().unwrap() - whole).abs() < 1e-6 * whole.max(1.0), "{evaluated}");
    // Others are predicted all the same.
    fs::write(here.join("none.png"), "text").unwrap();
    let output = run(here, &["predict", "model.bantam", "none.png", "set/dogs/1.png"]);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        out.starts_with("set/dogs/1.png") && err.starts_with("error: none.png: expected a JPEG"),
        "{out}{err}"
    );
}

#[test]
fn sheets_show_what_training_would_see() {
    let folder = folder();
    let here = folder.path();
    let sheet = ["augment", "set", "--rotation", "30", "--rows", "3", "--draws", "2", "--size", "20"];
    assert_eq!(said(here, &sheet), "Wrote sheet.png: 3 images, each with 2 changes.\n");
    let first = image::open(here.join("sheet.png")).unwrap().to_rgb8();
    assert_eq!(first.dimensions(), (3 * 22 + 2, 3 * 22 + 2));
    let part = |column: u32, row: u32| {
        let at = |i: u32| *first.get_pixel(2 + column * 22 + i % 20, 2 + row * 22 + i / 20);
        (0..400).map(at).collect::<Vec<_>>()
    };
    assert!(part(0, 0) != part(1, 0) && part(1, 0) != part(2, 0) && part(0, 0) != part(0, 1));
    said(here, &sheet);
    assert!(image::open(here.join("sheet.png")).unwrap().to_rgb8() == first);
    said(here, &["augment", "set/cats/1.png", "--augment", "--sheet", "one.png"]);
    let refusal = refused(here, &["augment", "set"]);
    assert!(refusal.contains("expected --augment, --rotation or another"), "{refusal}");
}

#[test]
fn mistakes_are_told_before_anything_is_learnt() {
    let folder = folder();
    let here = folder.path();
    fs::create_dir_all(here.join("one/cats")).unwrap();
    fs::copy(here.join("set/cats/1.png"), here.join("one/cats/1.png")).unwrap();
    fs::create_dir_all(here.join("one/.hidden")).unwrap();
    for part in ["parts/train/cats", "parts/test/cats"] {
        fs::create_dir_all(here.join(part)).unwrap();
    }
    for (arguments, expected) in [
        (&["train", "one"][..], "expected a folder for each of two classes or more, found only \"cats\""),
        (&["train", "nowhere"], "nowhere: "),
        (&["train", "set", "--size", "20"], "a net for images of [20, 20, 3]: "),
        (&["train", "set", "--split", "0.01"], "class \"cats\": expected images for both parts, found 6"),
        (
            &["train", "set", "--split", "2"],
            "share of the validation set: expected more than 0 and less than 1, got 2",
        ),
        (
            &["train", "parts"],
            "parts: expected a folder for each class, found parts of a data set, test, train: ",
        ),
        (&["train", "set", "--dropout", "2"], "dropout"),
        (&["train", "set", "--zoom", "2"], "zoom"),
        (&["train", "set", "--rate=-1"], "rate"),
        (&["train", "set", "--out", "nowhere/model.bantam"], "nowhere/"),
        (&["train", "set", "--out", "nowhere/m.bantam"], "nowhere/m.bantam: "),
        (&["train", "set", "--validation", "one"], "one: "),
        (&["predict", "set/cats/1.png", "set/cats/1.png"], "set/cats/1.png: model file: "),
        (&["summary", "nowhere"], "nowhere: "),
    ] {
        let refusal = refused(here, arguments);
        assert!(refusal.starts_with("error: ") && refusal.contains(expected), "{arguments:?}: {refusal}");
    }
    assert!(!here.join("model.bantam").exists());
    assert_eq!(run(here, &["train"]).status.code(), Some(2));
    assert!(said(here, &["--help"]).contains("Exit status"));
    assert!(said(here, &["completions", "bash"]).contains("bantam"));
}
