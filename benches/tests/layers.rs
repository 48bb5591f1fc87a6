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

    let table = layers(&["--only", "mnist3", "--threads", "2"]);
    let text = String::from_utf8_lossy(&table.stdout);
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("mnist3")).collect();
    assert!(table.status.success() && rows.len() == 2, "{table:?}");

    // 5×5 pixels without padding, from 64 channels to 64.
    let counted = layers(&["--exact", "mnist3", "--passes", "3"]);
    let text = String::from_utf8_lossy(&counted.stdout);
    let expected = (3 * 3 * 3 * 9 * 64 * 64).to_string();
    let row = text.lines().find(|line| line.starts_with("mnist3")).expect("it is listed");
    assert_eq!(row.split_whitespace().nth(1), Some(expected.as_str()), "{counted:?}");

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
    let expectations: [(&[&str], &str); 6] = [
        (&["--isa", "mmx"], "found mmx"),
        (&["--algorithm", "fft"], "found fft"),
        (&["--layers", "/missing/list.json"], "/missing/list.json"),
        (&["--threads", "0"], "0 is not in"),
        (&["--threads", "2", "--backward"], "--backward"),
        (&["--layers", list], "a: expected 10 whole numbers"),
    ];
    for (options, expected) in expectations {
        let output = layers(options);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(expected), "{options:?}: {text}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
