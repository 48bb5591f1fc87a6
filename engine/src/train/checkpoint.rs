//! The file of a training, to go on with later.
//!
//! Little-endian. A header of 64 bytes, the [model's file](crate::graph::file), and what the trainer knows.
//!
//! | bytes | header |
//! | --- | --- |
//! | 0-7 | `BANTAMC\n` |
//! | 8-11 | version of the format |
//! | 16-23 | bytes of the file |
//! | 24-31 | checksum of all other bytes |
//! | 32-39 | bytes of the model's file, which follows |
//! | others | zero |
//!
//! | what the trainer knows | |
//! | --- | --- |
//! | flags | a byte: 1 the rule averages weights, 2 the model has the averages and the state the weights, 4 a rate that a plateau has cut, 8 a loss that is the best so far, 16 figures of how many were right |
//! | rule | two bytes for the length of its name, and its letters |
//! | steps | 64 bits, where a schedule is |
//! | rate | as cut |
//! | best loss, epochs that were no better, epochs of cooldown | the number, and twice 64 bits |
//! | seed, and the generator's state | 64 and 256 bits |
//! | order of samples | 32 bits for how many, and for each |
//! | epochs | 64 bits, of whole ones |
//! | last epoch | the data set's seed; samples learnt, the sum of their losses, a number of 64 bits, rows judged and right: 64 bits each |
//! | state | for each of the model's parameters how many arrays there are of its length, a byte, and these |

use super::Trainer;
use super::plateau::Plateau;
use super::progress::{Begun, Progress};
use super::running::Running;
use crate::error::{Error, ModelFileProblem};
use crate::graph::Model;
use crate::graph::file::checksum;
#[cfg(feature = "std")]
use crate::graph::file::read_words;
use crate::layers::{Attributes, LayerType};
use crate::memory::heap;
use crate::optimizer::Asks;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

const MAGIC: [u8; 8] = *b"BANTAMC\n";
const VERSION: u32 = 2;
const HEADER: usize = 64;
const CHECKSUM: core::ops::Range<usize> = 24..32;

const AVERAGES: u8 = 1;
const AVERAGED: u8 = 2;
const REDUCED: u8 = 4;
const BEST: u8 = 8;
const JUDGED: u8 = 16;

