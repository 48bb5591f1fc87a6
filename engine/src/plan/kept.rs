//! Small arrays of weights that a step reads as they are, such as biases: with vectors their copies lie before what it has
//! prepared, so that a run reads nothing of a model's file but large arrays where they lie. Of a mapped file one such read
//! may bring back megabytes that were released. On a scalar FPU and without an operating system nothing is copied: there memory
//! is scarce, and no file is mapped.

use crate::layers::Step;
use crate::memory::buffer::{split_lines, whole_lines};
use bantam_kernels::Isa;

/// Elements of the largest that is copied.
const LARGEST: usize = 1 << 16;

/// Whether steps have copies.
#[inline]
pub(crate) fn on(isa: Isa) -> bool {
    cfg!(feature = "std") && isa != Isa::SCALAR
}

/// Whether the copy of a step's array of that index, and so many elements, serves.
pub(crate) fn has(step: &dyn Step, index: usize, len: usize) -> bool {
    len <= LARGEST && step.reads_weights(index)
}

/// Elements of a step's copies, of arrays of so many elements.
pub(crate) fn len(step: &dyn Step, lens: impl Iterator<Item = usize>) -> usize {
    let copied = lens.enumerate().filter(|&(index, len)| has(step, index, len));
    copied.fold(0, |sum, (_, len)| sum.saturating_add(whole_lines(len)))
}

/// Copies a step's arrays, and gives the room behind them.
pub(crate) fn copy<'p>(step: &dyn Step, weights: &[&[f32]], mut prepared: &'p mut [f32]) -> &'p mut [f32] {
    for (index, weights) in weights.iter().enumerate() {
        if has(step, index, weights.len()) {
            let (copy, rest) = split_lines(prepared, weights.len());
            copy.copy_from_slice(weights);
            prepared = rest;
        }
    }
    prepared
}

/// Has a step read its copies, and gives what is behind them.
pub(crate) fn lend<'p>(step: &dyn Step, weights: &mut [&'p [f32]], mut prepared: &'p [f32]) -> &'p [f32] {
    for (index, weights) in weights.iter_mut().enumerate() {
        if has(step, index, weights.len()) {
            let (copy, rest) = prepared.split_at(whole_lines(weights.len()));
            *weights = &copy[..weights.len()];
            prepared = rest;
        }
    }
    prepared
}
