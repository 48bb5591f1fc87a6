//! The program as a person uses it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_look-inside")).current_dir(folder).args(arguments).output().unwrap()
}

#[test]
fn all_pictures_are_drawn() {
    let folder = TempDir::new().unwrap();
    let output = run(folder.path(), &["--filters", "9"]);
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("heat.png: where 7 is seen, by the maps of re_lu_2 (Grad-CAM)\n"), "{told}");
    let pictures = folder.path().join("look-inside");
    let drawn = fs::read_dir(&pictures).unwrap().count();
    assert_eq!(told.matches(".png: ").count(), drawn);
    let size = |name: &str| image::open(pictures.join(name)).unwrap().to_rgb8().dimensions();
    // 16 maps in a row, of 26×26 and two pixels between, three times as large.
    assert_eq!(size("maps-01-conv2d.png"), (3 * (16 * 28 + 2), 3 * (2 * 28 + 2)));
    assert_eq!(size("patterns-03-conv2d_2.png"), (3 * (8 * 30 + 2), 3 * (2 * 30 + 2)));
    assert_eq!(size("heat.png"), (2 * 226 + 2, 226 + 2));
    // The seven is in the heat map of the one class, not of the other.
    let heat = fs::read(pictures.join("heat.png")).unwrap();
    assert!(run(folder.path(), &["--class", "1", "--filters", "1"]).status.success());
    assert!(fs::read(pictures.join("heat.png")).unwrap() != heat);
}

#[test]
fn mistakes_are_told() {
    let folder = TempDir::new().unwrap();
    for (arguments, status, expected) in [
        (&["--class", "ten"][..], 1, "class: expected one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, got ten"),
        (&["--model", "none.bantam", "cat.jpg"], 1, "none.bantam: "),
        (&["cat.jpg"], 2, "--model"),
    ] {
        let output = run(folder.path(), arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(status) && told.contains(expected), "{told}");
    }
}
