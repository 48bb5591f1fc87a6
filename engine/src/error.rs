use crate::shape::Shape;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why something was refused. What the caller had is as it was.
///
/// An error is copied at each `?` that it may take, and so is small, six words: shapes are boxed, and a checksum is bytes,
/// which lie at any address.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A kernel refused its sizes, or numbers that are too large for it.
    Kernel(bantam_kernels::Error),
    /// A shape has too many dimensions, or a model too many layers.
    TooMany {
        /// `"dimensions"` or `"layers"`.
        what: &'static str,
        /// The most there may be.
        max: usize,
        /// How many came.
        got: usize,
    },
    /// A tensor has the wrong number of dimensions.
    Rank {
        /// Which tensor.
        what: &'static str,
        /// Dimensions expected.
        expected: usize,
        /// The shape that came.
        got: Box<Shape>,
    },
    /// A tensor has the wrong shape.
    Shape {
        /// Which tensor.
        what: &'static str,
        /// The shape expected.
        expected: Box<Shape>,
        /// The shape that came.
        got: Box<Shape>,
    },
    /// A layer takes one dimension, and a sample has several.
    NotFlat {
        /// The shape that came.
        got: Box<Shape>,
    },
    /// A layer takes another number of inputs.
    Inputs {
        /// `"one"`, `"two"` or `"two or more"`.
        expected: &'static str,
        /// How many came.
        got: usize,
    },
    /// A class label is not a class.
    Label {
        /// The sample, of the data set or the batch.
        sample: usize,
        /// The label.
        label: f32,
        /// How many classes there are: labels run from 0 to one less.
        classes: usize,
    },
    /// A number lies outside its range.
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// What it should have been.
        expected: &'static str,
        /// The number that came.
        got: f32,
    },
    /// Batch normalisation is to learn from batches that have one number for each channel.
    NoVariance,
    /// A target is nothing that the loss can be measured against.
    Target {
        /// The sample, of the data set or the batch.
        sample: usize,
        /// What it should have been.
        expected: &'static str,
        /// The number that came.
        got: f32,
    },
    /// A weight of a sample or class is no finite number of at least 0.
    Weight {
        /// `"sample"` or `"class"`.
        what: &'static str,
        /// Which one, of the data set, the batch or the classes.
        index: usize,
        /// The weight.
        got: f32,
    },
    /// There are class weights, and the loss knows no classes.
    NoClasses,
    /// A model's output is no probability where the loss takes some.
    NoProbability {
        /// The sample, of the data set or the batch.
        sample: usize,
        /// The output.
        got: f32,
    },
    /// The softmax of a single output is 1, whatever the output: there is nothing to learn.
    OneOutput,
    /// A sample's input or output holds a NaN or an infinity.
    NotFinite {
        /// `"input"` or `"output"`.
        what: &'static str,
        /// The sample, of the data set or the batch.
        sample: usize,
        /// Position of the sample's first such element.
        index: usize,
        /// The element.
        got: f32,
    },
    /// A variable belongs to an earlier recording, or to another tape.
    StaleVar,
    /// A gradient was asked for of a variable that has none: only parameters that the loss depends
    /// on have one.
    NoGradient,
    /// A gradient is not what central differences say.
    Gradient {
        /// Which input.
        input: usize,
        /// Which of its elements.
        index: usize,
        /// What the differences say.
        expected: f32,
        /// The gradient.
        got: f32,
    },
    /// Axes to transpose that are not all axes of a tensor.
    Axes {
        /// How many it has.
        rank: usize,
    },
    /// The value of a variable was asked for that the tape does not own.
    NoValue,
    /// No layer has that name.
    UnknownLayer {
        /// The name.
        name: Box<str>,
        /// The name that is the most like it.
        nearest: Box<str>,
    },
    /// A layer has no weights of that name that learn.
    UnknownWeight {
        /// The name.
        name: Box<str>,
        /// Those that it has.
        known: Vec<String>,
    },
    /// A layer has no weights of that name.
    UnknownWeights {
        /// The layer's name.
        layer: Box<str>,
        /// That of the weights.
        name: Box<str>,
    },
    /// A model's file has layers that the program does not name.
    UnknownLayerTypes {
        /// All of them: `"Conv2D"`, `"Softmax"`.
        names: Vec<String>,
    },
    /// A layer reads what does not come before it, so that there is no order to run them in.
    Cycle {
        /// What was to come before: `"value that it reads"`, for one.
        what: &'static str,
        /// How many there are before.
        before: usize,
        /// Which one came, counted from 0.
        got: usize,
    },
    /// A builder cannot use a value.
    Value {
        /// What it should have been.
        expected: &'static str,
        /// What it is.
        got: &'static str,
    },
    /// A model cannot be split behind a layer: what follows needs more than that layer's output.
    Split {
        /// What follows, or `"output"`.
        layer: Box<str>,
        /// What it reads that does not follow.
        reads: Box<str>,
    },
    /// A layer that the program names for inference alone was to learn.
    NotTrainable {
        /// Keras's name of the class.
        layer: &'static str,
    },
    /// Two layers have the same name.
    DuplicateLayer {
        /// The name.
        name: String,
    },
    /// A layer cannot take what the layer before it gives.
    Layer {
        /// Its name.
        name: String,
        /// Why.
        cause: Box<Error>,
    },
    /// A data set has no samples, or a training no batches.
    Empty {
        /// What is empty.
        what: &'static str,
    },
    /// The loss is no longer a finite number. The model is as it was before that step.
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Batch of the epoch, from 1.
        batch: usize,
        /// The loss.
        loss: f32,
    },
    /// There is no memory for a model's list of layers, or a plan's.
    OutOfMemory {
        /// The bytes that were asked for.
        bytes: usize,
    },
    /// A session's arena has too few bytes.
    ArenaTooSmall {
        /// The bytes that the plan takes.
        expected: usize,
        /// The bytes that came.
        got: usize,
    },
    /// A training cannot do with so little memory.
    BudgetTooSmall {
        /// The least bytes that would do.
        expected: usize,
        /// Those that were given.
        got: usize,
        /// The layer that needs them.
        layer: String,
    },
    /// A session's arena does not begin where a number can.
    MisalignedArena {
        /// The multiple of bytes at which it should.
        expected: usize,
    },
    /// A flash memory refused, or does not keep what is written to it.
    Flash {
        /// Why.
        problem: &'static str,
    },
    /// A slot in flash has too few bytes.
    SlotTooSmall {
        /// The bytes that the weights take.
        expected: u32,
        /// The bytes of a slot.
        got: u32,
    },
    /// What lies in flash was learnt on top of another model.
    OtherModel,
    /// A model file cannot be read.
    ModelFile {
        /// What was wrong: expected and found.
        problem: ModelFileProblem,
    },
    /// A training cannot go on, or be kept.
    Checkpoint {
        /// Why: expected and found.
        problem: String,
    },
    /// A sample of a data set cannot be read.
    Sample {
        /// Its index.
        index: usize,
        /// Why.
        problem: String,
    },
    /// The system refused to read or write a file.
    #[cfg(feature = "std")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        problem: String,
    },
}

