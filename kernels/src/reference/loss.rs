//! Losses and their gradients: of each output or row a cost and its derivatives, and the means of them.

use super::bounded::Bounded;
use super::{Expected, LEAST, gamma};
use crate::loss::EPSILON;

/// The weighted mean of costs of single outputs, or of rows if `columns` are their outputs' number.
pub fn mean(
    columns: usize,
    outputs: &[f32],
    targets: &[f32],
    weight: impl Fn(usize) -> f32,
    cost: impl Fn(&[f32], &[f32]) -> Bounded,
) -> Expected {
    let rows = outputs.chunks(columns).zip(targets.chunks(columns)).enumerate();
    let costs = rows.map(|(row, (x, t))| Bounded::exact(weight(row)) * cost(x, t));
    let count = outputs.len() / columns;
    (Bounded::sum(costs) / Bounded { value: count as f64, error: gamma(1) * count as f64 }).expected()
}

/// The derivatives of [`mean`], times `d_loss`; `slope` gives that to one output of a row. Those that are no larger than
/// 2⁻¹⁰⁰ may be zero.
pub fn mean_grad(
    columns: usize,
    outputs: &[f32],
    targets: &[f32],
    weight: impl Fn(usize) -> f32,
    d_loss: f32,
    slope: impl Fn(&[f32], &[f32], usize) -> Bounded,
) -> impl Iterator<Item = Expected> {
    let count = outputs.len() / columns;
    let scale = Bounded::exact(d_loss) / Bounded { value: count as f64, error: gamma(1) * count as f64 };
    (0..outputs.len()).map(move |i| {
        let (row, column) = (i / columns, i % columns);
        let [x, t] = [outputs, targets].map(|all| &all[row * columns..][..columns]);
        let slope = slope(x, t, column) * scale * Bounded::exact(weight(row));
        let Expected { value, error } = slope.expected();
        Expected { value, error: error + LEAST }
    })
}

/// `[cost, slope]` of `(x - t)²`.
pub fn mean_squared_error(x: f32, t: f32) -> [Bounded; 2] {
    let difference = exact(x) - exact(t);
    [difference * difference, exact(2.0) * difference]
}

/// Of `|x - t|`.
pub fn mean_absolute_error(x: f32, t: f32) -> [Bounded; 2] {
    [(exact(x) - exact(t)).abs(), sign(x, t)]
}

/// Of `(x - t)² / 2`, or `delta (|x - t| - delta / 2)`.
pub fn huber(delta: f32, x: f32, t: f32) -> [Bounded; 2] {
    let difference = exact(x) - exact(t);
    let half = exact(0.5);
    if difference.abs().value > f64::from(delta) {
        let (delta, difference) = (exact(delta), difference.abs());
        return [delta * (difference - half * delta), delta * sign(x, t)];
    }
    [half * difference * difference, difference]
}

/// Of `ln cosh(x - t)`.
pub fn log_cosh(x: f32, t: f32) -> [Bounded; 2] {
    let difference = exact(x) - exact(t);
    let large = difference.abs();
    let ln_2 = Bounded { value: core::f64::consts::LN_2, error: gamma(1) };
    [large + (exact(-2.0) * large).exp().ln_1p() - ln_2, difference.tanh()]
}

/// Of `x - t ln(x + ε)`.
pub fn poisson(x: f32, t: f32) -> [Bounded; 2] {
    let (rate, t) = (exact(x) + exact(EPSILON), exact(t));
    [exact(x) - t * rate.ln(), exact(1.0) - t / rate]
}

