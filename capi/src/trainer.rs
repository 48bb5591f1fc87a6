//! Nets that learn, in the caller's memory as those that run.

use crate::failure::{Failure, Refusal, Status, report, tell};
use crate::layers::TRAINABLE;
use crate::{BANTAM_ALIGNMENT, MODEL_ALIGNMENT, SCRATCH, Scratch, apart, array, check, heap, list, writable};
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_void};
use core::hint::black_box;
use core::ops::Range;
use engine::{Model, Sgd, TrainingPlan, TrainingSession};
use kernels::CacheLine;

/// What training makes small.
#[repr(i32)]
#[derive(Clone, Copy)]
pub enum Loss {
    /// Cross-entropy of the softmax of the outputs. Targets are a class for each sample, from 0, or a probability for each
    /// output.
    SoftmaxCrossEntropy = 0,
    /// Cross-entropy of the sigmoid of each output. Targets are from 0 to 1, one for each output.
    BinaryCrossEntropy = 1,
    /// The squared differences from the targets, one for each output.
    MeanSquaredError = 2,
}

/// How a net learns: by stochastic gradient descent. What is zero is as if it were not there.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Training {
    /// Learning rate.
    pub rate: f32,
    /// The share of the last step that is taken again, from 0 to below 1. It takes memory if it is not 0.
    pub momentum: f32,
    /// One of bantam_loss. A softmax or sigmoid that is in the loss is left out at the end of the model.
    pub loss: i32,
    /// The name of the first layer that learns, ended by a zero: those before stay as they are. Null is as the model's
    /// file has it, which is all layers where nothing else was said.
    pub first_layer: *const c_char,
    /// Bytes that what a step computes, and the weights, may take at the most: outputs are dropped and computed again
    /// where that is too little, and what is learnt is the same. 0 is what is fastest.
    pub budget: usize,
    /// What dropout and noise are drawn from.
    pub seed: u64,
}

/// A net that learns. It lives in the memory that bantam_trainer_init was given, and needs no end. The model stays as it
/// is.
///
/// Different trainers may learn in different threads, one trainer only in one at a time.
pub struct Trainer {
    tag: usize,
    /// Addresses of the memory.
    memory: Range<usize>,
    batch: usize,
    model: &'static Model<'static>,
    /// How many targets a batch has: one for each class to tell, or for each output.
    target_lens: [usize; 2],
    session: TrainingSession<'static>,
}

const TAG: usize = 0x4c45_524e;

