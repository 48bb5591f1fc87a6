//! What is counted beside the loss.

use crate::Loss;

/// The index of the largest number; the first of equal ones.
///
/// ```
/// assert_eq!(bantam::argmax(&[0.1, 0.7, 0.2]), 1);
/// ```
pub fn argmax(x: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in x.iter().enumerate() {
        if *value > x[best] {
            best = i;
        }
    }
    best
}

/// How many of a batch's samples are right: the largest output is the class, or for binary
/// cross-entropy every output is on its target's side of one half. A squared error has no right
/// and wrong.
pub(crate) fn correct(loss: Loss, rows: usize, outputs: &[f32], targets: &[f32]) -> Option<usize> {
    let (width, target_width) = (outputs.len() / rows, targets.len() / rows);
    let samples = outputs.chunks_exact(width).zip(targets.chunks_exact(target_width));
    match loss {
        Loss::SoftmaxCrossEntropy if target_width == 1 => {
            Some(samples.filter(|(y, t)| argmax(y) as f32 == t[0]).count())
        }
        Loss::SoftmaxCrossEntropy => Some(samples.filter(|(y, t)| argmax(y) == argmax(t)).count()),
        Loss::BinaryCrossEntropy => {
            let right = |(y, t): &(&[f32], &[f32])| y.iter().zip(*t).all(|(y, t)| (*y > 0.0) == (*t > 0.5));
            Some(samples.filter(right).count())
        }
        Loss::MeanSquaredError => None,
    }
}
