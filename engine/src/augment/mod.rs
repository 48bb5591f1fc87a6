//! Images changed at random, so that a model learns from more of them than there are.

mod draw;
mod spread;
mod values;

pub use draw::Transform;
pub use spread::Spread;

use crate::error::Error;
use bantam_kernels::Isa;
use bantam_kernels::warp::{self, Affine, Fill, Interpolation};

/// How images `[H, W, C]` are changed at random, in the two ways that Keras has: as its `ImageDataGenerator`, or as its layers
/// `RandomRotation`, `RandomTranslation` and others.
///
/// Nothing changes but what is named, and a method takes the numbers that it takes there:
///
/// | | [`image_data_generator`](Augmentation::image_data_generator) | [`layers`](Augmentation::layers) |
/// | --- | --- | --- |
/// | [`rotation`](Augmentation::rotation) | degrees | shares of a whole turn |
/// | [`zoom`](Augmentation::zoom) | factors, one for each axis | factors less 1, the same for both axes |
/// | [`brightness`](Augmentation::brightness) | factors | added, in shares of the range of values |
/// | [`contrast`](Augmentation::contrast) | factors | factors less 1 |
/// | [`fill`](Augmentation::fill), if not named | [`Fill::Nearest`] | [`Fill::Reflect`] |
/// | [`Fill::Constant`] | the same as [`Fill::Outside`] | is blended with the edge |
///
/// Each number is drawn evenly from a [`Spread`]. All that moves pixels is one map, so that an image is interpolated once: it is
/// rotated, shifted, sheared and zoomed about its centre, in this order, then flipped and cropped. After that values change, by
/// channel shift, brightness and contrast, and cutout is the last. `docs/keras.md` in the repository says where Keras does
/// otherwise.
///
/// The same seed gives the same image. All numbers are drawn, whatever is named, so that naming one leaves the others as they
/// were.
///
/// ```
/// use bantam::{Augmentation, Fill};
/// let augmentation = Augmentation::image_data_generator()
///     .rotation(20.0)
///     .width_shift(0.1)
///     .zoom(0.8..=1.1)
///     .horizontal_flip()
///     .fill(Fill::Constant(0.0));
/// let (image, mut changed) = ([128.0; 15 * 20 * 3], [0.0; 15 * 20 * 3]);
/// augmentation.apply(7, [15, 20, 3], &image, &mut changed)?;
/// assert_ne!(image, changed);
/// let drawn = augmentation.draw(7, [15, 20, 3])?;
/// assert!(drawn.rotation.abs() <= 20.0 && drawn.shift[1].abs() <= 2.0);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Augmentation {
    convention: Convention,
    /// Degrees.
    rotation: Spread,
    /// In shares of the height and the width.
    shift: [Spread; 2],
    shift_pixels: [Spread; 2],
    /// Degrees.
    shear: Spread,
    shear_x: Spread,
    shear_y: Spread,
    /// Vertical and horizontal; one number for both if there is one.
    zoom: [Spread; 2],
    zoom_together: bool,
    flips: [bool; 2],
    crop: Option<[usize; 2]>,
    channel_shift: Spread,
    brightness: Spread,
    contrast: Spread,
    cutout: Option<([usize; 2], f32)>,
    value_range: [f32; 2],
    fill: Fill,
    interpolation: Interpolation,
    isa: Isa,
}

/// Whose numbers the methods take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Convention {
    ImageDataGenerator,
    Layers,
}

impl Augmentation {
    /// As `tf.keras.preprocessing.image.ImageDataGenerator`.
    pub fn image_data_generator() -> Augmentation {
        Augmentation::new(Convention::ImageDataGenerator)
    }

    /// As `keras.layers.RandomRotation`, `RandomTranslation`, `RandomZoom`, `RandomShear`, `RandomFlip`, `RandomCrop`,
    /// `RandomBrightness` and `RandomContrast`.
    pub fn layers() -> Augmentation {
        Augmentation::new(Convention::Layers)
    }

    fn new(convention: Convention) -> Augmentation {
        let of_layers = convention == Convention::Layers;
        Augmentation {
            convention,
            rotation: Spread::ZERO,
            shift: [Spread::ZERO; 2],
            shift_pixels: [Spread::ZERO; 2],
            shear: Spread::ZERO,
            shear_x: Spread::ZERO,
            shear_y: Spread::ZERO,
            zoom: [Spread::ONE; 2],
            zoom_together: of_layers,
            flips: [false; 2],
            crop: None,
            channel_shift: Spread::ZERO,
            brightness: if of_layers { Spread::ZERO } else { Spread::ONE },
            contrast: Spread::ONE,
            cutout: None,
            value_range: [0.0, 255.0],
            fill: if of_layers { Fill::Reflect } else { Fill::Nearest },
            interpolation: Interpolation::Bilinear,
            isa: Isa::detect(),
        }
    }

    /// Counter-clockwise. In degrees, of [`layers`](Augmentation::layers) in whole turns.
    pub fn rotation(self, angle: impl Into<Spread>) -> Augmentation {
        let degrees = if self.convention == Convention::Layers { 360.0 } else { 1.0 };
        Augmentation { rotation: angle.into().times(degrees), ..self }
    }