/// What is wrong with the bytes of a model file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelFileProblem {
    /// It has no bytes.
    Empty,
    /// It does not begin as one.
    Foreign,
    /// It is of another version of the format.
    Version {
        /// The version that this library reads.
        expected: u32,
        /// The version found.
        got: u32,
    },
    /// Its length is not the one that it states.
    Length {
        /// The length stated.
        expected: usize,
        /// The length found.
        got: usize,
    },
    /// Its contents do not give the checksum that it states.
    Checksum {
        /// The checksum stated, little-endian as in the file.
        expected: [u8; 8],
        /// The checksum of what was found.
        got: [u8; 8],
    },
    /// It does not begin at a multiple of so many bytes, so its weights cannot be used in place.
    Misaligned {
        /// The multiple.
        expected: usize,
    },
    /// A field has a value that means nothing.
    Field {
        /// Which field.
        what: &'static str,
    },
    /// A field has another number than the rest of the file calls for.
    Number {
        /// Which field.
        what: &'static str,
        /// The number called for.
        expected: usize,
        /// The number found.
        got: usize,
    },
    /// A field is longer than what is left.
    CutShort {
        /// Which field.
        what: &'static str,
        /// Its bytes.
        expected: usize,
        /// The bytes left.
        got: usize,
    },
}

impl Error {
    /// The same of a sample that comes so many later.
    pub(crate) fn after(self, samples: usize) -> Error {
        match self {
            Error::NotFinite { what, sample, index, got } => {
                Error::NotFinite { what, sample: samples + sample, index, got }
            }
            Error::NoProbability { sample, got } => Error::NoProbability { sample: samples + sample, got },
            Error::Weight { what, index, got } => Error::Weight { what, index: samples + index, got },
            other => other,
        }
    }
}

