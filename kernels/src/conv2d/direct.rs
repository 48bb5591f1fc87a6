use super::activation::{Activation, Finish};
use super::geometry::{Geometry, Pitches, span};
use super::pack::{WholeVectors, packed_len, packed_transposed_len, takes_plain_weights};
use super::tiles::{Compiled, Ends, Panel, Prefetch, Reach, Tiles};
use super::window::{Order, Positions, Residue, Segment, Sweep, panels, split};
use crate::error::check;
use crate::simd::{Operation, Simd, Tile};
use crate::{Columns, Error, Isa};
use core::mem::MaybeUninit;
use core::ops::Range;

/// Convolution, bias and activation in one pass: `[N, H, W, Cin]` to `[N, OH, OW, Cout]`, with
/// weights from [`pack`](super::pack) for the same `isa` and a bias of `[Cout]`. An `isa` that [takes
/// plain weights](super::takes_plain_weights) needs no packing.
///
/// # Errors
/// A slice's length differs from the geometry's.
///
/// ```
/// use bantam_kernels::{Isa, conv2d::{self, Activation, Geometry, Padding}};
/// let isa = Isa::detect();
/// let g = Geometry::new([1, 3, 3, 1], [2, 2], 1, [1, 1], Padding::Valid)?;
/// let mut packed = vec![0.0; conv2d::packed_len(isa, &g)];
/// conv2d::pack(isa, &g, &[1.0, 0.0, 0.0, -1.0], &mut packed)?;
/// let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 9.0, 8.0, 7.0];
/// let mut output = [0.0; 4];
/// conv2d::forward(isa, &g, &image, &packed, Some(&[3.0]), Activation::Relu, &mut output)?;
/// assert_eq!(output, [0.0, 0.0, 0.0, 1.0]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
pub fn forward(
    isa: Isa,
    geometry: &Geometry,
    input: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
    output: &mut [f32],
) -> Result<(), Error> {
    forward_between(isa, geometry, Pitches::of(geometry), input, packed, bias, activation.into(), output)
}

/// [`forward`], with pixels at these pitches.
#[allow(clippy::too_many_arguments, reason = "those of `forward` and the pitches")]
pub(super) fn forward_between(
    isa: Isa,
    geometry: &Geometry,
    pitches: Pitches,
    input: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
    finish: Finish,
    output: &mut [f32],
) -> Result<(), Error> {
    check_read(isa, geometry, pitches, input, packed, bias)?;
    check("output", output, span(geometry.output(), pitches.write))?;
    let [channels, features] = geometry.group();
    let group_len = packed.len() / geometry.groups;
    for group in 0..geometry.groups {
        let weights = if takes_plain_weights(isa) {
            Weights::Plain { weights: &packed[group * features..], pitch: geometry.channels_out }
        } else {
            Weights::Panels(&packed[group * group_len..][..group_len])
        };
        Correlate {
            batch: geometry.batch,
            sweeps: Sweep::forward(&geometry.axes),
            channels: Channels { all: pitches.read, first: group * channels, count: channels },
            features: Channels { all: pitches.write, first: group * features, count: features },
            input,
            weights,
            bias,
            resume: false,
            finish,
            output: output.as_mut_ptr(),
        }
        .run_on(isa);
    }
    Ok(())
}

/// What is read has the lengths that go with these pitches.
fn check_read(
    isa: Isa,
    geometry: &Geometry,
    pitches: Pitches,
    input: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
) -> Result<(), Error> {
    check("input", input, span(geometry.input(), pitches.read))?;
    check("packed weights", packed, packed_len(isa, geometry))?;
    bias.map_or(Ok(()), |bias| check("bias", bias, geometry.channels_out))
}

