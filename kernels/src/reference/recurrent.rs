//! One unit of a recurrent layer's step. Errors go along with the numbers, as each is computed from others.

use super::{Expected, LEAST, gamma};
use libm::fabs;

/// Roundings of a sigmoid or a tangent: the exponential's, that of a sum and that of a quotient.
const FUNCTION: usize = 4;

fn exact(x: f32) -> Expected {
    Expected { value: x.into(), error: 0.0 }
}

/// After so many roundings of a number that is off already.
fn rounded(value: f64, error: f64, roundings: usize) -> Expected {
    Expected { value, error: error + gamma(roundings) * (fabs(value) + error) }
}

fn add(a: Expected, b: Expected) -> Expected {
    rounded(a.value + b.value, a.error + b.error, 1)
}

fn sub(a: Expected, b: Expected) -> Expected {
    add(a, Expected { value: -b.value, ..b })
}

fn mul(a: Expected, b: Expected) -> Expected {
    let error = fabs(a.value) * b.error + fabs(b.value) * a.error + a.error * b.error;
    let product = rounded(a.value * b.value, error, 1);
    // Half of the smallest subnormal number.
    Expected { error: product.error + f64::from(f32::from_bits(1)) / 2.0, ..product }
}

/// What counts as zero if it is no larger than 2⁻¹⁰⁰.
fn flushed(x: Expected) -> Expected {
    Expected { error: x.error + LEAST, ..x }
}

/// No steeper than a quarter; 0 where it would be below the normal numbers.
fn sigmoid(x: Expected) -> Expected {
    let y = rounded(1.0 / (1.0 + libm::exp(-x.value)), x.error / 4.0, FUNCTION);
    Expected { error: y.error + f64::from(f32::MIN_POSITIVE), ..y }
}

/// No steeper than one.
fn tanh(x: Expected) -> Expected {
    rounded(libm::tanh(x.value), x.error, FUNCTION)
}

fn sigmoid_grad(y: Expected, d: Expected) -> Expected {
    flushed(mul(d, flushed(mul(y, sub(exact(1.0), y)))))
}

fn tanh_grad(y: Expected, d: Expected) -> Expected {
    let one = exact(1.0);
    flushed(mul(d, flushed(mul(sub(one, y), add(one, y)))))
}

/// The gates, the cell and the state.
pub fn lstm(products: [f32; 4], sums: [f32; 4], cell: f32) -> [Expected; 6] {
    let sum = |gate: usize| add(exact(sums[gate]), exact(products[gate]));
    let [i, f, o] = [0, 1, 3].map(|gate| sigmoid(sum(gate)));
    let g = tanh(sum(2));
    let c = flushed(add(mul(f, exact(cell)), mul(i, g)));
    [i, f, g, o, c, flushed(mul(o, tanh(c)))]
}

/// The gradients to the sums and to the cell before, from those to the state and to the cell behind.
pub fn lstm_grad(gates: [f32; 4], [before, cell]: [f32; 2], [d_state, d_cell]: [f32; 2]) -> [Expected; 5] {
    let [i, f, g, o] = gates.map(exact);
    let (d_h, tanh) = (exact(d_state), tanh(exact(cell)));
    let d_c = add(exact(d_cell), tanh_grad(tanh, mul(d_h, o)));
    let d_f = sigmoid_grad(f, mul(d_c, exact(before)));
    let [d_i, d_o] = [sigmoid_grad(i, mul(d_c, g)), sigmoid_grad(o, mul(d_h, tanh))];
    [d_i, d_f, tanh_grad(g, mul(d_c, i)), d_o, flushed(mul(d_c, f))]
}

/// The gates, the inner product and the state.
pub fn gru(products: [f32; 3], sums: [f32; 3], state: f32) -> [Expected; 5] {
    let [z, r] = [0, 1].map(|gate: usize| sigmoid(add(exact(sums[gate]), exact(products[gate]))));
    let inner = exact(products[2]);
    let h = tanh(add(exact(sums[2]), mul(r, inner)));
    [z, r, h, inner, flushed(add(h, mul(z, sub(exact(state), h))))]
}

/// The gradients to the sums, to the inner product, and to the state before but for the products, from that to the state
/// behind.
pub fn gru_grad(gates: [f32; 3], inner: f32, before: f32, d_state: f32) -> [Expected; 5] {
    let [z, r, h] = gates.map(exact);
    let d = exact(d_state);
    let d_z = sigmoid_grad(z, mul(d, sub(exact(before), h)));
    let d_h = tanh_grad(h, mul(d, sub(exact(1.0), z)));
    let d_r = sigmoid_grad(r, mul(d_h, exact(inner)));
    [d_z, d_r, d_h, flushed(mul(d_h, r)), flushed(mul(d, z))]
}
