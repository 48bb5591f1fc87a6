use crate::Failure;
use crate::options::{OptimizerChoice, bytes, isa, load};
use bantam::{Isa, Loss, Model, Plan, Trainer, TrainingPlan};
use clap::Args;
use mnist::draw::{self, count};
use std::io::{Stdout, Write};
use std::path::PathBuf;

#[derive(Args)]
pub struct Options {
    /// The model
    #[arg(default_value = "mnist.bantam")]
    model: PathBuf,
    /// Instruction set: scalar for a chip, or one that this CPU has
    #[arg(long, default_value = "scalar", value_parser = isa)]
    isa: Isa,
    /// Memory for the arena, in bytes or with K or M
    #[arg(long, default_value = "256K", value_parser = bytes)]
    ram: usize,
    /// Samples that are learnt in a step
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// What the weights would learn by, with Keras's defaults
    #[arg(long, value_enum, default_value_t = OptimizerChoice::Sgd)]
    optimizer: OptimizerChoice,
}

/// Tells what memory a model takes to run, and to learn its last layers.
pub fn run(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let model = &load(&options.model)?;
    let Options { isa, ram, batch_size, optimizer, .. } = *options;
    let plan = Plan::new(model, bantam::Options::new(1).isa(isa))?;
    writeln!(out, "{plan}\n{}\n", draw::share(plan.peak_bytes(), ram))?;

    let trainer = Trainer::new(optimizer, Loss::SoftmaxCrossEntropy).batch_size(batch_size as usize);
    // A chip has one core.
    let trainer = trainer.isa(isa).threads(1);
    let samples = count(batch_size, "sample");
    writeln!(out, "Steps of {samples}, by the first layer that learns; those before it stay in the file:")?;
    let choices = last_layers(model)?;
    let width = choices.iter().map(|(name, _)| name.len()).fold(12, usize::max);
    writeln!(out, "{:width$} {:>10} {:>10} {:>14}", "from", "weights", "arena", "multiply-adds")?;
    let mut largest = None;
    for (name, model) in choices {
        let plan = TrainingPlan::new(&trainer, &model)?;
        let weights: usize = plan.steps().map(|layer| layer.weight_bytes / size_of::<f32>()).sum();
        let (bytes, multiply_adds) = (plan.peak_bytes(), plan.multiply_adds());
        let share = draw::share(bytes, ram);
        writeln!(out, "{name:width$} {weights:>10} {bytes:>10} {multiply_adds:>14}  {share}")?;
        if bytes <= ram {
            largest = Some((name, plan.to_string()));
        }
    }
    match largest {
        Some((name, plan)) => writeln!(out, "\nThe most that fits, from {name} on:\n{plan}")?,
        None => writeln!(out, "\nNo layer can learn in {}.", count(ram, "byte"))?,
    }
    Ok(())
}

/// The model with its last layer trainable, its last two, and so on: by the first that is.
fn last_layers(model: &Model<'_>) -> Result<Vec<(String, Model<'static>)>, bantam::Error> {
    let mut model = model.clone().into_owned();
    let with_weights = model.nodes().iter().filter(|node| !model.parameters_of(node).is_empty());
    let names: Vec<String> = with_weights.map(|node| node.name().to_string()).collect();
    for name in &names {
        model.set_trainable(name, false)?;
    }
    let mut choices = Vec::new();
    for name in names.into_iter().rev() {
        model.set_trainable(&name, true)?;
        choices.push((name, model.clone()));
    }
    Ok(choices)
}
