//! What a model's file says of the images that it takes.

use super::{AspectRatio, Color, ImageLoader, Resampling};
use crate::Failure;
use bantam::{Metadata, Model, Sigmoid, Softmax};
use clap::{Args, ValueEnum};
use std::path::Path;

/// How images become of the model's size.
#[derive(Args, Clone, Copy, Debug)]
pub struct Resizing {
    /// How pixels between pixels are made up
    #[arg(long, value_enum, default_value_t = Filter::Bilinear)]
    interpolation: Filter,
    /// What happens to images of another ratio of sides
    #[arg(long, value_enum, default_value_t = Fit::Stretch)]
    fit: Fit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Filter {
    /// The nearest pixel
    Nearest,
    /// Lines, over all that a pixel covers
    Bilinear,
    /// Cubic curves, over all that a pixel covers
    Bicubic,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fit {
    /// They are distorted
    Stretch,
    /// Their middle is taken
    Crop,
    /// They are put on black
    Pad,
}

const INTERPOLATION: &str = "interpolation";
const FIT: &str = "fit";

impl Resizing {
    /// A loader that does so.
    #[must_use]
    pub fn apply(self, loader: ImageLoader) -> ImageLoader {
        let loader = loader.interpolation(match self.interpolation {
            Filter::Nearest => Resampling::Nearest,
            Filter::Bilinear => Resampling::Bilinear,
            Filter::Bicubic => Resampling::Bicubic,
        });
        loader.aspect_ratio(match self.fit {
            Fit::Stretch => AspectRatio::Stretch,
            Fit::Crop => AspectRatio::Crop,
            Fit::Pad => AspectRatio::Pad(0),
        })
    }

    /// For a model's file.
    pub fn notes(self) -> Vec<(String, String)> {
        [(INTERPOLATION, name(self.interpolation)), (FIT, name(self.fit))]
            .map(|(key, value)| (key.into(), value))
            .into()
    }

    /// As a model's file has it; what it does not say is as by default.
    fn of(metadata: &Metadata) -> Result<Resizing, String> {
        let note = |key| metadata.notes.iter().find(|note| note.0 == key).map(|note| note.1.as_str());
        Ok(Resizing {
            interpolation: Filter::from_str(note(INTERPOLATION).unwrap_or("bilinear"), false)?,
            fit: Fit::from_str(note(FIT).unwrap_or("stretch"), false)?,
        })
    }
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
}

/// What reads images for that model, as it learnt from them.
///
/// # Errors
/// It takes no images, or its file says what this program does not know.
pub fn loader(path: &Path, model: &Model<'_>) -> Result<ImageLoader, Failure> {
    let (shape, metadata) = (model.input_shape(), model.metadata()?);
    let color = match *shape.dims() {
        [_, _, 1] => Color::Grey,
        [_, _, 3] => Color::Rgb,
        _ => {
            let path = path.display();
            return Err(format!(
                "{path}: expected a model of images [H, W, 1] or [H, W, 3], got one of {shape}"
            )
            .into());
        }
    };
    let loader = ImageLoader::new().target_size(shape.dims()[0], shape.dims()[1]).color(color);
    let resizing = Resizing::of(&metadata).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(resizing.apply(loader.prepared_for(&metadata)))
}

/// The names of a model's classes; their numbers, where its file has none.
///
/// # Errors
/// Its file has names, but not one for each class.
pub fn class_names(model: &Model<'_>) -> Result<Vec<String>, Failure> {
    let (names, outputs) = (model.metadata()?.class_names, model.output_shape().elements());
    let classes = outputs.max(2);
    match names.len() {
        0 => Ok((0..classes).map(|class| class.to_string()).collect()),
        len if len == classes => Ok(names),
        len => Err(format!("names of classes: expected {classes}, the model's file has {len}").into()),
    }
}

/// The class of that name.
///
/// # Errors
/// There is none.
pub fn class_of(names: &[String], name: &str) -> Result<usize, Failure> {
    let found = names.iter().position(|known| known == name);
    found.ok_or_else(|| format!("class: expected one of {}, got {name}", names.join(", ")).into())
}

/// The probability of each class, whether the model ends in what makes probabilities or not. A single output is that of the
/// second of two classes.
pub fn probabilities(model: &Model<'_>, output: &[f32]) -> Vec<f32> {
    let last = model.nodes().last();
    if let [one] = *output {
        let sigmoid = last.is_some_and(|node| node.layer::<Sigmoid>().is_some());
        let second = if sigmoid { one } else { 1.0 / (1.0 + (-one).exp()) };
        return vec![1.0 - second, second];
    }
    if last.is_some_and(|node| node.layer::<Softmax>().is_some()) {
        return output.to_vec();
    }
    let max = output.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = output.iter().map(|x| (x - max).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / sum).collect()
}
