use super::decode::{Color, Converted, decode};
use super::error::ImageError;
use super::resize::{AspectRatio, Resampling, Resizing, Scratch};
use bantam::{ChannelOrder, Error, Metadata, Scaling, Shape};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Makes a model's input of a file: JPEG, PNG, BMP, GIF (its first frame) or WebP.
///
/// ```
/// use bantam_tools::images::ImageLoader;
/// let loader = ImageLoader::new().target_size(150, 150).rescale(1.0 / 255.0);
/// assert_eq!(loader.shape()?.dims(), [150, 150, 3]);
/// let mut pixels = vec![0.0; 150 * 150 * 3];
/// let error = loader.load("no-such-cat.jpg", &mut pixels).unwrap_err();
/// println!("no-such-cat.jpg: {error}");
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageLoader {
    resizing: Resizing,
    color: Color,
    strict: bool,
    scaling: Vec<Scaling>,
    channel_order: ChannelOrder,
    max_pixels: u64,
}

impl Default for ImageLoader {
    fn default() -> ImageLoader {
        ImageLoader::new()
    }
}

impl ImageLoader {
    /// RGB of 256×256, distorted if need be, bilinear with antialiasing, levels from 0 to 255.
    pub fn new() -> ImageLoader {
        let (interpolation, aspect_ratio) = Default::default();
        ImageLoader {
            resizing: Resizing { width: 256, height: 256, interpolation, antialias: true, aspect_ratio },
            color: Color::Rgb,
            strict: false,
            scaling: Vec::new(),
            channel_order: ChannelOrder::Rgb,
            max_pixels: 1 << 26,
        }
    }

    /// Rows and columns of what comes out.
    pub fn target_size(mut self, height: usize, width: usize) -> ImageLoader {
        (self.resizing.height, self.resizing.width) = (height, width);
        self
    }

    /// The channels of what comes out.
    pub fn color(self, color: Color) -> ImageLoader {
        ImageLoader { color, ..self }
    }

    /// Grey images are refused where [`Color::Rgb`] is asked for. Otherwise their three channels are equal, as in Keras.
    pub fn strict_color(self, strict: bool) -> ImageLoader {
        ImageLoader { strict, ..self }
    }

    /// How pixels between pixels are made up.
    pub fn interpolation(mut self, interpolation: Resampling) -> ImageLoader {
        self.resizing.interpolation = interpolation;
        self
    }

    /// Whether each pixel of a smaller image is made of all that it covers, in whole levels, as Pillow and so Keras's
    /// `load_img` do; or else of the nearest ones, in `f32`, as `image_dataset_from_directory` does.
    pub fn antialias(mut self, antialias: bool) -> ImageLoader {
        self.resizing.antialias = antialias;
        self
    }

    /// What happens to images of another ratio of sides.
    pub fn aspect_ratio(mut self, aspect_ratio: AspectRatio) -> ImageLoader {
        self.resizing.aspect_ratio = aspect_ratio;
        self
    }

    /// What levels from 0 to 255 are multiplied by.
    pub fn rescale(self, scale: f32) -> ImageLoader {
        self.scaling(&[Scaling { scale, offset: 0.0 }])
    }

    /// As [`rescale`](ImageLoader::rescale), one for all channels or one for each, as in a model's
    /// [`Metadata`](bantam::Metadata).
    pub fn scaling(self, scaling: &[Scaling]) -> ImageLoader {
        ImageLoader { scaling: scaling.to_vec(), ..self }
    }

    /// The order of the three channels of colours. The scaling is that of the channels in this order.
    pub fn channel_order(self, channel_order: ChannelOrder) -> ImageLoader {
        ImageLoader { channel_order, ..self }
    }

    /// With the scaling and the order of channels that a model's [`Metadata`] tells.
    pub fn prepared_for(self, metadata: &Metadata) -> ImageLoader {
        self.scaling(&metadata.scaling).channel_order(metadata.channel_order)
    }

