use crate::support::{LENGTHS, Numbers, updated, written};
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

/// Weights and state after a step, in this order.
fn stepped<const N: usize, const ALL: usize>(
    weights: &[f32],
    state: [&[f32]; N],
    step: impl FnOnce(&mut [f32], [&mut [f32]; N]),
) -> [Vec<f32>; ALL] {
    const { assert!(ALL == N + 1) };
    let before = [&[weights], &state[..]].concat();
    let all = before.concat();
    let len = weights.len();
    // One array after the other, so that the canaries of the first and the last are those of all.
    let after = updated(&all, |all| {
        let (weights, mut rest) = all.split_at_mut(len);
        let state = [(); N].map(|()| {
            let (array, others) = std::mem::take(&mut rest).split_at_mut(len);
            rest = others;
            array
        });
        step(weights, state);
    });
    std::array::from_fn(|i| after[i * len..][..len].to_vec())
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

pub fn rmsprop_momentum(isa: Isa) {
    for_each_step(|Step { weights, gradients, means, squares }| {
        let got = stepped(weights, [squares, means], |w, [s, v]| {
            optimizer::rmsprop_momentum(isa, 1e-3, 0.9, 0.8, 1e-7, w, s, v, gradients).unwrap();
        });
        compare(isa, got.each_ref().map(|got| &**got), |i| {
            let (w, s, v, g) = (weights[i], squares[i], means[i], gradients[i]);
            let [w, s, _, v] =
                reference::optimizer::rmsprop_variant(1e-3, 0.9, Some(0.8), 1e-7, w, s, None, v, g);
            [w, s, v]
        });
    });
}

pub fn rmsprop_centered(isa: Isa) {
    for_each_step(|Step { weights, gradients, means, squares }| {
        let got = stepped(weights, [squares, means], |w, [s, m]| {
            optimizer::rmsprop_centered(isa, 1e-3, 0.9, 1e-7, w, s, m, gradients).unwrap();
        });
        compare(isa, got.each_ref().map(|got| &**got), |i| {
            let (w, s, m, g) = (weights[i], squares[i], Some(means[i]), gradients[i]);
            let [w, s, m, _] = reference::optimizer::rmsprop_variant(1e-3, 0.9, None, 1e-7, w, s, m, 0.0, g);
            [w, s, m]
        });
    });
}

pub fn rmsprop_centered_momentum(isa: Isa) {
    for_each_step(|Step { weights, gradients, means, squares }| {
        let velocities = means.iter().map(|v| v * 0.01).rev().collect::<Vec<_>>();
        let got = stepped(weights, [squares, means, &velocities], |w, [s, m, v]| {
            optimizer::rmsprop_centered_momentum(isa, 1e-3, 0.9, 0.8, 1e-7, w, s, m, v, gradients).unwrap();
        });
        compare(isa, got.each_ref().map(|got| &**got), |i| {
            let (w, s, m, v, g) = (weights[i], squares[i], Some(means[i]), velocities[i], gradients[i]);
            reference::optimizer::rmsprop_variant(1e-3, 0.9, Some(0.8), 1e-7, w, s, m, v, g)
        });
    });
}

pub fn adagrad(isa: Isa) {
    for_each_step(|Step { weights, gradients, squares, .. }| {
        let got = stepped(weights, [squares], |w, [s]| {
            optimizer::adagrad(isa, 1e-3, 1e-7, w, s, gradients).unwrap();
        });
        compare(isa, got.each_ref().map(|got| &**got), |i| {
            reference::optimizer::adagrad(1e-3, 1e-7, weights[i], squares[i], gradients[i])
        });
    });
}

pub fn amsgrad(isa: Isa) {
    for_each_step(|Step { weights, gradients, means, squares }| {
        let largest = squares.iter().rev().copied().collect::<Vec<_>>();
        let got = stepped(weights, [means, squares, &largest], |w, [m, s, l]| {
            optimizer::amsgrad(isa, 1e-3, 0.9, 0.999, 1e-7, w, m, s, l, gradients).unwrap();
        });
        compare(isa, got.each_ref().map(|got| &**got), |i| {
            let (w, m, s, l, g) = (weights[i], means[i], squares[i], largest[i], gradients[i]);
            reference::optimizer::amsgrad(1e-3, 0.9, 0.999, 1e-7, w, m, s, l, g)
        });
    });
}

pub fn adamax(isa: Isa) {
    for_each_step(|Step { weights, gradients, means, squares }| {
        let got = stepped(weights, [means, squares], |w, [m, u]| {
            optimizer::adamax(isa, 1e-3, 0.9, 0.999, 1e-7, w, m, u, gradients).unwrap();
        });
        compare(isa, got.each_ref().map(|got| &**got), |i| {
            let (w, m, u, g) = (weights[i], means[i], squares[i], gradients[i]);
            reference::optimizer::adamax(1e-3, 0.9, 0.999, 1e-7, w, m, u, g)
        });
    });
}

pub fn nadam(isa: Isa) {
    let factors = [2e-3, 5e-4];
    for_each_step(|Step { weights, gradients, means, squares }| {
        let got = stepped(weights, [means, squares], |w, [m, s]| {
            optimizer::nadam(isa, factors, 0.9, 0.999, 1e-7, w, m, s, gradients).unwrap();
        });
        compare(isa, got.each_ref().map(|got| &**got), |i| {
            let (w, m, s, g) = (weights[i], means[i], squares[i], gradients[i]);
            reference::optimizer::nadam(factors, 0.9, 0.999, 1e-7, w, m, s, g)
        });
    });
}

pub fn lion(isa: Isa) {
    for_each_step(|Step { weights, gradients, means, .. }| {
        let got = stepped(weights, [means], |w, [m]| {
            optimizer::lion(isa, 1e-3, 0.9, 0.99, w, m, gradients).unwrap();
        });
        compare(isa, got.each_ref().map(|got| &**got), |i| {
            reference::optimizer::lion(1e-3, 0.9, 0.99, weights[i], means[i], gradients[i])
        });
    });
    // Zero has no direction, and NaN is not taken for one.
    let [mut weights, mut mean] = [[1.0, 2.0], [0.0; 2]];
    optimizer::lion(isa, 1e-3, 0.9, 0.99, &mut weights, &mut mean, &[0.0, f32::NAN]).unwrap();
    assert!(weights[0] == 1.0 && weights[1].is_nan(), "{isa}: {weights:?}");
}

pub fn ema(isa: Isa) {
    for_each_step(|Step { weights, means, .. }| {
        let got = updated(means, |average| optimizer::ema(isa, 0.99, average, weights).unwrap());
        compare(isa, [&got], |i| [reference::optimizer::ema(0.99, means[i], weights[i])]);
    });
}

pub fn clip(isa: Isa) {
    for_each_step(|Step { gradients, .. }| {
        let got = written(gradients.len(), |y| optimizer::clip(isa, 0.3, gradients, y).unwrap());
        compare(isa, [&got], |i| [reference::optimizer::clip(0.3, gradients[i])]);
    });
    let mut clipped = [0.0; 3];
    optimizer::clip(isa, 0.3, &[f32::NAN, f32::INFINITY, -1e-40], &mut clipped).unwrap();
    assert!(clipped[0].is_nan() && clipped[1..] == [0.3, -1e-40], "{isa}: {clipped:?}");
}

pub fn scale(isa: Isa) {
    for_each_step(|Step { gradients, .. }| {
        let got = written(gradients.len(), |y| optimizer::scale(isa, 0.3, gradients, y).unwrap());
        compare(isa, [&got], |i| [reference::optimizer::scale(0.3, gradients[i])]);
    });
}

pub fn decay(isa: Isa) {
    for_each_step(|Step { weights, .. }| {
        let got = updated(weights, |w| optimizer::decay(isa, 0.02, w));
        compare(isa, [&got], |i| [reference::optimizer::decay(0.02, weights[i])]);
    });
}

/// A step by its number: weights, state and gradients.
type Rule<'a> = &'a dyn Fn(Isa, &mut [f32], [&mut [f32]; 3], &[f32], i32);

/// Gradients that stop: state decays to zero and leaves out the subnormal numbers, with the same bits on
/// every instruction set.
#[test]
fn decaying_state_is_never_subnormal() {
    const LEN: usize = 33;
    let decay = |isa: Isa, rule: Rule<'_>| {
        let mut weights = Numbers::Reals.take(1, LEN);
        let [mut first, mut second, mut third] = [[0.0; LEN]; 3];
        let mut seen = Vec::new();
        for step in 1..=3000 {
            // A few large ones, then ever smaller ones down to the smallest there are, then none.
            let scale = if step <= 10 { 1.0 } else { f32::powi(0.7, step - 10) };
            let gradients: Vec<_> = Numbers::Reals.take(7, LEN).iter().map(|g| g * scale).collect();
            rule(isa, &mut weights, [&mut first, &mut second, &mut third], &gradients, step);
            let state = first.iter().chain(&second).chain(&third);
            let none = state.clone().chain(&*weights).all(|x| !x.is_subnormal());
            assert!(none, "{isa}, step {step}: {first:?} {second:?} {third:?} {weights:?}");
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
        same(&|isa, w, [velocity, ..], g, _| {
            optimizer::sgd_momentum(isa, 0.01, 0.9, nesterov, w, velocity, g).unwrap();
        });
    }
    same(&|isa, w, [square, ..], g, _| optimizer::rmsprop(isa, 1e-3, 0.9, 1e-7, w, square, g).unwrap());
    same(&|isa, w, [mean, square, _], g, step| {
        let left = |beta: f32| 1.0 - beta.powi(step);
        let rate = 1e-3 * left(0.99).sqrt() / left(0.9);
        optimizer::adam(isa, rate, 0.9, 0.99, 1e-7, w, mean, square, g).unwrap();
    });
    same(&|isa, w, [velocity, square, _], g, _| {
        optimizer::rmsprop_momentum(isa, 1e-3, 0.9, 0.8, 1e-7, w, square, velocity, g).unwrap();
    });
    same(&|isa, w, [mean, square, _], g, _| {
        optimizer::rmsprop_centered(isa, 1e-3, 0.9, 1e-7, w, square, mean, g).unwrap();
    });
    same(&|isa, w, [velocity, square, mean], g, _| {
        optimizer::rmsprop_centered_momentum(isa, 1e-3, 0.9, 0.8, 1e-7, w, square, mean, velocity, g)
            .unwrap();
    });
    same(&|isa, w, [_, sum, _], g, _| optimizer::adagrad(isa, 1e-3, 1e-7, w, sum, g).unwrap());
    same(&|isa, w, [mean, square, largest], g, _| {
        optimizer::amsgrad(isa, 1e-3, 0.9, 0.99, 1e-7, w, mean, square, largest, g).unwrap();
    });
    same(&|isa, w, [mean, norm, _], g, _| {
        optimizer::adamax(isa, 1e-3, 0.9, 0.9, 1e-7, w, mean, norm, g).unwrap();
    });
    same(&|isa, w, [mean, square, _], g, _| {
        optimizer::nadam(isa, [2e-3, 5e-4], 0.9, 0.99, 1e-7, w, mean, square, g).unwrap();
    });
    same(&|isa, w, [mean, ..], g, _| optimizer::lion(isa, 1e-3, 0.9, 0.95, w, mean, g).unwrap());
    // Weights decay to zero, and their average behind them.
    same(&|isa, w, [average, scaled, _], g, step| {
        optimizer::scale(isa, 1e-3, g, scaled).unwrap();
        optimizer::decay(isa, if step <= 10 { 0.01 } else { 0.5 }, w);
        optimizer::ema(isa, 0.9, average, w).unwrap();
        assert!(step < 3000 || w.iter().all(|&w| w == 0.0), "{isa}: {w:?}");
    });
}
