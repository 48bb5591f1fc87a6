//! What memory a model takes.

use crate::Failure;
use crate::draw::{self, count};
use crate::options::{OptimizerChoice, bytes, isa, load, loss_of};
use bantam::{Isa, Model, Plan, Trainer, TrainingPlan};
use clap::Args;
use serde_json::{Value, json};
use std::io::{Stdout, Write};
use std::path::Path;

/// What is asked for.
#[derive(Args)]
pub struct Options {
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
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tells what memory a model takes to run, and to learn its last layers.
///
/// # Errors
/// The model cannot be read or planned, or nothing can be written.
pub fn run(path: &Path, options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let model = &load(path)?;
    let Options { isa, ram, batch_size, optimizer, json } = *options;
    let plan = Plan::new(model, bantam::Options::new(1).isa(isa))?;
    // A chip has one core.
    let trainer = Trainer::new(optimizer, loss_of(model)).batch_size(batch_size as usize);
    let trainer = trainer.isa(isa).threads(1);
    if json {
        return Ok(writeln!(out, "{}", as_json(&plan, &trainer, model, ram)?)?);
    }
    writeln!(out, "{plan}\n{}\n", draw::share(plan.peak_bytes(), ram))?;

    let samples = count(batch_size, "sample");
    writeln!(
        out,
        "Steps of {samples}, by what learns and by what is computed again to be kept for less time:"
    )?;
    let choices = choices(model)?;
    let width = choices.iter().map(|(name, _)| name.len()).fold(12, usize::max);
    writeln!(out, "{:width$} {:>10} {:>10} {:>14}", "learns", "weights", "arena", "multiply-adds")?;
    let mut largest: Option<(usize, &str, String)> = None;
    for (name, model) in &choices {
        for plan in TrainingPlan::ways(&trainer, model)? {
            let weights = weights(&plan);
            let (bytes, multiply_adds, way) =
                (plan.peak_bytes(), plan.multiply_adds(), way_of(&plan, batch_size));
            let share = draw::share(bytes, ram);
            writeln!(out, "{name:width$} {weights:>10} {bytes:>10} {multiply_adds:>14}  {share}  {way}")?;
            if bytes <= ram {
                // The fastest way that fits comes first.
                if largest.as_ref().is_none_or(|&(most, ..)| most < weights) {
                    largest = Some((weights, name, plan.to_string()));
                }
                break;
            }
        }
    }
    match largest {
        Some((_, name, plan)) => writeln!(out, "\nThe most that fits, {name}:\n{plan}")?,
        None => writeln!(out, "\nNo layer can learn in {}.", count(ram, "byte"))?,
    }
    Ok(())
}

/// What is computed again, and how many samples are learnt at a time if those are not all of a step.
fn way_of(plan: &TrainingPlan<'_>, batch: u32) -> String {
    match plan.micro_batch() {
        all if all == batch as usize => plan.way().to_string(),
        some => format!("{}, {} at a time", plan.way(), count(some, "sample")),
    }
}

/// How many weights learn.
fn weights(plan: &TrainingPlan<'_>) -> usize {
    plan.steps().map(|layer| layer.weight_bytes / size_of::<f32>()).sum()
}

/// The same for machines: steps of the inference, and each way to learn, whether it fits or not.
fn as_json(plan: &Plan<'_>, trainer: &Trainer, model: &Model<'_>, ram: usize) -> Result<Value, Failure> {
    let steps: Vec<Value> = plan
        .steps()
        .map(|step| {
            json!({
                "layers": step.names, "output": step.output.dims(), "offset": step.offset, "bytes": step.bytes,
                "in_place": step.in_place, "scratch": step.scratch_bytes, "prepared": step.prepared_bytes,
                "multiply_adds": step.multiply_adds,
            })
        })
        .collect();
    let mut ways = Vec::new();
    for (name, model) in &choices(model)? {
        for plan in TrainingPlan::ways(trainer, model)? {
            ways.push(json!({
                "learns": name, "weights": weights(&plan), "arena": plan.peak_bytes(),
                "multiply_adds": plan.multiply_adds(), "way": plan.way().to_string(), "micro_batch": plan.micro_batch(),
                "fits": plan.peak_bytes() <= ram,
            }));
        }
    }
    Ok(json!({
        "isa": plan.isa().name(), "ram": ram,
        "inference": {
            "arena": plan.peak_bytes(), "multiply_adds": plan.multiply_adds(), "fits": plan.peak_bytes() <= ram,
            "steps": steps,
        },
        "training": ways,
    }))
}

/// What can learn of a model: its last layer, its last two, and so on; and of all layers the biases, or what normalises.
fn choices(model: &Model<'_>) -> Result<Vec<(String, Model<'static>)>, bantam::Error> {
    let mut frozen = model.clone().into_owned();
    let with_weights = model.nodes().iter().filter(|node| !model.parameters_of(node).is_empty());
    let names: Vec<String> = with_weights.map(|node| node.name().to_string()).collect();
    for name in &names {
        frozen.set_trainable(name, false)?;
    }
    let mut choices = Vec::new();
    let mut last_layers = frozen.clone();
    for name in names.iter().rev() {
        last_layers.set_trainable(name, true)?;
        choices.push((format!("from {name} on"), last_layers.clone()));
    }
    for (what, learn) in [("all biases", ["bias", "beta"]), ("all norms", ["gamma", "beta"])] {
        let mut some = frozen.clone();
        let mut any = false;
        for name in &names {
            let weights = model.weights(name)?.iter().map(|weights| weights.name());
            let weights: Vec<&str> = weights.filter(|weight| !weight.starts_with("moving")).collect();
            if weights.contains(&learn[0]) {
                some.set_trainable(name, true)?;
                any = true;
                for weight in weights.into_iter().filter(|weight| !learn.contains(weight)) {
                    some.set_weight_trainable(name, weight, false)?;
                }
            }
        }
        if any {
            choices.push((what.to_string(), some));
        }
    }
    Ok(choices)
}
