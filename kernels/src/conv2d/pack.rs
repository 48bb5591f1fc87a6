use super::Geometry;
use super::window::{Residue, panels};
use crate::error::check;
use crate::simd::{Operation, Simd};
use crate::{Error, Isa};
use core::ops::Range;

/// Whether [`forward`](super::forward) takes the weights as they are, so that [`pack`] would merely
/// copy them: on a scalar FPU, where they can stay in flash.
pub fn takes_plain_weights(isa: Isa) -> bool {
    isa.run(WholeVectors(1)) == 1
}

/// Elements of the packed weights that [`forward`](super::forward) takes.
pub fn packed_len(isa: Isa, geometry: &Geometry) -> usize {
    let ([kh, kw, ..], [cin, cout]) = (geometry.weights(), geometry.group());
    geometry.groups * kh * kw * cin * isa.run(WholeVectors(cout))
}

/// Elements of the packed weights that [`grad_input`](super::grad_input) takes.
pub fn packed_transposed_len(isa: Isa, geometry: &Geometry) -> usize {
    let ([kh, kw, ..], [cin, cout]) = (geometry.weights(), geometry.group());
    geometry.groups * kh * kw * cout * isa.run(WholeVectors(cin))
}

/// Packs weights `[KH, KW, Cin, Cout]` for [`forward`](super::forward): panels of a register
/// tile's width, each `[KH, KW, Cin, width]`, filled up with zeros to whole vectors, group by group.
///
/// # Errors
/// A slice's length differs from the geometry's.
pub fn pack(isa: Isa, geometry: &Geometry, weights: &[f32], packed: &mut [f32]) -> Result<(), Error> {
    let [kh, kw, cin, cout] = geometry.weights();
    check("weights", weights, kh * kw * cin * cout)?;
    check("packed weights", packed, packed_len(isa, geometry))?;
    if takes_plain_weights(isa) {
        packed.copy_from_slice(weights);
        return Ok(());
    }
    let (depth, features) = (kh * kw * cin, cout / geometry.groups);
    for (group, packed) in packed.chunks_exact_mut(packed.len() / geometry.groups).enumerate() {
        let weights = weights.get(group * features..).unwrap_or_default();
        isa.run(PackRows { weights, pitch: cout, depth, features, packed });
    }
    Ok(())
}

/// Packs weights `[KH, KW, Cin, Cout]` for [`grad_input`](super::grad_input): turned by 180°, with
/// the channels' roles exchanged, and parted by the residue of the tap modulo the stride.
///
/// # Errors
/// A slice's length differs from the geometry's.
pub fn pack_transposed(
    isa: Isa,
    geometry: &Geometry,
    weights: &[f32],
    packed: &mut [f32],
) -> Result<(), Error> {
    let [kh, kw, cin, cout] = geometry.weights();
    check("weights", weights, kh * kw * cin * cout)?;
    check("packed weights", packed, packed_transposed_len(isa, geometry))?;
    let [_, features] = geometry.group();
    for (group, mut rest) in packed.chunks_exact_mut(packed.len() / geometry.groups).enumerate() {
        for residue in Residue::all(geometry.axes) {
            let [rows, columns] = residue.taps;
            let depth = rows.count * columns.count * features;
            let (part, tail) = rest.split_at_mut(depth * isa.run(WholeVectors(cin)));
            rest = tail;
            let start = |k: usize| {
                let (tap, channel) = (k / features, k % features);
                let ky = rows.flipped(tap / columns.count);
                let kx = columns.flipped(tap % columns.count);
                (ky * kw + kx) * cin * cout + group * features + channel
            };
            isa.run(PackTransposed { weights, depth, features: cin, stride: cout, start, packed: part });
        }
    }
    Ok(())
}

/// Rounds up to whole vectors.
pub(super) struct WholeVectors(pub usize);

impl Operation for WholeVectors {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        self.0.next_multiple_of(S::LANES)
    }
}

/// The features of one of so many parts of about equal work, in whole panels; `None` if the panels are fewer.
pub(super) struct PartOfPanels {
    pub features: usize,
    pub part: usize,
    pub parts: usize,
}

impl Operation for PartOfPanels {
    type Output = Option<Range<usize>>;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Option<Range<usize>> {
        let PartOfPanels { features, part, parts } = self;
        let panels = panels::<S>(features.div_ceil(S::LANES));
        let count = panels.clone().count();
        if part >= parts || count < parts {
            return None;
        }
        // A part is parted into the same panels as the whole: all have one width or, behind those, one less.
        let first = panels.clone().nth(part * count / parts)?.start * S::LANES;
        let last = panels.clone().nth((part + 1) * count / parts - 1)?.end * S::LANES;
        Some(first..last.min(features))
    }
}

/// Rows of weights that are packed together: both sides stream, where a panel at a time would skip from row to row.
const ROWS: usize = 16;

struct PackRows<'a> {
    /// Rows begin `pitch` apart.
    weights: &'a [f32],
    pitch: usize,
    /// Products that sum up to one output.
    depth: usize,
    features: usize,
    packed: &'a mut [f32],
}

impl Operation for PackRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let PackRows { weights, pitch, depth, features, packed } = self;
        for first_row in (0..depth).step_by(ROWS) {
            for vectors in panels::<S>(features.div_ceil(S::LANES)) {
                let first = vectors.start * S::LANES;
                let width = vectors.len() * S::LANES;
                let live = width.min(features - first);
                let panel = &mut packed[first * depth + first_row * width..];
                for (k, row) in panel.chunks_exact_mut(width).enumerate().take(ROWS.min(depth - first_row)) {
                    let (row, padding) = row.split_at_mut(live);
                    row.copy_from_slice(&weights[(first_row + k) * pitch + first..][..live]);
                    padding.fill(0.0);
                }
            }
        }
    }
}

struct PackTransposed<'a, F> {
    weights: &'a [f32],
    /// Products that sum up to one output.
    depth: usize,
    features: usize,
    /// Where product `k` has the weight of feature 0, and how far apart the features are.
    start: F,
    stride: usize,
    packed: &'a mut [f32],
}

impl<F: Fn(usize) -> usize> Operation for PackTransposed<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let mut rest = self.packed;
        for vectors in panels::<S>(self.features.div_ceil(S::LANES)) {
            let first = vectors.start * S::LANES;
            let width = vectors.len() * S::LANES;
            let live = width.min(self.features - first);
            let (panel, tail) = rest.split_at_mut(self.depth * width);
            rest = tail;
            for (k, row) in panel.chunks_exact_mut(width).enumerate() {
                let (row, padding) = row.split_at_mut(live);
                let source = &self.weights[(self.start)(k) + first * self.stride..];
                for (slot, &weight) in row.iter_mut().zip(source.iter().step_by(self.stride)) {
                    *slot = weight;
                }
                padding.fill(0.0);
            }
        }
    }
}
