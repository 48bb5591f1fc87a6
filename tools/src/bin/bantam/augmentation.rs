use bantam::{Augmentation, Fill};
use clap::Args;

/// How images are changed at random, by the numbers of Keras's `ImageDataGenerator`.
#[derive(Args)]
#[command(next_help_heading = "Augmentation")]
pub struct Changes {
    /// As --rotation 40 --width-shift 0.2 --height-shift 0.2 --shear 0.2 --zoom 0.2 --horizontal-flip, where these do not
    /// say otherwise
    #[arg(long)]
    augment: bool,
    /// Degrees, at the most
    #[arg(long, value_name = "DEGREES")]
    rotation: Option<f32>,
    /// Share of the width, at the most
    #[arg(long, value_name = "SHARE")]
    width_shift: Option<f32>,
    /// Share of the height, at the most
    #[arg(long, value_name = "SHARE")]
    height_shift: Option<f32>,
    /// Degrees, at the most
    #[arg(long, value_name = "DEGREES")]
    shear: Option<f32>,
    /// How far from 1 the factors are, at the most
    #[arg(long, value_name = "SHARE")]
    zoom: Option<f32>,
    /// How far from 1 the factor is, at the most
    #[arg(long, value_name = "SHARE")]
    brightness: Option<f32>,
    /// Levels, at the most
    #[arg(long, value_name = "LEVELS")]
    channel_shift: Option<f32>,
    /// Mirror one image of two left to right
    #[arg(long)]
    horizontal_flip: bool,
    /// Turn one image of two upside down
    #[arg(long)]
    vertical_flip: bool,
    /// Beyond the edges is black [default: the pixels of the edge]
    #[arg(long)]
    black_edges: bool,
}

impl Changes {
    /// None if nothing is to be changed.
    pub fn augmentation(&self) -> Option<Augmentation> {
        let whole = |number: Option<f32>, preset: f32| number.or(self.augment.then_some(preset));
        let mut made = Augmentation::image_data_generator();
        let nothing = made.clone();
        if let Some(degrees) = whole(self.rotation, 40.0) {
            made = made.rotation(degrees);
        }
        if let Some(share) = whole(self.width_shift, 0.2) {
            made = made.width_shift(share);
        }
        if let Some(share) = whole(self.height_shift, 0.2) {
            made = made.height_shift(share);
        }
        if let Some(degrees) = whole(self.shear, 0.2) {
            made = made.shear(degrees);
        }
        if let Some(share) = whole(self.zoom, 0.2) {
            made = made.zoom(share);
        }
        if let Some(share) = self.brightness {
            made = made.brightness(share);
        }
        if let Some(levels) = self.channel_shift {
            made = made.channel_shift(levels);
        }
        if self.augment || self.horizontal_flip {
            made = made.horizontal_flip();
        }
        if self.vertical_flip {
            made = made.vertical_flip();
        }
        if made == nothing {
            return None;
        }
        Some(if self.black_edges { made.fill(Fill::Constant(0.0)) } else { made })
    }
}
