use super::Model;
use crate::error::{Error, ModelFileProblem};
use crate::layers::{Attributes, AttributesMut};
use crate::memory::heap;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// What a model's file says beside the net: how to prepare its input, and what its output means. A model keeps the
/// bytes, which are decoded when it is asked for them.
///
/// ```
/// use bantam::{Metadata, Scaling, Sequential};
/// let mut model = Sequential::new([2]).dense(2).build(1)?;
/// model.set_metadata(&Metadata {
///     class_names: vec!["cat".into(), "dog".into()],
///     scaling: vec![Scaling { scale: 1.0 / 255.0, offset: 0.0 }],
///     channel_order: Default::default(),
///     notes: vec![("license".into(), "CC0".into())],
/// })?;
/// let mut pixels = [255.0, 0.0];
/// model.metadata()?.scale(&mut pixels);
/// assert_eq!(pixels, [1.0, 0.0]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// What the elements of the output stand for, in order.
    pub class_names: Vec<String>,
    /// What makes the model's input of an image: one for all channels, or one for each. Without any, the pixels are
    /// taken as they are.
    pub scaling: Vec<Scaling>,
    /// In which order the model takes the channels of an image.
    pub channel_order: ChannelOrder,
    /// Anything else, by keys: who made the model, of what data, under which license.
    pub notes: Vec<(String, String)>,
}

/// What is done to a pixel: `x * scale + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// What it is multiplied by.
    pub scale: f32,
    /// What is added then.
    pub offset: f32,
}

/// The order of the channels that a model takes. Images are read as RGB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelOrder {
    /// As they are.
    #[default]
    Rgb,
    /// Blue, green, red, as nets that were trained with Caffe take them. Their [`Scaling`]s are in this order too.
    Bgr,
}

impl ChannelOrder {
    /// Puts the channels of an RGB image in this order, channels last.
    pub fn apply(self, pixels: &mut [f32]) {
        if self == ChannelOrder::Bgr {
            pixels.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
        }
    }
}

impl Metadata {
    /// Makes the model's input of an image, channels last.
    pub fn scale(&self, pixels: &mut [f32]) {
        self.channel_order.apply(pixels);
        for (x, Scaling { scale, offset }) in pixels.iter_mut().zip(self.scaling.iter().cycle()) {
            *x = *x * scale + offset;
        }
    }

    /// Three lists behind their lengths: texts, pairs of numbers, and pairs of texts. A text follows its length. A byte of 1
    /// behind them stands for BGR.
    fn write(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = AttributesMut::default();
        let text = |bytes: &mut AttributesMut, text: &str| {
            bytes.size(text.len());
            bytes.bytes(text.as_bytes());
        };
        bytes.size(self.class_names.len());
        self.class_names.iter().for_each(|name| text(&mut bytes, name));
        bytes.size(self.scaling.len());
        for &Scaling { scale, offset } in &self.scaling {
            bytes.number(scale);
            bytes.number(offset);
        }
        bytes.size(self.notes.len());
        for (key, value) in &self.notes {
            text(&mut bytes, key);
            text(&mut bytes, value);
        }
        if self.channel_order == ChannelOrder::Bgr {
            bytes.flag(true);
        }
        bytes.into_bytes()
    }

    fn read(mut bytes: Attributes<'_>) -> Result<Metadata, Error> {
        let mut metadata = Metadata::default();
        if !bytes.more() {
            return Ok(metadata);
        }
        // The lists grow with what is there, whatever their lengths say.
        for _ in 0..bytes.size("class names") {
            heap::push(&mut metadata.class_names, text(&mut bytes, "class name")?)?;
        }
        for _ in 0..bytes.size("scaling") {
            let (scale, offset) = (bytes.number("scaling"), bytes.number("scaling"));
            bytes.check()?;
            heap::push(&mut metadata.scaling, Scaling { scale, offset })?;
        }
        for _ in 0..bytes.size("notes") {
            let note = (text(&mut bytes, "key of a note")?, text(&mut bytes, "note")?);
            heap::push(&mut metadata.notes, note)?;
        }
        if bytes.more() && bytes.flag("channel order") {
            metadata.channel_order = ChannelOrder::Bgr;
        }
        bytes.check_end("bytes after the metadata")?;
        Ok(metadata)
    }

    /// Whether scaling and order are some for an image of so many channels.
    fn check(&self, channels: usize) -> Result<(), Error> {
        if self.channel_order == ChannelOrder::Bgr && channels != 3 {
            let (what, expected) = ("channels of a model that takes BGR", 3);
            return Err(bantam_kernels::Error::Length { what, expected, got: channels }.into());
        }
        let got = self.scaling.len();
        if got > 1 && got != channels {
            let what = "scaling of channels";
            return Err(bantam_kernels::Error::Length { what, expected: channels, got }.into());
        }
        let mut numbers = self.scaling.iter().flat_map(|scaling| [scaling.scale, scaling.offset]);
        match numbers.find(|number| !number.is_finite()) {
            Some(got) => Err(Error::OutOfRange { what: "scaling", expected: "finite numbers", got }),
            None => Ok(()),
        }
    }
}

fn text(bytes: &mut Attributes<'_>, what: &'static str) -> Result<String, Error> {
    let len = bytes.size(what);
    let text = bytes.take(len, what);
    bytes.check()?;
    match core::str::from_utf8(text) {
        Ok(text) => heap::text(text),
        Err(_) => Err(ModelFileProblem::Field { what }.into()),
    }
}

impl Model<'_> {
    /// What the model's file says beside the net.
    ///
    /// # Errors
    /// [`Error::ModelFile`]: the bytes are no metadata. The scaling is not of the input's channels, or not of finite
    /// numbers, or BGR is not of three channels.
    pub fn metadata(&self) -> Result<Metadata, Error> {
        let metadata = Metadata::read(Attributes::new(&self.metadata))?;
        metadata.check(self.channels())?;
        Ok(metadata)
    }

    /// What the model's file is to say beside the net.
    ///
    /// # Errors
    /// The scaling is not of the input's channels, or not of finite numbers, or there is no memory. The metadata is then
    /// as it was.
    pub fn set_metadata(&mut self, metadata: &Metadata) -> Result<(), Error> {
        metadata.check(self.channels())?;
        let none = *metadata == Metadata::default();
        self.metadata = Cow::Owned(if none { Vec::new() } else { metadata.write()? });
        Ok(())
    }

    /// Of the first input.
    fn channels(&self) -> usize {
        self.input_shape().dims().last().copied().unwrap_or(1)
    }
}
