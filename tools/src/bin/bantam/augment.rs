use crate::augmentation::Changes;
use bantam::{Augmentation, Dataset};
use bantam_tools::Failure;
use bantam_tools::draw::count;
use bantam_tools::images::{ImageFolder, ImageLoader};
use bantam_tools::pictures::{self, sheet::Sheet};
use clap::Args;
use std::io::{Stdout, Write};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "Example: bantam augment cats_and_dogs/train --augment --sheet sheet.png")]
pub struct Options {
    /// The images: a folder with a folder for each class, or one image
    images: PathBuf,
    /// Where the sheet goes, a PNG: a row for each image, which is its first, and its changes follow
    #[arg(long, value_name = "FILE", default_value = "sheet.png")]
    sheet: PathBuf,
    /// Images, spread over the folder
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    rows: u16,
    /// Changes of each
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=100))]
    draws: u16,
    /// Rows and columns of each image
    #[arg(long, value_name = "PIXELS", default_value_t = 150, value_parser = clap::value_parser!(u16).range(1..=1000))]
    size: u16,
    /// What the changes are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    augmentation: Changes,
}

/// Draws the sheet.
pub fn run(options: &Options, out: &mut Stdout) -> Result<(), Failure> {
    let augmentation = options
        .augmentation
        .augmentation()
        .ok_or("augmentation: expected --augment, --rotation or another of its options, found none")?;
    let paths = if options.images.is_dir() {
        let set = ImageFolder::new(&options.images).open()?;
        let rows = set.len().min(options.rows.into());
        (0..rows).map(|row| set.path(row * set.len() / rows).to_path_buf()).collect()
    } else {
        vec![options.images.clone()]
    };
    let (size, draws) = (usize::from(options.size), usize::from(options.draws));
    let mut sheet = Sheet::new(paths.len() * (draws + 1), draws + 1, [size, size]);
    let loader = ImageLoader::new().target_size(size, size);
    let shape = [size, size, 3];
    let (mut image, mut changed) = (vec![0.0; size * size * 3], vec![0.0; size * size * 3]);
    for (row, path) in paths.iter().enumerate() {
        loader.load(path, &mut image).map_err(|problem| format!("{}: {problem}", path.display()))?;
        sheet.push(&image);
        for draw in 0..draws {
            let seed = Augmentation::sample_seed(options.seed, row * draws + draw);
            augmentation.apply(seed, shape, &image, &mut changed)?;
            sheet.push(&changed);
        }
    }
    pictures::save(&sheet.into_image(), &options.sheet)?;
    let path = options.sheet.display();
    writeln!(out, "Wrote {path}: {}, each with {}.", count(paths.len(), "image"), count(draws, "change"))?;
    Ok(())
}
