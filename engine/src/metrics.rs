//! What is counted beside the loss.

/// Loss and accuracy over some samples. Accuracy is `None` where the loss knows no right and wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss of a sample.
    pub loss: f32,
    /// The share of samples that are right.
    pub accuracy: Option<f32>,
}

/// The index of the largest number, the first of equal ones; `None` if there is no number, or one is NaN.
///
/// ```
/// use bantam::argmax;
/// assert_eq!(argmax(&[0.1, 0.7, 0.2]), Some(1));
/// assert_eq!(argmax(&[f32::NAN, 0.7, 0.2]), None);
/// ```
pub fn argmax(x: &[f32]) -> Option<usize> {
    let mut best = 0;
    for (i, value) in x.iter().enumerate() {
        if value.is_nan() {
            return None;
        }
        if *value > x[best] {
            best = i;
        }
    }
    if x.is_empty() { None } else { Some(best) }
}
