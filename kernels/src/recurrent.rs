//! The gates of recurrent layers: one step in time, of all samples. The sums that go into the gates are products, which
//! are [convolutions](crate::conv2d) of one-pixel images: of the input, for all steps at once, and of the state.
//!
//! Arrays are `[rows, units]`, a row a sample; those of several gates are `[rows, gates, units]`. What decays goes to
//! zero before it is subnormal: nothing above 2⁻¹⁰⁰ is touched.

use crate::elementwise::{Function, Sigmoid, Tanh};
use crate::error::{check, check_sizes, elements};
use crate::simd::{LEAST, Operation, Simd};
use crate::{Error, Isa};

/// Gates of an LSTM: input, forget, cell and output, in Keras's order.
const LSTM_GATES: usize = 4;

/// Gates of a GRU: update, reset and candidate, in Keras's order.
const GRU_GATES: usize = 3;

/// A step of a long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9, 1997, with the forget gate of Gers
/// et al., Neural Computation 12, 2000). `gates` are the products of the input with the bias and become the gates `i`, `f`,
/// `g` and `o`, `products` are those of the state; `cell` becomes `f cell + i g`, and `state` `o tanh(cell)`.
///
/// # Errors
/// There are no units, or a slice's length differs from its shape's.
///
/// ```
/// use bantam_kernels::{Isa, recurrent};
/// let (mut gates, mut cell, mut state) = ([0.0; 4], [1.0], [0.0]);
/// recurrent::lstm(Isa::detect(), 1, 1, &[0.0; 4], &mut gates, &mut cell, &mut state)?;
/// assert_eq!((gates, cell), ([0.5, 0.5, 0.0, 0.5], [0.5]));
/// assert!((state[0] - 0.5 * 0.5_f32.tanh()).abs() < 1e-6);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn lstm(
    isa: Isa,
    rows: usize,
    units: usize,
    products: &[f32],
    gates: &mut [f32],
    cell: &mut [f32],
    state: &mut [f32],
) -> Result<(), Error> {
    let len = check_step([rows, LSTM_GATES, units], gates)?;
    check("products", products, gates.len())?;
    check("cell", cell, len)?;
    check("state", state, len)?;
    isa.run(Lstm { units, products, gates, cell, state });
    Ok(())
}

/// The gradients of [`lstm`]: from its gates, the cell before it and behind it, the gradient to the state and `d_cell`, that
/// to the cell behind it, to the gates' sums. `d_cell` becomes the gradient to the cell before it; that to the state before
/// is a product of `d_sums`.
///
/// # Errors
/// As [`lstm`].
#[expect(clippy::too_many_arguments, reason = "two sizes and six slices")]
pub fn lstm_grad(
    isa: Isa,
    rows: usize,
    units: usize,
    gates: &[f32],
    cell_before: &[f32],
    cell: &[f32],
    d_state: &[f32],
    d_cell: &mut [f32],
    d_sums: &mut [f32],
) -> Result<(), Error> {
    let len = check_step([rows, LSTM_GATES, units], gates)?;
    check("cell before", cell_before, len)?;
    check("cell", cell, len)?;
    check("state gradient", d_state, len)?;
    check("cell gradient", d_cell, len)?;
    check("gradient to the sums", d_sums, gates.len())?;
    isa.run(LstmGrad { units, gates, cell_before, cell, d_state, d_cell, d_sums });
    Ok(())
}

