//! The program `nets`, as a user runs it.

use std::process::{Command, Output};

fn nets(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nets")).args(options).output().expect("it runs")
}

#[test]
fn table_and_json() {
    let table = nets(&["--net", "mnist", "--rounds", "1", "--threads", "2"]);
    let text = String::from_utf8_lossy(&table.stdout);
    assert!(
        table.status.success() && text.contains("\nmnist-b1 ") && text.contains("\nmnist-b64 "),
        "{text}"
    );

    let options = ["--net", "mnist", "--batch", "1", "--json", "--rounds", "1", "--isa", "scalar"];
    let json = nets(&options);
    let seconds: serde_json::Value = serde_json::from_slice(&json.stdout).expect("it is JSON");
    let keys =
        |value: &serde_json::Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
    assert_eq!(keys(&seconds).unwrap_or_default(), ["mnist-b1", "peak_bytes"]);
    assert_eq!(seconds["peak_bytes"]["mnist-b1"], 31_488);
    assert!(seconds["mnist-b1"].as_f64().is_some_and(|seconds| seconds > 0.0), "{seconds}");
}

#[test]
fn refusals() {
    for options in [["--isa", "mmx"], ["--net", "vgg"], ["--threads", "0"]] {
        let output = nets(&options);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(options[1]), "{options:?}: {text}");
    }
}

/// Who reads has read enough.
#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let (reader, writer) = std::io::pipe().expect("there are pipes");
    drop(reader);
    let mut program = Command::new(env!("CARGO_BIN_EXE_nets"));
    let output = program.args(["--net", "relus", "--rounds", "1"]).stdout(writer).output().expect("it runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
