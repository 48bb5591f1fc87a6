//! The register tiles of a convolution: a list of positions by a panel of weights.

use super::activation::Finish;
use super::window::{Offsets, split};
use crate::simd::{Operation, Simd};

/// What a tile does besides multiplying.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    /// Goes on from the output; else starts from the bias.
    pub resume: bool,
    /// Has all sums: what is to become of them at last is done.
    pub finish: bool,
}

/// One panel of weights: features `first..first + live`, `first` a whole vector.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub weights: *const f32,
    /// From one row of weights to the next; with vectors it is the panel's width.
    pub step: usize,
    /// From its weights to those of the next panel.
    pub pitch: usize,
    pub bias: *const f32,
    pub output: *mut f32,
    pub live: usize,
    pub ends: Ends,
}

/// The part of a window that lies inside the input: `rows` runs of `run` contiguous products.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    pub rows: usize,
    pub run: usize,
    /// From one row's run to the next, in the input and in units of weights.
    pub input_pitch: usize,
    pub weight_pitch: usize,
}

/// The tiles of a list of positions by one panel.
#[derive(Clone, Copy)]
pub(super) struct Tiles<'a> {
    pub input: *const f32,
    pub list: &'a [Offsets],
    pub reach: &'a Reach,
    pub panel: &'a Panel,
    pub finish: Finish,
    pub prefetch: Prefetch,
}

/// What is asked for in the second-level cache while a tile is computed: from the address on, with each row of
/// weights, so many elements further. It need not be valid.
#[derive(Clone, Copy)]
pub(super) struct Prefetch {
    pub next: *const f32,
    pub step: usize,
}

/// Tiles of `R` positions by `P` panels of `V` vectors, for [`Tiles::compiled`].
pub(super) struct Compiled<'a, const R: usize, const V: usize, const P: usize>(pub Tiles<'a>);

impl<const R: usize, const V: usize, const P: usize> Operation for Compiled<'_, R, V, P> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // SAFETY: `Correlate::rectangle` alone makes these. Its offsets come from `Positions` for its
        // arrays, so every window's reach and every written pixel lies inside them; the panel is `V`
        // vectors wide.
        unsafe { self.0.compiled::<S, R, V, P>(simd) }
    }
}