/// [`forward_between`] for whole panels of the features, in one group.
#[allow(clippy::too_many_arguments, reason = "those of `forward` and which features")]
pub(super) fn forward_features(
    isa: Isa,
    geometry: &Geometry,
    pitches: Pitches,
    features: Range<usize>,
    input: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
    finish: Finish,
    output: Columns<'_>,
) -> Result<(), Error> {
    check_read(isa, geometry, pitches, input, packed, bias)?;
    let [batch, height, width, _] = geometry.output();
    let first = output.checked(batch * height * width, pitches.write, features.len())?;
    let depth = packed.len() / isa.run(WholeVectors(geometry.channels_out));
    Correlate {
        batch: geometry.batch,
        sweeps: Sweep::forward(&geometry.axes),
        channels: Channels { all: pitches.read, first: 0, count: geometry.channels_in },
        features: Channels { all: pitches.write, first: features.start, count: features.len() },
        input,
        weights: Weights::Panels(&packed[depth * features.start..]),
        bias,
        resume: false,
        finish,
        output: first.wrapping_sub(features.start),
    }
    .run_on(isa);
    Ok(())
}

/// Gradient of a convolution to its input: `[N, OH, OW, Cout]` to `[N, H, W, Cin]`, with weights
/// from [`pack_transposed`](super::pack_transposed) for the same `isa`. `d_input` is overwritten.
///
/// A convolution too: input pixels of equal residue modulo the stride see the same taps, so each
/// residue is a convolution of stride 1 over the output's gradient.
///
/// # Errors
/// A slice's length differs from the geometry's.
pub fn grad_input(
    isa: Isa,
    geometry: &Geometry,
    d_output: &[f32],
    packed_transposed: &[f32],
    d_input: &mut [f32],
) -> Result<(), Error> {
    check("output gradient", d_output, geometry.output().iter().product())?;
    check("packed weights", packed_transposed, packed_transposed_len(isa, geometry))?;
    check("input gradient", d_input, geometry.input().iter().product())?;
    let taps = geometry.axes[0].window * geometry.axes[1].window;
    let [features, channels] = geometry.group();
    let groups = packed_transposed.chunks_exact(packed_transposed.len() / geometry.groups);
    for (group, packed) in groups.enumerate() {
        let mut rest = packed;
        for residue in Residue::all(geometry.axes) {
            let len = residue.taps[0].count * residue.taps[1].count * (packed.len() / taps);
            let (packed, tail) = rest.split_at(len);
            rest = tail;
            Correlate {
                batch: geometry.batch,
                sweeps: residue.sweeps(geometry.axes),
                channels: Channels { all: geometry.channels_out, first: group * channels, count: channels },
                features: Channels { all: geometry.channels_in, first: group * features, count: features },
                input: d_output,
                weights: Weights::Panels(packed),
                bias: None,
                resume: false,
                finish: Activation::None.into(),
                output: d_input.as_mut_ptr(),
            }
            .run_on(isa);
        }
    }
    Ok(())
}

/// Packed weights that are used again and again should stay in the second-level cache.
const PANELS_BYTES: usize = 640 * 1024;
/// Positions whose offsets are listed at a time: enough to reuse a panel from the first-level
/// cache, few enough for a chip's stack.
const POSITIONS: usize = 64;
/// From so many channels on, padded windows over small maps are summed tap by tap.
const CHANNELS_BY_TAPS: usize = 256;

/// Channels of a group, and those of a pixel: of all groups together, or of a wider map.
#[derive(Clone, Copy)]
pub(super) struct Channels {
    pub all: usize,
    pub first: usize,
    pub count: usize,
}

impl Channels {
    pub fn all(count: usize) -> Channels {
        Channels { all: count, first: 0, count }
    }
}

/// Whether sums are made tap by tap, because rows of the window are no runs or too many positions would be apart.
fn by_taps([vertical, horizontal]: &[Sweep; 2], channels: Channels) -> bool {
    // A column by itself is a run too.
    let has_runs = channels.count == channels.all && horizontal.dilation == 1 || horizontal.taps == 1;
    !has_runs
        || channels.count >= CHANNELS_BY_TAPS
            && vertical.positions * horizontal.positions <= POSITIONS
            && (vertical.is_cut() || horizontal.is_cut())
}

/// Whether the sums of a convolution pass through the output.
pub(super) fn forward_by_taps(geometry: &Geometry, pitches: Pitches) -> bool {
    let channels = Channels { all: pitches.read, first: 0, count: geometry.group()[0] };
    by_taps(&Sweep::forward(&geometry.axes), channels)
}

