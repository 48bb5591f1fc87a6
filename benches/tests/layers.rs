//! The program `layers`, as a user runs it.

use std::process::{Command, Output};

fn layers(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_layers")).args(options).output().expect("it runs")
}

#[test]
fn table_and_json() {
    let table = layers(&["--only", "mnist3", "--backward"]);
    let text = String::from_utf8_lossy(&table.stdout);
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("mnist3")).collect();
    assert!(table.status.success() && rows.len() == 2, "{table:?}");

    let table = layers(&["--only", "mobile-dw3", "--backward"]);
    let text = String::from_utf8_lossy(&table.stdout);
    assert!(table.status.success() && text.contains("  depthwise  "), "{table:?}");

    let json = layers(&["--only", "mnist3", "--json", "--algorithm", "winograd4"]);
    let seconds: serde_json::Value = serde_json::from_slice(&json.stdout).expect("it is JSON");
    assert!(seconds["mnist3"].as_f64().is_some_and(|seconds| seconds > 0.0), "{seconds}");

    let json = layers(&["--exact", "mnist3", "--json", "--rounds", "1"]);
    let seconds: serde_json::Value = serde_json::from_slice(&json.stdout).expect("it is JSON");
    assert!(seconds.as_object().is_some_and(|seconds| seconds.keys().eq(["mnist3"])), "{seconds}");
}

#[test]
fn refusals() {
    let folder = std::env::temp_dir().join(format!("bantam-layers-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let list = folder.join("list.json");
    std::fs::write(&list, r#"{"convs": {"a": [1, 2]}}"#).unwrap();
    let list = list.to_str().unwrap();
    let expectations: [(&[&str], &str); 4] = [
        (&["--isa", "mmx"], "found mmx"),
        (&["--algorithm", "fft"], "found fft"),
        (&["--layers", "/missing/list.json"], "/missing/list.json"),
        (&["--layers", list], "a: expected 10 whole numbers"),
    ];
    for (options, expected) in expectations {
        let output = layers(options);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(expected), "{options:?}: {text}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
