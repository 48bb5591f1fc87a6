use super::{Buffers, Is, Tape, Var};
use crate::error::Error;

/// What a backward pass leaves: gradients and values. It borrows nothing, so that the parameters
/// may be changed.
pub struct Gradients {
    /// Without nodes, and still of the same recording.
    pub(super) tape: Tape<'static>,
}

impl Gradients {
    /// The gradient of a parameter.
    ///
    /// # Errors
    /// A stale variable, or one that has no gradient.
    pub fn get(&self, parameter: Var) -> Result<&[f32], Error> {
        let buffers = self.buffers(parameter)?;
        if buffers.gradient_is == Is::Final { Ok(&buffers.gradient) } else { Err(Error::NoGradient) }
    }

    /// The numbers of a computed variable.
    ///
    /// # Errors
    /// A stale variable, or one whose numbers the tape had only borrowed.
    pub fn value(&self, var: Var) -> Result<&[f32], Error> {
        let value = &self.buffers(var)?.value;
        if value.is_empty() { Err(Error::NoValue) } else { Ok(value) }
    }

    /// A new recording in the same memory.
    pub fn into_tape<'a>(self) -> Tape<'a> {
        self.tape.reset()
    }

    fn buffers(&self, var: Var) -> Result<&Buffers, Error> {
        let current = var.recording == self.tape.memory.recording;
        self.tape.memory.buffers.get(var.index).filter(|_| current).ok_or(Error::StaleVar)
    }
}
