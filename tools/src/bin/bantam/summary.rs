use bantam::{ChannelOrder, Metadata};
use bantam_tools::Failure;
use bantam_tools::options::load;
use clap::Args;
use serde_json::{Map, Value, json};
use std::io::{Stdout, Write};
use std::path::PathBuf;

#[derive(Args)]
pub struct Options {
    /// The model
    model: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints layers and metadata.
pub fn run(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let model = load(&options.model)?;
    let Metadata { class_names, scaling, channel_order, notes } = model.metadata()?;
    if options.json {
        let layers: Vec<Value> = model
            .nodes()
            .iter()
            .map(|node| {
                let parameters: usize = match model.weights(node.name()) {
                    Ok(weights) => weights.iter().map(|weights| weights.values().len()).sum(),
                    Err(_) => 0,
                };
                json!({
                    "name": node.name(), "type": node.layer_type().name(), "parameters": parameters,
                    "output": node.output_shape().dims(), "trainable": node.is_trainable(),
                })
            })
            .collect();
        let notes: Map<String, Value> = notes.into_iter().map(|(key, value)| (key, value.into())).collect();
        let scaling: Vec<[f32; 2]> = scaling.iter().map(|scaling| [scaling.scale, scaling.offset]).collect();
        let all = json!({
            "input": model.input_shape().dims(), "output": model.output_shape().dims(),
            "parameters": model.parameter_count(), "layers": layers,
            "class_names": class_names, "scaling": scaling, "channel_order": name(channel_order), "notes": notes,
        });
        writeln!(out, "{all}")?;
        return Ok(());
    }
    writeln!(out, "{}\n", model.summary())?;
    writeln!(out, "Input: {}", model.input_shape())?;
    if !class_names.is_empty() {
        writeln!(out, "Classes: {}", class_names.join(", "))?;
    }
    if channel_order != ChannelOrder::Rgb {
        writeln!(out, "Channels: {}", name(channel_order))?;
    }
    for scaling in &scaling {
        writeln!(
            out,
            "Levels from 0 to 255 are multiplied by {} and {} is added",
            scaling.scale, scaling.offset
        )?;
    }
    for (key, value) in &notes {
        writeln!(out, "{key}: {value}")?;
    }
    Ok(())
}

fn name(order: ChannelOrder) -> &'static str {
    match order {
        ChannelOrder::Rgb => "RGB",
        ChannelOrder::Bgr => "BGR",
    }
}