/// How many bytes of memory bantam_trainer_init needs for this model, this batch and this training.
///
/// @param model        bytes of a model file, at a multiple of 4
/// @param model_bytes  how many
/// @param batch        how many samples a step learns
/// @param training     how
/// @param bytes        where the answer goes
/// @param failure      where the reason goes if there is no answer, or null
///
/// # Safety
/// Arrays are as long as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_trainer_memory_size(
    model: *const c_void,
    model_bytes: usize,
    batch: usize,
    training: *const Training,
    bytes: *mut usize,
    failure: *mut Failure,
) -> Status {
    let answer = || {
        writable("answer", bytes, 1)?;
        // SAFETY: the caller's promise.
        let file = unsafe { array("model", model.cast::<u8>(), model_bytes, MODEL_ALIGNMENT)? };
        // SAFETY: the caller's promise.
        let how = unsafe { How::new(training, None)? };
        let size = || {
            let size = Lists::new(file, batch, &how).map(|lists| lists.memory_bytes);
            // SAFETY: the caller's promise.
            size.map_err(|refusal| Refusal::Told(unsafe { tell(&refusal, failure) }))
        };
        // SAFETY: the bytes are used in `within` alone, by one thread at a time; none of it stays.
        let size = unsafe { heap::within(SCRATCH.0.get().cast(), size_of::<Scratch>(), size) };
        let size = size.ok_or(Refusal::Busy)??;
        // SAFETY: the caller's promise.
        unsafe { bytes.write(size) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { report(answer(), failure) }
}

/// Makes a trainer: its weights begin as the model has them. Those that do not learn are used where they lie in the
/// model's file, which may be flash.
///
/// Only one thread at a time makes a net or a trainer or asks for its size; others get BANTAM_STATUS_BUSY.
///
/// @param trainer       where the trainer goes
/// @param model         bytes of a model file, at a multiple of 4; they stay as they are while the trainer is used
/// @param model_bytes   how many
/// @param batch         how many samples a step learns
/// @param training      how; it is not used afterwards
/// @param memory        memory for the trainer alone, at a multiple of BANTAM_ALIGNMENT
/// @param memory_bytes  its length: bantam_trainer_memory_size or more
/// @param failure       where the reason goes if there is no trainer, or null
///
/// # Safety
/// Arrays are as long as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_trainer_init(
    trainer: *mut *mut Trainer,
    model: *const c_void,
    model_bytes: usize,
    batch: usize,
    training: *const Training,
    memory: *mut c_void,
    memory_bytes: usize,
    failure: *mut Failure,
) -> Status {
    let answer = || {
        let place = writable("trainer", trainer, 1)?;
        // SAFETY: the caller's promise.
        let file = unsafe { array("model", model.cast::<u8>(), model_bytes, MODEL_ALIGNMENT)? };
        let memory_at = check("memory", memory.cast_const().cast::<u8>(), memory_bytes, BANTAM_ALIGNMENT)?;
        let file_at = file.as_ptr().addr()..file.as_ptr().addr() + model_bytes;
        apart("model", &file_at, "memory", &memory_at)?;
        apart("trainer", &place, "memory", &memory_at)?;
        // SAFETY: the caller's promise.
        let how = unsafe { How::new(training, Some(&memory_at))? };
        let make = || {
            let lists = Lists::new(file, batch, &how);
            let made = lists.and_then(|lists| lists.into_trainer(memory_at, batch, &how));
            // SAFETY: the caller's promise.
            made.map_err(|refusal| Refusal::Told(unsafe { tell(&refusal, failure) }))
        };
        // SAFETY: the caller gives the memory to the trainer alone.
        let made = unsafe { heap::within(memory.cast(), memory_bytes, make) };
        let made = made.ok_or(Refusal::Busy)??;
        // SAFETY: the caller's promise.
        unsafe { trainer.write(made) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { report(answer(), failure) }
}

/// Learns a batch. The figures are of the weights as they were before. Allocates nothing. If it fails, the weights are
/// as they were, unless a gradient overflowed.
///
/// @param trainer     the trainer
/// @param inputs      bantam_trainer_input_len numbers for each sample of the batch
/// @param input_len   how many numbers
/// @param targets     what each sample should give, as bantam_loss tells
/// @param target_len  how many numbers
/// @param loss        where the mean loss of a sample goes, or null
/// @param accuracy    where the share of samples goes that were right, a NaN if the loss knows no right and wrong, or null
/// @param failure     where the reason goes if it did not learn, or null
///
/// # Safety
/// The trainer is one of bantam_trainer_init's or null, and arrays are as long as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_train_step(
    trainer: *mut Trainer,
    inputs: *const f32,
    input_len: usize,
    targets: *const f32,
    target_len: usize,
    loss: *mut f32,
    accuracy: *mut f32,
    failure: *mut Failure,
) -> Status {
    let answer = || {
        // SAFETY: the caller's promise; nobody else uses the trainer.
        let trainer = unsafe { existing_mut(trainer)? };
        for (what, figure) in [("loss", loss), ("accuracy", accuracy)] {
            if !figure.is_null() {
                apart(what, &writable(what, figure, 1)?, MEMORY, &trainer.memory)?;
            }
        }
        // SAFETY: the caller's promise.
        let inputs = unsafe { trainer.numbers("inputs", inputs, input_len)? };
        // SAFETY: the caller's promise.
        let targets = unsafe { trainer.numbers("targets", targets, target_len)? };
        expect_len("inputs", trainer.batch * trainer.model.input_shape().elements(), input_len)?;
        let [labels, rows] = trainer.target_lens;
        expect_len("targets", if target_len == rows { rows } else { labels }, target_len)?;
        let figures = trainer.session.step(inputs, targets).map_err(Refusal::Step)?;
        for (place, figure) in [(loss, figures.loss), (accuracy, figures.accuracy.unwrap_or(f32::NAN))] {
            if !place.is_null() {
                // SAFETY: the caller's promise.
                unsafe { place.write(figure) };
            }
        }
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { report(answer(), failure) }
}

/// Runs what is learnt so far on samples that follow each other. A softmax or sigmoid at the end that the loss has in it
/// is left out. Allocates nothing.
///
/// @param trainer    the trainer
/// @param input      bantam_trainer_input_len numbers for each sample
/// @param input_len  how many numbers: a whole number of samples, the batch at the most
/// @param output     where the address of the output goes: bantam_trainer_output_len numbers for each sample, in the
///                   trainer's memory, until it runs or learns again
/// @param failure    where the reason goes if it did not run, or null
///
/// # Safety
/// The trainer is one of bantam_trainer_init's or null, and arrays are as long as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_trainer_run(
    trainer: *mut Trainer,
    input: *const f32,
    input_len: usize,
    output: *mut *const f32,
    failure: *mut Failure,
) -> Status {
    let answer = || {
        // SAFETY: the caller's promise; nobody else uses the trainer.
        let trainer = unsafe { existing_mut(trainer)? };
        apart("output", &writable("output", output, 1)?, MEMORY, &trainer.memory)?;
        // SAFETY: the caller's promise.
        let input = unsafe { trainer.numbers("input", input, input_len)? };
        let len = trainer.model.input_shape().elements();
        expect_len("input", (input_len / len).clamp(1, trainer.batch) * len, input_len)?;
        let outputs = trainer.session.run(input).map_err(Refusal::Step)?.as_ptr();
        // SAFETY: the caller's promise.
        unsafe { output.write(outputs) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { report(answer(), failure) }
}

/// Numbers of one sample. 0 if there is no such trainer.
///
/// # Safety
/// The trainer is one of bantam_trainer_init's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_trainer_input_len(trainer: *const Trainer) -> usize {
    // SAFETY: the caller's promise.
    let trainer = unsafe { existing(trainer) };
    trainer.map_or(0, |trainer| trainer.model.input_shape().elements())
}

/// Numbers of the output for one sample. 0 if there is no such trainer.
///
/// # Safety
/// The trainer is one of bantam_trainer_init's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_trainer_output_len(trainer: *const Trainer) -> usize {
    // SAFETY: the caller's promise.
    let trainer = unsafe { existing(trainer) };
    trainer.map_or(0, |trainer| trainer.model.output_shape().elements())
}

/// How many weights learn, moving statistics among them. 0 if there is no such trainer.
///
/// # Safety
/// The trainer is one of bantam_trainer_init's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_trainer_weights_len(trainer: *const Trainer) -> usize {
    // SAFETY: the caller's promise.
    let trainer = unsafe { existing(trainer) };
    trainer.map_or(0, Trainer::weights_len)
}

/// Copies what was learnt: all weights that learn, in the order of the model.
///
/// @param trainer      the trainer
/// @param weights      where they go
/// @param weights_len  how many: bantam_trainer_weights_len
/// @param failure      where the reason goes if they were not copied, or null
///
/// # Safety
/// The trainer is one of bantam_trainer_init's or null, and arrays are as long as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_trainer_get_weights(
    trainer: *const Trainer,
    weights: *mut f32,
    weights_len: usize,
    failure: *mut Failure,
) -> Status {
    let answer = || {
        // SAFETY: the caller's promise.
        let trainer = unsafe { existing(trainer)? };
        apart("weights", &writable("weights", weights, weights_len)?, MEMORY, &trainer.memory)?;
        expect_len("weights", trainer.weights_len(), weights_len)?;
        let mut at = weights;
        for (.., values) in trainer.session.weights() {
            // SAFETY: the caller's promise: there is room for all, apart from the trainer's memory.
            unsafe {
                at.copy_from_nonoverlapping(values.as_ptr(), values.len());
                at = at.add(values.len());
            }
        }
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { report(answer(), failure) }
}

/// Overwrites all weights that learn, with what bantam_trainer_get_weights gave. The optimiser begins anew.
///
/// @param trainer      the trainer
/// @param weights      the weights, of a trainer of the same model with the same layers that learn
/// @param weights_len  how many: bantam_trainer_weights_len
/// @param failure      where the reason goes if the weights are as they were, or null
///
/// # Safety
/// The trainer is one of bantam_trainer_init's or null, and arrays are as long as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_trainer_set_weights(
    trainer: *mut Trainer,
    weights: *const f32,
    weights_len: usize,
    failure: *mut Failure,
) -> Status {
    let answer = || {
        // SAFETY: the caller's promise; nobody else uses the trainer.
        let trainer = unsafe { existing_mut(trainer)? };
        // SAFETY: the caller's promise.
        let weights = unsafe { trainer.numbers("weights", weights, weights_len)? };
        expect_len("weights", trainer.weights_len(), weights_len)?;
        trainer.session.set_weights(weights).map_err(Refusal::Step)
    };
    // SAFETY: the caller's promise.
    unsafe { report(answer(), failure) }
}

