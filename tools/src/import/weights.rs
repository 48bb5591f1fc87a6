//! Weights for a model that is there, of whichever program.

use super::keras::{self, Loaded, Which};
use super::safetensors::{self, Map};
use super::{Cause, Format, ImportError, Port, Report, format_of};
use bantam::Model;
use std::path::Path;

/// Gives a model the weights of a file: of Keras, found by the names of layers, or `.safetensors`, found by a map. The report says
/// which layers have them, and what stays as it is.
///
/// # Errors
/// As [`keras::load_weights`] and [`safetensors::load_weights`]; or there is a map for a file of Keras.
pub fn load_weights(
    model: &mut Model<'_>,
    path: impl AsRef<Path>,
    map: Option<&Map>,
    which: Which,
) -> Result<Report, ImportError> {
    let path = path.as_ref();
    let format = format_of(path).map_err(|cause| cause.in_file(path))?;
    let (format, loaded) = match (format, map) {
        (Format::Safetensors, map) => {
            let none = Map::default();
            ("safetensors", safetensors::load_weights(model, path, map.unwrap_or(&none), which)?)
        }
        (_, None) => ("weights of Keras", keras::load_weights(model, path, which)?),
        (_, Some(_)) => {
            let (found, advice) =
                ("another format than .safetensors", "a map is for weights of PyTorch alone");
            return Err(Cause::Foreign { found, advice }.in_file(path));
        }
    };
    let channels_first = format == "safetensors";
    let mut report = Report { format: format.into(), ..Report::default() };
    let Loaded { loaded, missing, extra } = loaded;
    for name in loaded {
        report.count(model.node(&name).map_or("", |node| node.layer_type().name()));
    }
    report
        .notes
        .extend(missing.into_iter().map(|name| format!("{name}: the file has none, it stays as it is")));
    report.left_out.extend(extra.into_iter().map(|name| format!("{name}: weights of no layer")));
    // Recorded arrays are the other program's.
    let port = |name: String| Port { name, channels_first };
    report.inputs = (0..model.input_shapes().len()).map(|index| port(format!("input {index}"))).collect();
    report.outputs =
        (0..model.output_shapes().count()).map(|index| port(format!("output {index}"))).collect();
    Ok(report)
}
