use crate::augmentation::Changes;
use bantam::{AtomicFile, Augmentation, Dataset};
use bantam_tools::Failure;
use bantam_tools::draw::count;
use bantam_tools::images::{ImageFolder, ImageLoader};
use clap::Args;
use image::{ImageFormat, Rgb, RgbImage};
use std::io::{Cursor, Stdout, Write};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "Example: bantam augment cats_and_dogs --augment --sheet sheet.png")]
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

/// Pixels between images.
const GAP: usize = 4;

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
    let cell = size + GAP;
    let (width, height) = ((draws + 1) * cell + GAP, paths.len() * cell + GAP);
    let mut sheet = RgbImage::from_pixel(u32::try_from(width)?, u32::try_from(height)?, Rgb([255; 3]));
    let loader = ImageLoader::new().target_size(size, size);
    let shape = [size, size, 3];
    let (mut image, mut changed) = (vec![0.0; size * size * 3], vec![0.0; size * size * 3]);
    for (row, path) in paths.iter().enumerate() {
        loader.load(path, &mut image).map_err(|problem| format!("{}: {problem}", path.display()))?;
        paste(&mut sheet, &image, size, [GAP, GAP + row * cell]);
        for draw in 0..draws {
            let seed = Augmentation::sample_seed(options.seed, row * draws + draw);
            augmentation.apply(seed, shape, &image, &mut changed)?;
            paste(&mut sheet, &changed, size, [GAP + (draw + 1) * cell, GAP + row * cell]);
        }
    }
    let path = options.sheet.display();
    let mut png = Cursor::new(Vec::new());
    sheet.write_to(&mut png, ImageFormat::Png)?;
    let mut file = AtomicFile::create(&options.sheet)?;
    file.write(png.get_ref())?;
    file.commit()?;
    writeln!(out, "Wrote {path}: {}, each with {}.", count(paths.len(), "image"), count(draws, "change"))?;
    Ok(())
}

fn paste(sheet: &mut RgbImage, image: &[f32], size: usize, [left, top]: [usize; 2]) {
    for (at, pixel) in image.chunks_exact(3).enumerate() {
        let (x, y) = (left + at % size, top + at / size);
        let level = |channel: usize| pixel[channel].round().clamp(0.0, 255.0) as u8;
        sheet.put_pixel(x as u32, y as u32, Rgb([level(0), level(1), level(2)]));
    }
}
