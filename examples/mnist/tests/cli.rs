//! The program as a person uses it, on small sets made here.

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("bantam-mnist-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Runs the program in the folder.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mnist"));
        command.current_dir(&self.0).args(arguments).output().unwrap()
    }

    /// What the program says when it refuses.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "it succeeded: {arguments:?}");
        assert!(output.stdout.is_empty() || arguments.is_empty(), "{:?}", output.stdout);
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SIDE: usize = 28;

/// A picture of one of ten bars: five that lie, five that stand.
fn bar(index: usize) -> Vec<u8> {
    let class = index % 10;
    let at = 3 + class % 5 * 5 + index / 10 % 3;
    let mut pixels = vec![0; SIDE * SIDE];
    for k in 2..SIDE - 2 {
        let pixel = if class < 5 { at * SIDE + k } else { k * SIDE + at };
        pixels[pixel] = 255 - (index % 7) as u8 * 10;
    }
    pixels
}

fn idx(dims: &[usize], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|&dim| bytes.extend((dim as u32).to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A training set, compressed, and a test set, plain.
fn write_set(folder: &Path) {
    for (prefix, count, packed) in [("train", 640, true), ("t10k", 50, false)] {
        let pixels: Vec<u8> = (0..count).flat_map(bar).collect();
        let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
        let files = [
            (format!("{prefix}-images-idx3-ubyte"), idx(&[count, SIDE, SIDE], &pixels)),
            (format!("{prefix}-labels-idx1-ubyte"), idx(&[count], &labels)),
        ];
        for (name, bytes) in files {
            if packed {
                fs::write(folder.join(name + ".gz"), gz(&bytes)).unwrap();
            } else {
                fs::write(folder.join(name), bytes).unwrap();
            }
        }
    }
}

#[test]
fn it_trains_and_says_so_in_json() {
    let folder = Folder::new("json");
    write_set(&folder.0);
    let train = |threads: &str, out: &str| {
        let rest = ["--seed", "7", "--epochs", "3", "--json", "--threads", threads, "--out", out];
        let output = folder.run(&[&["--data", "."], &rest[..]].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let lines = train("1", "one.bantam");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["epoch"], 1);
    assert_eq!(lines[2]["epoch"], 3);
    assert_eq!(lines[3]["parameters"], 93_322);
    assert!(lines[3]["test_accuracy"].as_f64().unwrap() > 0.9, "{lines:?}");
    let fastest = lines[..3].iter().map(|line| line["images_per_second"].as_f64().unwrap());
    assert_eq!(lines[3]["images_per_second"].as_f64().unwrap(), fastest.fold(0.0, f64::max));
    assert!(lines[3]["seconds"].as_f64().unwrap() > 0.0);

    train("2", "two.bantam");
    let model = |name: &str| fs::read(folder.0.join(name)).unwrap();
    assert!(model("one.bantam") == model("two.bantam"), "threads changed the result");
    let curves = fs::read_to_string(folder.0.join("one.svg")).unwrap();
    assert!(curves.starts_with("<svg") && curves.contains("validation"));
}

#[test]
fn it_trains_for_people_and_reads_a_digit() {
    let folder = Folder::new("people");
    write_set(&folder.0);
    let output = folder.run(&["--data", ".", "--epochs", "4", "--optimizer", "adam", "--limit", "600"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for said in
        ["Total params: 93,322", "600 pictures to learn, 50 to test", "epoch 4:", "true \\ read", "Wrote"]
    {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }

    // Dark on light, and twice as large as what was learnt.
    let (index, side) = (17, SIDE as u32);
    let pixels: Vec<u8> = bar(index).into_iter().map(|pixel| 255 - pixel).collect();
    let small = image::GrayImage::from_raw(side, side, pixels).unwrap();
    let large = image::imageops::resize(&small, 2 * side, 2 * side, image::imageops::FilterType::Nearest);
    large.save(folder.0.join("seven.png")).unwrap();
    let output = folder.run(&["predict", "seven.png"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("inverted") && text.contains("This is a 7."), "{text}");
    assert!(text.lines().count() > 28 + 10, "{text}");

    let output = folder.run(&["export", "chip", "--data", "."]);
    assert!(output.status.success(), "{output:?}");
    let exported = |name: &str| fs::read(folder.0.join("chip").join(name)).unwrap();
    assert!(exported("mnist.bantam") == fs::read(folder.0.join("mnist.bantam")).unwrap());
    let digits = exported("digits.bin");
    assert_eq!(digits.len(), 50 * (2 + SIDE * SIDE));
    let (label, read) = (digits[17 * 786], digits[17 * 786 + 1]);
    assert_eq!((label, read, &digits[17 * 786 + 2..18 * 786]), (7, 7, &bar(17)[..]));
    assert_eq!(fs::read_dir(folder.0.join("chip")).unwrap().count(), 3, "a temporary file was left");
    let plan = |options: &[&str]| {
        let output = folder.run(&[&["plan", "mnist.bantam"], options].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = plan(&["--isa", "scalar", "--ram", "256K"]);
    assert!(
        text.contains("scalar, batch 1: arena of ") && text.contains("The most that fits, from dense on")
    );
    assert!(text.lines().any(|line| line.starts_with("conv2d_2 ") && line.contains("too much")), "{text}");
    assert!(plan(&["--ram", "1M"]).contains("The most that fits, from conv2d_1 on"));
    assert!(plan(&["--ram", "9999"]).contains("No layer can learn in 9999 bytes."));
    assert!(folder.refused(&["plan", "--ram", "much"]).contains("such as 256K"));
    assert!(folder.refused(&["plan", "none.bantam"]).contains("none.bantam"));

    fs::write(folder.0.join("text.png"), "no picture").unwrap();
    assert!(folder.refused(&["predict", "text.png"]).contains("text.png"));
    assert!(folder.refused(&["predict", "none.png"]).contains("none.png"));
    assert!(folder.refused(&["predict", "seven.png", "--model", "text.png"]).contains("model file"));
    assert!(folder.refused(&["predict", "seven.png", "--model", "none.bantam"]).contains("none.bantam"));
    assert!(folder.refused(&["export", "chip", "--model", "none.bantam"]).contains("none.bantam"));
    assert!(folder.refused(&["export", "text.png", "--data", "."]).contains("text.png"));
}

#[test]
fn bad_data_is_named() {
    let folder = Folder::new("bad");
    write_set(&folder.0);
    let refused = || folder.refused(&["--data", ".", "--epochs", "1", "--json"]);
    let images = folder.0.join("t10k-images-idx3-ubyte");
    let labels = folder.0.join("t10k-labels-idx1-ubyte");
    let (good_images, good_labels) = (fs::read(&images).unwrap(), fs::read(&labels).unwrap());

    fs::write(&images, &good_images[..1000]).unwrap();
    let cut = refused();
    assert!(cut.contains("t10k-images") && cut.contains("expected 39200 bytes, found 984"), "{cut}");
    fs::write(&images, [&good_images[..], &[0]].concat()).unwrap();
    assert!(refused().contains("found more"));
    fs::write(&images, &good_labels).unwrap();
    assert!(refused().contains("3 dimensions (00 00 08 03), found 00 00 08 01"));
    fs::write(&images, idx(&[u32::MAX as usize; 3], &[])).unwrap();
    assert!(refused().contains("expected at most"));
    fs::write(&images, [0, 0]).unwrap();
    assert!(refused().contains("expected 16 bytes, found 2"));
    fs::write(&images, idx(&[0, 28, 28], &[])).unwrap();
    assert!(refused().contains("expected 0, one a picture, found 50"));
    fs::write(&images, idx(&[50, 3, 3], &[0; 450])).unwrap();
    assert!(refused().contains("expected [28, 28, 1], got [3, 3, 1]"));
    fs::write(&images, &good_images).unwrap();

    fs::write(&labels, idx(&[49], &[0; 49])).unwrap();
    assert!(refused().contains("expected 50, one a picture, found 49"));
    fs::write(&labels, idx(&[50], &[10; 50])).unwrap();
    assert!(refused().contains("label 0: expected 0 to 9, found 10"));
    fs::write(&labels, &good_labels).unwrap();

    let packed = folder.0.join("train-images-idx3-ubyte.gz");
    let good = fs::read(&packed).unwrap();
    let mut flipped = good.clone();
    let checksum = flipped.len() - 8;
    flipped[checksum] ^= 1;
    fs::write(&packed, flipped).unwrap();
    assert!(refused().contains("train-images-idx3-ubyte.gz"));
    fs::write(&packed, &good[..good.len() / 2]).unwrap();
    assert!(refused().contains("train-images-idx3-ubyte.gz"));
    fs::remove_file(&packed).unwrap();
    assert!(refused().contains("train-images-idx3-ubyte.gz"));
    assert!(folder.refused(&["--data", "nowhere", "--json"]).contains("nowhere"));
}

#[test]
fn bad_options_are_named() {
    let folder = Folder::new("options");
    assert!(folder.refused(&["--epochs", "0"]).contains("--epochs"));
    assert!(folder.refused(&["--batch-size", "0"]).contains("--batch-size"));
    assert!(folder.refused(&["--threads", "none"]).contains("--threads"));
    assert!(folder.refused(&["--optimizer", "newton"]).contains("rmsprop"));
    assert!(folder.refused(&["--isa", "mmx"]).contains("scalar"));
}
