//! What weights begin as.

use crate::shape::Shape;
use core::f32::consts::PI;
use rand_core::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// The distribution that weights are drawn from. The same seed gives the same bits everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initializer {
    /// Uniform within `±sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio, AISTATS 2010).
    #[default]
    GlorotUniform,
    /// Uniform within `±sqrt(6 / fan_in)` (He et al., arXiv 1502.01852).
    HeUniform,
    /// Normal with variance `2 / fan_in`, cut off at two deviations (He et al., arXiv 1502.01852).
    HeNormal,
}

impl Initializer {
    /// Fills `weights` of a layer with so many inputs to an output and outputs of an input.
    pub(crate) fn fill(
        self,
        fan_in: usize,
        fan_out: usize,
        random: &mut Xoshiro256PlusPlus,
        weights: &mut [f32],
    ) {
        match self {
            Initializer::GlorotUniform => {
                uniform(libm::sqrtf(6.0 / (fan_in + fan_out) as f32), random, weights);
            }
            Initializer::HeUniform => uniform(libm::sqrtf(6.0 / fan_in as f32), random, weights),
            Initializer::HeNormal => {
                // A normal distribution that is cut off at 2 keeps this much of its deviation.
                const KEPT_DEVIATION: f32 = 0.879_625_7;
                let deviation = libm::sqrtf(2.0 / fan_in as f32) / KEPT_DEVIATION;
                weights.fill_with(|| {
                    loop {
                        let normal = normal(random);
                        if normal.abs() <= 2.0 {
                            return normal * deviation;
                        }
                    }
                });
            }
        }
    }
}

/// Fills a matrix `[rows, columns]` by the method of Gram and Schmidt, on normal numbers.
pub(crate) fn orthogonal(shape: Shape, random: &mut Xoshiro256PlusPlus, weights: &mut [f32]) {
    let columns = shape.dims().last().copied().unwrap_or(1);
    let rows = weights.len() / columns;
    // The vectors and their elements: how many, and how far from one to the next.
    let ([count, next], [len, stride]) =
        if rows <= columns { ([rows, columns], [columns, 1]) } else { ([columns, 1], [rows, columns]) };
    let at = |vector: usize, element: usize| vector * next + element * stride;
    let dot = |weights: &[f32], a: usize, b: usize| -> f64 {
        (0..len).map(|k| f64::from(weights[at(a, k)]) * f64::from(weights[at(b, k)])).sum()
    };
    weights.fill_with(|| normal(random));
    for vector in 0..count {
        // What rounding leaves of the others the second time removes.
        for other in (0..vector).chain(0..vector) {
            let share = dot(weights, vector, other);
            for k in 0..len {
                weights[at(vector, k)] -= (share * f64::from(weights[at(other, k)])) as f32;
            }
        }
        let norm = libm::sqrt(dot(weights, vector, vector));
        for k in 0..len {
            weights[at(vector, k)] = (f64::from(weights[at(vector, k)]) / norm) as f32;
        }
    }
}

fn uniform(limit: f32, random: &mut Xoshiro256PlusPlus, weights: &mut [f32]) {
    weights.fill_with(|| (2.0 * unit(random) - 1.0) * limit);
}

/// From 0 to less than 1, in steps of 2⁻²⁴.
pub(crate) fn unit(random: &mut Xoshiro256PlusPlus) -> f32 {
    (random.next_u32() >> 8) as f32 / (1 << 24) as f32
}

/// Box and Muller, Annals of Mathematical Statistics 29, 1958.
fn normal(random: &mut Xoshiro256PlusPlus) -> f32 {
    let radius = libm::sqrtf(-2.0 * libm::logf(1.0 - unit(random)));
    radius * libm::cosf(2.0 * PI * unit(random))
}