/// A step of a gated recurrent unit (Cho et al., arXiv 1406.1078) whose reset gate comes after the product. `gates` are the
/// products of the input with the bias and become `z`, `r` and the candidate `h = tanh(sum + r inner)`; `products` are those of
/// the state with a bias of their own, and `inner` becomes the last of them. `state` becomes `z state + (1 - z) h`.
///
/// # Errors
/// There are no units, or a slice's length differs from its shape's.
///
/// ```
/// use bantam_kernels::{Isa, recurrent};
/// let (mut gates, mut inner, mut state) = ([0.0; 3], [7.0], [1.0]);
/// recurrent::gru(Isa::detect(), 1, 1, &[0.0; 3], &mut gates, &mut inner, &mut state)?;
/// assert_eq!((gates, inner, state), ([0.5, 0.5, 0.0], [0.0], [0.5]));
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn gru(
    isa: Isa,
    rows: usize,
    units: usize,
    products: &[f32],
    gates: &mut [f32],
    inner: &mut [f32],
    state: &mut [f32],
) -> Result<(), Error> {
    let len = check_step([rows, GRU_GATES, units], gates)?;
    check("products", products, gates.len())?;
    check("inner products", inner, len)?;
    check("state", state, len)?;
    isa.run(Gru { units, products, gates, inner, state });
    Ok(())
}

/// The gradients of [`gru`]: from its gates, inner products, the state before it and `d_state`, the gradient to the state
/// behind it, to the sums and to the products. `d_state` becomes the part of the gradient to the state before that does not
/// go through the products.
///
/// # Errors
/// As [`gru`].
#[expect(clippy::too_many_arguments, reason = "two sizes and six slices")]
pub fn gru_grad(
    isa: Isa,
    rows: usize,
    units: usize,
    gates: &[f32],
    inner: &[f32],
    state_before: &[f32],
    d_state: &mut [f32],
    d_sums: &mut [f32],
    d_products: &mut [f32],
) -> Result<(), Error> {
    let len = check_step([rows, GRU_GATES, units], gates)?;
    check("inner products", inner, len)?;
    check("state before", state_before, len)?;
    check("state gradient", d_state, len)?;
    check("gradient to the sums", d_sums, gates.len())?;
    check("gradient to the products", d_products, gates.len())?;
    isa.run(GruGrad { units, gates, inner, state_before, d_state, d_sums, d_products });
    Ok(())
}

/// Checks the gates of a step, `[rows, gates, units]`. Gives the length of a state.
fn check_step([rows, count, units]: [usize; 3], gates: &[f32]) -> Result<usize, Error> {
    check_sizes(&["units"], [units])?;
    check("gates", gates, elements("gates", &[rows, count, units])?)?;
    Ok(rows * units)
}

/// Some units of a row: a vector of them, or what is left behind whole ones.
#[derive(Clone, Copy)]
struct Part {
    units: usize,
    at: usize,
    n: usize,
}

impl Part {
    /// Those of a gate, in the gates of a row.
    #[inline(always)]
    fn load<S: Simd>(self, simd: S, row: &[f32], gate: usize) -> S::Vector {
        let part = &row[gate * self.units + self.at..][..self.n];
        // SAFETY: the slice is as long, and `n <= LANES`.
        unsafe { simd.load_n(part.as_ptr(), self.n) }
    }

    #[inline(always)]
    fn store<S: Simd>(self, simd: S, row: &mut [f32], gate: usize, x: S::Vector) {
        let part = &mut row[gate * self.units + self.at..][..self.n];
        // SAFETY: the slice is as long, and `n <= LANES`.
        unsafe { simd.store_n(part.as_mut_ptr(), x, self.n) }
    }
}

/// Calls `$step` with each part of a row.
macro_rules! for_each_part {
    ($S:ident, $units:expr, |$part:ident| $step:expr) => {{
        let units = $units;
        let whole = units / $S::LANES * $S::LANES;
        for at in (0..whole).step_by($S::LANES) {
            let $part = Part { units, at, n: $S::LANES };
            $step;
        }
        if whole < units {
            let $part = Part { units, at: whole, n: units - whole };
            $step;
        }
    }};
}

#[inline(always)]
fn value<F: Function, S: Simd>(function: F, simd: S, x: S::Vector) -> S::Vector {
    function.value(simd, x)
}

/// The gradient to the input of a function, from its output and the one to that.
#[inline(always)]
fn grad<F: Function, S: Simd>(function: F, simd: S, y: S::Vector, d: S::Vector) -> S::Vector {
    function.grad(simd, y, d)
}

#[inline(always)]
fn flush<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    simd.flush(x, simd.splat(LEAST))
}

