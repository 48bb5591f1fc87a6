//! The program as a person uses it.

use image::{Rgb, RgbImage};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_small-dataset")).current_dir(folder).args(arguments).output().unwrap()
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

/// Reddish cats and bluish dogs to learn, to validate with and to measure on, in `pets`.
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
    folder
}

#[test]
fn digits_are_learnt_twice_and_the_figures_are_of_those_held_out() {
    let folder = TempDir::new().unwrap();
    let learn = |threads: &str| {
        said(folder.path(), &["--pictures", "40", "--epochs", "2", "--threads", threads, "--json"])
    };
    let lines = learn("1");
    assert_eq!(lines, learn("2"), "threads changed the result");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let trainings: Vec<_> = lines.iter().map(|line| line["training"].as_str()).collect();
    assert_eq!(trainings, [Some("plain"), Some("plain"), Some("augmented"), Some("augmented"), None]);
    assert_eq!((&lines[1]["epoch"], &lines[1]["samples"]), (&2.into(), &40.into()));
    assert_ne!(lines[1]["loss"], lines[3]["loss"]);
    for name in ["plain", "augmented"] {
        let share = lines[4][name].as_f64().unwrap();
        assert!((0.1..1.0).contains(&share), "{lines:?}");
        let curves = folder.path().join(format!("small-dataset-{name}.svg"));
        assert!(fs::read_to_string(curves).unwrap().contains("validation"));
    }
}

#[test]
fn a_folder_of_ones_own_is_learnt() {
    let folder = pets();
    let text = said(folder.path(), &["pets", "--size", "12", "--epochs", "3", "--out", "pets"]);
    for said in
        ["12 pictures of 2 classes to learn,", "4 to validate with, 8 held out.", "Dropout", "augmented: "]
    {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    assert!(folder.path().join("pets/small-dataset-augmented.svg").exists());
}

#[test]
fn what_cannot_be_is_named() {
    let folder = pets();
    let path = folder.path();
    assert!(refused(path, &["nowhere"]).contains("nowhere/train: "));
    assert!(refused(path, &["--out", "nowhere"]).contains("nowhere/small-dataset-plain.svg"));
    assert!(refused(path, &["--pictures", "60000", "--epochs", "1"]).contains("expected at most 59000"));
    fs::rename(path.join("pets/test/dogs"), path.join("pets/test/wolves")).unwrap();
    let classes = refused(path, &["pets"]);
    assert!(classes.contains("pets/test: expected the classes cats, dogs, got cats, wolves"), "{classes}");
    fs::remove_dir_all(path.join("pets/validation")).unwrap();
    assert!(refused(path, &["pets"]).contains("pets/validation: "));
    let output = run(path, &["pets", "--pictures", "7"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn output_to_a_full_disk_is_an_error() {
    let folder = TempDir::new().unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_small-dataset"));
    let arguments = ["--pictures", "20", "--epochs", "1", "--json"];
    let output = command.current_dir(folder.path()).args(arguments).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("error: standard output: No space left"));
}
