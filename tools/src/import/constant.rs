//! Constants: numbers where a file has them, and views of these.

use super::refused::Refused;
use bytes::Bytes;
use std::rc::Rc;

/// A whole number of a shape, as it is computed by a graph: the batch may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Int {
    /// That number.
    Known(i64),
    /// So many times the batch.
    Batch(i64),
}

impl Int {
    /// The product, if it is at most linear in the batch.
    pub fn times(self, other: Int) -> Option<Int> {
        match (self, other) {
            (Int::Known(a), Int::Known(b)) => a.checked_mul(b).map(Int::Known),
            (Int::Batch(a), Int::Known(b)) | (Int::Known(b), Int::Batch(a)) => {
                a.checked_mul(b).map(Int::Batch)
            }
            (Int::Batch(_), Int::Batch(_)) => None,
        }
    }

    /// The quotient, if it is whole whatever the batch.
    pub fn over(self, other: Int) -> Option<Int> {
        let exact = |a: i64, b: i64| (a.checked_rem(b)? == 0).then(|| a / b);
        match (self, other) {
            (Int::Known(a), Int::Known(b)) => exact(a, b).map(Int::Known),
            (Int::Batch(a), Int::Known(b)) => exact(a, b).map(Int::Batch),
            (Int::Batch(a), Int::Batch(b)) => exact(a, b).map(Int::Known),
            (Int::Known(_), Int::Batch(_)) => None,
        }
    }

    /// The number, if it is one.
    pub fn known(self) -> Option<i64> {
        match self {
            Int::Known(value) => Some(value),
            Int::Batch(_) => None,
        }
    }
}

/// A constant of whole numbers or truths, as shapes, axes and indices are.
#[derive(Clone, Debug, PartialEq)]
pub struct Ints {
    pub dims: Vec<usize>,
    pub values: Vec<Int>,
}

/// A constant of floats: a view of numbers, element `[i, j, …]` of which lies at `offset + i * strides[0] + j * strides[1] + …`.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub dims: Vec<usize>,
    strides: Vec<usize>,
    offset: usize,
    numbers: Numbers,
}

/// What a view is of.
#[derive(Clone, Debug)]
enum Numbers {
    /// Little-endian, where the file has them, at any address: they are read one by one, never cast.
    File(Bytes),
    Memory(Rc<[f32]>),
}

/// A constant.
#[derive(Clone, Debug)]
pub enum Constant {
    Floats(Tensor),
    Ints(Ints),
}

/// The most elements of all constants that are computed, 64 MB of them: a small file may say a large number. What a file has is
/// not limited.
pub const MOST_COMPUTED: usize = 1 << 24;
/// The most whole numbers that a constant has: fewer than a float can count.
pub const MOST_INTS: usize = 1 << 20;
/// The most dimensions that a constant has.
pub const MOST_DIMENSIONS: usize = 16;

/// The distances between elements that lie one behind the other.
pub fn row_major(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(dims[axis]);
    }
    strides
}

/// The number of elements, if that many bytes can be.
pub fn elements(dims: &[usize]) -> Result<usize, Refused> {
    let product = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    product
        .filter(|&n| n <= isize::MAX as usize / 8)
        .ok_or_else(|| Refused::new(format!("shape {dims:?}: expected one that fits memory")))
}

/// As [`elements`], of a constant that is to be computed.
pub fn computed(dims: &[usize]) -> Result<usize, Refused> {
    elements(dims).and_then(|n| {
        let refused = || {
            format!(
                "a constant of shape {dims:?} is computed: expected at most {MOST_COMPUTED} elements, got {n}"
            )
        };
        if n <= MOST_COMPUTED { Ok(n) } else { Err(Refused::new(refused())) }
    })
}

impl Tensor {
    /// Numbers one behind the other, as many as the dimensions say.
    pub fn new(dims: Vec<usize>, numbers: Vec<f32>) -> Tensor {
        debug_assert_eq!(dims.iter().product::<usize>(), numbers.len());
        let strides = row_major(&dims);
        Tensor { dims, strides, offset: 0, numbers: Numbers::Memory(numbers.into()) }
    }

    /// Little-endian numbers of 32 bits, as many as the dimensions say, where a file has them.
    pub fn of_file(dims: Vec<usize>, bytes: Bytes) -> Tensor {
        let strides = row_major(&dims);
        Tensor { dims, strides, offset: 0, numbers: Numbers::File(bytes) }
    }

    /// One number everywhere, for which there is memory once.
    pub fn same(dims: Vec<usize>, value: f32) -> Tensor {
        let strides = vec![0; dims.len()];
        Tensor { dims, strides, offset: 0, numbers: Numbers::Memory(Rc::new([value])) }
    }