impl From<bantam_kernels::Error> for Error {
    fn from(error: bantam_kernels::Error) -> Error {
        Error::Kernel(error)
    }
}

impl From<ModelFileProblem> for Error {
    fn from(problem: ModelFileProblem) -> Error {
        Error::ModelFile { problem }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Kernel(error) => error.fmt(f),
            Error::TooMany { what, max, got } => write!(f, "{what}: expected at most {max}, got {got}"),
            Error::Rank { what, expected, got } => {
                write!(f, "{what}: expected {expected} dimensions, got {got}")
            }
            Error::Shape { what, expected, got } => write!(f, "{what}: expected {expected}, got {got}"),
            Error::NotFlat { got } => write!(f, "input: expected one dimension, got {got}: flatten it first"),
            Error::Inputs { expected, got } => write!(f, "inputs of a layer: expected {expected}, got {got}"),
            Error::Label { sample, label, classes } => {
                let (last, label) = (classes.saturating_sub(1), Decimal(*label));
                write!(f, "label of sample {sample}: expected a whole number from 0 to {last}, got {label}")
            }
            Error::Target { sample, expected, got } => {
                write!(f, "target of sample {sample}: expected {expected}, got {}", Decimal(*got))
            }
            Error::Weight { what, index, got } => {
                let got = Decimal(*got);
                write!(f, "weight of {what} {index}: expected a finite number of at least 0, got {got}")
            }
            Error::NoClasses => f.write_str(
                "class weights: expected a loss of classes, or a binary one of one output, got another",
            ),
            Error::NoProbability { sample, got } => {
                let got = Decimal(*got);
                write!(f, "output of sample {sample}: expected a probability from 0 to 1, got {got}")
            }
            Error::OneOutput => f.write_str(
                "softmax cross-entropy: expected at least two outputs, got one: use binary cross-entropy",
            ),
            Error::NoVariance => f.write_str(
                "batch normalisation: expected two numbers or more of each channel in a batch, got one: use larger \
                 batches, of which none is left with one sample, or do not train the layer",
            ),
            Error::OutOfRange { what, expected, got } => {
                write!(f, "{what}: expected {expected}, got {}", Decimal(*got))
            }
            Error::NotFinite { what, sample, index, got } => {
                let got = Decimal(*got);
                write!(f, "{what} of sample {sample}: expected finite numbers, got {got} at index {index}")
            }
            Error::StaleVar => f.write_str("variable: expected one of this recording, got one of another"),
            Error::NoGradient => {
                f.write_str("gradient: expected a parameter that the loss depends on, got another variable")
            }
            Error::Gradient { input, index, expected, got } => {
                let (expected, got) = (Decimal(*expected), Decimal(*got));
                write!(
                    f,
                    "gradient of input {input} at index {index}: expected {expected} by central differences, got {got}"
                )
            }
            Error::Axes { rank } => write!(f, "axes: expected all {rank} of the tensor, each once"),
            Error::NoValue => f.write_str("value: expected a computed variable, got a borrowed one"),
            Error::UnknownLayer { name, nearest } => {
                write!(f, "layer: no layer is named \"{name}\"; the nearest is \"{nearest}\"")
            }
            Error::UnknownWeight { name, known } => {
                write!(f, "weights: none that learn are named \"{name}\"; there are")?;
                list(f, known)
            }
            Error::UnknownWeights { layer, name } => {
                write!(f, "layer \"{layer}\": it has no weights that are named \"{name}\"")
            }
            Error::UnknownLayerTypes { names } => {
                f.write_str("model file: expected layers that the program names, found")?;
                list(f, names)
            }
            Error::Cycle { what, before, got } => {
                write!(f, "{what}: expected one of the {before} before it, got number {got}")
            }
            Error::Value { expected, got } => write!(f, "value: expected {expected}, got {got}"),
            Error::Split { layer, reads } => {
                write!(f, "split: \"{layer}\" reads \"{reads}\" past it: split at the end of a block")
            }
            Error::NotTrainable { layer } => {
                write!(
                    f,
                    "{layer}: expected a layer that is listed for training, it is listed for inference alone"
                )
            }
            Error::DuplicateLayer { name } => write!(f, "layer: more than one is named \"{name}\""),
            Error::Layer { name, cause } => write!(f, "layer \"{name}\": {cause}"),
            Error::Empty { what } => write!(f, "{what}: expected at least one, got none"),
            Error::Diverged { epoch, batch, loss } => {
                let loss = Decimal(*loss);
                write!(f, "loss: expected a finite number, got {loss} in epoch {epoch}, batch {batch}")
            }
            Error::OutOfMemory { bytes } => write!(f, "heap: expected {bytes} more bytes, it has fewer"),
            Error::ArenaTooSmall { expected, got } => {
                write!(
                    f,
                    "arena: expected {expected} bytes, got {got}: {} are missing",
                    expected.saturating_sub(*got)
                )
            }
            Error::BudgetTooSmall { expected, got, layer } => write!(
                f,
                "memory for training: expected {expected} bytes or more, got {got}: layer \"{layer}\" needs the most"
            ),
            Error::MisalignedArena { expected } => {
                write!(f, "arena: expected it at an address that is a multiple of {expected}")
            }
            Error::Flash { problem } => write!(f, "flash: {problem}"),
            Error::SlotTooSmall { expected, got } => {
                write!(f, "slot in flash: expected at least {expected} bytes, got {got}")
            }
            Error::OtherModel => f.write_str("slots in flash: expected weights of this model, got another's"),
            Error::ModelFile { problem } => write!(f, "model file: {problem}"),
            Error::Checkpoint { problem } => write!(f, "checkpoint: {problem}"),
            Error::Sample { index, problem } => write!(f, "sample {index}: {problem}"),
            #[cfg(feature = "std")]
            Error::File { path, problem } => write!(f, "{path}: {problem}"),
        }
    }
}

