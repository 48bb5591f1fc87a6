//! The program as a person uses it, on small sets made here.

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("bantam-mnist-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// The program in the folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mnist"));
        command.current_dir(&self.0).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What the program says when it succeeds.
    fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    /// The names of all that is in it.
    fn names(&self) -> Vec<String> {
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|entry| name(entry.unwrap())).collect();
        names.sort();
        names
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

/// A set whose test pictures are called by others' classes: the better it is learnt, the fewer are right.
fn write_misleading_set(folder: &Path) {
    write_set(folder);
    let labels: Vec<u8> = (0..50).map(|i| ((i + 1) % 10) as u8).collect();
    fs::write(folder.join("t10k-labels-idx1-ubyte"), idx(&[50], &labels)).unwrap();
}

/// Training that goes on, and what it says. It ends with the test.
struct Training {
    program: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Training {
    fn start(folder: &Folder, arguments: &[&str]) -> Training {
        Training::of(folder.command(&[&["--data", "."], arguments].concat()))
    }

    fn of(mut command: Command) -> Training {
        let mut program = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(program.stdout.take().unwrap()).lines();
        Training { program, lines }
    }

    fn json(&mut self) -> Option<Value> {
        self.lines.next().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }

    #[cfg(unix)]
    fn signal(&self, name: &str) {
        let id = self.program.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
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
    assert_eq!((&lines[3]["written_epoch"], &lines[3]["interrupted"]), (&3.into(), &false.into()));
    assert_eq!(lines[3]["test_accuracy"], lines[2]["test_accuracy"]);
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
    assert!(
        text.lines().any(|line| line.starts_with("from conv2d_2 on ") && line.contains("too much")),
        "{text}"
    );
    assert!(plan(&["--ram", "1M"]).contains("The most that fits, from conv2d_1 on"));
    assert!(plan(&["--ram", "9999"]).contains("No layer can learn in 9999 bytes."));
    assert!(folder.refused(&["plan", "--ram", "much"]).contains("such as 256K"));
    assert!(folder.refused(&["plan", "none.bantam"]).contains("none.bantam"));

    fs::write(folder.0.join("text.png"), "no picture").unwrap();
    assert!(folder.refused(&["predict", "text.png"]).contains("text.png"));
    assert!(folder.refused(&["predict", "none.png"]).contains("none.png"));
    let foreign = folder.refused(&["predict", "seven.png", "--model", "text.png"]);
    assert!(foreign.contains("text.png: model file"), "{foreign}");
    assert!(folder.refused(&["plan", "text.png"]).contains("text.png: model file"));
    assert!(folder.refused(&["predict", "seven.png", "--model", "none.bantam"]).contains("none.bantam"));
    assert!(folder.refused(&["export", "chip", "--model", "none.bantam"]).contains("none.bantam"));
    assert!(folder.refused(&["export", "text.png", "--data", "."]).contains("text.png"));
}

/// What a model of probabilities gives for a bar.
fn probabilities(model: &bantam::Model<'_>, index: usize) -> Vec<f32> {
    let pixels: Vec<f32> = bar(index).into_iter().map(|pixel| f32::from(pixel) / 255.0).collect();
    bantam::Session::new(model, bantam::Options::new(1)).unwrap().run(&pixels).unwrap().to_vec()
}

#[test]
fn a_residual_net_trains_reads_and_is_folded_for_a_chip() {
    let folder = Folder::new("residual");
    write_set(&folder.0);
    let train = |epochs: &str, threads: &str, out: &str| {
        let net = ["--net", "residual", "--data", ".", "--json", "--seed", "7", "--batch-size", "16"];
        folder.said(&[&net[..], &["--epochs", epochs, "--threads", threads, "--out", out]].concat())
    };
    let lines = train("7", "1", "mnist.bantam");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = lines.last().unwrap();
    assert_eq!(end["parameters"], 24_506);
    assert!(end["test_accuracy"].as_f64().unwrap() > 0.9, "{lines:?}");
    train("1", "1", "one.bantam");
    train("1", "2", "two.bantam");
    assert!(folder.read("one.bantam") == folder.read("two.bantam"), "threads changed the result");

    let text = folder.said(&["plan", "mnist.bantam", "--ram", "256K"]);
    assert!(
        text.contains("scalar, batch 1: arena of ") && text.contains("global_average_pooling2d"),
        "{text}"
    );
    assert!(text.contains("The most that fits, from "), "{text}");
    folder.said(&["export", "chip", "--data", "."]);
    let [trained, folded] =
        ["mnist.bantam", "chip/mnist.bantam"].map(|name| bantam::Model::load(folder.0.join(name)).unwrap());
    let normalizations = |model: &bantam::Model<'_>| {
        model.nodes().iter().filter(|node| node.layer::<bantam::BatchNormalization>().is_some()).count()
    };
    assert_eq!([normalizations(&trained), normalizations(&folded)], [9, 0]);
    let digits = folder.read("chip/digits.bin");
    for index in 0..50 {
        let [trained, folded] = [&trained, &folded].map(|model| probabilities(model, index));
        assert!(trained.iter().zip(&folded).all(|(a, b)| (a - b).abs() < 1e-3), "{trained:?} {folded:?}");
        assert_eq!(bantam::argmax(&folded), Some(digits[786 * index + 1].into()));
    }

    // Its softmax is not taken twice: the bar says what the net does.
    let picture = image::GrayImage::from_raw(SIDE as u32, SIDE as u32, bar(17)).unwrap();
    picture.save(folder.0.join("bar.png")).unwrap();
    let text = folder.said(&["predict", "bar.png"]);
    assert!(text.contains("This is a 7."), "{text}");
    let percent = format!("{:5.1} %", 100.0 * probabilities(&trained, 17)[7]);
    assert!(text.lines().any(|line| line.starts_with("7 ") && line.ends_with(&percent)), "{percent}\n{text}");
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
}

#[test]
fn both_names_of_a_missing_file_are_named_and_the_folder() {
    let folder = Folder::new("missing");
    fs::write(folder.0.join("file"), "").unwrap();
    let both = "expected a folder with train-images-idx3-ubyte or train-images-idx3-ubyte.gz, found neither";
    for data in ["nowhere", ".", "file"] {
        let refused = folder.refused(&["--data", data, "--json"]);
        assert!(refused.contains(&format!("{data}: {both}")), "{refused}");
    }
}

#[test]
fn errors_of_data_name_the_file() {
    let folder = Folder::new("data");
    write_set(&folder.0);
    let refused = |name: &str, dims: &[usize], data: &[u8]| {
        fs::write(folder.0.join(name), idx(dims, data)).unwrap();
        let refused = folder.refused(&["--data", ".", "--json"]);
        assert!(refused.contains(name), "{refused}");
    };
    refused("t10k-labels-idx1-ubyte", &[49], &[0; 49]);
    refused("t10k-labels-idx1-ubyte", &[50], &[10; 50]);
    refused("t10k-labels-idx1-ubyte", &[0], &[]);
    refused("t10k-images-idx3-ubyte", &[0, 28, 28], &[]);
}

#[test]
fn one_of_a_kind_is_said_without_an_s() {
    let folder = Folder::new("one");
    write_set(&folder.0);
    let text = folder.said(&["--data", ".", "--limit", "1", "--threads", "1", "--epochs", "1"]);
    assert!(text.contains("1 picture to learn, 50 to test"), "{text}");
    assert!(text.contains("1 thread\n") && text.contains("the model after 1 epoch,"), "{text}");
    let text = folder.said(&["plan", "--batch-size", "1", "--ram", "1"]);
    assert!(text.contains("Steps of 1 sample,") && text.contains("learn in 1 byte."), "{text}");
    fs::write(folder.0.join("t10k-labels-idx1-ubyte"), idx(&[1, 1], &[0])).unwrap();
    assert!(folder.refused(&["--data", ".", "--json"]).contains("bytes in 1 dimension "));
}

#[test]
fn what_cannot_be_written_is_refused_before_all_else() {
    let folder = Folder::new("refused");
    let refused = |out: &str| folder.refused(&["--data", "nowhere", "--out", out]);
    assert!(refused("none/x.bantam").contains("none/x.bantam: cannot make a file in the folder none: "));
    assert!(refused(".").contains("got a folder"));
    assert!(refused("x.SVG").contains("x.SVG: expected a name that does not end in .svg"));
    fs::create_dir(folder.0.join("x.svg")).unwrap();
    assert!(refused("x.bantam").contains("x.svg: expected a file"));
    assert!(refused("y.bantam").contains("nowhere"));
    assert_eq!(folder.names(), ["x.svg"]);
}

/// The epoch of the model in the file is the last that was said to be the best.
fn last_best(lines: &[Value]) -> u64 {
    let mut best = (0, -1.0);
    for line in lines {
        let (epoch, accuracy) = (line["epoch"].as_u64().unwrap(), line["test_accuracy"].as_f64().unwrap());
        assert_eq!(line["best"], accuracy > best.1, "{line}");
        if accuracy > best.1 {
            best = (epoch, accuracy);
        }
    }
    best.0
}

const MISLEADING: [&str; 4] = ["--limit", "64", "--threads", "1"];

/// Trains until an epoch is worse than one before.
fn worse_than_before(folder: &Folder) -> (Training, Vec<Value>) {
    let endless = ["--epochs", "2000", "--json", "--out", "best.bantam"];
    let mut training = Training::start(folder, &[&MISLEADING[..], &endless].concat());
    let mut lines: Vec<Value> = Vec::new();
    while lines.iter().all(|line| line["test_accuracy"] == 0.0)
        || lines.last().is_none_or(|line| line["test_accuracy"] != 0.0)
    {
        lines.push(training.json().expect("no epoch was worse than one before"));
    }
    (training, lines)
}

/// That `best.bantam` is the model of that epoch.
fn assert_is_of_epoch(folder: &Folder, epoch: u64) {
    let epochs = epoch.to_string();
    let again = ["--data", ".", "--epochs", &epochs, "--out", "again.bantam"];
    folder.said(&[&MISLEADING[..], &again].concat());
    assert!(folder.read("best.bantam") == folder.read("again.bantam"), "not of epoch {epoch}");
}

#[test]
fn a_kill_leaves_the_best_epochs_model() {
    let folder = Folder::new("kill");
    write_misleading_set(&folder.0);
    let (mut training, mut lines) = worse_than_before(&folder);
    training.program.kill().unwrap();
    while let Some(line) = training.json() {
        lines.push(line);
    }
    assert_is_of_epoch(&folder, last_best(&lines));
}

#[test]
fn all_epochs_leave_the_last_ones_model_and_say_which_was_best() {
    let folder = Folder::new("last");
    write_misleading_set(&folder.0);
    let (training, lines) = worse_than_before(&folder);
    drop(training);
    let (best, epochs) = (last_best(&lines), lines.len().to_string());
    let text = folder.said(&[&MISLEADING[..], &["--data", ".", "--epochs", &epochs]].concat());
    assert!(text.contains("best so far, wrote mnist.bantam"), "{text}");
    assert!(text.contains("\n0.00 % of the test pictures"), "{text}");
    assert!(text.contains(&format!("Wrote mnist.bantam, the model after {epochs} epochs, and")), "{text}");
    assert!(text.contains(&format!("--epochs {best} gives that model again.")), "{text}");
}

#[cfg(unix)]
#[test]
fn a_hangup_that_is_ignored_stays_ignored() {
    let folder = Folder::new("hangup");
    write_set(&folder.0);
    let mut command = Command::new("sh");
    command.current_dir(&folder.0).args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    command.args([env!("CARGO_BIN_EXE_mnist"), "--data", ".", "--json", "--limit", "64", "--epochs", "30"]);
    let mut training = Training::of(command);
    assert_eq!(training.json().unwrap()["epoch"], 1);
    training.signal("HUP");
    assert_eq!(training.lines.by_ref().count(), 30);
    assert!(training.program.wait().unwrap().success());
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_training_and_leaves_the_best_model() {
    let folder = Folder::new("interrupt");
    write_misleading_set(&folder.0);
    let (mut training, mut lines) = worse_than_before(&folder);
    training.signal("INT");
    while let Some(line) = training.json() {
        lines.push(line);
    }
    assert_eq!(training.program.wait().unwrap().code(), Some(130));
    let end = lines.pop().unwrap();
    assert_eq!((&end["interrupted"], &end["written_epoch"]), (&true.into(), &last_best(&lines).into()));
    assert_is_of_epoch(&folder, last_best(&lines));
    assert!(folder.names().iter().all(|name| !name.ends_with(".tmp")), "a temporary file was left");
    assert!(folder.names().contains(&"best.svg".to_string()));
}

/// Steps that take seconds: one interrupt is waited for, two are not.
#[cfg(unix)]
#[test]
fn an_interrupt_finishes_the_batch_and_a_second_one_does_not() {
    let folder = Folder::new("twice");
    write_set(&folder.0);
    for twice in [false, true] {
        let slow = ["--batch-size", "640", "--isa", "scalar", "--threads", "1", "--epochs", "3"];
        let mut training = Training::start(&folder, &slow);
        while !training.lines.next().unwrap().unwrap().contains("to learn") {}
        training.signal("INT");
        let mut said = BufReader::new(training.program.stderr.take().unwrap()).lines();
        while !said.next().unwrap().unwrap().contains("Ctrl-C again ends at once") {}
        if twice {
            fs::remove_file(folder.0.join("mnist.bantam")).unwrap();
            training.signal("INT");
        }
        let rest: Vec<String> = training.lines.by_ref().map(Result::unwrap).collect();
        assert_eq!(training.program.wait().unwrap().code(), Some(130));
        assert_eq!(folder.0.join("mnist.bantam").exists(), !twice);
        if !twice {
            assert_eq!(rest[0], "Interrupted in epoch 1.");
            assert!(
                rest[1].starts_with("Wrote mnist.bantam, the best so far, of epoch 1, with "),
                "{rest:?}"
            );
        }
    }
}

/// A model of that input, and of so many classes.
fn save_model(path: &Path, input: [usize; 3], classes: usize) {
    bantam::Sequential::new(input).flatten().dense(classes).build(1).unwrap().save(path).unwrap();
}

#[test]
fn an_export_that_fails_writes_nothing() {
    let folder = Folder::new("export");
    write_set(&folder.0);
    save_model(&folder.0.join("small.bantam"), [3, 3, 1], 10);
    save_model(&folder.0.join("letters.bantam"), [SIDE, SIDE, 1], 26);
    save_model(&folder.0.join("mnist.bantam"), [SIDE, SIDE, 1], 10);
    let export = |model: &str| folder.refused(&["export", "chip", "--data", ".", "--model", model]);
    let misfit = export("small.bantam");
    assert!(
        misfit.contains("small.bantam: expected a model that reads 10 classes in [28, 28, 1]"),
        "{misfit}"
    );
    assert!(misfit.contains("got one that reads 10 in [3, 3, 1]"), "{misfit}");
    assert!(export("letters.bantam").contains("got one that reads 26 in [28, 28, 1]"));
    assert!(!folder.0.join("chip").exists());

    fs::create_dir_all(folder.0.join("chip/digits-to-learn.bin")).unwrap();
    fs::write(folder.0.join("chip/digits.bin"), "old").unwrap();
    assert!(export("mnist.bantam").contains("digits-to-learn.bin"));
    assert_eq!(folder.read("chip/digits.bin"), b"old");
    assert_eq!(fs::read_dir(folder.0.join("chip")).unwrap().count(), 2);
}

#[test]
fn an_export_names_its_pictures_and_doubts_those_that_are_read_badly() {
    let folder = Folder::new("doubt");
    write_set(&folder.0);
    folder.said(&["--data", ".", "--epochs", "4", "--optimizer", "adam"]);
    let export = |data: &str| {
        let output = folder.run(&["export", "chip", "--data", data]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&format!("Test pictures from {data}.\n")), "{text}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(export("."), "");
    fs::create_dir(folder.0.join("others")).unwrap();
    write_misleading_set(&folder.0.join("others"));
    let warning = export("others");
    assert!(warning.starts_with("warning: the model reads ") && warning.contains("--data"), "{warning}");
    assert!(warning.contains(" of 50 test pictures right"), "{warning}");
}

/// All commands, in a folder with a set, a model and a picture.
const COMMANDS: [&[&str]; 7] = [
    &["--data", ".", "--epochs", "3", "--limit", "64"],
    &["--data", ".", "--epochs", "3", "--limit", "64", "--json"],
    &["predict", "bar.png"],
    &["plan"],
    &["export", "chip", "--data", "."],
    &["--help"],
    &["--version"],
];

fn folder_for_all_commands(name: &str) -> Folder {
    let folder = Folder::new(name);
    write_set(&folder.0);
    save_model(&folder.0.join("mnist.bantam"), [SIDE, SIDE, 1], 10);
    let picture = image::GrayImage::from_raw(SIDE as u32, SIDE as u32, bar(0)).unwrap();
    picture.save(folder.0.join("bar.png")).unwrap();
    folder
}

#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    let folder = folder_for_all_commands("pipe");
    for arguments in COMMANDS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = folder.command(arguments).stdout(writer).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.is_empty() || said.starts_with("warning: "), "{arguments:?}: {said}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_to_a_full_disk_is_an_error() {
    let folder = folder_for_all_commands("full");
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in COMMANDS {
        let output = folder.command(arguments).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("error: standard output: No space left"), "{arguments:?}: {said}");
    }
    let output = folder.command(&["plan", "none.bantam"]).stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn bad_options_are_named() {
    let folder = Folder::new("options");
    assert!(folder.refused(&["--epochs", "0"]).contains("--epochs"));
    assert!(folder.refused(&["--batch-size", "0"]).contains("--batch-size"));
    assert!(folder.refused(&["--threads", "none"]).contains("--threads"));
    assert!(folder.refused(&["--optimizer", "newton"]).contains("rmsprop"));
    assert!(folder.refused(&["--isa", "mmx"]).contains("scalar"));
    assert!(folder.refused(&["--net", "vgg"]).contains("convnet, residual"));
}