    /// To the right, in shares of the width.
    pub fn width_shift(mut self, share: impl Into<Spread>) -> Augmentation {
        self.shift[1] = share.into();
        self
    }

    /// Down, in shares of the height.
    pub fn height_shift(mut self, share: impl Into<Spread>) -> Augmentation {
        self.shift[0] = share.into();
        self
    }

    /// To the right, in pixels, which [`width_shift`](Augmentation::width_shift) is added to.
    pub fn width_shift_pixels(mut self, pixels: impl Into<Spread>) -> Augmentation {
        self.shift_pixels[1] = pixels.into();
        self
    }

    /// Down, in pixels, which [`height_shift`](Augmentation::height_shift) is added to.
    pub fn height_shift_pixels(mut self, pixels: impl Into<Spread>) -> Augmentation {
        self.shift_pixels[0] = pixels.into();
        self
    }

    /// By an angle in degrees, less than 90, as `ImageDataGenerator` does it: pixel `[y, x]`, from the centre, is the image's at
    /// `[y cos a, x - y sin a]`.
    pub fn shear(self, degrees: impl Into<Spread>) -> Augmentation {
        Augmentation { shear: degrees.into(), ..self }
    }

    /// By a slope, as the layer `RandomShear` does it but about the centre: pixel `[y, x]` is the image's at `[y, x + a y]`.
    pub fn shear_x(self, slope: impl Into<Spread>) -> Augmentation {
        Augmentation { shear_x: slope.into(), ..self }
    }

    /// The same along columns: pixel `[y, x]` is the image's at `[y + a x, x]`.
    pub fn shear_y(self, slope: impl Into<Spread>) -> Augmentation {
        Augmentation { shear_y: slope.into(), ..self }
    }

    /// By the distance of pixels in the image: beyond 1 it becomes smaller. Each axis has a factor of its own; of
    /// [`layers`](Augmentation::layers) both have the same one, and ranges are those of factors less 1.
    pub fn zoom(self, factor: impl Into<Spread>) -> Augmentation {
        let zoom = self.factor(factor.into());
        Augmentation { zoom: [zoom; 2], zoom_together: self.convention == Convention::Layers, ..self }
    }

    /// As [`zoom`](Augmentation::zoom), of the height alone.
    pub fn zoom_height(mut self, factor: impl Into<Spread>) -> Augmentation {
        self.zoom[0] = self.factor(factor.into());
        Augmentation { zoom_together: false, ..self }
    }

    /// As [`zoom`](Augmentation::zoom), of the width alone.
    pub fn zoom_width(mut self, factor: impl Into<Spread>) -> Augmentation {
        self.zoom[1] = self.factor(factor.into());
        Augmentation { zoom_together: false, ..self }
    }

    /// One image of two is mirrored left to right.
    pub fn horizontal_flip(mut self) -> Augmentation {
        self.flips[1] = true;
        self
    }

    /// One image of two is turned upside down.
    pub fn vertical_flip(mut self) -> Augmentation {
        self.flips[0] = true;
        self
    }

    /// A part of that height and width, from anywhere in the image.
    pub fn crop(self, size: [usize; 2]) -> Augmentation {
        Augmentation { crop: Some(size), ..self }
    }

    /// A number is added to all channels, and what leaves the range of the image's own values is clipped to it.
    pub fn channel_shift(self, amount: impl Into<Spread>) -> Augmentation {
        Augmentation { channel_shift: amount.into(), ..self }
    }

    /// Values are multiplied, from the [lowest](Augmentation::value_range) on; of [`layers`](Augmentation::layers) a share of
    /// the range of values is added. They are clipped to that range.
    pub fn brightness(self, amount: impl Into<Spread>) -> Augmentation {
        let amount = amount.into();
        let brightness = match self.convention {
            Convention::ImageDataGenerator => amount.around(1.0),
            Convention::Layers => amount,
        };
        Augmentation { brightness, ..self }
    }

    /// Values are multiplied by how far they are from their channel's mean, and clipped to the
    /// [range](Augmentation::value_range) of values. Of [`layers`](Augmentation::layers) ranges are those of factors less 1.
    pub fn contrast(self, factor: impl Into<Spread>) -> Augmentation {
        Augmentation { contrast: self.factor(factor.into()), ..self }
    }

    /// A rectangle of that height and width about any pixel of the image, as far as it lies in the image, has one value
    /// (DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017).
    pub fn cutout(self, size: [usize; 2], value: f32) -> Augmentation {
        Augmentation { cutout: Some((size, value)), ..self }
    }

    /// From where to where values go, for brightness and contrast: from 0 to 255 unless set.
    pub fn value_range(self, lowest: f32, highest: f32) -> Augmentation {
        Augmentation { value_range: [lowest, highest], ..self }
    }