struct Lstm<'a> {
    units: usize,
    products: &'a [f32],
    gates: &'a mut [f32],
    cell: &'a mut [f32],
    state: &'a mut [f32],
}

impl Operation for Lstm<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (units, all) = (self.units, LSTM_GATES * self.units);
        let states = self.cell.chunks_exact_mut(units).zip(self.state.chunks_exact_mut(units));
        let sums = self.products.chunks_exact(all).zip(self.gates.chunks_exact_mut(all));
        for ((products, gates), (cell, state)) in sums.zip(states) {
            for_each_part!(S, units, |part| lstm_part(simd, part, products, gates, cell, state));
        }
    }
}

#[inline(always)]
fn lstm_part<S: Simd>(
    simd: S,
    part: Part,
    products: &[f32],
    gates: &mut [f32],
    cell: &mut [f32],
    state: &mut [f32],
) {
    let mut sums = [simd.splat(0.0); LSTM_GATES];
    for (gate, sum) in sums.iter_mut().enumerate() {
        *sum = simd.add(part.load(simd, gates, gate), part.load(simd, products, gate));
    }
    let [i, f, g, o] = sums;
    let (i, f) = (value(Sigmoid, simd, i), value(Sigmoid, simd, f));
    let (g, o) = (value(Tanh, simd, g), value(Sigmoid, simd, o));
    let c = flush(simd, simd.mul_add(f, part.load(simd, cell, 0), simd.mul(i, g)));
    let h = flush(simd, simd.mul(o, value(Tanh, simd, c)));
    for (gate, x) in [i, f, g, o].into_iter().enumerate() {
        part.store(simd, gates, gate, x);
    }
    part.store(simd, cell, 0, c);
    part.store(simd, state, 0, h);
}

struct LstmGrad<'a> {
    units: usize,
    gates: &'a [f32],
    cell_before: &'a [f32],
    cell: &'a [f32],
    d_state: &'a [f32],
    d_cell: &'a mut [f32],
    d_sums: &'a mut [f32],
}

impl Operation for LstmGrad<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (units, all) = (self.units, LSTM_GATES * self.units);
        let cells = self.cell_before.chunks_exact(units).zip(self.cell.chunks_exact(units));
        let states = self.d_state.chunks_exact(units).zip(self.d_cell.chunks_exact_mut(units));
        let sums = self.gates.chunks_exact(all).zip(self.d_sums.chunks_exact_mut(all));
        for (((gates, d_sums), cells), (d_state, d_cell)) in sums.zip(cells).zip(states) {
            for_each_part!(S, units, |part| lstm_grad_part(
                simd, part, gates, cells, d_state, d_cell, d_sums
            ));
        }
    }
}

#[inline(always)]
fn lstm_grad_part<S: Simd>(
    simd: S,
    part: Part,
    gates: &[f32],
    (cell_before, cell): (&[f32], &[f32]),
    d_state: &[f32],
    d_cell: &mut [f32],
    d_sums: &mut [f32],
) {
    let mut loaded = [simd.splat(0.0); LSTM_GATES];
    for (gate, x) in loaded.iter_mut().enumerate() {
        *x = part.load(simd, gates, gate);
    }
    let [i, f, g, o] = loaded;
    let d_h = part.load(simd, d_state, 0);
    let tanh = value(Tanh, simd, part.load(simd, cell, 0));
    let through_state = grad(Tanh, simd, tanh, simd.mul(d_h, o));
    let d_c = simd.add(part.load(simd, d_cell, 0), through_state);
    let d_i = grad(Sigmoid, simd, i, simd.mul(d_c, g));
    let d_f = grad(Sigmoid, simd, f, simd.mul(d_c, part.load(simd, cell_before, 0)));
    let d_g = grad(Tanh, simd, g, simd.mul(d_c, i));
    let d_o = grad(Sigmoid, simd, o, simd.mul(d_h, tanh));
    for (gate, d) in [d_i, d_f, d_g, d_o].into_iter().enumerate() {
        part.store(simd, d_sums, gate, d);
    }
    part.store(simd, d_cell, 0, flush(simd, simd.mul(d_c, f)));
}