/// What inputs and outputs are to be apart from.
const MEMORY: &str = "trainer's memory";

impl Trainer {
    fn weights_len(&self) -> usize {
        self.session.weights().map(|(.., values)| values.len()).sum()
    }

    /// Numbers that are apart from the trainer's memory.
    ///
    /// # Safety
    /// As of [`array`].
    unsafe fn numbers<'a>(
        &self,
        what: &'static str,
        start: *const f32,
        len: usize,
    ) -> Result<&'a [f32], Refusal> {
        apart(what, &check(what, start, len, align_of::<f32>())?, MEMORY, &self.memory)?;
        // SAFETY: the caller's promise.
        unsafe { array(what, start, len, align_of::<f32>()) }
    }
}

fn expect_len(what: &'static str, expected: usize, got: usize) -> Result<(), Refusal> {
    if got == expected { Ok(()) } else { Err(Refusal::Length { what: what.into(), expected, got }) }
}

/// A [`Training`] that was looked at.
struct How<'a> {
    training: Training,
    loss: engine::Loss,
    first_layer: Option<&'a [u8]>,
}

impl How<'_> {
    /// A training that is apart from memory that is about to be used.
    ///
    /// # Safety
    /// If there is anything at the addresses, it is a training, and a text that is ended by a zero.
    unsafe fn new<'a>(training: *const Training, memory: Option<&Range<usize>>) -> Result<How<'a>, Refusal> {
        let apart =
            |what, place: Range<usize>| memory.map_or(Ok(()), |memory| apart(what, &place, "memory", memory));
        apart("training", check("training", training, 1, align_of::<Training>())?)?;
        // SAFETY: the caller's promise, and what `check` has seen; every pattern of bits is one.
        let training = unsafe { training.read() };
        let loss = match training.loss {
            loss if loss == Loss::SoftmaxCrossEntropy as i32 => engine::Loss::SoftmaxCrossEntropy,
            loss if loss == Loss::BinaryCrossEntropy as i32 => engine::Loss::BinaryCrossEntropy,
            loss if loss == Loss::MeanSquaredError as i32 => engine::Loss::MeanSquaredError,
            got => return Err(Refusal::Loss { got }),
        };
        let mut first_layer = None;
        if !training.first_layer.is_null() {
            // SAFETY: the caller's promise.
            let name = unsafe { CStr::from_ptr(training.first_layer) }.to_bytes_with_nul();
            apart("first_layer", name.as_ptr().addr()..name.as_ptr().addr() + name.len())?;
            first_layer = Some(&name[..name.len() - 1]);
        }
        Ok(How { training, loss, first_layer })
    }

    /// Lets the layers learn that are to.
    fn mark(&self, model: &mut Model<'_>) -> Result<(), Refusal> {
        let Some(first_layer) = self.first_layer else { return Ok(()) };
        let first = model.nodes().iter().position(|node| node.name().as_bytes() == first_layer);
        let first = first.ok_or(Refusal::FirstLayer)?;
        for index in 0..model.nodes().len() {
            let mut name = String::new();
            let layer = model.nodes()[index].name();
            let claimed = name.try_reserve_exact(layer.len());
            claimed.map_err(|_| Refusal::Model(engine::Error::OutOfMemory { bytes: layer.len() }))?;
            name.push_str(layer);
            model.set_trainable(&name, index >= first).map_err(Refusal::Model)?;
        }
        Ok(())
    }

    /// How many targets a sample has.
    fn target_lens(&self, model: &Model<'_>) -> [usize; 2] {
        let output = model.output_shape();
        let (all, classes) = (output.elements(), output.dims().last().copied().unwrap_or(1));
        let labels = if self.loss == engine::Loss::SoftmaxCrossEntropy { all / classes } else { all };
        [labels, all]
    }

    fn plan(&self, model: &'static Model<'static>, batch: usize) -> Result<TrainingPlan<'static>, Refusal> {
        let Training { rate, momentum, budget, seed, .. } = self.training;
        // What a trainer puts in a box, which asks nobody.
        drop(black_box(list::<Sgd>(1).map_err(Refusal::Training)?));
        let sgd = Sgd { rate, momentum, ..Sgd::default() };
        let trainer = engine::Trainer::new(sgd, self.loss).batch_size(batch).seed(seed);
        match budget {
            0 => TrainingPlan::new(&trainer, model),
            _ => {
                heap::begin_trials();
                TrainingPlan::within(&trainer, model, budget)
            }
        }
        .map_err(Refusal::Training)
    }
}

