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

/// A step by its number: weights, state and gradients.
type Rule<'a> = &'a dyn Fn(Isa, &mut [f32], [&mut [f32]; 2], &[f32], i32);

/// Gradients that stop: state decays to zero and leaves out the subnormal numbers, with the same bits on
/// every instruction set.
#[test]
fn decaying_state_is_never_subnormal() {
    const LEN: usize = 33;
    let decay = |isa: Isa, rule: Rule<'_>| {
        let mut weights = Numbers::Reals.take(1, LEN);
        let [mut first, mut second] = [[0.0; LEN]; 2];
        let mut seen = Vec::new();
        for step in 1..=3000 {
            // A few large ones, then ever smaller ones down to the smallest there are, then none.
            let scale = if step <= 10 { 1.0 } else { f32::powi(0.7, step - 10) };
            let gradients: Vec<_> = Numbers::Reals.take(7, LEN).iter().map(|g| g * scale).collect();
            rule(isa, &mut weights, [&mut first, &mut second], &gradients, step);
            let state = first.iter().chain(&second);
            assert!(state.clone().all(|x| !x.is_subnormal()), "{isa}, step {step}: {first:?} {second:?}");
            seen.extend(state.chain(&*weights).map(|x| x.to_bits()));
        }
        assert!(first.iter().all(|&x| x == 0.0), "{isa}: {first:?}");
        seen
    };
    let same = |rule: Rule<'_>| {
        let scalar = decay(Isa::SCALAR, rule);
        for isa in crate::support::isas() {
            assert!(decay(isa, rule) == scalar, "{isa}");
        }
    };
    for nesterov in [false, true] {
        same(&|isa, w, [velocity, _], g, _| {
            optimizer::sgd_momentum(isa, 0.01, 0.9, nesterov, w, velocity, g).unwrap();
        });
    }
    same(&|isa, w, [square, _], g, _| optimizer::rmsprop(isa, 1e-3, 0.9, 1e-7, w, square, g).unwrap());
    same(&|isa, w, [mean, square], g, step| {
        let left = |beta: f32| 1.0 - beta.powi(step);
        let rate = 1e-3 * left(0.99).sqrt() / left(0.9);
        optimizer::adam(isa, rate, 0.9, 0.99, 1e-7, w, mean, square, g).unwrap();
    });
}