    /// RGB with levels from 0 to 255, to be looked at, whatever a model takes.
    pub fn levels(self) -> ImageLoader {
        self.prepared_for(&Metadata::default())
    }

    /// The most pixels that an image may have by its header, 2²⁶ unless said otherwise: larger ones are refused before any
    /// memory is taken for them.
    pub fn max_pixels(self, max_pixels: u64) -> ImageLoader {
        ImageLoader { max_pixels, ..self }
    }

    /// The shape of what comes out, `[H, W, C]`.
    ///
    /// # Errors
    /// A size is zero, there is no such number of pixels, or the scaling or their order is of another number of channels.
    pub fn shape(&self) -> Result<Shape, Error> {
        let (Resizing { width, height, .. }, channels) = (self.resizing, self.color.channels());
        let shape = Shape::new(&[height, width, channels])?;
        if u32::try_from(width.max(height)).is_err() {
            let (what, expected, got) = ("size of images", "at most 32 bits", width.max(height) as f32);
            return Err(Error::OutOfRange { what, expected, got });
        }
        let scalings = self.scaling.len();
        if scalings > 1 && scalings != channels {
            let expected = "none, one, or one for each channel";
            return Err(Error::OutOfRange { what: "scaling of channels", expected, got: scalings as f32 });
        }
        if self.channel_order == ChannelOrder::Bgr && channels != 3 {
            let (what, expected, got) = ("channels of BGR", "three", channels as f32);
            return Err(Error::OutOfRange { what, expected, got });
        }
        Ok(shape)
    }

    /// What is done to the levels.
    pub fn scales(&self) -> &[Scaling] {
        &self.scaling
    }

    /// Reads a file into `pixels`, of [`shape`](ImageLoader::shape).
    ///
    /// # Errors
    /// It cannot be read, or is no whole image.
    ///
    /// # Panics
    /// `pixels` has another length, or [`shape`](ImageLoader::shape) is an error.
    pub fn load(&self, path: impl AsRef<Path>, pixels: &mut [f32]) -> Result<(), ImageError> {
        assert_eq!(self.shape().map(|shape| shape.elements()), Ok(pixels.len()), "pixels of an image");
        self.load_with(path.as_ref(), &mut Scratch::default(), pixels)?;
        self.scale(pixels);
        Ok(())
    }

    /// As [`load`](Self::load), of a file's bytes.
    ///
    /// # Errors
    /// As `load`.
    ///
    /// # Panics
    /// As `load`.
    pub fn decode(&self, bytes: &[u8], pixels: &mut [f32]) -> Result<(), ImageError> {
        assert_eq!(self.shape().map(|shape| shape.elements()), Ok(pixels.len()), "pixels of an image");
        self.decode_with(bytes, &mut Scratch::default(), pixels)?;
        self.scale(pixels);
        Ok(())
    }

    /// The levels of a file, which are not scaled yet.
    pub(super) fn load_with(
        &self,
        path: &Path,
        scratch: &mut Scratch,
        pixels: &mut [f32],
    ) -> Result<Converted, ImageError> {
        self.decode_with(&fs::read(path).map_err(ImageError::Unreadable)?, scratch, pixels)
    }

    fn decode_with(
        &self,
        bytes: &[u8],
        scratch: &mut Scratch,
        pixels: &mut [f32],
    ) -> Result<Converted, ImageError> {
        // Decoders are others' code and files anybody's.
        let made = catch_unwind(AssertUnwindSafe(|| {
            let (picture, converted) = decode(bytes, self.color, self.max_pixels)?;
            if self.strict && converted.grey_to_rgb {
                return Err(ImageError::Grey);
            }
            self.resizing.resize(picture, scratch, pixels);
            Ok(converted)
        }));
        made.unwrap_or_else(|_| Err(ImageError::Damaged("its decoder gave up".into())))
    }

    pub(super) fn scale(&self, pixels: &mut [f32]) {
        self.channel_order.apply(pixels);
        for (x, Scaling { scale, offset }) in pixels.iter_mut().zip(self.scaling.iter().cycle()) {
            *x = *x * scale + offset;
        }
    }
}
