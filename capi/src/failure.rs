//! Errors as a C program sees them: a status, and a sentence with the figures.

use core::ffi::c_char;
use core::fmt::{self, Write};
use engine::Error;

/// What became of a call.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// A pointer that must point somewhere is null.
    NullPointer = 1,
    /// A pointer is not a multiple of what it must be.
    Misaligned = 2,
    /// Arrays overlap that must not.
    Overlap = 3,
    /// The memory has too few bytes for the net or the trainer, or the budget too few for the training.
    MemoryTooSmall = 4,
    /// The model is no model file, of another version, cut short or damaged, or its layers do not fit.
    BadModel = 5,
    /// The batch is zero, or more than memory can hold.
    BadBatch = 6,
    /// The net was not made by bantam_init, or the trainer by bantam_trainer_init.
    BadNet = 7,
    /// An input is not a whole number of samples, more than the batch, or not as many samples as the others;
    /// there are too few inputs or outputs, or too many; what is learnt is no whole batch; or an array is longer than memory.
    BadLength = 8,
    /// An input, an output, a weight or the loss is a NaN or an infinity, or Winograd's algorithm overflowed.
    NotANumber = 9,
    /// Another thread makes a net just now.
    Busy = 10,
    /// The model has layers that the library was built without: the text names all of them.
    MissingLayers = 11,
    /// A target is nothing that the loss can be measured against: a class that there is not, for one.
    BadTarget = 12,
    /// The model cannot learn so: the rate, the momentum or the loss is none, no layer has that name, or none learns.
    BadTraining = 13,
}

/// Bytes of an error's text, the zero at its end included.
pub const BANTAM_TEXT_BYTES: usize = 252;

/// Why a call was refused. It is the caller's, and written when a call fails.
#[repr(C)]
pub struct Failure {
    /// What the call gave back.
    pub status: Status,
    /// What was expected and what came, in UTF-8, ended by a zero; cut where it is longer.
    pub text: [c_char; BANTAM_TEXT_BYTES],
}

/// An argument of a call, or an element of one that is an array.
#[derive(Clone, Copy)]
pub(crate) enum Name {
    Argument(&'static str),
    Element(&'static str, usize),
}

impl From<&'static str> for Name {
    fn from(argument: &'static str) -> Name {
        Name::Argument(argument)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Argument(name) => f.write_str(name),
            Name::Element(array, index) => write!(f, "{array}[{index}]"),
        }
    }
}

/// Why a call is refused.
pub(crate) enum Refusal {
    Null(Name),
    Misaligned {
        what: Name,
        expected: usize,
    },
    Overlap {
        what: Name,
        with: &'static str,
    },
    TooLong {
        what: Name,
        got: usize,
    },
    MemoryTooSmall {
        expected: usize,
        got: usize,
    },
    Model(Error),
    Batch(Error),
    Net,
    /// So many inputs or outputs.
    Count {
        what: &'static str,
        expected: usize,
        got: usize,
    },
    /// So many numbers.
    Length {
        what: Name,
        expected: usize,
        got: usize,
    },
    /// With the input that is to blame, if there are several.
    Run {
        input: Option<Name>,
        error: Error,
    },
    Busy,
    /// The caller knows why.
    Told(Status),
    #[cfg(feature = "training")]
    Trainer,
    #[cfg(feature = "training")]
    Loss {
        got: i32,
    },
    #[cfg(feature = "training")]
    FirstLayer,
    /// A training cannot begin.
    #[cfg(feature = "training")]
    Training(Error),
    /// A trainer neither learns nor runs.
    #[cfg(feature = "training")]
    Step(Error),
}

