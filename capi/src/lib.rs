//! Bantam for C: what `include/bantam.h` declares, which is made from this file.
//!
//! Whoever calls gives all memory: there is no `malloc` beneath, and once a net is made nothing is
//! allocated at all. Every call checks what it is given, and nothing unwinds.
#![no_std]

extern crate alloc;

mod failure;
mod heap;
mod panic;

pub use failure::{BANTAM_TEXT_BYTES, Failure, Status};

use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::slice;
use engine::{Error, Isa, Model, Plan, Session};
use failure::{Refusal, report};
use kernels::CacheLine;

/// The memory of a net begins at a multiple of so many bytes.
pub const BANTAM_ALIGNMENT: usize = 64;

/// A net that is ready to run. It lives in the memory that bantam_init was given, and needs no end:
/// when it is no longer used that memory and the model's file are free for other things.
///
/// Different nets may run in different threads, one net only in one at a time.
pub struct Net {
    tag: usize,
    /// Addresses of the memory.
    memory: Range<usize>,
    model: &'static Model<'static>,
    session: Session<'static>,
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
        writable("answer", bytes)?;
        // SAFETY: the caller's promise.
        let file = unsafe { array("model", model.cast::<u8>(), model_bytes, MODEL_ALIGNMENT)? };
        let size = || Ok(Lists::new(file, batch)?.memory_bytes);
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
        writable("net", net)?;
        // SAFETY: the caller's promise.
        let file = unsafe { array("model", model.cast::<u8>(), model_bytes, MODEL_ALIGNMENT)? };
        check("memory", memory.cast_const().cast::<u8>(), memory_bytes, BANTAM_ALIGNMENT)?;
        let memory_at = memory.addr()..memory.addr() + memory_bytes;
        apart(["model", "memory"], file, &memory_at)?;
        let make = || Lists::new(file, batch)?.into_net(memory_at);
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

/// Numbers of one sample: height × width × channels, channels last. 0 if there is no such net.
///
/// # Safety
/// The net is one of bantam_init's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_input_len(net: *const Net) -> usize {
    // SAFETY: the caller's promise.
    let net = unsafe { existing(net) };
    net.map_or(0, |net| net.model.input_shape().elements())
}

/// Numbers of the output for one sample. 0 if there is no such net.
///
/// # Safety
/// The net is one of bantam_init's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_output_len(net: *const Net) -> usize {
    // SAFETY: the caller's promise.
    let net = unsafe { existing(net) };
    net.map_or(0, |net| net.model.output_shape().elements())
}

/// Runs the net on samples that follow each other. Allocates nothing.
///
/// @param net        the net
/// @param input      bantam_input_len numbers for each sample
/// @param input_len  how many numbers: a whole number of samples, the batch at the most
/// @param output     where the address of the output goes: bantam_output_len numbers for each sample,
///                   in the net's memory, until it runs again
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
        writable("output", output)?;
        // SAFETY: the caller's promise.
        unsafe { existing(net) }?;
        // SAFETY: as above, and nobody else uses it.
        let net = unsafe { &mut *net };
        // SAFETY: the caller's promise.
        let input = unsafe { array("input", input, input_len, align_of::<f32>())? };
        apart(["input", "net's memory"], input, &net.memory)?;
        let result = net.session.run(input).map_err(Refusal::Input)?;
        // SAFETY: the caller's promise.
        unsafe { output.write(result.as_ptr()) };
        if result.iter().any(|x| x.is_nan()) { Err(Refusal::NotANumber) } else { Ok(()) }
    };
    // SAFETY: the caller's promise.
    unsafe { report(answer(), failure) }
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
    /// With the numbers.
    memory_bytes: usize,
}

impl Lists {
    fn new(file: &'static [u8], batch: usize) -> Result<Lists, Refusal> {
        let mut models = list(1).map_err(Refusal::Model)?;
        models.push(Model::from_bytes(file).map_err(Refusal::Model)?);
        let model = &models.leak()[0];
        let plan = Plan::new(model, batch, Isa::detect()).map_err(Refusal::Batch)?;
        let net = list(1).map_err(Refusal::Model)?;
        let heap = heap::usage();
        let numbers = heap.now.next_multiple_of(BANTAM_ALIGNMENT).checked_add(plan.peak_bytes());
        let numbers = numbers.ok_or(Refusal::Batch(kernels::Error::TooLarge { what: "memory" }.into()))?;
        Ok(Lists { model, plan, net, memory_bytes: numbers.max(heap.most) })
    }

    fn into_net(mut self, memory: Range<usize>) -> Result<*mut Net, Refusal> {
        let too_small = Refusal::MemoryTooSmall { expected: self.memory_bytes, got: memory.len() };
        let lines = self.plan.arena_len().div_ceil(CacheLine::NUMBERS);
        let Ok(mut arena) = list(lines) else { return Err(too_small) };
        arena.resize(lines, CacheLine::ZERO);
        let arena = CacheLine::numbers_mut(arena.leak());
        let session = Session::with_plan(self.plan, arena).map_err(Refusal::Batch)?;
        self.net.push(Net { tag: TAG, memory, model: self.model, session });
        Ok(self.net.leak().as_mut_ptr())
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

fn writable<T>(what: &'static str, place: *mut T) -> Result<(), Refusal> {
    check(what, place, 1, align_of::<T>())
}

/// Whether an array can be there.
fn check<T>(what: &'static str, start: *const T, len: usize, alignment: usize) -> Result<(), Refusal> {
    if start.is_null() {
        return Err(Refusal::Null(what));
    }
    if !start.addr().is_multiple_of(alignment) {
        return Err(Refusal::Misaligned { what, expected: alignment });
    }
    let bytes = len.checked_mul(size_of::<T>()).filter(|&bytes| isize::try_from(bytes).is_ok());
    match bytes.and_then(|bytes| start.addr().checked_add(bytes)) {
        Some(_) => Ok(()),
        None => Err(Refusal::TooLong { what, got: len }),
    }
}

fn apart<T>(names: [&'static str; 2], array: &[T], memory: &Range<usize>) -> Result<(), Refusal> {
    let Range { start, end } = array.as_ptr_range();
    if start.addr() < memory.end && memory.start < end.addr() { Err(Refusal::Overlap(names)) } else { Ok(()) }
}
