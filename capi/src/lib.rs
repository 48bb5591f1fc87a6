//! Bantam for C: what `include/bantam.h` declares, which is made from this file.
//!
//! Whoever calls gives all memory: there is no `malloc` beneath, and once a net is made nothing is
//! allocated at all. Every call checks what it is given, and nothing unwinds.
#![no_std]

extern crate alloc;

mod failure;
mod heap;
mod layers;
mod panic;
#[cfg(feature = "training")]
mod trainer;

pub use failure::{BANTAM_TEXT_BYTES, Failure, Status};
#[cfg(feature = "training")]
pub use trainer::{Loss, Trainer, Training};

use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::{ptr, slice};
use engine::{Error, Model, Options, Plan, Session};
use failure::{Name, Refusal, report, tell};
use kernels::CacheLine;
use layers::LINKED;

/// The memory of a net or a trainer begins at a multiple of so many bytes.
pub const BANTAM_ALIGNMENT: usize = 64;

/// A net that is ready to run. It lives in the memory that bantam_init was given, and needs no end:
/// when it is no longer used that memory and the model's file are free for other things.
///
/// Different nets may run in different threads, one net only in one at a time.
pub struct Net {
    tag: usize,
    /// Addresses of the memory.
    memory: Range<usize>,
    batch: usize,
    model: &'static Model<'static>,
    session: Session<'static>,
    /// Those of the last run. There is room for all.
    inputs: Vec<*const [f32]>,
}

const TAG: usize = 0x4241_4e54;

/// How many bytes of memory bantam_init needs for this model and this batch.
///
/// The lists of layers are tried in 16 KiB of static memory, 1 MiB on computers of 64 bits, which the
/// linker leaves out of programs that do not call this. bantam_init needs no more stack than this does.
///
/// @param model        bytes of a model file, at a multiple of 4
/// @param model_bytes  how many
/// @param batch        how many samples run at once at the most
/// @param bytes        where the answer goes
/// @param failure      where the reason goes if there is no answer, or null
///
/// # Safety
/// Arrays are as long as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_memory_size(
    model: *const c_void,
    model_bytes: usize,
    batch: usize,
    bytes: *mut usize,
    failure: *mut Failure,
) -> Status {
    let answer = || {
        writable("answer", bytes, 1)?;
        // SAFETY: the caller's promise.
        let file = unsafe { array("model", model.cast::<u8>(), model_bytes, MODEL_ALIGNMENT)? };
        let size = || {
            let size = Lists::new(file, batch).map(|lists| lists.memory_bytes);
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

/// Makes a net. It uses the weights where they lie in the model's file, which may be flash.
///
/// Only one thread at a time makes a net or asks for its size; others get BANTAM_STATUS_BUSY.
///
/// @param net           where the net goes
/// @param model         bytes of a model file, at a multiple of 4; they stay as they are while the net is used
/// @param model_bytes   how many
/// @param batch         how many samples run at once at the most
/// @param memory        memory for the net alone, at a multiple of BANTAM_ALIGNMENT
/// @param memory_bytes  its length: bantam_memory_size or more
/// @param failure       where the reason goes if there is no net, or null
///
/// # Safety
/// Arrays are as long as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_init(
    net: *mut *mut Net,
    model: *const c_void,
    model_bytes: usize,
    batch: usize,
    memory: *mut c_void,
    memory_bytes: usize,
    failure: *mut Failure,
) -> Status {
    let answer = || {
        let place = writable("net", net, 1)?;
        // SAFETY: the caller's promise.
        let file = unsafe { array("model", model.cast::<u8>(), model_bytes, MODEL_ALIGNMENT)? };
        let memory_at = check("memory", memory.cast_const().cast::<u8>(), memory_bytes, BANTAM_ALIGNMENT)?;
        let file_at = file.as_ptr().addr()..file.as_ptr().addr() + model_bytes;
        apart("model", &file_at, "memory", &memory_at)?;
        apart("net", &place, "memory", &memory_at)?;
        let make = || {
            let made = Lists::new(file, batch).and_then(|lists| lists.into_net(memory_at, batch));
            // SAFETY: the caller's promise.
            made.map_err(|refusal| Refusal::Told(unsafe { tell(&refusal, failure) }))
        };
        // SAFETY: the caller gives the memory to the net alone.
        let made = unsafe { heap::within(memory.cast(), memory_bytes, make) };
        let made = made.ok_or(Refusal::Busy)??;
        // SAFETY: the caller's promise.
        unsafe { net.write(made) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { report(answer(), failure) }
}

/// How many inputs the model has. 0 if there is no such net.
///
/// # Safety
/// The net is one of bantam_init's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_input_count(net: *const Net) -> usize {
    // SAFETY: the caller's promise.
    let net = unsafe { existing(net) };
    net.map_or(0, |net| net.model.input_shapes().len())
}

/// How many outputs the model has. 0 if there is no such net.
///
/// # Safety
/// The net is one of bantam_init's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_output_count(net: *const Net) -> usize {
    // SAFETY: the caller's promise.
    let net = unsafe { existing(net) };
    net.map_or(0, |net| net.model.output_shapes().count())
}

/// Numbers of one sample: height × width × channels, channels last. Of the first input, if there are
/// several. 0 if there is no such net.
///
/// # Safety
/// The net is one of bantam_init's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_input_len(net: *const Net) -> usize {
    // SAFETY: the caller's promise.
    unsafe { bantam_input_len_at(net, 0) }
}

/// Numbers of the output for one sample. Of the first output, if there are several. 0 if there is no
/// such net.
///
/// # Safety
/// The net is one of bantam_init's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_output_len(net: *const Net) -> usize {
    // SAFETY: the caller's promise.
    unsafe { bantam_output_len_at(net, 0) }
}

