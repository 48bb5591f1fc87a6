//! Losses of rows with an output for each class. Targets are probabilities, one-hot rows for classes.

use super::{EPSILON, Rowwise, clipped, power};
use crate::pairwise::sum;
use crate::softmax::row_max;

/// Cross-entropy of the softmax of a row, or of its probabilities, with targets: `-Σ t ln p`.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy {
    /// Whether outputs are logits; else they are probabilities, which are divided by their sum, and of which none is
    /// then nearer than [`EPSILON`] to 0 or 1.
    pub from_logits: bool,
}

/// `-Σ alpha (1 - p)^gamma t ln p`: examples that are easy count less (Lin et al., ICCV 2017).
#[derive(Clone, Copy, Debug)]
pub struct CategoricalFocal {
    /// As of [`CrossEntropy`].
    pub from_logits: bool,
    /// The power, at least 0.
    pub gamma: f32,
    /// A factor.
    pub alpha: f32,
}

/// `max(0, 1 + max((1 - t) x) - Σ t x)`.
#[derive(Clone, Copy, Debug)]
pub struct CategoricalHinge;

/// `Σ t ln(t / x)` with both from [`EPSILON`] to 1.
#[derive(Clone, Copy, Debug)]
pub struct KullbackLeibler;

impl Rowwise for CrossEntropy {
    fn cost(&self, x: &[f32], t: &[f32]) -> f32 {
        let pairs = x.iter().zip(t);
        if !self.from_logits {
            let total = sum(x.iter().copied());
            let cost = |(&x, &t): (&f32, &f32)| t * -libm::logf(clip(x / total).0);
            return sum(pairs.map(cost));
        }
        let log_sum = log_sum_exp(x);
        // A class that cannot be the answer costs nothing, even where its logit is infinite.
        let cost = |(&x, &t): (&f32, &f32)| if t == 0.0 { 0.0 } else { t * (log_sum - x) };
        let row = sum(pairs.map(cost));
        if log_sum.is_nan() { log_sum } else { row }
    }

    fn slopes(&self, x: &[f32], t: &[f32], scale: f32, d: &mut [f32]) {
        if !self.from_logits {
            return through_total(x, t, scale, d, |p, t| -t / p);
        }
        let max = row_max(x);
        let sum_exp = sum(x.iter().map(|&x| libm::expf(x - max)));
        let mass = sum(t.iter().copied());
        for ((d, &x), &t) in d.iter_mut().zip(x).zip(t) {
            *d = (libm::expf(x - max) / sum_exp * mass - t) * scale;
        }
    }
}

impl CategoricalFocal {
    /// For one class: its cost, and the derivative times `p`.
    fn of_class(&self, log_p: f32, t: f32) -> [f32; 2] {
        if t == 0.0 {
            return [0.0; 2];
        }
        let (p, lack) = (libm::expf(log_p), -libm::expm1f(log_p));
        let factor = self.alpha * power(lack, self.gamma) * t;
        // p ln p / (1 - p): finite also where nothing is lacking.
        let ratio = if lack == 0.0 { -1.0 } else { p * log_p / lack };
        [factor * -log_p, factor * (self.gamma * ratio - 1.0)]
    }
}

impl Rowwise for CategoricalFocal {
    fn cost(&self, x: &[f32], t: &[f32]) -> f32 {
        let pairs = x.iter().zip(t);
        if self.from_logits {
            let log = LogSoftmax::new(x);
            return sum(pairs.map(|(&x, &t)| self.of_class(log.of(x), t)[0]));
        }
        let total = sum(x.iter().copied());
        sum(pairs.map(|(&x, &t)| self.of_class(libm::logf(clip(x / total).0), t)[0]))
    }

