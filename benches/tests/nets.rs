//! The program `nets`, as a user runs it.

use std::process::{Command, Output};

fn nets(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nets")).args(options).output().expect("it runs")
}

#[test]
fn table_and_json() {
    let table = nets(&["--rounds", "1", "--threads", "2"]);
    let text = String::from_utf8_lossy(&table.stdout);
    assert!(
        table.status.success() && text.contains("\nmnist-b1 ") && text.contains("\nmnist-b64 "),
        "{text}"
    );

    let json = nets(&["--exact", "mnist-b1", "--json", "--rounds", "1", "--isa", "scalar"]);
    let seconds: serde_json::Value = serde_json::from_slice(&json.stdout).expect("it is JSON");
    assert!(seconds.as_object().is_some_and(|seconds| seconds.keys().eq(["mnist-b1"])), "{seconds}");
    assert!(seconds["mnist-b1"].as_f64().is_some_and(|seconds| seconds > 0.0), "{seconds}");
}

#[test]
fn refusals() {
    for options in [["--isa", "mmx"], ["--exact", "vgg"], ["--threads", "0"]] {
        let output = nets(&options);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(options[1]), "{options:?}: {text}");
    }
}
