//! Writes two models: `cargo run -p bantam-test-models TWO BARS`.
//!
//! `TWO` has two inputs and two outputs. It reads `[a, b, c]` and four numbers, and gives the ReLU of the four, and
//! `[a + c + 1, b - c]`. `BARS` has yet to learn to tell lying bars from standing ones.

use engine::{Error, GraphBuilder, Model, Sequential};
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(two_to), Some(bars_to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bantam-test-models TWO BARS".into());
    };
    fs::write(two_to, two()?.to_bytes()?)?;
    fs::write(bars_to, bars()?.to_bytes()?)?;
    Ok(())
}

fn two() -> Result<Model<'static>, Error> {
    let net = GraphBuilder::new();
    let (three, four) = (net.input([3]), net.input([4]));
    let mut model = net.build(&[four.relu(), three.dense(2)], 1)?;
    model.set_weights("dense", &[&[1.0, 0.0, 0.0, 1.0, 1.0, -1.0], &[1.0, 0.0]])?;
    Ok(model)
}

fn bars() -> Result<Model<'static>, Error> {
    let mut net = Sequential::new([12, 12, 1]);
    for _ in 0..3 {
        net = net.conv2d(6, 3).batch_normalization().relu();
    }
    net.flatten().dense(2).softmax().build(1)
}