/// A window of packed weights slid over an array.
pub(super) struct Correlate<'a> {
    pub batch: usize,
    pub sweeps: [Sweep; 2],
    pub channels: Channels,
    pub features: Channels,
    pub input: &'a [f32],
    pub weights: Weights<'a>,
    pub bias: Option<&'a [f32]>,
    /// Adds to what the output holds, and to no bias.
    pub resume: bool,
    pub finish: Finish,
    /// Where feature 0 of the first pixel is, or would be: what was checked when this was made can be written.
    pub output: *mut f32,
}

/// A row of weights, one for each feature, for each of a window's products.
#[derive(Clone, Copy)]
pub(super) enum Weights<'a> {
    /// Panel after panel.
    Panels(&'a [f32]),
    /// As the caller has them; the features of other groups may lie between the rows.
    Plain { weights: &'a [f32], pitch: usize },
}

impl Operation for Correlate<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        // Asked of constants, so that no code is made for the tiles of others.
        match () {
            // Where there are vectors for certain, nobody takes scalar code for its speed.
            () if const { S::LANES == 1 && cfg!(any(target_feature = "neon", target_feature = "simd128")) } =>
            {
                self.all_panels::<S, 1, 4, 1>(simd);
            }
            () if const { matches!(S::TILE, Tile::R4V4) } => self.all_panels::<S, 4, 4, 4>(simd),
            () if const { matches!(S::TILE, Tile::R4V2) } => self.all_panels::<S, 4, 2, 8>(simd),
            () if const { matches!(S::TILE, Tile::R6V2) } => self.all_panels::<S, 6, 2, 8>(simd),
            () if const { matches!(S::TILE, Tile::R6V4) } => self.all_panels::<S, 6, 4, 8>(simd),
            () => self.all_panels::<S, 5, 4, 6>(simd),
        }
    }
}

impl<'a> Correlate<'a> {
    /// One copy of the code for all who call it.
    #[inline(never)]
    pub fn run_on(self, isa: Isa) {
        isa.run(self);
    }