impl Tiles<'_> {
    /// Of a panel of a scalar FPU.
    ///
    /// # Safety
    /// As [`compiled`](Self::compiled).
    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    pub unsafe fn by_hand(&self) {
        use super::activation::Activation;
        use crate::simd::{Scalar, vfp};
        let Tiles { input, list, reach, panel, finish: Finish { activation, .. }, .. } = *self;
        const ZEROS: &[f32; vfp::WIDTHS[0]] = &[0.0; vfp::WIDTHS[0]];
        let step = size_of::<f32>() * panel.step;
        let tiles = vfp::Tiles {
            next: list.as_ptr().cast(),
            end: list.as_ptr_range().end.cast(),
            input,
            output: panel.output,
            bias: match () {
                () if panel.ends.resume => core::ptr::null(),
                () if panel.bias.is_null() => ZEROS.as_ptr(),
                () => panel.bias,
            },
            weights: panel.weights,
            step,
            rows: reach.rows,
            run: reach.run,
            input_skip: size_of::<f32>() * reach.input_pitch.wrapping_sub(reach.run),
            weight_skip: step.wrapping_mul(reach.weight_pitch.wrapping_sub(reach.run)),
        };
        // SAFETY: the caller's promise.
        unsafe { tiles.run(panel.live) };
        if panel.ends.finish && activation != Activation::None {
            for offsets in list {
                // SAFETY: the caller's promise; the tiles have written it.
                let sums =
                    unsafe { core::slice::from_raw_parts_mut(panel.output.add(offsets.write), panel.live) };
                activation.apply(Scalar, sums);
            }
        }
    }

    /// Of `R` positions by `P` panels of `V` vectors.
    ///
    /// # Safety
    /// For each of `list`, `reach` from its `read` lies inside `input` and `panel.live` elements
    /// from its `write` inside the output; the panel's weights are `V` vectors wide, `panel.live`
    /// fills all vectors but the last, and `panel.bias` is null or has that many elements. If `P` is
    /// more than one, as many panels follow each other and have all their features.
    #[inline(always)]
    pub unsafe fn compiled<S: Simd, const R: usize, const V: usize, const P: usize>(&self, simd: S) {
        let mut tiles = *self;
        // Narrow panels are rare, and on small computers their code is worth more than a position.
        if const { !S::MASKS && V < S::TILE.vectors() } {
            for list in self.list.chunks(R) {
                let mut even = [list[list.len() - 1]; R];
                even[..list.len()].copy_from_slice(list);
                // SAFETY: the caller's promise, for a part of the list; the last position is computed again.
                unsafe {
                    match list.len() {
                        1 if R > 1 => tiles.tile::<S, 1, V, P>(simd, &even),
                        2 if R > 2 => tiles.tile::<S, 2, V, P>(simd, &even),
                        3 | 4 if R > 4 => tiles.tile::<S, 4, V, P>(simd, &even),
                        5 | 6 if R > 6 => tiles.tile::<S, 6, V, P>(simd, &even),
                        _ => tiles.tile::<S, R, V, P>(simd, &even),
                    }
                }
                tiles.prefetch.next =
                    tiles.prefetch.next.wrapping_add(self.reach.rows * self.reach.run * self.prefetch.step);
            }
            return;
        }
        for part in split(self.list.len(), R) {
            let list = &self.list[part];
            // SAFETY: the caller's promise, for a part of the list.
            unsafe {
                match list.len() {
                    1 if R > 1 => tiles.tile::<S, 1, V, P>(simd, list),
                    2 if R > 2 => tiles.tile::<S, 2, V, P>(simd, list),
                    3 if R > 3 => tiles.tile::<S, 3, V, P>(simd, list),
                    4 if R > 4 => tiles.tile::<S, 4, V, P>(simd, list),
                    5 if R > 5 => tiles.tile::<S, 5, V, P>(simd, list),
                    6 if R > 6 => tiles.tile::<S, 6, V, P>(simd, list),
                    7 if R > 7 => tiles.tile::<S, 7, V, P>(simd, list),
                    _ => tiles.tile::<S, R, V, P>(simd, list),
                }
            }
            tiles.prefetch.next =
                tiles.prefetch.next.wrapping_add(self.reach.rows * self.reach.run * self.prefetch.step);
        }
    }

    /// `R` positions by `P` panels of `V` vectors of features, in registers from bias to
    /// activation. A single position takes two panels, or its few sums would wait for each other.
    ///
    /// # Safety
    /// As [`compiled`](Self::compiled). Of the list the first `R` elements are used.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize, const P: usize>(
        &self,
        simd: S,
        list: &[Offsets],
    ) {
        // Copies, or they would be read again after each store.
        let Tiles { input, reach: &reach, panel: &panel, finish, .. } = *self;
        // An array, so that all that follows is unrolled and the sums stay in registers.
        let Some(&list) = list.first_chunk::<R>() else { return };
        let mut sums = [[[simd.splat(0.0); V]; P]; R];
        let whole = panel.live == V * S::LANES;
        if panel.ends.resume {
            for (position, offsets) in sums.iter_mut().zip(&list) {
                for (p, panel_sums) in position.iter_mut().enumerate() {
                    for (v, sum) in panel_sums.iter_mut().enumerate() {
                        // SAFETY: `panel.live` elements of each panel lie at each position.
                        unsafe {
                            let output = panel.output.add(offsets.write + (p * V + v) * S::LANES);
                            *sum = if whole || v + 1 < V {
                                simd.load(output)
                            } else {
                                simd.load_n(output, panel.live - v * S::LANES)
                            };
                        }
                    }
                }
            }
        } else if !panel.bias.is_null() {
            for p in 0..P {
                for v in 0..V {
                    // SAFETY: the bias has `panel.live` elements for each panel.
                    let bias = unsafe {
                        let bias = panel.bias.add((p * V + v) * S::LANES);
                        if whole || v + 1 < V {
                            simd.load(bias)
                        } else {
                            simd.load_n(bias, panel.live - v * S::LANES)
                        }
                    };
                    for position in &mut sums {
                        position[p][v] = bias;
                    }
                }
            }
        }
        let mut reads = [input; R];
        for (read, offsets) in reads.iter_mut().zip(&list) {
            // SAFETY: the offset lies inside the input.
            *read = unsafe { input.add(offsets.read) };
        }
        let step = if S::LANES == 1 { panel.step } else { V * S::LANES };
        let mut weights = [panel.weights; P];
        for (p, weights) in weights.iter_mut().enumerate() {
            *weights = weights.wrapping_add(p * panel.pitch);
        }
        let adds = const { Finish::can_add::<S>() } && panel.ends.finish && finish.adds;
        if adds {
            // It would be waited for at the end.
            for offsets in &list {
                for v in 0..P * V {
                    simd.prefetch(panel.output.wrapping_add(offsets.write + v * S::LANES));
                }
            }
        }
        let mut prefetch = self.prefetch;
        for row in 0..reach.rows {
            // SAFETY: the caller's promise: `rows` runs of `run` elements from each position, and
            // as many weights in each panel, `V` vectors each.
            unsafe {
                let mut k = row * reach.input_pitch;
                let end = k + reach.run;
                if S::PRODUCTS_BY_LANE {
                    while k + 4 <= end {
                        let mut x = [simd.splat(0.0); R];
                        for r in 0..R {
                            x[r] = simd.load(reads[r].add(k));
                        }
                        add_lane::<S, 0, R, V, P>(simd, &x, &mut weights, step, &mut sums);
                        add_lane::<S, 1, R, V, P>(simd, &x, &mut weights, step, &mut sums);
                        add_lane::<S, 2, R, V, P>(simd, &x, &mut weights, step, &mut sums);
                        add_lane::<S, 3, R, V, P>(simd, &x, &mut weights, step, &mut sums);
                        k += 4;
                    }
                }
                if S::PRODUCTS_BY_LANE {
                    // At most three, without a loop.
                    if k < end {
                        add_one::<S, R, V, P>(simd, &reads, k, &mut weights, step, &mut sums);
                        if k + 1 < end {
                            add_one::<S, R, V, P>(simd, &reads, k + 1, &mut weights, step, &mut sums);
                            if k + 2 < end {
                                add_one::<S, R, V, P>(simd, &reads, k + 2, &mut weights, step, &mut sums);
                            }
                        }
                    }
                } else {
                    while k < end {
                        simd.prefetch(prefetch.next);
                        prefetch.next = prefetch.next.wrapping_add(prefetch.step);
                        add_one::<S, R, V, P>(simd, &reads, k, &mut weights, step, &mut sums);
                        k += 1;
                    }
                }
                for weights in &mut weights {
                    *weights = weights.wrapping_add((reach.weight_pitch - reach.run) * step);
                }
            }
        }
        if panel.ends.finish {
            if adds {
                for (position, offsets) in sums.iter_mut().zip(&list) {
                    for (p, panel_sums) in position.iter_mut().enumerate() {
                        for (v, sum) in panel_sums.iter_mut().enumerate() {
                            // SAFETY: `panel.live` elements of each panel lie at each position.
                            let held = unsafe {
                                let output = panel.output.add(offsets.write + (p * V + v) * S::LANES);
                                if whole || v + 1 < V {
                                    simd.load(output)
                                } else {
                                    simd.load_n(output, panel.live - v * S::LANES)
                                }
                            };
                            *sum = simd.add(*sum, held);
                        }
                    }
                }
            }
            finish.activation.apply(simd, sums.as_flattened_mut().as_flattened_mut());
        }
        for (position, offsets) in sums.iter().zip(&list) {
            for (p, panel_sums) in position.iter().enumerate() {
                for (v, &sum) in panel_sums.iter().enumerate() {
                    // SAFETY: `panel.live` elements of each panel can be written at each position.
                    unsafe {
                        let output = panel.output.add(offsets.write + (p * V + v) * S::LANES);
                        if whole || v + 1 < V {
                            simd.store(output, sum);
                        } else {
                            simd.store_n(output, sum, panel.live - v * S::LANES);
                        }
                    }
                }
            }
        }
    }
}

