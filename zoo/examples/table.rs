//! Prints the table of docs/zoo.md, as it is on this machine.

#[path = "../tests/golden/mod.rs"]
mod golden;

use bantam::{Error, Isa, Options, Plan};
use bantam_zoo::by_name;

/// What a large chip has.
const CHIP: usize = 1 << 20;

fn main() -> Result<(), Error> {
    println!(
        "| net | input | parameters | multiply-adds | arena, {} | arena, chip | from Keras | Keras from itself |",
        Isa::detect()
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for outputs in golden::outputs() {
        let net = by_name(outputs.net).expect("a net of that name");
        let [height, width, channels] = net.input_shape();
        // Of zeros, which take no memory as nobody writes to them, and as it runs: without the batch normalisations.
        let model = net.build_with(&mut |_, _, shape| Ok(vec![0.0; shape.elements()].into()))?;
        let parameters = model.parameter_count();
        let model = model.fold()?;
        let plan = Plan::new(&model, Options::new(1))?;
        let chip = Plan::new(&model, Options::new(1).isa(Isa::SCALAR))?.peak_bytes();
        let chip = if chip <= CHIP { format!("{} KB", chip.div_ceil(1 << 10)) } else { "-".into() };
        let difference = outputs.difference(&outputs.model()?)?;
        println!(
            "| `{}` | {height}×{width}×{channels} | {} | {} | {:.1} MB | {chip} | {difference:.1e} | {:.1e} |",
            outputs.net,
            thousands(parameters as u64),
            millions(plan.multiply_adds()),
            plan.peak_bytes() as f64 / f64::from(1 << 20),
            outputs.keras_error / outputs.largest,
        );
    }
    Ok(())
}

fn millions(n: u64) -> String {
    format!("{:.1} M", n as f64 / 1e6)
}

/// `93322` as `93,322`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join(",")
}