/// Names behind a text: `" a, b"`.
fn list(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    names.iter().enumerate().try_for_each(|(i, name)| {
        f.write_str(if i == 0 { " " } else { ", " })?;
        f.write_str(name)
    })
}

impl fmt::Display for ModelFileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ModelFileProblem::Empty => f.write_str("expected a model, found no bytes"),
            ModelFileProblem::Foreign => {
                f.write_str("expected the bytes \"BANTAM\" at its start, found others")
            }
            ModelFileProblem::Version { expected, got } => {
                write!(f, "expected version {expected}, found {got}")
            }
            ModelFileProblem::Length { expected, got } => {
                write!(f, "expected {expected} bytes, found {got}")
            }
            ModelFileProblem::Checksum { expected, got } => {
                let [expected, got] = [expected, got].map(u64::from_le_bytes);
                write!(f, "expected checksum {expected:016x}, found {got:016x}: it is damaged")
            }
            ModelFileProblem::Misaligned { expected } => {
                write!(f, "expected it at an address that is a multiple of {expected}")
            }
            ModelFileProblem::Field { what } => write!(f, "its {what} makes no sense"),
            ModelFileProblem::Number { what, expected, got } => {
                write!(f, "{what}: expected {expected}, found {got}")
            }
            ModelFileProblem::CutShort { what, expected, got } => {
                write!(f, "{what}: expected {expected} bytes, found {got}")
            }
        }
    }
}

/// Prints a number with up to six decimals, at a tenth of the flash that formatting a float takes.
struct Decimal(f32);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// From here on no fraction is left, and not every whole number is one.
        const LARGE: f32 = 1e9;
        const UNIT: u32 = 1_000_000;
        let Decimal(x) = *self;
        if x.is_nan() {
            return f.write_str("NaN");
        }
        let (sign, x) = (if x < 0.0 { "-" } else { "" }, x.abs());
        if x >= LARGE {
            return if x.is_finite() {
                write!(f, "beyond {sign}1000000000")
            } else {
                write!(f, "{sign}infinity")
            };
        }
        let mut whole = x as u32;
        let mut fraction = ((x - whole as f32) * UNIT as f32 + 0.5) as u32;
        if fraction == UNIT {
            (whole, fraction) = (whole + 1, 0);
        }
        write!(f, "{sign}{whole}")?;
        if fraction == 0 {
            return Ok(());
        }
        let mut digits = 6;
        while fraction.is_multiple_of(10) {
            (fraction, digits) = (fraction / 10, digits - 1);
        }
        write!(f, ".{fraction:0digits$}")
    }
}

impl core::error::Error for Error {}
impl core::error::Error for ModelFileProblem {}