/// Loads a row of each of `P` panels and moves on to the next, `step` further.
///
/// # Safety
/// Each of `weights` is followed by `V` vectors.
#[inline(always)]
unsafe fn next_weights<S: Simd, const V: usize, const P: usize>(
    simd: S,
    weights: &mut [*const f32; P],
    step: usize,
) -> [[S::Vector; V]; P] {
    let mut w = [[simd.splat(0.0); V]; P];
    for (w, weights) in w.iter_mut().zip(weights) {
        for (v, w) in w.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *w = unsafe { simd.load(weights.add(v * S::LANES)) };
        }
        *weights = weights.wrapping_add(step);
    }
    w
}

/// Adds to the sums of each position the product of its number `k` and the next weights.
///
/// # Safety
/// As [`next_weights`]; each of `reads` is followed by more than `k` numbers.
#[inline(always)]
unsafe fn add_one<S: Simd, const R: usize, const V: usize, const P: usize>(
    simd: S,
    reads: &[*const f32; R],
    k: usize,
    weights: &mut [*const f32; P],
    step: usize,
    sums: &mut [[[S::Vector; V]; P]; R],
) {
    // SAFETY: the caller's promise.
    let w = unsafe { next_weights::<S, V, P>(simd, weights, step) };
    for r in 0..R {
        // SAFETY: the caller's promise.
        let x = simd.splat(unsafe { *reads[r].add(k) });
        for p in 0..P {
            for v in 0..V {
                sums[r][p][v] = simd.mul_add(x, w[p][v], sums[r][p][v]);
            }
        }
    }
}

/// Adds to the sums of each position the product of its lane `L` and the next weights.
///
/// # Safety
/// As [`next_weights`].
#[inline(always)]
unsafe fn add_lane<S: Simd, const L: i32, const R: usize, const V: usize, const P: usize>(
    simd: S,
    x: &[S::Vector; R],
    weights: &mut [*const f32; P],
    step: usize,
    sums: &mut [[[S::Vector; V]; P]; R],
) {
    // SAFETY: the caller's promise.
    let w = unsafe { next_weights::<S, V, P>(simd, weights, step) };
    for r in 0..R {
        for p in 0..P {
            for v in 0..V {
                sums[r][p][v] = simd.mul_add(simd.splat_lane::<L>(x[r]), w[p][v], sums[r][p][v]);
            }
        }
    }
}