/// Of `max(x, 0) - x t + ln(1 + exp(-|x|))`, or of `-(t ln x + (1 - t) ln(1 - x))`.
pub fn binary_cross_entropy(from_logits: bool, x: f32, t: f32) -> [Bounded; 2] {
    let (one, t) = (exact(1.0), exact(t));
    if from_logits {
        let x = exact(x);
        return [x.max(0.0) - x * t + (-x.abs()).exp().ln_1p(), sigmoid(x)[0] - t];
    }
    let (p, inside) = clipped(exact(x), 1.0 - EPSILON);
    let slope = (p - t) / (p * (one - p));
    [-(t * p.ln() + (one - t) * (one - p).ln()), if inside { slope } else { exact(0.0) }]
}

/// Of [`binary_cross_entropy`] times `lack^gamma`, with `lack` `t (1 - p) + (1 - t) p`.
pub fn binary_focal(from_logits: bool, gamma: f32, alpha: Option<f32>, x: f32, t: f32) -> [Bounded; 2] {
    let [cost, slope] = binary_cross_entropy(from_logits, x, t);
    let (one, t) = (exact(1.0), exact(t));
    let [p, q] = if from_logits { sigmoid(exact(x)) } else { [exact(x), one - exact(x)] };
    let side = alpha.map_or(one, |alpha| t * exact(alpha) + (one - t) * (one - exact(alpha)));
    let lack = t * q + (one - t) * p;
    let toward = one - exact(2.0) * t;
    let change = if from_logits { toward * p * q } else { toward };
    let factor = side * lack.pow(gamma);
    [factor * cost, factor * (exact(gamma) * (change / lack) * cost + slope)]
}

/// Of `max(1 - t x, 0)`, where a `t` of 0 is -1.
pub fn hinge(x: f32, t: f32) -> [Bounded; 2] {
    let t = exact(if t == 0.0 { -1.0 } else { t });
    let margin = exact(1.0) - t * exact(x);
    [margin.max(0.0), if margin.value < 0.0 { exact(0.0) } else { -t }]
}

/// Of its square.
pub fn squared_hinge(x: f32, t: f32) -> [Bounded; 2] {
    let [margin, slope] = hinge(x, t);
    [margin * margin, exact(2.0) * margin * slope]
}

/// `-Σ alpha (1 - p)^gamma t ln p` of a row: the cross-entropy if `alpha` is 1 and `gamma` is 0.
pub fn focal(from_logits: bool, gamma: f32, alpha: f32, x: &[f32], t: &[f32]) -> Bounded {
    let log_p = log_probability(from_logits, x);
    Bounded::sum((0..x.len()).map(|class| of_class(gamma, alpha, log_p(class).0, t[class])[0]))
}

/// Its derivative to one output.
pub fn focal_slope(from_logits: bool, gamma: f32, alpha: f32, x: &[f32], t: &[f32], to: usize) -> Bounded {
    let log_p = log_probability(from_logits, x);
    let part = |class: usize| {
        let (log_p, inside) = log_p(class);
        if inside { of_class(gamma, alpha, log_p, t[class])[1] } else { exact(0.0) }
    };
    let common = Bounded::sum((0..x.len()).map(part));
    if from_logits {
        return part(to) - log_p(to).0.exp() * common;
    }
    let total = total(x);
    let (p, inside) = clipped(exact(x[to]) / total, 1.0 - EPSILON);
    (if inside { part(to) / p } else { exact(0.0) } - common) / total
}

/// For one class: its cost, and the derivative to its probability, times that.
fn of_class(gamma: f32, alpha: f32, log_p: Bounded, t: f32) -> [Bounded; 2] {
    if t == 0.0 {
        return [exact(0.0); 2];
    }
    let factor = exact(alpha) * exact(t);
    if gamma == 0.0 {
        return [factor * -log_p, -factor];
    }
    let factor = factor * (-log_p.expm1()).pow(gamma);
    let focus = exact(gamma) * log_p.odds();
    [factor * -log_p, factor * (focus - exact(1.0))]
}

/// `max(0, 1 + max((1 - t) x) - Σ t x)` of a row.
pub fn categorical_hinge(x: &[f32], t: &[f32]) -> Bounded {
    margin(x, t).max(0.0)
}