/// As bantam_input_len, of the input of that index. 0 if there is none.
///
/// # Safety
/// The net is one of bantam_init's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_input_len_at(net: *const Net, index: usize) -> usize {
    // SAFETY: the caller's promise.
    let net = unsafe { existing(net) };
    let shape = net.ok().and_then(|net| net.model.input_shapes().get(index));
    shape.map_or(0, |shape| shape.elements())
}

/// As bantam_output_len, of the output of that index. 0 if there is none.
///
/// # Safety
/// The net is one of bantam_init's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_output_len_at(net: *const Net, index: usize) -> usize {
    // SAFETY: the caller's promise.
    let net = unsafe { existing(net) };
    let shape = net.ok().and_then(|net| net.model.output_shapes().nth(index));
    shape.map_or(0, |shape| shape.elements())
}

/// Runs a net of one input on samples that follow each other. Allocates nothing.
///
/// @param net        the net
/// @param input      bantam_input_len numbers for each sample
/// @param input_len  how many numbers: a whole number of samples, the batch at the most
/// @param output     where the address of the first output goes: bantam_output_len numbers for each
///                   sample, in the net's memory, until it runs again
/// @param failure    where the reason goes if it did not run, or null
///
/// # Safety
/// The net is one of bantam_init's or null, and arrays are as long as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_run(
    net: *mut Net,
    input: *const f32,
    input_len: usize,
    output: *mut *const f32,
    failure: *mut Failure,
) -> Status {
    let answer = || {
        // SAFETY: the caller's promise; nobody else uses the net.
        let net = unsafe { existing_mut(net)? };
        let place = writable("output", output, 1)?;
        apart("output", &place, MEMORY, &net.memory)?;
        // SAFETY: the caller's promise.
        unsafe { net.run(&mut [("input".into(), input, input_len)].into_iter())? };
        // SAFETY: the caller's promise.
        unsafe { output.write(net.session.output(0).as_ptr()) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { report(answer(), failure) }
}

/// Runs a net on as many samples of each of its inputs. Allocates nothing.
///
/// @param net           the net
/// @param inputs        an address for each input, of bantam_input_len_at numbers for each sample
/// @param input_lens    how many numbers each input has: a whole number of samples, the batch at the most
/// @param input_count   how many inputs: bantam_input_count
/// @param outputs       where the address of each output goes: bantam_output_len_at numbers for each
///                      sample, in the net's memory, until it runs again
/// @param output_count  how many outputs: bantam_output_count
/// @param failure       where the reason goes if it did not run, or null
///
/// # Safety
/// The net is one of bantam_init's or null, and arrays are as long as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_run_all(
    net: *mut Net,
    inputs: *const *const f32,
    input_lens: *const usize,
    input_count: usize,
    outputs: *mut *const f32,
    output_count: usize,
    failure: *mut Failure,
) -> Status {
    let answer = || {
        // SAFETY: the caller's promise; nobody else uses the net.
        let net = unsafe { existing_mut(net)? };
        // SAFETY: the caller's promise.
        let starts = unsafe { array("inputs", inputs, input_count, align_of::<*const f32>())? };
        // SAFETY: the caller's promise.
        let lens = unsafe { array("input_lens", input_lens, input_count, align_of::<usize>())? };
        let places = writable("outputs", outputs, output_count)?;
        apart("outputs", &places, MEMORY, &net.memory)?;
        count("outputs", net.model.output_shapes().count(), output_count)?;
        let named = starts.iter().zip(lens).enumerate();
        let mut named = named.map(|(index, (&start, &len))| (Name::Element("inputs", index), start, len));
        // SAFETY: the caller's promise.
        unsafe { net.run(&mut named)? };
        for index in 0..output_count {
            // SAFETY: the caller's promise.
            unsafe { outputs.add(index).write(net.session.output(index).as_ptr()) };
        }
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { report(answer(), failure) }
}

/// What inputs and outputs are to be apart from.
const MEMORY: &str = "net's memory";

impl Net {
    /// Runs inputs that begin at these addresses and are so long.
    ///
    /// # Safety
    /// If there is anything at an address, it is so many numbers, which do not change while the net runs.
    unsafe fn run(
        &mut self,
        inputs: &mut dyn ExactSizeIterator<Item = (Name, *const f32, usize)>,
    ) -> Result<(), Refusal> {
        let shapes = self.model.input_shapes();
        count("inputs", shapes.len(), inputs.len())?;
        let mut samples = 0;
        self.inputs.clear();
        for ((what, start, got), shape) in inputs.zip(shapes) {
            let place = check(what, start, got, align_of::<f32>())?;
            apart(what, &place, MEMORY, &self.memory)?;
            let len = shape.elements();
            if samples == 0 {
                samples = (got / len).clamp(1, self.batch);
            }
            if got != samples * len {
                return Err(Refusal::Length { what, expected: samples * len, got });
            }
            self.inputs.push(ptr::slice_from_raw_parts(start, got));
        }
        // SAFETY: a slice's address and a reference to it are the same bytes. All have been checked, and the rest is
        // the caller's promise.
        let inputs = unsafe { &*(ptr::from_ref(self.inputs.as_slice()) as *const [&[f32]]) };
        self.session.run_all(inputs).map_err(|error| {
            let to_blame = inputs.iter().position(|input| input.iter().any(|x| !x.is_finite()));
            let input = to_blame.filter(|_| inputs.len() > 1).map(|index| Name::Element("inputs", index));
            Refusal::Run { input, error }
        })
    }
}

/// Whether there are as many inputs or outputs.
fn count(what: &'static str, expected: usize, got: usize) -> Result<(), Refusal> {
    if got == expected { Ok(()) } else { Err(Refusal::Count { what, expected, got }) }
}

/// Numbers in a model file can be used where they lie.
const MODEL_ALIGNMENT: usize = align_of::<f32>();

#[repr(C, align(64))]
struct Scratch(UnsafeCell<[MaybeUninit<u8>; if size_of::<usize>() == 4 { 16 << 10 } else { 1 << 20 }]>);

// SAFETY: one thread at a time uses it, within `heap::within`.
unsafe impl Sync for Scratch {}

static SCRATCH: Scratch = Scratch(UnsafeCell::new([MaybeUninit::uninit(); _]));

/// All of a net but its numbers, on the heap.
struct Lists {
    model: &'static Model<'static>,
    plan: Plan<'static>,
    /// Room for one.
    net: Vec<Net>,
    /// Room for all.
    inputs: Vec<*const [f32]>,
    /// With the numbers.
    memory_bytes: usize,
}

impl Lists {
    fn new(file: &'static [u8], batch: usize) -> Result<Lists, Refusal> {
        let mut models = list(1).map_err(Refusal::Model)?;
        models.push(Model::from_bytes_with(file, LINKED).map_err(Refusal::Model)?);
        let model = &models.leak()[0];
        let plan = Plan::new(model, Options::new(batch)).map_err(Refusal::Batch)?;
        let net = list(1).map_err(Refusal::Model)?;
        let inputs = list(model.input_shapes().len()).map_err(Refusal::Model)?;
        let heap = heap::usage();
        let numbers = heap.now.next_multiple_of(BANTAM_ALIGNMENT).checked_add(plan.peak_bytes());
        let numbers = numbers.ok_or(Refusal::Batch(kernels::Error::TooLarge { what: "memory" }.into()))?;
        Ok(Lists { model, plan, net, inputs, memory_bytes: numbers.max(heap.most) })
    }

    fn into_net(self, memory: Range<usize>, batch: usize) -> Result<*mut Net, Refusal> {
        let Lists { model, plan, mut net, inputs, memory_bytes } = self;
        if memory.len() < memory_bytes {
            return Err(Refusal::MemoryTooSmall { expected: memory_bytes, got: memory.len() });
        }
        let lines = plan.arena_len().div_ceil(CacheLine::NUMBERS);
        let mut arena = list(lines).map_err(Refusal::Batch)?;
        arena.resize(lines, CacheLine::ZERO);
        let arena = CacheLine::numbers_mut(arena.leak());
        let session = Session::with_plan(plan, arena).map_err(Refusal::Batch)?;
        net.push(Net { tag: TAG, memory, batch, model, session, inputs });
        Ok(net.leak().as_mut_ptr())
    }
}

/// Room for so many.
fn list<T>(count: usize) -> Result<Vec<T>, Error> {
    let mut list = Vec::new();
    let claimed = list.try_reserve_exact(count);
    claimed.map_err(|_| Error::OutOfMemory { bytes: count.saturating_mul(size_of::<T>()) })?;
    Ok(list)
}

/// # Safety
/// The net is one of `bantam_init`'s or null, and lives as long as the reference.
unsafe fn existing<'a>(net: *const Net) -> Result<&'a Net, Refusal> {
    check("net", net, 1, align_of::<Net>())?;
    // SAFETY: the caller's promise; the tag is read first, for what is no net.
    unsafe {
        if (&raw const (*net).tag).read() != TAG {
            return Err(Refusal::Net);
        }
        Ok(&*net)
    }
}

/// # Safety
/// As of [`existing`], and there is no other reference to the net.
unsafe fn existing_mut<'a>(net: *mut Net) -> Result<&'a mut Net, Refusal> {
    // SAFETY: the caller's promise.
    unsafe {
        existing(net)?;
        Ok(&mut *net)
    }
}

/// # Safety
/// If there is anything at that address, it is so many elements, which do not change as long as the
/// reference lives.
unsafe fn array<'a, T>(
    what: &'static str,
    start: *const T,
    len: usize,
    alignment: usize,
) -> Result<&'a [T], Refusal> {
    check(what, start, len, alignment)?;
    // SAFETY: the caller's promise, and what `check` has seen.
    Ok(unsafe { slice::from_raw_parts(start, len) })
}

fn writable<T>(what: &'static str, start: *mut T, len: usize) -> Result<Range<usize>, Refusal> {
    check(what, start, len, align_of::<T>())
}

/// The addresses of an array, if it can be there.
fn check<T>(
    what: impl Into<Name>,
    start: *const T,
    len: usize,
    alignment: usize,
) -> Result<Range<usize>, Refusal> {
    let (what, at) = (what.into(), start.addr());
    if start.is_null() {
        return Err(Refusal::Null(what));
    }
    if !at.is_multiple_of(alignment) {
        return Err(Refusal::Misaligned { what, expected: alignment });
    }
    let bytes = len.checked_mul(size_of::<T>()).filter(|&bytes| isize::try_from(bytes).is_ok());
    match bytes.and_then(|bytes| at.checked_add(bytes)) {
        Some(end) => Ok(at..end),
        None => Err(Refusal::TooLong { what, got: len }),
    }
}

fn apart(
    what: impl Into<Name>,
    place: &Range<usize>,
    with: &'static str,
    memory: &Range<usize>,
) -> Result<(), Refusal> {
    if place.start < memory.end && memory.start < place.end {
        return Err(Refusal::Overlap { what: what.into(), with });
    }
    Ok(())
}