impl Trainer {
    /// The bytes of a file with which [`restore`](Trainer::restore) goes on, in another process or on another machine,
    /// to the same bits as if the training had not been interrupted: the model as the last [`fit`](Trainer::fit) left it,
    /// the optimiser's state, the order of samples, and where the seed's numbers, the schedule and the plateau are.
    ///
    /// # Errors
    /// [`Error::Checkpoint`]: the model is not as this trainer's last `fit` left it. Or there is no memory, or the model
    /// has no [file](Model::to_bytes).
    pub fn checkpoint(&self, model: &Model<'_>) -> Result<Vec<u8>, Error> {
        let progress = self.progress.as_ref().filter(|progress| progress.checksum == model.checksum());
        let Some(Progress { random, order, epoch, epochs, plateau, averaged, .. }) = progress else {
            return Err(refused("expected the model as the last training left it, got another"));
        };
        let model_bytes = model.to_bytes()?;
        let mut bytes = heap::list(HEADER + model_bytes.len())?;
        bytes.resize(HEADER, 0);
        bytes.extend_from_slice(&model_bytes);
        let (rule, steps, reduced, memory) = self.optimizer.parts();
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = flag(rule.asks(Asks::Average), AVERAGES)
            | flag(*averaged, AVERAGED)
            | flag(reduced.is_some(), REDUCED)
            | flag(plateau.best.is_some(), BEST)
            | flag(epoch.running.correct.is_some(), JUDGED);
        let mut put = |piece: &[u8]| heap::extend(&mut bytes, piece);
        put(&[flags])?;
        put(&(rule.name().len() as u16).to_le_bytes())?;
        put(rule.name().as_bytes())?;
        put(&steps.to_le_bytes())?;
        put(&reduced.unwrap_or(0.0).to_le_bytes())?;
        put(&plateau.best.unwrap_or(0.0).to_le_bytes())?;
        put(&plateau.wait.to_le_bytes())?;
        put(&plateau.cooldown.to_le_bytes())?;
        put(&self.seed.to_le_bytes())?;
        put(&random.state())?;
        let (what, max, got) = ("samples", u32::MAX as usize, order.len());
        let count = u32::try_from(got).map_err(|_| Error::TooMany { what, max, got })?;
        put(&count.to_le_bytes())?;
        order.iter().try_for_each(|&sample| put(&(sample as u32).to_le_bytes()))?;
        let Begun { seed, running: Running { samples, loss, judged, correct } } = *epoch;
        let [samples, judged, correct] = [samples, judged, correct.unwrap_or(0)].map(|count| count as u64);
        let last_epoch = [*epochs, seed, samples, loss.to_bits(), judged, correct];
        last_epoch.iter().try_for_each(|number| put(&number.to_le_bytes()))?;
        for parameter in 0..model.parameters().len() {
            let arrays = memory.get(parameter).map_or(&[][..], |arrays| arrays);
            put(&[if arrays.is_empty() { 0 } else { rule.arrays() as u8 }])?;
            arrays.iter().try_for_each(|number| put(&number.to_le_bytes()))?;
        }
        let len = bytes.len() as u64;
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&len.to_le_bytes());
        bytes[32..40].copy_from_slice(&(model_bytes.len() as u64).to_le_bytes());
        let sum = checksum(&bytes);
        bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        Ok(bytes)
    }

    /// Goes on where [`checkpoint`](Trainer::checkpoint) left off: gives its model, whose next [`fit`](Trainer::fit) by
    /// this trainer continues the training. The trainer is made as the other was, with the same kind of optimiser; the
    /// seed comes from the file, and all else that it was made with is its own.
    ///
    /// # Errors
    /// [`Error::Checkpoint`]: the bytes are none, are damaged, or hold the state of another kind of optimiser; or
    /// the model in them is refused as [`Model::from_bytes`] does. The trainer is then as it was.
    pub fn restore<'m>(&mut self, bytes: &'m [u8]) -> Result<Model<'m>, Error> {
        let (model, state) = open(bytes)?;
        self.resume_with(Model::from_bytes(model)?, state)
    }

    /// As [`restore`](Trainer::restore), with these layers, of other crates too:
    /// [`trainable_layers!`](crate::trainable_layers) lists them.
    ///
    /// # Errors
    /// As [`restore`](Trainer::restore), and as [`Model::from_bytes_with`].
    pub fn restore_with<'m>(
        &mut self,
        bytes: &'m [u8],
        layers: &[&'static LayerType],
    ) -> Result<Model<'m>, Error> {
        let (model, state) = open(bytes)?;
        self.resume_with(Model::from_bytes_with(model, layers)?, state)
    }

    /// Writes the [checkpoint](Trainer::checkpoint) to a file as a whole or not at all.
    ///
    /// # Errors
    /// As [`checkpoint`](Trainer::checkpoint), and [`Error::File`] where the system refuses.
    #[cfg(feature = "std")]
    pub fn save_checkpoint(&self, path: impl AsRef<std::path::Path>, model: &Model<'_>) -> Result<(), Error> {
        let bytes = self.checkpoint(model)?;
        let mut file = crate::AtomicFile::create(path)?;
        file.write(&bytes)?;
        file.commit()
    }

    /// [Restores](Trainer::restore) from a file.
    ///
    /// # Errors
    /// As [`restore`](Trainer::restore), and [`Error::File`] where the system refuses.
    #[cfg(feature = "std")]
    pub fn load_checkpoint(&mut self, path: impl AsRef<std::path::Path>) -> Result<Model<'static>, Error> {
        let (words, len) = read_words(path)?;
        Ok(self.restore(&bytemuck::cast_slice::<u64, u8>(&words)[..len])?.into_owned())
    }

    /// Takes over what a file says of a training.
    fn resume_with<'m>(&mut self, model: Model<'m>, state: &[u8]) -> Result<Model<'m>, Error> {
        let mut state = State(Attributes::new(state));
        let rule = self.optimizer.rule();
        let flags = state.0.byte("flags");
        let has = |flag: u8| flags & flag != 0;
        let (name, averages) = (state.0.text("name of the optimiser"), has(AVERAGES));
        if name != rule.name() || averages != rule.asks(Asks::Average) {
            state.check()?;
            let with = |average: bool| if average { " with a moving average" } else { "" };
            return Err(Error::Checkpoint {
                problem: format!(
                    "expected the state of {}{}, found that of {name}{}",
                    rule.name(),
                    with(rule.asks(Asks::Average)),
                    with(averages)
                ),
            });
        }
        let steps = state.long("steps");
        let reduced = Some(state.0.number("learning rate")).filter(|_| has(REDUCED));
        let best = Some(state.0.number("best loss")).filter(|_| has(BEST));
        let plateau = Plateau { best, wait: state.long("epochs"), cooldown: state.long("epochs") };
        let seed = state.long("seed");
        let random: [u8; 32] = state.0.take(32, "state of the generator").try_into().unwrap_or_default();
        if random == [0; 32] {
            state.0.refuse("state of the generator");
        }
        if reduced.is_some_and(|rate| !(rate >= 0.0 && rate.is_finite()))
            || best.is_some_and(|best| !best.is_finite())
            || flags > AVERAGES | AVERAGED | REDUCED | BEST | JUDGED
        {
            state.0.refuse("numbers of the plateau");
        }
        if reduced.is_some() && rule.asks(Asks::Schedule) {
            return Err(refused("expected a learning rate by a schedule, found one that a plateau has cut"));
        }
        let order = state.order()?;
        let epochs = state.long("epochs");
        let epoch = state.epoch(order.len(), has(JUDGED));
        let mut memory = heap::list(model.parameters().len())?;
        for parameter in model.parameters() {
            memory.push(state.arrays(rule.arrays(), parameter.values().len())?);
        }
        state.0.check_end("bytes after the state").map_err(as_checkpoint)?;
        self.optimizer = self.optimizer.restarted().with(steps, reduced, memory);
        self.seed = seed;
        let random = Xoshiro256PlusPlus::from_seed(random);
        let (averaged, checksum) = (has(AVERAGED), model.checksum());
        self.progress = Some(Progress { random, order, epoch, epochs, checksum, plateau, averaged });
        Ok(model)
    }
}

