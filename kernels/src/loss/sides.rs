//! Losses of outputs that are on one side or the other.

use super::{Elementwise, clipped, power};

/// Cross-entropy of the sigmoid of `x`, or of probability `x`, with a target from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub struct BinaryCrossEntropy {
    /// Whether outputs are logits; else they are probabilities, of which none is nearer than
    /// [`EPSILON`](super::EPSILON) to 0 or 1.
    pub from_logits: bool,
}

/// [`BinaryCrossEntropy`] times a power of what the right answer lacks: examples that are easy count less (Lin et al.,
/// ICCV 2017).
#[derive(Clone, Copy, Debug)]
pub struct BinaryFocal {
    /// As of [`BinaryCrossEntropy`].
    pub from_logits: bool,
    /// The power, at least 0.
    pub gamma: f32,
    /// What a target of 1 counts, where one of 0 counts `1 - alpha`; if there is none, both count 1.
    pub alpha: Option<f32>,
}

/// `max(1 - t x, 0)` with `t` -1 or 1; a target of 0 is -1.
#[derive(Clone, Copy, Debug)]
pub struct Hinge;

/// The square of [`Hinge`].
#[derive(Clone, Copy, Debug)]
pub struct SquaredHinge;

impl Elementwise for BinaryCrossEntropy {
    fn cost(&self, x: f32, t: f32) -> f32 {
        if self.from_logits {
            let positive = if x < 0.0 { 0.0 } else { x };
            return positive - x * t + libm::log1pf(libm::expf(-libm::fabsf(x)));
        }
        let (p, _) = clip(x);
        -(t * libm::logf(p) + (1.0 - t) * libm::logf(1.0 - p))
    }

    fn slope(&self, x: f32, t: f32) -> f32 {
        if self.from_logits {
            return sigmoid(x)[0] - t;
        }
        let (p, inside) = clip(x);
        if inside { (p - t) / (p * (1.0 - p)) } else { 0.0 }
    }
}

impl BinaryFocal {
    /// The probability and what it lacks to 1, what the right answer lacks, and the weight of its side.
    fn parts(&self, x: f32, t: f32) -> ([f32; 2], f32, f32) {
        let [p, q] = if self.from_logits { sigmoid(x) } else { [x, 1.0 - x] };
        let side = self.alpha.map_or(1.0, |alpha| t * alpha + (1.0 - t) * (1.0 - alpha));
        ([p, q], t * q + (1.0 - t) * p, side)
    }

    fn cross_entropy(&self) -> BinaryCrossEntropy {
        BinaryCrossEntropy { from_logits: self.from_logits }
    }
}

impl Elementwise for BinaryFocal {
    fn cost(&self, x: f32, t: f32) -> f32 {
        let (_, lack, side) = self.parts(x, t);
        side * power(lack, self.gamma) * self.cross_entropy().cost(x, t)
    }

    fn slope(&self, x: f32, t: f32) -> f32 {
        let ([p, q], lack, side) = self.parts(x, t);
        let cross_entropy = self.cross_entropy();
        let toward = 1.0 - 2.0 * t;
        // The derivative of what is lacking over itself: finite also where nothing is.
        let change = match (lack == 0.0, self.from_logits) {
            (true, _) => toward,
            (false, true) => toward * p * q / lack,
            (false, false) => toward / lack,
        };
        let of_power = self.gamma * change * cross_entropy.cost(x, t);
        side * power(lack, self.gamma) * (of_power + cross_entropy.slope(x, t))
    }
}

impl Elementwise for Hinge {
    fn cost(&self, x: f32, t: f32) -> f32 {
        let margin = 1.0 - signed(t) * x;
        if margin < 0.0 { 0.0 } else { margin }
    }

    fn slope(&self, x: f32, t: f32) -> f32 {
        if 1.0 - signed(t) * x < 0.0 { 0.0 } else { -signed(t) }
    }
}

impl Elementwise for SquaredHinge {
    fn cost(&self, x: f32, t: f32) -> f32 {
        let margin = Hinge.cost(x, t);
        margin * margin
    }

    fn slope(&self, x: f32, t: f32) -> f32 {
        2.0 * Hinge.cost(x, t) * Hinge.slope(x, t)
    }
}

fn clip(p: f32) -> (f32, bool) {
    clipped(p, 1.0 - super::EPSILON)
}

/// The sigmoid and what it lacks to 1, each of the form whose exponential cannot overflow.
fn sigmoid(x: f32) -> [f32; 2] {
    let e = libm::expf(-libm::fabsf(x));
    let (small, large) = (e / (1.0 + e), 1.0 / (1.0 + e));
    if x < 0.0 { [small, large] } else { [large, small] }
}

fn signed(t: f32) -> f32 {
    if t == 0.0 { -1.0 } else { t }
}