/// All of a trainer but its numbers, on the heap.
struct Lists {
    model: &'static Model<'static>,
    plan: TrainingPlan<'static>,
    /// Room for one.
    trainer: Vec<Trainer>,
    /// With the numbers.
    memory_bytes: usize,
}

impl Lists {
    fn new(file: &'static [u8], batch: usize, how: &How<'_>) -> Result<Lists, Refusal> {
        let mut models = list(1).map_err(Refusal::Model)?;
        let mut model = Model::from_bytes_with(file, TRAINABLE).map_err(Refusal::Model)?;
        how.mark(&mut model)?;
        models.push(model);
        let model = &models.leak()[0];
        let plan = how.plan(model, batch)?;
        let trainer = list(1).map_err(Refusal::Model)?;
        let heap = heap::usage();
        let numbers = heap.now.next_multiple_of(BANTAM_ALIGNMENT).checked_add(plan.peak_bytes());
        let numbers = numbers.ok_or(Refusal::Batch(kernels::Error::TooLarge { what: "memory" }.into()))?;
        Ok(Lists { model, plan, trainer, memory_bytes: numbers.max(heap.most) })
    }

    fn into_trainer(
        self,
        memory: Range<usize>,
        batch: usize,
        how: &How<'_>,
    ) -> Result<*mut Trainer, Refusal> {
        let Lists { model, plan, mut trainer, memory_bytes } = self;
        if memory.len() < memory_bytes {
            return Err(Refusal::MemoryTooSmall { expected: memory_bytes, got: memory.len() });
        }
        let lines = plan.arena_len().div_ceil(CacheLine::NUMBERS);
        let mut arena = list(lines).map_err(Refusal::Training)?;
        arena.resize(lines, CacheLine::ZERO);
        let session = plan.session_in(CacheLine::numbers_mut(arena.leak())).map_err(Refusal::Training)?;
        let target_lens = how.target_lens(model).map(|len| batch * len);
        trainer.push(Trainer { tag: TAG, memory, batch, model, target_lens, session });
        Ok(trainer.leak().as_mut_ptr())
    }
}

/// # Safety
/// The trainer is one of `bantam_trainer_init`'s or null, and lives as long as the reference.
unsafe fn existing<'a>(trainer: *const Trainer) -> Result<&'a Trainer, Refusal> {
    check("trainer", trainer, 1, align_of::<Trainer>())?;
    // SAFETY: the caller's promise; the tag is read first, for what is no trainer.
    unsafe {
        if (&raw const (*trainer).tag).read() != TAG {
            return Err(Refusal::Trainer);
        }
        Ok(&*trainer)
    }
}

/// # Safety
/// As of [`existing`], and there is no other reference to the trainer.
unsafe fn existing_mut<'a>(trainer: *mut Trainer) -> Result<&'a mut Trainer, Refusal> {
    // SAFETY: the caller's promise.
    unsafe {
        existing(trainer)?;
        Ok(&mut *trainer)
    }
}