struct Gru<'a> {
    units: usize,
    products: &'a [f32],
    gates: &'a mut [f32],
    inner: &'a mut [f32],
    state: &'a mut [f32],
}

impl Operation for Gru<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (units, all) = (self.units, GRU_GATES * self.units);
        let states = self.inner.chunks_exact_mut(units).zip(self.state.chunks_exact_mut(units));
        let sums = self.products.chunks_exact(all).zip(self.gates.chunks_exact_mut(all));
        for ((products, gates), (inner, state)) in sums.zip(states) {
            for_each_part!(S, units, |part| gru_part(simd, part, products, gates, inner, state));
        }
    }
}

#[inline(always)]
fn gru_part<S: Simd>(
    simd: S,
    part: Part,
    products: &[f32],
    gates: &mut [f32],
    inner: &mut [f32],
    state: &mut [f32],
) {
    let z = value(Sigmoid, simd, simd.add(part.load(simd, gates, 0), part.load(simd, products, 0)));
    let r = value(Sigmoid, simd, simd.add(part.load(simd, gates, 1), part.load(simd, products, 1)));
    let product = part.load(simd, products, 2);
    let candidate = value(Tanh, simd, simd.mul_add(r, product, part.load(simd, gates, 2)));
    let apart = simd.sub(part.load(simd, state, 0), candidate);
    let h = flush(simd, simd.mul_add(z, apart, candidate));
    for (gate, x) in [z, r, candidate].into_iter().enumerate() {
        part.store(simd, gates, gate, x);
    }
    part.store(simd, inner, 0, product);
    part.store(simd, state, 0, h);
}

struct GruGrad<'a> {
    units: usize,
    gates: &'a [f32],
    inner: &'a [f32],
    state_before: &'a [f32],
    d_state: &'a mut [f32],
    d_sums: &'a mut [f32],
    d_products: &'a mut [f32],
}

impl Operation for GruGrad<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (units, all) = (self.units, GRU_GATES * self.units);
        let states = self.inner.chunks_exact(units).zip(self.state_before.chunks_exact(units));
        let states = states.zip(self.d_state.chunks_exact_mut(units));
        let d_gates = self.d_sums.chunks_exact_mut(all).zip(self.d_products.chunks_exact_mut(all));
        for ((gates, d_gates), (saved, d_state)) in self.gates.chunks_exact(all).zip(d_gates).zip(states) {
            let (d_sums, d_products) = d_gates;
            for_each_part!(S, units, |part| gru_grad_part(
                simd, part, gates, saved, d_state, d_sums, d_products
            ));
        }
    }
}

#[inline(always)]
fn gru_grad_part<S: Simd>(
    simd: S,
    part: Part,
    gates: &[f32],
    (inner, state_before): (&[f32], &[f32]),
    d_state: &mut [f32],
    d_sums: &mut [f32],
    d_products: &mut [f32],
) {
    let (z, r) = (part.load(simd, gates, 0), part.load(simd, gates, 1));
    let candidate = part.load(simd, gates, 2);
    let d_h = part.load(simd, d_state, 0);
    let apart = simd.sub(part.load(simd, state_before, 0), candidate);
    let d_z = grad(Sigmoid, simd, z, simd.mul(d_h, apart));
    let rest = simd.sub(simd.splat(1.0), z);
    let d_candidate = grad(Tanh, simd, candidate, simd.mul(d_h, rest));
    let d_r = grad(Sigmoid, simd, r, simd.mul(d_candidate, part.load(simd, inner, 0)));
    for (gate, d) in [d_z, d_r, d_candidate].into_iter().enumerate() {
        part.store(simd, d_sums, gate, d);
    }
    let d_inner = flush(simd, simd.mul(d_candidate, r));
    for (gate, d) in [d_z, d_r, d_inner].into_iter().enumerate() {
        part.store(simd, d_products, gate, d);
    }
    part.store(simd, d_state, 0, flush(simd, simd.mul(d_h, z)));
}