impl Refusal {
    pub fn status(&self) -> Status {
        match self {
            Refusal::Null(_) => Status::NullPointer,
            Refusal::Misaligned { .. } => Status::Misaligned,
            Refusal::Overlap { .. } => Status::Overlap,
            Refusal::MemoryTooSmall { .. } => Status::MemoryTooSmall,
            Refusal::Model(Error::OutOfMemory { .. }) | Refusal::Batch(Error::OutOfMemory { .. }) => {
                Status::MemoryTooSmall
            }
            Refusal::Model(Error::UnknownLayerTypes { .. }) => Status::MissingLayers,
            Refusal::Model(_) => Status::BadModel,
            Refusal::Batch(_) => Status::BadBatch,
            Refusal::Net => Status::BadNet,
            Refusal::TooLong { .. } | Refusal::Count { .. } | Refusal::Length { .. } => Status::BadLength,
            // All else that a run refuses has been refused before.
            Refusal::Run { .. } => Status::NotANumber,
            Refusal::Busy => Status::Busy,
            Refusal::Told(status) => *status,
            #[cfg(feature = "training")]
            Refusal::Trainer => Status::BadNet,
            #[cfg(feature = "training")]
            Refusal::Loss { .. } | Refusal::FirstLayer => Status::BadTraining,
            #[cfg(feature = "training")]
            Refusal::Training(error) => match error {
                Error::OutOfMemory { .. } | Error::BudgetTooSmall { .. } => Status::MemoryTooSmall,
                Error::Kernel(kernels::Error::ZeroSize { .. } | kernels::Error::TooLarge { .. }) => {
                    Status::BadBatch
                }
                _ => Status::BadTraining,
            },
            #[cfg(feature = "training")]
            Refusal::Step(error) => match error {
                Error::Label { .. } | Error::Target { .. } => Status::BadTarget,
                // Lengths have been refused before.
                _ => Status::NotANumber,
            },
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Null(what) => write!(f, "{what}: expected an address, got null"),
            Refusal::Misaligned { what, expected } => {
                write!(f, "{what}: expected it at an address that is a multiple of {expected}")
            }
            Refusal::TooLong { what, got } => {
                write!(f, "{what}: expected a length that fits memory, got {got}")
            }
            Refusal::Overlap { what, with } => write!(f, "{what}: expected it apart from the {with}"),
            Refusal::MemoryTooSmall { expected, got } => {
                write!(f, "memory: expected {expected} bytes, got {got}: {} are missing", expected - got)
            }
            Refusal::Model(Error::OutOfMemory { bytes }) | Refusal::Batch(Error::OutOfMemory { bytes }) => {
                write!(f, "memory: expected {bytes} bytes more for a list of layers, it has fewer")
            }
            Refusal::Model(Error::UnknownLayerTypes { names }) => {
                f.write_str("model: this library is built without")?;
                let mut names = names.iter().enumerate();
                names.try_for_each(|(i, name)| write!(f, "{} {name}", if i == 0 { "" } else { "," }))
            }
            Refusal::Model(error) | Refusal::Batch(error) | Refusal::Run { input: None, error } => {
                error.fmt(f)
            }
            Refusal::Net => f.write_str("net: expected one that bantam_init made"),
            Refusal::Count { what, expected, got } => write!(f, "{what}: expected {expected}, got {got}"),
            Refusal::Length { what, expected, got } => {
                write!(f, "{what}: expected {expected} numbers, got {got}")
            }
            Refusal::Run { input: Some(name), error } => write!(f, "{name}: {error}"),
            Refusal::Busy => f.write_str("bantam_init: expected one thread at a time"),
            Refusal::Told(_) => Ok(()),
            #[cfg(feature = "training")]
            Refusal::Trainer => f.write_str("trainer: expected one that bantam_trainer_init made"),
            #[cfg(feature = "training")]
            Refusal::Loss { got } => write!(f, "loss: expected one of bantam_loss, got {got}"),
            #[cfg(feature = "training")]
            Refusal::FirstLayer => f.write_str("first_layer: expected the name of a layer of the model"),
            #[cfg(feature = "training")]
            Refusal::Training(Error::OutOfMemory { bytes }) => {
                write!(f, "memory: expected {bytes} bytes more for a list of layers, it has fewer")
            }
            #[cfg(feature = "training")]
            Refusal::Training(error) | Refusal::Step(error) => error.fmt(f),
        }
    }
}

/// The status, and the text where the caller wants it.
///
/// # Safety
/// `failure` is null or valid for writes.
pub(crate) unsafe fn report(result: Result<(), Refusal>, failure: *mut Failure) -> Status {
    match result {
        Ok(()) => Status::Ok,
        Err(Refusal::Told(status)) => status,
        // SAFETY: the caller's promise.
        Err(refusal) => unsafe { tell(&refusal, failure) },
    }
}

/// As [`report`], at once: what a refusal has on the heap is there as long as [`within`](crate::heap::within) runs.
///
/// # Safety
/// As of [`report`].
pub(crate) unsafe fn tell(refusal: &Refusal, failure: *mut Failure) -> Status {
    let status = refusal.status();
    if !failure.is_null() && failure.is_aligned() {
        let mut text = Text { bytes: [0; BANTAM_TEXT_BYTES], len: 0 };
        // Full is full.
        let _ = write!(text, "{refusal}");
        let text = text.bytes.map(|byte| byte as c_char);
        // SAFETY: the caller's promise.
        unsafe { failure.write(Failure { status, text }) };
    }
    status
}

/// Text of bounded length, with a zero behind it.
struct Text {
    bytes: [u8; BANTAM_TEXT_BYTES],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = self.bytes.len() - 1 - self.len;
        let cut = (0..=room.min(s.len())).rev().find(|&cut| s.is_char_boundary(cut)).unwrap_or(0);
        self.bytes[self.len..self.len + cut].copy_from_slice(&s.as_bytes()[..cut]);
        self.len += cut;
        if cut < s.len() { Err(fmt::Error) } else { Ok(()) }
    }
}
