use bantam::Model;
use bantam_tools::Failure;
use bantam_tools::draw::count;
use bantam_tools::import::keras::Which;
use bantam_tools::import::safetensors::Map;
use bantam_tools::import::{self, Import, ImportOptions};
use bantam_tools::options::load;
use bantam_zoo::{NAMES, by_name};
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::io::{Stdout, Write};
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(after_help = "\
Examples:
  bantam import flowers.keras -o flowers.bantam
  bantam import base.h5 --input-size 150x150 --check images.npy features.npy
  bantam import net.onnx --dimension height=224 --dimension width=224
  bantam import vgg16.safetensors --net vgg16 --map vgg16.json -o vgg16.bantam
  bantam import weights.safetensors --into mine.bantam -o learnt.bantam")]
pub struct Options {
    /// The model of another program: .keras, .h5, .onnx or .tflite; with --into or --net weights: .safetensors, .h5 or .weights.h5
    file: PathBuf,
    /// Where the model goes [default: the file's name with .bantam]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Rows and columns of the images, where the file leaves them open
    #[arg(long, value_name = "HxW", value_parser = bantam_tools::options::size)]
    input_size: Option<[usize; 2]>,
    /// The size of a dimension that the file leaves open, by its name
    #[arg(long = "dimension", value_name = "NAME=SIZE", value_parser = dimension, conflicts_with_all = ["into", "net"])]
    dimensions: Vec<(String, usize)>,
    /// The model that takes the file's weights
    #[arg(long, value_name = "MODEL", conflicts_with = "net", help_heading = "Weights alone")]
    into: Option<PathBuf>,
    /// The net of bantam-zoo that takes the file's weights
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(NAMES), help_heading = "Weights alone")]
    net: Option<String>,
    /// That net without the layers that tell classes
    #[arg(long, requires = "net", help_heading = "Weights alone")]
    no_top: bool,
    /// How many classes that net tells
    #[arg(long, requires = "net", conflicts_with = "no_top", help_heading = "Weights alone")]
    classes: Option<usize>,
    /// A file of JSON with the tensor's name for each layer: {\"stem\": \"conv1\"}
    #[arg(long, value_name = "JSON", help_heading = "Weights alone")]
    map: Option<PathBuf>,
    /// Layers of which the file has no weights stay as they are
    #[arg(long, help_heading = "Weights alone")]
    partial: bool,
    /// Compare with recorded arrays: one of each input, then one of each output
    #[arg(long, value_name = "NPY", num_args = 2..)]
    check: Vec<PathBuf>,
    /// The largest difference that passes the check, by the root mean square of the recorded output
    #[arg(long, value_name = "SHARE", default_value_t = 1e-4, requires = "check")]
    tolerance: f32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Options {
    /// The model that takes weights, if there is one.
    fn taker(&self) -> Result<Option<Model<'static>>, Failure> {
        match (&self.into, &self.net) {
            (Some(path), _) => Ok(Some(load(path)?)),
            (None, Some(name)) => {
                let net = by_name(name)
                    .ok_or_else(|| format!("--net: expected {}, got {name}", NAMES.join(", ")))?;
                let [rows, columns, channels] = net.input_shape();
                let [height, width] = self.input_size.unwrap_or([rows, columns]);
                let net = net.include_top(!self.no_top).input([height, width, channels]);
                let net = self.classes.map_or(net, |classes| net.classes(classes));
                Ok(Some(net.build(0)?))
            }
            (None, None) if self.map.is_some() || self.partial => Err(
                "--map and --partial: expected --into or --net, the model that takes the weights, got none"
                    .into(),
            ),
            (None, None) => Ok(None),
        }
    }

    fn import(&self) -> Result<Import, Failure> {
        if let Some(mut model) = self.taker()? {
            let which = if self.partial { Which::OfBoth } else { Which::All };
            let map = self.map.as_deref().map(read_map).transpose()?;
            let report = import::load_weights(&mut model, &self.file, map.as_ref(), which)?;
            return Ok(Import { model, report });
        }
        let mut how = ImportOptions::new();
        if let Some([height, width]) = self.input_size {
            how = how.input_size(height, width);
        }
        for (name, size) in &self.dimensions {
            how = how.dimension(name, *size);
        }
        Ok(import::import(&self.file, &how)?)
    }
}

fn read_map(path: &Path) -> Result<Map, Failure> {
    let named = |problem: &dyn std::fmt::Display| Failure::from(format!("{}: {problem}", path.display()));
    let json = std::fs::read(path).map_err(|problem| named(&problem))?;
    Map::parse(&json).map_err(|problem| named(&problem))
}

/// Reads the model, checks it, writes it and reports. What does not pass the check is not written.
pub fn run(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let Import { model, mut report } = options.import()?;
    if !options.check.is_empty() {
        let difference = import::check(&model, &report, &options.check)?;
        let (got, most) = (difference.relative(), options.tolerance);
        // One that is not a number fails too.
        if got.is_nan() || got > most {
            let expected = format!("expected at most {most:.1e} of their root mean square, got {got:.1e}");
            return Err(format!("difference from the recorded outputs: {expected}").into());
        }
        report.largest_difference = Some(difference);
    }
    let path = options.out.clone().unwrap_or_else(|| options.file.with_extension("bantam"));
    model.save(&path)?;
    if options.json {
        let mut all = report.to_json();
        all["parameters"] = model.parameter_count().into();
        all["model"] = path.display().to_string().into();
        writeln!(out, "{all}")?;
    } else {
        let layers = count(model.nodes().len() as u64, "layer");
        let parameters = count(model.parameter_count() as u64, "parameter");
        writeln!(out, "{report}\nWrote {}: {layers}, {parameters}.", path.display())?;
    }
    Ok(())
}

/// A name and a number with an equals sign between them.
fn dimension(text: &str) -> Result<(String, usize), String> {
    let size = text.rsplit_once('=').and_then(|(name, size)| Some((name.to_string(), size.parse().ok()?)));
    size.filter(|&(_, size)| size > 0)
        .ok_or_else(|| format!("expected a name and a size, such as height=224, got {text}"))
}
