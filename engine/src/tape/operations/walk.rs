//! Walks over the indices of arrays.

use crate::shape::Shape;

const RANK: usize = Shape::MAX_RANK;

/// Sizes of dimensions, or steps along them; shapes of fewer have ones, or zeros, before theirs.
pub(super) type Axes = [usize; RANK];

/// A shape's sizes.
pub(super) fn sizes(shape: Shape) -> Axes {
    let mut sizes = [1; RANK];
    sizes[RANK - shape.rank()..].copy_from_slice(shape.dims());
    sizes
}

/// How far apart an array's neighbours lie along each axis; 0 where there is one alone, which all then share.
pub(super) fn strides(shape: Shape) -> Axes {
    let (sizes, mut strides, mut next) = (sizes(shape), [0; RANK], 1);
    for axis in (0..RANK).rev() {
        if sizes[axis] > 1 {
            strides[axis] = next;
        }
        next *= sizes[axis];
    }
    strides
}

/// The axis of a shape as an axis of [`Axes`].
pub(super) fn axis_of(shape: Shape, axis: usize) -> usize {
    RANK - shape.rank() + axis
}

/// Visits all indices in order, and tells where each lies in arrays of such strides.
pub(super) fn walk<const K: usize>(sizes: Axes, strides: [Axes; K], mut visit: impl FnMut([usize; K])) {
    let (mut index, mut at) = ([0; RANK], [0; K]);
    'all: loop {
        visit(at);
        for axis in (0..RANK).rev() {
            index[axis] += 1;
            for (at, strides) in at.iter_mut().zip(&strides) {
                *at += strides[axis];
            }
            if index[axis] < sizes[axis] {
                continue 'all;
            }
            index[axis] = 0;
            for (at, strides) in at.iter_mut().zip(&strides) {
                *at -= strides[axis] * sizes[axis];
            }
        }
        return;
    }
}

/// For each index of `kept`, in order, visits the indices of `summed`; then gives what they have added up to.
pub(super) fn sums<const K: usize>(
    [kept, summed]: [Axes; 2],
    strides: [Axes; K],
    term: impl Fn([usize; K]) -> f64,
    mut result: impl FnMut(usize, f64),
) {
    let mut next = 0;
    walk(kept, strides, |start| {
        let mut sum = 0.0;
        walk(summed, strides, |at| {
            sum += term(core::array::from_fn(|k| start[k] + at[k]));
        });
        result(next, sum);
        next += 1;
    });
}
