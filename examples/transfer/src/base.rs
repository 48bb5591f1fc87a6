//! Somebody's net, from whichever program it is, and what of it is the base.

use bantam::{BatchNormalization, Error, Metadata, Model, Sequential};
use bantam_tools::Failure;
use bantam_tools::import::keras::{Which, load_weights};
use bantam_tools::import::{Import, ImportOptions, import};
use bantam_tools::options::load;
use bantam_zoo::{NAMES, by_name};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Which file the base comes from, and what that does not say.
#[derive(Args)]
pub struct Options {
    /// A model whose first layers are the base: .bantam, .keras, .h5 or .onnx [default: a net that learns the digits 0 to 4
    /// first]
    #[arg(long, value_name = "FILE", requires = "folder")]
    pub base: Option<PathBuf>,
    /// The net that the file has the weights of, by its name in bantam-zoo, where the file has nothing but weights: vgg16
    #[arg(long, value_name = "NAME", requires = "base", value_parser = PossibleValuesParser::new(NAMES))]
    net: Option<String>,
    /// The width of that net, as of MobileNet's
    #[arg(long, default_value_t = 1.0, requires = "net")]
    alpha: f64,
    /// Rows and columns of the images [default: those of the file]
    #[arg(long, value_name = "HxW", requires = "base", value_parser = bantam_tools::options::size)]
    input_size: Option<[usize; 2]>,
    /// What is done to images, in place of what the file says
    #[arg(long, value_enum, requires = "base")]
    preprocessing: Option<Preprocessing>,
}

/// The modes of `keras.applications`.
#[derive(Clone, Copy, ValueEnum)]
enum Preprocessing {
    /// Levels from 0 to 255, as they are
    None,
    /// From 0 to 1
    Unit,
    /// From -1 to 1
    Tf,
    /// From 0 to 1, then less ImageNet's mean of the channel, by its deviation
    Torch,
    /// Blue, green and red, each less its mean in ImageNet
    Caffe,
}

impl From<Preprocessing> for bantam_zoo::Preprocessing {
    fn from(mode: Preprocessing) -> bantam_zoo::Preprocessing {
        match mode {
            Preprocessing::None => bantam_zoo::Preprocessing::Nothing,
            Preprocessing::Unit => bantam_zoo::Preprocessing::Unit,
            Preprocessing::Tf => bantam_zoo::Preprocessing::Tf,
            Preprocessing::Torch => bantam_zoo::Preprocessing::Torch,
            Preprocessing::Caffe => bantam_zoo::Preprocessing::Caffe,
        }
    }
}

impl Options {
    /// The net in the file, for images of the size that was asked for, up to that layer: unless one is told, to the last map
    /// before its head.
    ///
    /// # Errors
    /// The file cannot be read or is of no format that can be, its weights are not the net's, or there is no such layer.
    pub fn read(&self, path: &Path, cut: Option<&str>) -> Result<Model<'static>, Failure> {
        let net = match &self.net {
            Some(name) => self.with_weights(name, path)?,
            None if is_own(path)? => load(path)?,
            None => {
                let options = match self.input_size {
                    Some([height, width]) => ImportOptions::new().input_size(height, width),
                    None => ImportOptions::new(),
                };
                let Import { model, .. } = import(path, &options)?;
                model
            }
        };
        let metadata = self.metadata(&net)?;
        let cut = match (cut, net.last_of_base()?) {
            (Some(cut), _) => cut,
            (None, Some(last)) => last.name(),
            (None, None) => {
                let (path, input) = (path.display(), net.input_shape());
                return Err(format!(
                    "{path}: expected a net of images, whose maps a head can read, got one of {input}; --cut"
                )
                .into());
            }
        };
        let mut base = net.truncate_at(cut)?;
        if let (Some([height, width]), &[_, _, channels]) = (self.input_size, base.input_shape().dims()) {
            base = Sequential::new([height, width, channels]).model(&base).build(0)?;
        }
        base.set_metadata(&metadata)?;
        Ok(base)
    }

    /// A net of the zoo without its top, with the weights of a file that has a top or none.
    fn with_weights(&self, name: &str, path: &Path) -> Result<Model<'static>, Failure> {
        let net = by_name(name).ok_or_else(|| format!("--net: expected {}, got {name}", NAMES.join(", ")))?;
        let [rows, columns, channels] = net.input_shape();
        let [height, width] = self.input_size.unwrap_or([rows, columns]);
        let net = net.include_top(false).alpha(self.alpha).input([height, width, channels]);
        let mut model = net.build(0)?;
        let loaded = load_weights(&mut model, path, Which::OfBoth)?;
        if !loaded.missing.is_empty() {
            let (path, missing) = (path.display(), loaded.missing.join(", "));
            return Err(format!("{path}: expected the weights of {name}, found none of {missing}").into());
        }
        Ok(model)
    }

    /// What the file says of images, unless it was told otherwise.
    fn metadata(&self, net: &Model<'_>) -> Result<Metadata, Error> {
        let of_file = Metadata { class_names: Vec::new(), ..net.metadata()? };
        let Some(mode) = self.preprocessing else { return Ok(of_file) };
        let channels = net.input_shape().dims().last().copied().unwrap_or(1);
        let Metadata { scaling, channel_order, .. } =
            bantam_zoo::Preprocessing::from(mode).metadata(channels);
        Ok(Metadata { scaling, channel_order, ..of_file })
    }
}

/// Whether a file begins as a model of this library.
fn is_own(path: &Path) -> Result<bool, Failure> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(6).read_to_end(&mut head));
    read.map_err(|problem| format!("{}: {problem}", path.display()))?;
    Ok(head == *b"BANTAM")
}

/// Where fine-tuning begins if nobody says: the first layer with weights whose map is as large as the last one's, as the last
/// block of VGG16.
///
/// # Errors
/// The base has no layer with weights.
pub fn last_block<'b>(base: &'b Model<'_>) -> Result<&'b str, Failure> {
    let size = |node: &bantam::Node<'_>| node.output_shape().dims().first_chunk::<2>().copied();
    let mut learnt = base.nodes().iter().filter(|node| !base.parameters_of(node).is_empty());
    let last =
        learnt.clone().next_back().map(size).ok_or("the base: expected layers with weights, got none")?;
    let first = learnt.find(|node| size(node) == last);
    Ok(first.map_or("", |node| node.name()))
}

/// Lets a model learn from that layer on. Batch normalisations of the base go on with the statistics that they have, which few
/// pictures would spoil.
///
/// # Errors
/// There is no such layer.
pub fn unfreeze(model: &mut Model<'_>, base: &Model<'_>, from: &str) -> Result<(), Error> {
    model.unfreeze_from(from)?;
    let normalizations = base.nodes().iter().filter(|node| node.layer::<BatchNormalization>().is_some());
    normalizations.map(bantam::Node::name).try_for_each(|name| model.set_trainable(name, false))
}
