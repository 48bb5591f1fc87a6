use crate::support::{LENGTHS, Numbers, updated};
use bantam_kernels::reference::{self, Expected};
use bantam_kernels::{Isa, optimizer};

/// Weights, gradients of many magnitudes and some zeros, and states, of which squares are positive.
struct Step {
    weights: Box<[f32]>,
    gradients: Vec<f32>,
    means: Box<[f32]>,
    squares: Vec<f32>,
}

fn for_each_step(check: impl Fn(&Step)) {
    for len in LENGTHS {
        let scales = [1.0, 1e-4, 1e3, 0.0];
        let scaled = |seed| {
            let numbers = Numbers::Reals.take(seed, len);
            numbers.iter().zip(scales.iter().cycle()).map(|(x, scale)| x * scale).collect::<Vec<_>>()
        };
        let square = |x: &f32| x * x;
        check(&Step {
            weights: Numbers::Reals.take(1, len),
            gradients: scaled(2),
            means: Numbers::Reals.take(3, len),
            squares: scaled(4).iter().rev().map(square).collect(),
        });
        // The first step, from states of zeros.
        check(&Step {
            weights: Numbers::Reals.take(5, len),
            gradients: scaled(6),
            means: vec![0.0; len].into(),
            squares: vec![0.0; len],
        });
    }
}

/// `want` gives for each weight what it and its states must become, in the order of `got`.
fn compare<const N: usize>(isa: Isa, got: [&[f32]; N], want: impl Fn(usize) -> [Expected; N]) {
    for (array, got) in got.into_iter().enumerate() {
        let want = (0..got.len()).map(|i| want(i)[array]);
        Numbers::Reals.compare(&format!("{isa} array {array}"), got, want);
    }
}

pub fn sgd(isa: Isa) {
    for_each_step(|Step { weights, gradients, .. }| {
        let got = updated(weights, |weights| optimizer::sgd(isa, 0.1, weights, gradients).unwrap());
        compare(isa, [&got], |i| [reference::optimizer::sgd(0.1, weights[i], gradients[i])]);
    });
}

pub fn sgd_momentum(isa: Isa) {
    for_each_step(|Step { weights, gradients, means, .. }| {
        for nesterov in [false, true] {
            let mut moved = Vec::new();
            let velocity = updated(means, |velocity| {
                moved = updated(weights, |weights| {
                    optimizer::sgd_momentum(isa, 0.1, 0.9, nesterov, weights, velocity, gradients).unwrap();
                });
            });
            compare(isa, [&moved, &velocity], |i| {
                reference::optimizer::sgd_momentum(0.1, 0.9, nesterov, weights[i], means[i], gradients[i])
            });
        }
    });
}

pub fn rmsprop(isa: Isa) {
    for_each_step(|Step { weights, gradients, squares, .. }| {
        let mut moved = Vec::new();
        let square = updated(squares, |squares| {
            moved = updated(weights, |weights| {
                optimizer::rmsprop(isa, 1e-3, 0.9, 1e-7, weights, squares, gradients).unwrap();
            });
        });
        compare(isa, [&moved, &square], |i| {
            reference::optimizer::rmsprop(1e-3, 0.9, 1e-7, weights[i], squares[i], gradients[i])
        });
    });
}

pub fn adam(isa: Isa) {
    for_each_step(|Step { weights, gradients, means, squares }| {
        let (mut moved, mut mean) = (Vec::new(), Vec::new());
        let square = updated(squares, |squares| {
            mean = updated(means, |means| {
                moved = updated(weights, |weights| {
                    optimizer::adam(isa, 1e-3, 0.9, 0.999, 1e-7, weights, means, squares, gradients).unwrap();
                });
            });
        });
        compare(isa, [&moved, &mean, &square], |i| {
            let (w, m, s, g) = (weights[i], means[i], squares[i], gradients[i]);
            reference::optimizer::adam(1e-3, 0.9, 0.999, 1e-7, w, m, s, g)
        });
    });
}
