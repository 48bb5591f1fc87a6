//! `look-inside` draws what a ConvNet sees in an image, what its filters look for, and where it looks, as section 5.4 of *Deep
//! Learning with Python* does.

mod filters;
mod heat;
mod maps;

use bantam::{Metadata, Model, Scaling, include_aligned};
use bantam_tools::images::ImageLoader;
use bantam_tools::images::model::{class_names, class_of, loader};
use bantam_tools::options::load;
use bantam_tools::{Failure, pictures};
use clap::Parser;
use std::fs;
use std::io::{Stdout, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Draws what a ConvNet sees in an image, what its filters look for, and where it looks
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  look-inside                                    a digit, and the net that reads it
  look-inside my-cat.jpg --model cats.bantam     what `bantam train` has trained"
)]
struct Options {
    /// The image [default: a handwritten seven]
    #[arg(requires = "model")]
    image: Option<PathBuf>,
    /// The model [default: a digit reader]
    #[arg(long)]
    model: Option<PathBuf>,
    /// The class that is looked for [default: the most probable one]
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Draw what excites so many filters of each convolution, the first
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    filters: u16,
    /// Where the pictures go
    #[arg(long, value_name = "FOLDER", default_value = "look-inside")]
    out: PathBuf,
}

/// A model, an image as it takes it, and where pictures go.
struct Subject<'m> {
    model: &'m Model<'m>,
    metadata: Metadata,
    class_names: Vec<String>,
    /// The model's input.
    input: Vec<f32>,
    /// The same as levels of 0 to 255.
    levels: Vec<f32>,
    /// Height, width and channels.
    shape: [usize; 3],
    folder: &'m Path,
}

fn main() -> ExitCode {
    bantam_tools::main_of(run)
}

fn run(out: &mut Stdout) -> Result<ExitCode, Failure> {
    let options: Options = match bantam_tools::parse()? {
        Ok(options) => options,
        Err(status) => return Ok(status),
    };
    let model = match &options.model {
        Some(path) => load(path)?,
        None => digit_reader()?,
    };
    let path = options.model.as_deref().unwrap_or(Path::new("the digit reader"));
    let loader = loader(path, &model)?;
    let read = |loader: &ImageLoader| {
        let mut pixels = vec![0.0; model.input_shape().elements()];
        match &options.image {
            Some(path) => {
                loader.load(path, &mut pixels).map_err(|problem| format!("{}: {problem}", path.display()))?
            }
            None => loader.decode(SEVEN, &mut pixels).map_err(|problem| problem.to_string())?,
        }
        Ok::<_, Failure>(pixels)
    };
    let class_names = class_names(&model)?;
    let class = options.class.as_ref().map(|name| class_of(&class_names, name)).transpose()?;
    let subject = Subject {
        model: &model,
        metadata: model.metadata()?,
        class_names,
        input: read(&loader)?,
        levels: read(&loader.clone().levels())?,
        shape: [0, 1, 2].map(|axis| model.input_shape().dims()[axis]),
        folder: &options.out,
    };
    fs::create_dir_all(&options.out).map_err(|problem| format!("{}: {problem}", options.out.display()))?;
    writeln!(out, "{}", model.summary())?;
    maps::draw(&subject, out)?;
    filters::draw(&subject, options.filters.into(), out)?;
    heat::draw(&subject, class, out)?;
    Ok(ExitCode::SUCCESS)
}

static SEVEN: &[u8] = include_bytes!("../../mnist/seven.png");
static DIGIT_READER: &[u8] = include_aligned!("../../firmware/data/mnist.bantam");

fn digit_reader() -> Result<Model<'static>, Failure> {
    let mut model = Model::from_bytes(DIGIT_READER)?.into_owned();
    let scaling = vec![Scaling { scale: 1.0 / 255.0, offset: 0.0 }];
    model.set_metadata(&Metadata { scaling, ..Metadata::default() })?;
    Ok(model)
}

impl Subject<'_> {
    /// Writes a picture, and says what it shows.
    fn save(
        &self,
        name: &str,
        picture: &pictures::RgbImage,
        shows: &str,
        out: &mut Stdout,
    ) -> Result<(), Failure> {
        let path = self.folder.join(name);
        pictures::save(picture, &path)?;
        Ok(writeln!(out, "{}: {shows}", path.display())?)
    }
}