    /// Tiles of `R` rows by `V` vectors; of `N` rows by fewer vectors.
    #[inline(always)]
    fn all_panels<S: Simd, const R: usize, const V: usize, const N: usize>(&mut self, simd: S) {
        let vectors = self.features.count.div_ceil(S::LANES);
        let depth = self.sweeps[0].taps * self.sweeps[1].taps * self.channels.count;
        let panel_bytes = size_of::<f32>() * depth * V * S::LANES;
        let together = (PANELS_BYTES / panel_bytes.max(1)).max(1);
        let panels = panels::<S>(vectors);
        for group in split(panels.clone().count(), together) {
            let panels = panels.clone().skip(group.start).take(group.len());
            // Either every position sums up all its taps at once, or tap by tap: then the edges do
            // not part the positions, and the weights of a tap serve them all from the
            // first-level cache, but sums pass through the output. The order is the same, and with
            // it the bits.
            let [vertical, horizontal] = self.sweeps;
            let by_taps = by_taps(&self.sweeps, self.channels);
            let order = if by_taps { Order::Taps } else { Order::Positions };
            let starts = by_taps && !self.resume;
            let finishes = by_taps && self.finish.activation != Activation::None;
            // In one loop, so that there is one copy of the tiles.
            for (order, ends) in [
                (Order::NoTaps, starts.then_some(Ends { resume: false, finish: false })),
                (order, Some(Ends { resume: by_taps || self.resume, finish: !by_taps })),
                (Order::NoTaps, finishes.then_some(Ends { resume: true, finish: true })),
            ] {
                let Some(ends) = ends else { continue };
                for rows in vertical.rectangles(order) {
                    for columns in horizontal.rectangles(order) {
                        self.rectangle::<S, R, V, N>(simd, [&rows, &columns], ends, depth, panels.clone());
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn rectangle<S: Simd, const R: usize, const V: usize, const N: usize>(
        &mut self,
        simd: S,
        rectangle: [&Segment; 2],
        ends: Ends,
        depth: usize,
        panels: impl Iterator<Item = Range<usize>> + Clone,
    ) {
        let [vertical, horizontal] = rectangle;
        let Correlate { channels, features, .. } = *self;
        let weight_pitch = self.sweeps[1].taps * channels.count;
        let run = horizontal.taps.len() * channels.count;
        let reach = Reach {
            rows: if run == 0 { 0 } else { vertical.taps.len() },
            run,
            input_pitch: self.sweeps[0].dilation * self.sweeps[1].read * channels.all,
            weight_pitch,
        };
        // Of a window that sees nothing no weight is read, so that any start will do.
        let first_weight = if reach.rows == 0 {
            0
        } else {
            vertical.taps.start * weight_pitch + horizontal.taps.start * channels.count
        };
        let mut positions = Positions::new(self.batch, &self.sweeps, rectangle, channels.all, features.all);
        let mut list = [const { MaybeUninit::uninit() }; POSITIONS];
        for part in split(positions.count(), POSITIONS) {
            let list = positions.fill(&mut list[..part.len()]);
            let mut panels = panels.clone();
            while let Some(vectors) = panels.next() {
                let (first, width) = (vectors.start * S::LANES, vectors.len() * S::LANES);
                let (weights, start, step, pitch) = match self.weights {
                    Weights::Panels(packed) => (packed, depth * first, width, depth * width),
                    Weights::Plain { weights, pitch } => (weights, first, pitch, width),
                };
                // SAFETY: `forward_between`, `forward_features` and `grad_input` checked that the slices, and the
                // columns of the output, have the lengths of the geometry and its pitches. `first` is below `features.count`; a panel has
                // `depth * width` weights and those before it `depth * first`, and of plain weights
                // there are `depth` rows.
                let panel = unsafe {
                    Panel {
                        weights: weights.as_ptr().add(start + first_weight * step),
                        step,
                        pitch,
                        bias: match self.bias {
                            Some(bias) => bias.as_ptr().add(features.first + first),
                            None => core::ptr::null(),
                        },
                        output: self.output.wrapping_add(features.first + first),
                        live: width.min(features.count - first),
                        ends,
                    }
                };
                let input = self.input.as_ptr().wrapping_add(channels.first);
                let fills = |next: Range<usize>| next.len() == V && next.end * S::LANES <= features.count;
                let pair =
                    list.len() == 1 && fills(vectors.clone()) && panels.clone().next().is_some_and(fills);
                // Meanwhile the weights that are read next come from beyond the second-level cache: those of the next tap,
                // where windows are summed tap by tap, else those of the next panel.
                let prefetch = if S::LANES > 1 {
                    let next = panel.weights.wrapping_add(if ends.resume { run * step } else { pitch });
                    Prefetch { next, step: step.div_ceil(list.len().div_ceil(R)) }
                } else {
                    Prefetch { next: panel.weights, step: 0 }
                };
                let finish = self.finish;
                let tiles = Tiles { input, list, reach: &reach, panel: &panel, finish, prefetch };
                match vectors.len() {
                    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
                    // SAFETY: as in `Compiled`.
                    _ if const { S::LANES == 1 } => unsafe { tiles.by_hand() },
                    _ if pair => {
                        panels.next();
                        simd.call(Compiled::<1, V, 2>(tiles));
                    }
                    1 if const { V > 1 } => simd.call(Compiled::<N, 1, 1>(tiles)),
                    2 if const { V > 2 } => simd.call(Compiled::<N, 2, 1>(tiles)),
                    3 if const { V > 3 } => simd.call(Compiled::<N, 3, 1>(tiles)),
                    // Without masks tiles are long, and on small computers.
                    _ if const { !S::MASKS } => simd.call(Compiled::<R, V, 1>(tiles)),
                    // The usual panel is not called: that would take a twentieth of the time of few channels.
                    // SAFETY: as in `Compiled`.
                    _ => unsafe { tiles.compiled::<S, R, V, 1>(simd) },
                }
            }
        }
    }
}
