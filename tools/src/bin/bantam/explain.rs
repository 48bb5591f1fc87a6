use bantam::explain::{GradCam, Occlusion, resized};
use bantam::{Conv2d, DepthwiseConv2d, Isa, Model, Node, SeparableConv2d, Session, Tensor, argmax};
use bantam_tools::Failure;
use bantam_tools::images::model::{class_names, loader};
use bantam_tools::options::load;
use bantam_tools::pictures::{heat_map, save};
use clap::Args;
use std::io::{Stdout, Write};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "\
Examples:
  bantam explain cats.bantam my-cat.jpg
  bantam explain cats.bantam my-cat.jpg --class dogs --out dog.png
  bantam explain cats.bantam my-cat.jpg --cover 20")]
pub struct Options {
    /// The model
    model: PathBuf,
    /// JPEG, PNG, BMP, GIF (its first frame) or WebP
    image: PathBuf,
    /// The class that is looked for [default: the most probable]
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// The layer whose maps and their gradients tell [default: the last one of the last convolution's size]
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Show instead what the class loses when a square of so many pixels a side is covered, here and there
    #[arg(long, value_name = "PIXELS", conflicts_with = "layer")]
    cover: Option<usize>,
    /// Where the picture goes, a PNG
    #[arg(long, value_name = "FILE", default_value = "explained.png")]
    out: PathBuf,
}

/// Lays over an image where a class is seen in it.
pub fn run(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let model = load(&options.model)?;
    let (loader, names) = (loader(&options.model, &model)?, class_names(&model)?);
    let class = options.class.as_ref().map(|name| class_of(&names, name)).transpose()?;
    let [mut pixels, mut levels] = [(); 2].map(|()| vec![0.0; model.input_shape().elements()]);
    let problem = |error| format!("{}: {error}", options.image.display());
    loader.load(&options.image, &mut pixels).map_err(problem)?;
    loader.scaling(&[]).load(&options.image, &mut levels).map_err(problem)?;

    let (class, map, by) = match options.cover {
        Some(side) => {
            let mut session = Session::new(&model, bantam::Options::new(16))?;
            let class = match (class, session.run(&pixels)?) {
                (Some(class), _) => class,
                (None, &[one]) => usize::from(one > 0.5),
                (None, outputs) => argmax(outputs).unwrap_or(0),
            };
            let occlusion = Occlusion::new([side; 2]).stride([side.div_ceil(2); 2]);
            let map = relative(occlusion.run(&mut session, &pixels, class)?);
            (class, map, format!("squares of {side} pixels that are covered"))
        }
        None => {
            let layer = match &options.layer {
                Some(name) => name,
                None => last_map(&model).ok_or("expected a model with a convolution, or --cover")?.name(),
            };
            let mut cam = GradCam::new(&model, layer, bantam::Options::new(1))?;
            let (class, map) = match class {
                Some(class) => (class, cam.run(&pixels, class)?),
                None => cam.run_best(&pixels)?,
            };
            (class, map, format!("the maps of {layer}"))
        }
    };
    let [height, width] = [0, 1].map(|i| model.input_shape().dims()[i]);
    let large = resized(Isa::detect(), &map, [height, width])?;
    save(&heat_map::overlay(&levels, large.data(), [height, width]), &options.out)?;
    let [rows, columns] = [0, 1].map(|i| map.shape().dims()[i]);
    let (name, file) = (&names[class], options.out.display());
    writeln!(out, "Wrote {file}: where \"{name}\" is seen, by {by}, {rows}x{columns}.")?;
    Ok(())
}

fn class_of(names: &[String], name: &str) -> Result<usize, Failure> {
    let found = names.iter().position(|other| other == name);
    found.ok_or_else(|| format!("class: expected one of {}, got {name}", names.join(", ")).into())
}

/// The last layer that gives maps of the last convolution's size: behind its normalisation and its activation, before a pool.
fn last_map<'a>(model: &'a Model<'_>) -> Option<&'a Node<'a>> {
    let convolves = |node: &&Node<'_>| {
        node.layer::<Conv2d>().is_some()
            || node.layer::<DepthwiseConv2d>().is_some()
            || node.layer::<SeparableConv2d>().is_some()
    };
    let size = |node: &Node<'_>| match *node.output_shape().dims() {
        [h, w, _] => Some([h, w]),
        _ => None,
    };
    let of_last = size(model.nodes().iter().rfind(convolves)?);
    model.nodes().iter().rfind(|node| size(node) == of_last)
}

/// From 0 to 1: what the class loses, by the most that it loses.
fn relative(mut map: Tensor) -> Tensor {
    let largest = map.data().iter().fold(f32::MIN_POSITIVE, |a, &b| a.max(b));
    map.data_mut().iter_mut().for_each(|loss| *loss = loss.max(0.0) / largest);
    map
}