    /// How many numbers there is memory for, beside the file's.
    pub fn computed(&self) -> usize {
        match &self.numbers {
            Numbers::File(_) => 0,
            Numbers::Memory(numbers) => numbers.len(),
        }
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// The same numbers, seen with these sizes and distances. Every element has to be one of this tensor.
    pub fn view(&self, dims: Vec<usize>, strides: Vec<usize>) -> Tensor {
        Tensor { dims, strides, ..self.clone() }
    }

    /// From which element to the next along an axis.
    pub fn stride(&self, axis: usize) -> usize {
        self.strides[axis]
    }

    /// The axes in another order.
    pub fn transposed(&self, order: &[usize]) -> Tensor {
        let pick = |of: &[usize]| order.iter().map(|&axis| of[axis]).collect();
        self.view(pick(&self.dims), pick(&self.strides))
    }

    /// With an axis of one element there.
    pub fn with_axis(&self, at: usize) -> Tensor {
        let (mut dims, mut strides) = (self.dims.clone(), self.strides.clone());
        dims.insert(at, 1);
        strides.insert(at, 0);
        self.view(dims, strides)
    }

    /// A function of each element.
    pub fn mapped(&self, function: impl Fn(f32) -> f32) -> Tensor {
        let numbers = self.to_vec().into_iter().map(function).collect();
        Tensor::new(self.dims.clone(), numbers)
    }

    /// `len` elements of an axis from `start` on, each `step`-th.
    pub fn sliced(&self, axis: usize, start: usize, len: usize, step: usize) -> Tensor {
        let mut slice = self.clone();
        slice.dims[axis] = len;
        // Where there is no element, or no second one, sizes and steps may be of any size.
        if !self.dims.contains(&0) {
            slice.offset += start * self.strides[axis];
            if len > 1 {
                slice.strides[axis] *= step;
            }
        }
        slice
    }

    /// Repeated along axes of one element, and new ones in front, to those sizes; `None` if they do not fit.
    pub fn broadcast(&self, dims: &[usize]) -> Option<Tensor> {
        let new = dims.len().checked_sub(self.dims.len())?;
        let mut strides = vec![0; dims.len()];
        for (axis, (&from, &to)) in self.dims.iter().zip(&dims[new..]).enumerate() {
            match (from == to, from) {
                (true, _) => strides[new + axis] = self.strides[axis],
                (false, 1) => {}
                _ => return None,
            }
        }
        Some(self.view(dims.to_vec(), strides))
    }

    /// Other dimensions for the same elements in the same order, of which there are as many.
    pub fn reshaped(&self, dims: Vec<usize>) -> Result<Tensor, Refused> {
        let strides = row_major(&dims);
        if self.len() <= 1 || matches!(self.merged()[..], [(_, 1)]) {
            return Ok(self.view(dims, strides));
        }
        if self.strides.iter().all(|&stride| stride == 0) {
            return Ok(self.view(dims.clone(), vec![0; dims.len()]));
        }
        computed(&dims)?;
        Ok(Tensor::new(dims, self.to_vec()))
    }

    /// The elements in order.
    pub fn to_vec(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.len()];
        self.write(&mut values);
        values
    }

    /// Writes the elements in order, as many as there are.
    pub fn write(&self, to: &mut [f32]) {
        if to.is_empty() {
            return;
        }
        match &self.numbers {
            Numbers::File(bytes) => {
                let (numbers, _) = bytes.as_chunks();
                self.turn(|at| f32::from_le_bytes(numbers[at]), to);
            }
            Numbers::Memory(numbers) => self.turn(|at| numbers[at], to),
        }
    }

    /// Sizes and distances of axes that cannot be one with the axis before, outermost first. One at least.
    fn merged(&self) -> Vec<(usize, usize)> {
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (&size, &stride) in self.dims.iter().zip(&self.strides).filter(|&(&size, _)| size != 1) {
            match merged.last_mut() {
                Some((before, distance)) if *distance == size * stride => {
                    (*before, *distance) = (*before * size, stride)
                }
                _ => merged.push((size, stride)),
            }
        }
        if merged.is_empty() {
            merged.push((1, 0));
        }
        merged
    }

    /// Writes along the innermost axis, some elements at a time, and goes through the others in the order in which they
    /// are read: lines of the cache are then whole on both sides.
    fn turn(&self, read: impl Fn(usize) -> f32, to: &mut [f32]) {
        const LINE: usize = 16;
        let merged = self.merged();
        let Some((&(width, apart), others)) = merged.split_last() else { return };
        let places = row_major(&merged.iter().map(|&(size, _)| size).collect::<Vec<_>>());
        // Size, distance where it is read, distance where it is written.
        let mut axes: Vec<[usize; 3]> =
            others.iter().zip(&places).map(|(&(size, stride), &place)| [size, stride, place]).collect();
        axes.sort_by_key(|&[_, stride, _]| std::cmp::Reverse(stride));
        let rows: usize = axes.iter().map(|[size, ..]| size).product();
        let block = if apart == 1 { width } else { LINE };
        let mut index = vec![0; axes.len()];
        for first in (0..width).step_by(block) {
            let (mut from, mut place, count) = (self.offset + first * apart, first, block.min(width - first));
            index.fill(0);
            for _ in 0..rows {
                let line = &mut to[place..][..count];
                if apart == 1 {
                    line.iter_mut().enumerate().for_each(|(i, to)| *to = read(from + i));
                } else {
                    line.iter_mut().enumerate().for_each(|(i, to)| *to = read(from + i * apart));
                }
                for (index, &[size, stride, distance]) in index.iter_mut().zip(&axes).rev() {
                    *index += 1;
                    (from, place) = (from + stride, place + distance);
                    if *index < size {
                        break;
                    }
                    (from, place, *index) = (from - size * stride, place - size * distance, 0);
                }
            }
        }
    }
}

/// A number of 16 bits, IEEE 754 binary16.
pub fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (fraction + 1024.0) * 2f32.powi(exponent - 25),
    }
}

/// The upper half of a 32-bit number.
pub fn brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
