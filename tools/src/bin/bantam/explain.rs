use bantam::explain::{GradCam, Occlusion};
use bantam::{Session, argmax};
use bantam_tools::Failure;
use bantam_tools::images::model::{class_names, class_of, loader, probabilities};
use bantam_tools::options::load;
use bantam_tools::pictures::{heat_map, save};
use clap::Args;
use serde_json::json;
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
    /// Where the picture goes, a PNG: the image as the model sees it, and beside it with the heat map
    #[arg(long, value_name = "FILE", default_value = "explained.png")]
    out: PathBuf,
    /// Print JSON, with the map: its rows from the top
    #[arg(long)]
    json: bool,
}

/// Lays over an image where a class is seen in it.
pub fn run(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let model = load(&options.model)?;
    let (loader, names) = (loader(&options.model, &model)?, class_names(&model)?);
    let class = options.class.as_ref().map(|name| class_of(&names, name)).transpose()?;
    let [mut pixels, mut levels] = [(); 2].map(|()| vec![0.0; model.input_shape().elements()]);
    let problem = |error| format!("{}: {error}", options.image.display());
    loader.load(&options.image, &mut pixels).map_err(problem)?;
    loader.levels().load(&options.image, &mut levels).map_err(problem)?;

    let (class, map, by) = match options.cover {
        Some(side) => {
            let mut session = Session::new(&model, bantam::Options::new(16))?;
            let likely = argmax(&probabilities(&model, session.run(&pixels)?));
            let class = class.or(likely).unwrap_or(0);
            let occlusion = Occlusion::new([side; 2]).stride([side.div_ceil(2); 2]);
            let map =
                occlusion.run(&mut session, &pixels, class).map_err(|error| format!("--cover: {error}"))?;
            let map = heat_map::relative(map);
            (class, map, format!("squares of {side} pixels that are covered"))
        }
        None => {
            let layer = match &options.layer {
                Some(name) => name,
                None => heat_map::last_map(&model)
                    .ok_or("expected a model with a convolution, or --cover")?
                    .name(),
            };
            let mut cam = GradCam::new(&model, layer, bantam::Options::new(1))?;
            let (class, map) = match class {
                Some(class) => (class, cam.run(&pixels, class)?),
                None => cam.run_best(&pixels)?,
            };
            (class, map, format!("the maps of {layer}"))
        }
    };
    let shape = [0, 1, 2].map(|axis| model.input_shape().dims()[axis]);
    save(&heat_map::beside(&levels, shape, &map)?, &options.out)?;
    let [rows, columns] = [0, 1].map(|i| map.shape().dims()[i]);
    let (name, file) = (&names[class], options.out.display().to_string());
    if options.json {
        let rows: Vec<&[f32]> = map.data().chunks(columns).collect();
        writeln!(out, "{}", json!({ "class": name, "picture": file, "map": rows }))?;
    } else {
        writeln!(out, "Wrote {file}: where \"{name}\" is seen, by {by}, {rows}x{columns}.")?;
    }
    Ok(())
}