/// Its derivative to one output. Outputs that are equally wrong share it.
pub fn categorical_hinge_slope(x: &[f32], t: &[f32], to: usize) -> Bounded {
    let margin = margin(x, t);
    let largest = largest_wrong(x, t).value;
    let wrong = |i: usize| (exact(1.0) - exact(t[i])) * exact(x[i]);
    let count = (0..x.len()).filter(|&i| wrong(i).value == largest).count();
    let share = (exact(1.0) - exact(t[to])) / exact(count as f32);
    let share = if wrong(to).value == largest { share } else { exact(0.0) };
    let slope = if margin.value < 0.0 { exact(0.0) } else { share - exact(t[to]) };
    // Rounding may take the margin to the other side.
    let jump = if libm::fabs(margin.value) <= margin.error { 1.0 } else { 0.0 };
    Bounded { error: slope.error + jump, ..slope }
}

fn margin(x: &[f32], t: &[f32]) -> Bounded {
    let right = Bounded::sum(x.iter().zip(t).map(|(&x, &t)| exact(t) * exact(x)));
    largest_wrong(x, t) - right + exact(1.0)
}

fn largest_wrong(x: &[f32], t: &[f32]) -> Bounded {
    let wrong = x.iter().zip(t).map(|(&x, &t)| (exact(1.0) - exact(t)) * exact(x));
    wrong.fold(exact(f32::NEG_INFINITY), |most, x| if x.value > most.value { x } else { most })
}

/// `Σ t ln(t / x)` of a row, both clipped.
pub fn kullback_leibler(x: &[f32], t: &[f32]) -> Bounded {
    Bounded::sum(x.iter().zip(t).map(|(&x, &t)| {
        let (x, t) = (clipped(exact(x), 1.0).0, clipped(exact(t), 1.0).0);
        t * (t / x).ln()
    }))
}

/// Its derivative to one output.
pub fn kullback_leibler_slope(x: &[f32], t: &[f32], to: usize) -> Bounded {
    let ((x, inside), t) = (clipped(exact(x[to]), 1.0), clipped(exact(t[to]), 1.0).0);
    if inside { -t / x } else { exact(0.0) }
}

/// The logarithm of a class's probability, clipped where it is not of logits, and whether it was inside.
fn log_probability(from_logits: bool, x: &[f32]) -> impl Fn(usize) -> (Bounded, bool) {
    let max = exact(x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let log_sum = Bounded::sum(x.iter().map(|&x| (exact(x) - max).exp())).ln();
    // The maximum may be taken off before the logarithm or after.
    let order = gamma(3) * (libm::fabs(max.value) + libm::fabs(log_sum.value));
    let total = total(x);
    move |class| {
        if from_logits {
            let log = exact(x[class]) - max - log_sum;
            return (Bounded { error: log.error + order, ..log }, true);
        }
        let (p, inside) = clipped(exact(x[class]) / total, 1.0 - EPSILON);
        (p.ln(), inside)
    }
}

fn total(x: &[f32]) -> Bounded {
    Bounded::sum(x.iter().map(|&x| exact(x)))
}

fn exact(x: f32) -> Bounded {
    Bounded::exact(x)
}

/// Of a difference: rounding does not change it.
fn sign(x: f32, t: f32) -> Bounded {
    exact(f32::from(i8::from(x > t) - i8::from(x < t)))
}

/// The sigmoid and what it lacks to 1.
fn sigmoid(x: Bounded) -> [Bounded; 2] {
    let (e, one) = ((-x.abs()).exp(), exact(1.0));
    let (small, large) = (e / (one + e), one / (one + e));
    if x.value < 0.0 { [small, large] } else { [large, small] }
}

fn clipped(p: Bounded, most: f32) -> (Bounded, bool) {
    let inside = p.value >= f64::from(EPSILON) && p.value <= f64::from(most);
    (p.max(EPSILON).min(most), inside)
}