    /// What is beyond the edges of an image.
    pub fn fill(self, fill: Fill) -> Augmentation {
        let fill = match (self.convention, fill) {
            (Convention::ImageDataGenerator, Fill::Constant(value)) => Fill::Outside(value),
            _ => fill,
        };
        Augmentation { fill, ..self }
    }

    /// What is taken of pixels around a point: bilinear interpolation unless set.
    pub fn interpolation(self, interpolation: Interpolation) -> Augmentation {
        Augmentation { interpolation, ..self }
    }

    /// The instruction set to use.
    pub fn isa(self, isa: Isa) -> Augmentation {
        Augmentation { isa, ..self }
    }

    /// A factor as the convention has it.
    fn factor(&self, factor: Spread) -> Spread {
        match self.convention {
            Convention::ImageDataGenerator => factor.around(1.0),
            Convention::Layers => factor.plus(1.0),
        }
    }

    /// Whether every number can be drawn.
    fn check(&self) -> Result<(), Error> {
        const FINITE: [f32; 2] = [f32::MIN, f32::MAX];
        let finite = "finite numbers";
        self.rotation.check("rotation", FINITE, finite)?;
        for shift in [self.shift, self.shift_pixels].as_flattened() {
            shift.check("shift", FINITE, finite)?;
        }
        self.shear.check("shear", [-89.9, 89.9], "angles of less than 90 degrees")?;
        self.shear_x.check("shear", FINITE, finite)?;
        self.shear_y.check("shear", FINITE, finite)?;
        for zoom in self.zoom {
            zoom.check("zoom", [f32::MIN_POSITIVE, f32::MAX], "factors above 0")?;
        }
        self.channel_shift.check("channel shift", FINITE, finite)?;
        let not_negative = ([0.0, f32::MAX], "factors of at least 0");
        match self.convention {
            Convention::ImageDataGenerator => {
                self.brightness.check("brightness", not_negative.0, not_negative.1)?;
            }
            Convention::Layers => self.brightness.check("brightness", FINITE, finite)?,
        }
        self.contrast.check("contrast", not_negative.0, not_negative.1)?;
        Spread::from(self.value_range[0]..=self.value_range[1]).check("range of values", FINITE, finite)?;
        let mut values = [0.0; 2];
        if let Fill::Constant(value) | Fill::Outside(value) = self.fill {
            values[0] = value;
        }
        if let Some((_, value)) = self.cutout {
            values[1] = value;
        }
        match values.into_iter().find(|value| !value.is_finite()) {
            Some(got) => Err(Error::OutOfRange { what: "fill", expected: "a finite number", got }),
            None => Ok(()),
        }
    }

    /// The shape of what becomes of an image `[H, W, C]`.
    ///
    /// # Errors
    /// A size is zero, the image is smaller than what is to be cropped, or a number cannot be drawn: it is not finite, a range
    /// is empty, a factor is not above 0.
    pub fn output_shape(&self, [height, width, channels]: [usize; 3]) -> Result<[usize; 3], Error> {
        self.check()?;
        for (what, size) in [("height", height), ("width", width), ("channels", channels)] {
            if size == 0 {
                return Err(bantam_kernels::Error::ZeroSize { what }.into());
            }
        }
        let Some(crop) = self.crop else { return Ok([height, width, channels]) };
        for (got, max) in crop.into_iter().zip([height, width]) {
            if got == 0 {
                return Err(bantam_kernels::Error::ZeroSize { what: "crop" }.into());
            }
            if got > max {
                return Err(bantam_kernels::Error::OutOfRange { what: "crop", max, got }.into());
            }
        }
        Ok([crop[0], crop[1], channels])
    }

    /// Writes to `output` what becomes of an image `[H, W, C]`. Allocates nothing.
    ///
    /// # Errors
    /// As those of [`output_shape`](Augmentation::output_shape), or an array has another length than its shape, or what is drawn leads
    /// farther from the image than 2²¹ pixels.
    pub fn apply(
        &self,
        seed: u64,
        shape: [usize; 3],
        image: &[f32],
        output: &mut [f32],
    ) -> Result<(), Error> {
        self.transform(&self.draw(seed, shape)?, shape, image, output)
    }

    /// As [`apply`](Augmentation::apply), with numbers that were drawn, or chosen.
    ///
    /// # Errors
    /// As [`apply`](Augmentation::apply).
    pub fn transform(
        &self,
        drawn: &Transform,
        shape: [usize; 3],
        image: &[f32],
        output: &mut [f32],
    ) -> Result<(), Error> {
        let [rows, columns, _] = self.output_shape(shape)?;
        let map = Affine {
            input: shape,
            output: [rows, columns],
            matrix: drawn.matrix(shape),
            interpolation: self.interpolation,
            fill: self.fill,
        };
        warp::affine(self.isa, &map, image, output)?;
        self.change_values(drawn, [rows, columns, shape[2]], output);
        Ok(())
    }

    /// What a sample's changes are drawn from, in an epoch of such a seed: another seed for each sample and epoch, whatever order
    /// samples are read in.
    pub fn sample_seed(epoch: u64, index: usize) -> u64 {
        // Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
        let z = epoch.wrapping_add((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
