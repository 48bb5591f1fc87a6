//! The program `training`, as a user runs it.

use std::process::Command;

#[test]
fn nets_are_trained_and_what_that_takes_is_told() {
    for net in ["mnist", "mobilenet-head"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_training"));
        let program =
            program.args(["--net", net, "--batch", "2", "--steps", "1", "--epochs", "1", "--threads", "2"]);
        let output = program.arg("--json").output().expect("it runs");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
        assert!(output.status.success(), "{net}: {output:?}");
        for figure in ["images_per_second", "peak_bytes"] {
            assert!(told[figure].as_f64().is_some_and(|figure| figure > 0.0), "{net}: {told}");
        }
    }
}
