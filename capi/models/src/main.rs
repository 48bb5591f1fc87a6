//! Writes a model of two inputs and two outputs: `cargo run -p bantam-test-models FILE`.
//!
//! It reads `[a, b, c]` and four numbers. Its outputs are the ReLU of the four, and `[a + c + 1, b - c]`.

use engine::GraphBuilder;
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    let to = env::args_os().nth(1).ok_or("usage: bantam-test-models FILE")?;
    let net = GraphBuilder::new();
    let (three, four) = (net.input([3]), net.input([4]));
    let mut model = net.build(&[four.relu(), three.dense(2)], 1)?;
    model.set_weights("dense", &[&[1.0, 0.0, 0.0, 1.0, 1.0, -1.0], &[1.0, 0.0]])?;
    fs::write(to, model.to_bytes()?)?;
    Ok(())
}
