use bantam_tools::Failure;

use bantam::{Model, Session, Softmax, argmax};
use bantam_tools::draw;
use bantam_tools::options::load;
use image::imageops::{self, FilterType};
use std::io::{Stdout, Write};
use std::path::Path;

/// Reads the digit in a picture and shows what was seen and how sure the model is.
pub fn run(file: &Path, model_path: &Path, out: &mut Stdout) -> Result<(), Failure> {
    let model = load(model_path)?;
    let [rows, columns, 1] = *model.input_shape().dims() else {
        let (path, got) = (model_path.display(), model.input_shape());
        return Err(format!("{path}: expected a model for grey pictures [H, W, 1], got one for {got}").into());
    };
    let (pixels, inverted) = read(file, rows, columns)?;
    let mut session = Session::new(&model, bantam::Options::new(1))?;
    let output = session.run(&pixels)?;
    let probabilities = if ends_in_softmax(&model) { output.to_vec() } else { softmax(output) };
    write!(out, "{}", draw::picture(&pixels, columns))?;
    if inverted {
        writeln!(out, "The background is light, so the picture was inverted.")?;
    }
    write!(out, "{}", draw::bars(&probabilities))?;
    if let Some(digit) = argmax(&probabilities) {
        writeln!(out, "This is a {digit}.")?;
    }
    Ok(())
}

/// The picture as the model was taught: light on dark, of its size. Says whether it was inverted.
fn read(file: &Path, rows: usize, columns: usize) -> Result<(Vec<f32>, bool), Failure> {
    let picture = image::open(file).map_err(|error| format!("{}: {error}", file.display()))?.to_luma8();
    let (width, height) = (u32::try_from(columns)?, u32::try_from(rows)?);
    let picture = if picture.dimensions() == (width, height) {
        picture
    } else {
        imageops::resize(&picture, width, height, FilterType::Triangle)
    };
    let on_edge = |x, y| x == 0 || y == 0 || x == width - 1 || y == height - 1;
    let edge: Vec<f32> = picture
        .enumerate_pixels()
        .filter(|&(x, y, _)| on_edge(x, y))
        .map(|(_, _, pixel)| f32::from(pixel.0[0]) / 255.0)
        .collect();
    let inverted = edge.iter().sum::<f32>() > 0.5 * edge.len() as f32;
    let pixels = picture.pixels().map(|pixel| {
        let light = f32::from(pixel.0[0]) / 255.0;
        if inverted { 1.0 - light } else { light }
    });
    Ok((pixels.collect(), inverted))
}

fn ends_in_softmax(model: &Model<'_>) -> bool {
    model.nodes().last().is_some_and(|node| node.layer::<Softmax>().is_some())
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = logits.iter().map(|x| (x - max).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / sum).collect()
}
