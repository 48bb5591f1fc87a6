//! Losses of numbers.

use super::{EPSILON, Elementwise};

/// `(x - t)²`.
#[derive(Clone, Copy, Debug)]
pub struct MeanSquaredError;

/// `|x - t|`. Its derivative where it has none, at `t`, is 0.
#[derive(Clone, Copy, Debug)]
pub struct MeanAbsoluteError;

/// `(x - t)² / 2` up to a difference of `delta`, and a straight line from there on.
#[derive(Clone, Copy, Debug)]
pub struct Huber {
    /// Above 0.
    pub delta: f32,
}

/// `ln cosh(x - t)`: half the square of small differences, and large ones less ln 2.
#[derive(Clone, Copy, Debug)]
pub struct LogCosh;

/// `x - t ln(x + ε)`, for counts.
#[derive(Clone, Copy, Debug)]
pub struct Poisson;

impl Elementwise for MeanSquaredError {
    fn cost(&self, x: f32, t: f32) -> f32 {
        (x - t) * (x - t)
    }

    fn slope(&self, x: f32, t: f32) -> f32 {
        2.0 * (x - t)
    }
}

impl Elementwise for MeanAbsoluteError {
    fn cost(&self, x: f32, t: f32) -> f32 {
        libm::fabsf(x - t)
    }

    fn slope(&self, x: f32, t: f32) -> f32 {
        sign(x - t)
    }
}

impl Elementwise for Huber {
    fn cost(&self, x: f32, t: f32) -> f32 {
        let (difference, delta) = (libm::fabsf(x - t), self.delta);
        if difference > delta { delta * (difference - 0.5 * delta) } else { 0.5 * difference * difference }
    }

    fn slope(&self, x: f32, t: f32) -> f32 {
        let difference = x - t;
        if libm::fabsf(difference) > self.delta { self.delta * sign(difference) } else { difference }
    }
}

impl Elementwise for LogCosh {
    fn cost(&self, x: f32, t: f32) -> f32 {
        let difference = libm::fabsf(x - t);
        difference + libm::log1pf(libm::expf(-2.0 * difference)) - core::f32::consts::LN_2
    }

    fn slope(&self, x: f32, t: f32) -> f32 {
        libm::tanhf(x - t)
    }
}

impl Elementwise for Poisson {
    fn cost(&self, x: f32, t: f32) -> f32 {
        x - t * libm::logf(x + EPSILON)
    }

    fn slope(&self, x: f32, t: f32) -> f32 {
        1.0 - t / (x + EPSILON)
    }
}

/// -1, 0 or 1; NaN stays NaN.
fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}
