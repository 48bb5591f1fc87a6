use crate::support::{Numbers, shapes, updated, written};
use bantam_kernels::reference::{Expected, recurrent as reference};
use bantam_kernels::{Isa, recurrent};
use std::array;

const LISTED: [(usize, usize); 8] = [(1, 1), (0, 5), (1, 8), (3, 7), (2, 16), (5, 33), (1, 100), (4, 65)];

fn for_each_shape(check: impl Fn(usize, usize)) {
    shapes(LISTED, (0..9usize, 1..130usize), |(rows, units)| check(rows, units));
}

/// So many numbers, some far out in the functions' flat parts, and one NaN if there are many.
fn wide(seed: u64, len: usize) -> Vec<f32> {
    let far = |(i, x): (usize, &f32)| if i % 7 == 3 { 120.0 * x } else { 3.0 * x };
    let mut x: Vec<f32> = Numbers::Reals.take(seed, len).iter().enumerate().map(far).collect();
    if len > 100 {
        x[99] = f32::NAN;
    }
    x
}

fn reals(seed: u64, len: usize) -> Vec<f32> {
    Numbers::Reals.take(seed, len).to_vec()
}

/// From 0 to 1, as gates are, and from -1 to 1 for that of such an index.
fn open(seed: u64, gates: usize, signed: usize, rows: usize, units: usize) -> Vec<f32> {
    let open = |(i, x): (usize, f32)| if i / units % gates == signed { x } else { (x + 1.0) / 2.0 };
    reals(seed, gates * rows * units).into_iter().enumerate().map(open).collect()
}

/// A unit's gates, of `[rows, N, units]`.
fn gates<const N: usize>(x: &[f32], units: usize, at: usize) -> [f32; N] {
    array::from_fn(|gate| x[(at / units * N + gate) * units + at % units])
}

/// Compares arrays, each `[rows, gates, units]`, with what is expected of each unit, gate by gate.
fn compare<const N: usize>(
    what: &str,
    units: usize,
    arrays: &[(&str, &[f32], &[usize])],
    want: impl Fn(usize) -> [Expected; N],
) {
    for (name, got, of) in arrays {
        let len = got.len() / of.len();
        let expected = (0..got.len()).map(|i| {
            let (row, gate, unit) = (i / (of.len() * units), i / units % of.len(), i % units);
            want(row * units + unit)[of[gate]]
        });
        Numbers::Reals.compare(&format!("{what}, {len}: {name}"), got, expected);
    }
}

pub fn lstm(isa: Isa) {
    for_each_shape(|rows, units| {
        let len = rows * units;
        let (products, sums, before) = (wide(1, 4 * len), reals(2, 4 * len), reals(3, len));
        let (mut cell, mut state) = (Vec::new(), Vec::new());
        let got = updated(&sums, |got| {
            state = written(len, |state| {
                cell = updated(&before, |cell| {
                    recurrent::lstm(isa, rows, units, &products, got, cell, state).unwrap();
                });
            });
        });
        let arrays: [(_, &[f32], &[usize]); 3] =
            [("gates", &got, &[0, 1, 2, 3]), ("cell", &cell, &[4]), ("state", &state, &[5])];
        compare(&format!("{isa} {rows}x{units}"), units, &arrays, |at| {
            reference::lstm(gates(&products, units, at), gates(&sums, units, at), before[at])
        });
    });
}

pub fn lstm_grad(isa: Isa) {
    for_each_shape(|rows, units| {
        let (len, open) = (rows * units, open(1, 4, 2, rows, units));
        let [before, cell, d_state, d_cell] = [2, 3, 4, 5].map(|seed| wide(seed, len));
        let mut d_before = Vec::new();
        let d_sums = written(4 * len, |d_sums| {
            d_before = updated(&d_cell, |d_cell| {
                recurrent::lstm_grad(isa, rows, units, &open, &before, &cell, &d_state, d_cell, d_sums)
                    .unwrap();
            });
        });
        let arrays: [(_, &[f32], &[usize]); 2] =
            [("sums", &d_sums, &[0, 1, 2, 3]), ("cell before", &d_before, &[4])];
        compare(&format!("{isa} {rows}x{units}"), units, &arrays, |at| {
            let (cells, d) = ([before[at], cell[at]], [d_state[at], d_cell[at]]);
            reference::lstm_grad(gates(&open, units, at), cells, d)
        });
    });
}

pub fn gru(isa: Isa) {
    for_each_shape(|rows, units| {
        let len = rows * units;
        let (products, sums, before) = (wide(1, 3 * len), reals(2, 3 * len), reals(3, len));
        let (mut inner, mut state) = (Vec::new(), Vec::new());
        let got = updated(&sums, |got| {
            inner = written(len, |inner| {
                state = updated(&before, |state| {
                    recurrent::gru(isa, rows, units, &products, got, inner, state).unwrap();
                });
            });
        });
        let arrays: [(_, &[f32], &[usize]); 3] =
            [("gates", &got, &[0, 1, 2]), ("inner products", &inner, &[3]), ("state", &state, &[4])];
        compare(&format!("{isa} {rows}x{units}"), units, &arrays, |at| {
            reference::gru(gates(&products, units, at), gates(&sums, units, at), before[at])
        });
    });
}

pub fn gru_grad(isa: Isa) {
    for_each_shape(|rows, units| {
        let (len, open) = (rows * units, open(1, 3, 2, rows, units));
        let [inner, before, d_state] = [2, 3, 4].map(|seed| wide(seed, len));
        let (mut d_before, mut d_products) = (Vec::new(), Vec::new());
        let d_sums = written(3 * len, |d_sums| {
            d_products = written(3 * len, |d_products| {
                d_before = updated(&d_state, |d| {
                    recurrent::gru_grad(isa, rows, units, &open, &inner, &before, d, d_sums, d_products)
                        .unwrap();
                });
            });
        });
        let arrays: [(_, &[f32], &[usize]); 3] = [
            ("sums", &d_sums, &[0, 1, 2]),
            ("products", &d_products, &[0, 1, 3]),
            ("state before", &d_before, &[4]),
        ];
        compare(&format!("{isa} {rows}x{units}"), units, &arrays, |at| {
            reference::gru_grad(gates(&open, units, at), inner[at], before[at], d_state[at])
        });
    });
}