    fn slopes(&self, x: &[f32], t: &[f32], scale: f32, d: &mut [f32]) {
        if !self.from_logits {
            return through_total(x, t, scale, d, |p, t| self.of_class(libm::logf(p), t)[1] / p);
        }
        let log = LogSoftmax::new(x);
        for ((d, &x), &t) in d.iter_mut().zip(x).zip(t) {
            *d = self.of_class(log.of(x), t)[1];
        }
        let total = sum(d.iter().copied());
        for (d, &x) in d.iter_mut().zip(x) {
            *d = (*d - libm::expf(log.of(x)) * total) * scale;
        }
    }
}

impl Rowwise for CategoricalHinge {
    fn cost(&self, x: &[f32], t: &[f32]) -> f32 {
        let (right, wrong) = sides(x, t);
        let margin = wrong - right + 1.0;
        if margin < 0.0 { 0.0 } else { margin }
    }

    fn slopes(&self, x: &[f32], t: &[f32], scale: f32, d: &mut [f32]) {
        let (right, wrong) = sides(x, t);
        if wrong - right + 1.0 < 0.0 {
            return d.fill(0.0);
        }
        // Wrong classes that are equally large share the derivative, as in TensorFlow.
        let largest = |(&x, &t): (&f32, &f32)| (1.0 - t) * x == wrong;
        let share = scale / x.iter().zip(t).filter(|&(x, t)| largest((x, t))).count().max(1) as f32;
        for ((d, x), t) in d.iter_mut().zip(x).zip(t) {
            *d = if largest((x, t)) { (1.0 - t) * share } else { 0.0 } - t * scale;
        }
    }
}

impl Rowwise for KullbackLeibler {
    fn cost(&self, x: &[f32], t: &[f32]) -> f32 {
        sum(x.iter().zip(t).map(|(&x, &t)| {
            let ((x, _), (t, _)) = (clipped(x, 1.0), clipped(t, 1.0));
            t * libm::logf(t / x)
        }))
    }

    fn slopes(&self, x: &[f32], t: &[f32], scale: f32, d: &mut [f32]) {
        for ((d, &x), &t) in d.iter_mut().zip(x).zip(t) {
            let ((x, inside), (t, _)) = (clipped(x, 1.0), clipped(t, 1.0));
            *d = if inside { -t / x * scale } else { 0.0 };
        }
    }
}

/// Derivatives of a sum over classes of what depends on `p = x / Σ x`, clipped, by its derivative `slope(p, t)`.
fn through_total(x: &[f32], t: &[f32], scale: f32, d: &mut [f32], slope: impl Fn(f32, f32) -> f32) {
    let total = sum(x.iter().copied());
    for ((d, &x), &t) in d.iter_mut().zip(x).zip(t) {
        let (p, inside) = clip(x / total);
        *d = if inside { slope(p, t) } else { 0.0 };
    }
    let common = sum(d.iter().zip(x).map(|(d, x)| d * (x / total)));
    d.iter_mut().for_each(|d| *d = (*d - common) / total * scale);
}

/// `Σ t x` and the largest `(1 - t) x`.
fn sides(x: &[f32], t: &[f32]) -> (f32, f32) {
    let right = sum(x.iter().zip(t).map(|(x, t)| t * x));
    let wrong = x.iter().zip(t).map(|(x, t)| (1.0 - t) * x);
    (right, wrong.fold(f32::NEG_INFINITY, |max, x| if x > max || x.is_nan() { x } else { max }))
}

struct LogSoftmax {
    max: f32,
    log_sum: f32,
}

impl LogSoftmax {
    fn new(x: &[f32]) -> LogSoftmax {
        let max = row_max(x);
        LogSoftmax { max, log_sum: libm::logf(sum(x.iter().map(|&x| libm::expf(x - max)))) }
    }

    fn of(&self, x: f32) -> f32 {
        x - self.max - self.log_sum
    }
}

fn log_sum_exp(x: &[f32]) -> f32 {
    let LogSoftmax { max, log_sum } = LogSoftmax::new(x);
    max + log_sum
}

fn clip(p: f32) -> (f32, bool) {
    clipped(p, 1.0 - EPSILON)
}