/// What the trainer knows, as it is read.
struct State<'a>(Attributes<'a>);

impl State<'_> {
    /// A number of 64 bits.
    fn long(&mut self, what: &'static str) -> u64 {
        let [low, high] = self.0.sizes(what).map(|half| half as u64);
        low | high << 32
    }

    fn check(&self) -> Result<(), Error> {
        self.0.check().map_err(as_checkpoint)
    }

    /// The order of samples: each is in it once.
    fn order(&mut self) -> Result<Vec<usize>, Error> {
        let what = "order of samples";
        let count = self.0.size(what);
        let mut samples = Attributes::new(self.0.take(count.saturating_mul(4), what));
        self.check()?;
        let (mut order, mut seen) = (heap::list(count)?, heap::filled(count, false)?);
        for _ in 0..count {
            let sample = samples.size(what);
            match seen.get_mut(sample) {
                Some(seen) if !*seen => *seen = true,
                _ => self.0.refuse(what),
            }
            order.push(sample);
        }
        self.check()?;
        Ok(order)
    }

    /// How far the last epoch came, of so many samples.
    fn epoch(&mut self, all: usize, has_correct: bool) -> Begun {
        let what = "figures of the last epoch";
        let seed = self.long(what);
        let [samples, loss, judged, correct] = [(); 4].map(|()| self.long(what));
        let [samples, judged, correct] =
            [samples, judged, correct].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        let loss = f64::from_bits(loss);
        if samples > all || correct > judged || judged == usize::MAX || !loss.is_finite() {
            self.0.refuse(what);
        }
        Begun { seed, running: Running { samples, loss, judged, correct: has_correct.then_some(correct) } }
    }

    /// So many arrays of so many numbers, or none.
    fn arrays(&mut self, arrays: usize, len: usize) -> Result<Vec<f32>, Error> {
        let what = "arrays of the optimiser's state";
        let count = usize::from(self.0.byte(what));
        if count != 0 {
            self.0.expect(what, arrays, count);
        }
        self.check()?;
        let bytes = self.0.take(count.saturating_mul(len).saturating_mul(4), what);
        self.check()?;
        let (words, _) = bytes.as_chunks::<4>();
        let mut numbers = heap::list(words.len())?;
        numbers.extend(words.iter().map(|&word| f32::from_le_bytes(word)));
        if numbers.iter().any(|number| !number.is_finite()) {
            self.0.refuse("optimiser's state");
        }
        Ok(numbers)
    }
}

/// The model's file and the state of a file that is what it says.
fn open(bytes: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let got = bytes.len();
    if !bytes.starts_with(&MAGIC) {
        return Err(refused("expected the bytes \"BANTAMC\" at its start, found others"));
    }
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return Err(as_checkpoint(ModelFileProblem::Length { expected: HEADER, got }.into()));
    };
    let mut fields = State(Attributes::new(&header[MAGIC.len()..]));
    let [version, _] = fields.0.sizes("header");
    let [len, sum, model] = [(); 3].map(|()| fields.long("header"));
    let expected = usize::try_from(len).unwrap_or(usize::MAX);
    let found = checksum(bytes);
    let problem = if version != VERSION as usize {
        Some(ModelFileProblem::Version { expected: VERSION, got: version as u32 })
    } else if expected != got {
        Some(ModelFileProblem::Length { expected, got })
    } else if sum != found {
        let [expected, got] = [sum, found].map(u64::to_le_bytes);
        Some(ModelFileProblem::Checksum { expected, got })
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(as_checkpoint(problem.into()));
    }
    let model = usize::try_from(model).unwrap_or(usize::MAX);
    bytes[HEADER..].split_at_checked(model).ok_or_else(|| {
        let (what, got) = ("model's file", got - HEADER);
        as_checkpoint(ModelFileProblem::CutShort { what, expected: model, got }.into())
    })
}

fn refused(problem: &str) -> Error {
    Error::Checkpoint { problem: problem.into() }
}

/// A problem with the bytes, of a checkpoint.
fn as_checkpoint(error: Error) -> Error {
    let problem: String = match error {
        Error::ModelFile { problem } => problem.to_string(),
        other => return other,
    };
    Error::Checkpoint { problem }
}
