//! A convolution's three passes, each by the algorithm that suits its shape and the CPU: chosen once, then packed
//! and run.

use super::activation::Finish;
use super::dense_grad_input::DenseGradInput;
use super::direct::{forward_between, forward_by_taps};
use super::gemv::Gemv;
use super::geometry::Pitches;
use super::winograd::{Lines, RowPairs, RowTiles, Tile, Winograd};
use super::{Activation, Algorithm, Geometry, pooled};
use super::{grad_input, grad_weights, pack, pack_transposed};
use super::{packed_len, packed_transposed_len, takes_plain_weights};
use crate::error::check;
use crate::{Error, Isa};
use core::ops::Range;

/// Every product of the definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Direct {
    pub isa: Isa,
    pub geometry: Geometry,
}

/// Whether there are Winograd's tiles for an instruction set: scalar code has none. Where the compiler sees
/// that there is no other code, a program has nothing of them in it.
pub(super) fn has_tiles(isa: Isa) -> bool {
    isa != Isa::SCALAR
}

/// The forward pass: convolution, bias and activation.
///
/// ```
/// use bantam_kernels::Isa;
/// use bantam_kernels::conv2d::{Activation, Convolution, Geometry, Padding};
/// let geometry = Geometry::new([1, 8, 8, 3], [3, 3], 16, [1, 1], Padding::Same)?;
/// let convolution = Convolution::new(Isa::detect(), &geometry);
/// let weights = [0.1; 3 * 3 * 3 * 16];
/// let mut packed = vec![0.0; convolution.packed_len()];
/// convolution.pack(&weights, &mut packed)?;
/// // Nothing to pack: the weights themselves serve.
/// let packed = if packed.is_empty() { &weights[..] } else { &packed };
/// let (mut output, mut scratch) = ([0.0; 8 * 8 * 16], vec![0.0; convolution.scratch_len()]);
/// convolution.forward(&[1.0; 8 * 8 * 3], packed, None, Activation::None, &mut output, &mut scratch)?;
/// assert!((output[3 * 8 * 16 + 3 * 16] - 2.7).abs() < 1e-5);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    pub(super) forward: Forward,
    pub(super) pitches: Pitches,
    /// Whether it adds to what the output holds.
    pub(super) adds: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forward {
    Direct(Direct),
    DirectPooled(Direct),
    Gemv(Gemv),
    Winograd(Winograd),
    RowPairs(RowPairs),
    RowTiles(RowTiles),
    Lines(Lines),
}

impl Forward {
    fn with_algorithm(isa: Isa, geometry: &Geometry, algorithm: Algorithm) -> Result<Forward, Error> {
        Ok(match algorithm {
            Algorithm::Winograd(tile) if has_tiles(isa) => {
                Forward::Winograd(Winograd::new(isa, geometry, tile)?)
            }
            Algorithm::RowTiles if RowTiles::run_on(isa) => Forward::RowTiles(RowTiles::new(isa, geometry)?),
            Algorithm::Lines(along) if Lines::run_on(isa) => {
                Forward::Lines(Lines::new(isa, geometry, along)?)
            }
            Algorithm::RowPairs => Forward::RowPairs(RowPairs::new(isa, geometry)?),
            Algorithm::Direct => Forward::Direct(Direct { isa, geometry: *geometry }),
            Algorithm::Winograd(_) | Algorithm::RowTiles | Algorithm::Lines(_) => {
                return Err(Error::NotWinograd);
            }
        })
    }
}

impl Convolution {
    /// By the [fastest](Algorithm::choose) algorithm. A large dense layer of one sample reads its weights where they
    /// lie; its bits are those of [`Direct`](Algorithm::Direct).
    pub fn new(isa: Isa, geometry: &Geometry) -> Convolution {
        if has_tiles(isa)
            && let Some(gemv) = Gemv::new(isa, geometry)
        {
            return Convolution::of(Forward::Gemv(gemv), geometry);
        }
        let chosen = Forward::with_algorithm(isa, geometry, Algorithm::choose(isa, geometry));
        let direct = || Forward::Direct(Direct { isa, geometry: *geometry });
        Convolution::of(chosen.unwrap_or_else(|_| direct()), geometry)
    }

    /// By that algorithm.
    ///
    /// # Errors
    /// It has no form for the shape, or for the instruction set.
    pub fn with_algorithm(isa: Isa, geometry: &Geometry, algorithm: Algorithm) -> Result<Convolution, Error> {
        Ok(Convolution::of(Forward::with_algorithm(isa, geometry, algorithm)?, geometry))
    }

    fn of(forward: Forward, geometry: &Geometry) -> Convolution {
        Convolution { forward, pitches: Pitches::of(geometry), adds: false }
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match &self.forward {
            Forward::Winograd(winograd) if has_tiles(winograd.isa) => Algorithm::Winograd(winograd.tile()),
            Forward::RowTiles(tiles) if RowTiles::run_on(tiles.isa) => Algorithm::RowTiles,
            Forward::Lines(lines) if Lines::run_on(lines.isa) => Algorithm::Lines(lines.along()),
            Forward::RowPairs(_) => Algorithm::RowPairs,
            _ => Algorithm::Direct,
        }
    }

    /// The shape.
    pub fn geometry(&self) -> &Geometry {
        match &self.forward {
            Forward::Direct(direct) | Forward::DirectPooled(direct) => &direct.geometry,
            Forward::Gemv(gemv) => &gemv.geometry,
            Forward::Winograd(winograd) => &winograd.geometry,
            Forward::RowPairs(pairs) => &pairs.geometry,
            Forward::RowTiles(tiles) => &tiles.geometry,
            Forward::Lines(lines) => &lines.geometry,
        }
    }

    fn with_geometry(mut self, geometry: Geometry) -> Convolution {
        *(match &mut self.forward {
            Forward::Direct(direct) | Forward::DirectPooled(direct) => &mut direct.geometry,
            Forward::Gemv(gemv) => &mut gemv.geometry,
            Forward::Winograd(winograd) => &mut winograd.geometry,
            Forward::RowPairs(pairs) => &mut pairs.geometry,
            Forward::RowTiles(tiles) => &mut tiles.geometry,
            Forward::Lines(lines) => &mut lines.geometry,
        }) = geometry;
        self
    }

    /// The same over the first `images`, as [`Geometry::first`].
    pub fn first(self, images: usize) -> Convolution {
        self.with_geometry(self.geometry().first(images))
    }

    /// The same for some rows of one image, as [`Geometry::rows`]. The bits are those of the whole if the
    /// first is a multiple of [`Algorithm::rows`].
    pub fn rows(self, rows: Range<usize>) -> Option<(Convolution, Range<usize>)> {
        let (part, seen) = self.geometry().rows(rows)?;
        Some((self.with_geometry(part), seen))
    }

    /// The same with a 2×2 max-pool of stride 2 behind it, of outputs that are still in registers, if there is
    /// such code for the algorithm and the shape.
    pub fn pooled(self) -> Option<Convolution> {
        match self.forward {
            _ if self.adds || self.pitches != Pitches::of(self.geometry()) => None,
            Forward::RowTiles(tiles) if RowTiles::run_on(tiles.isa) => {
                Some(Convolution { forward: Forward::RowTiles(tiles.pooled()?), ..self })
            }
            Forward::Direct(direct)
                if pooled::runs_on(direct.isa) && pooled::fits(direct.isa, &direct.geometry) =>
            {
                Some(Convolution { forward: Forward::DirectPooled(direct), ..self })
            }
            _ => None,
        }
    }

    /// Whether some instruction set of this target has code to [add](Self::adding).
    pub const CAN_ADD: bool = cfg!(target_arch = "x86_64");

    /// The same, added to what the output holds before the [activation](Activation): the end of a residual block (He et al.,
    /// arXiv 1512.03385, equation 1) without a pass of its own over the map, in the bits of one. `None` where there is no such
    /// code: there is some for Winograd's tiles of features that are whole vectors, and for direct computation whose sums
    /// stay in registers, on instruction sets that write part of a vector by one instruction (AVX2 and AVX-512).
    ///
    /// ```
    /// use bantam_kernels::Isa;
    /// use bantam_kernels::conv2d::{Activation, Algorithm, Convolution, Geometry};
    /// let convolution = Convolution::with_algorithm(Isa::detect(), &Geometry::dense(2, 1, 2)?, Algorithm::Direct)?;
    /// let mut packed = vec![0.0; convolution.packed_len()];
    /// convolution.pack(&[1.0, 2.0], &mut packed)?;
    /// let Some(adding) = convolution.adding() else { return Ok(()) };
    /// let mut output = [10.0, 20.0, -30.0, 40.0];
    /// adding.forward(&[3.0, 4.0], &packed, None, Activation::Relu, &mut output, &mut [])?;
    /// assert_eq!(output, [13.0, 26.0, 0.0, 48.0]);
    /// # Ok::<(), bantam_kernels::Error>(())
    /// ```
    pub fn adding(self) -> Option<Convolution> {
        let can = match &self.forward {
            Forward::Winograd(winograd) if has_tiles(winograd.isa) => winograd.can_add(),
            Forward::Direct(direct) if has_tiles(direct.isa) => {
                Finish::can_add_on(direct.isa) && !forward_by_taps(&direct.geometry, self.pitches)
            }
            _ => false,
        };
        can.then_some(Convolution { adds: true, ..self })
    }

    /// Whether it [adds](Self::adding).
    pub fn adds(&self) -> bool {
        match &self.forward {
            Forward::Winograd(winograd) => has_tiles(winograd.isa) && self.adds,
            Forward::Direct(direct) => has_tiles(direct.isa) && self.adds,
            _ => false,
        }
    }

    /// Has it read some channels of a wider map and write some of another, so that outputs are concatenated without a
    /// copy: the bits stay the same. `widths` are the channels of the two maps; its own are always possible. Gives whether
    /// it can; if not, nothing changes.
    ///
    /// What [`forward`](Self::forward) reads then begins with the first channel of the first pixel and ends with the
    /// last of the last, `(pixels - 1) * width + channels` elements in all, and so does what it writes. What lies between
    /// the outputs stays as it is.
    ///
    /// It cannot if a width is less than its own channels, if a map would not fit memory with its padding, or if there is
    /// no such code: there is none for [`RowPairs`] nor on the weights of a dense layer where they lie, and
    /// [`Direct`](Algorithm::Direct) computation reads from a wider map only where windows are one column wide, dilated or
    /// in groups, and writes to one only where it does not [pool](Self::pooled).
    ///
    /// ```
    /// use bantam_kernels::Isa;
    /// use bantam_kernels::conv2d::{Activation, Algorithm, Convolution, Geometry, Padding};
    /// // Two pixels, whose last two channels of five are the outputs.
    /// let geometry = Geometry::new([1, 1, 2, 1], [1, 1], 2, [1, 1], Padding::Valid)?;
    /// let mut convolution = Convolution::with_algorithm(Isa::SCALAR, &geometry, Algorithm::Direct)?;
    /// assert!(convolution.slice([1, 5]));
    /// let mut map = [0.0; 10];
    /// convolution.forward(&[3.0, 4.0], &[1.0, 2.0], None, Activation::None, &mut map[3..], &mut [])?;
    /// assert_eq!(map, [0.0, 0.0, 0.0, 3.0, 6.0, 0.0, 0.0, 0.0, 4.0, 8.0]);
    /// # Ok::<(), bantam_kernels::Error>(())
    /// ```
    pub fn slice(&mut self, widths: [usize; 2]) -> bool {
        let geometry = self.geometry();
        let Geometry { batch, channels_in: channels, channels_out: features, .. } = *geometry;
        let ([rows, columns], [read, write]) = (&geometry.axes, widths);
        let has_form = match &self.forward {
            Forward::Winograd(winograd) => has_tiles(winograd.isa),
            Forward::RowTiles(tiles) => RowTiles::run_on(tiles.isa),
            Forward::Lines(lines) => Lines::run_on(lines.isa),
            // A window's row would be as many runs as columns, which takes longer than a copy of the input.
            Forward::Direct(_) => read == channels || columns.window == 1 || !geometry.has_runs(),
            Forward::RowPairs(_) | Forward::DirectPooled(_) | Forward::Gemv(_) => false,
        };
        let fits = |pixels: usize, width: usize| {
            pixels.checked_mul(width).is_some_and(|len| len <= isize::MAX as usize / size_of::<f32>())
        };
        let fit = || {
            let read_pixels = batch.saturating_mul(rows.padded() * columns.padded());
            read >= channels
                && write >= features
                && fits(read_pixels, read)
                && fits(batch * rows.output * columns.output, write)
        };
        let can = widths == [channels, features] || (has_form && fit());
        if can {
            self.pitches = Pitches { read, write };
        }
        can
    }

    /// The channels of the maps that it reads and writes: those of [`slice`](Self::slice), or its own.
    pub fn widths(&self) -> [usize; 2] {
        [self.pitches.read, self.pitches.write]
    }

    /// Elements of its output that should stay in a cache, where what follows takes the output in stripes: the
    /// first-level one, or with the transforms of many tiles the second-level one. None on a scalar FPU: a small
    /// computer has no cache to fill and no memory to waste.
    pub fn stripe_len(&self) -> usize {
        const FIRST_LEVEL: usize = 8 * 1024;
        const SECOND_LEVEL: usize = 128 * 1024;
        match &self.forward {
            Forward::Winograd(winograd) if has_tiles(winograd.isa) => SECOND_LEVEL,
            Forward::Lines(lines) if Lines::run_on(lines.isa) => SECOND_LEVEL,
            Forward::RowTiles(tiles) if RowTiles::run_on(tiles.isa) && tiles.pooled => SECOND_LEVEL,
            Forward::RowTiles(tiles) if RowTiles::run_on(tiles.isa) => FIRST_LEVEL,
            Forward::DirectPooled(direct) if pooled::runs_on(direct.isa) => SECOND_LEVEL,
            Forward::Direct(direct) if has_tiles(direct.isa) => FIRST_LEVEL,
            _ => 0,
        }
    }

    /// Elements of the packed weights; none where [`forward`](Self::forward) takes the weights as they are.
    pub fn packed_len(&self) -> usize {
        match &self.forward {
            Forward::Winograd(winograd) if has_tiles(winograd.isa) => winograd.packed_len(),
            Forward::RowTiles(tiles) if RowTiles::run_on(tiles.isa) => tiles.packed_len(),
            Forward::Lines(lines) if Lines::run_on(lines.isa) => lines.packed_len(),
            Forward::Direct(direct) | Forward::DirectPooled(direct) if !takes_plain_weights(direct.isa) => {
                packed_len(direct.isa, &direct.geometry)
            }
            _ => 0,
        }
    }

    /// Packs weights `[KH, KW, Cin / groups, Cout]`; checks them alone where they are taken as they are.
    ///
    /// # Errors
    /// A slice's length differs from the shape's, or weights are beyond the algorithm's
    /// [range](RowPairs::check_weights).
    pub fn pack(&self, weights: &[f32], packed: &mut [f32]) -> Result<(), Error> {
        match &self.forward {
            Forward::Winograd(winograd) if has_tiles(winograd.isa) => winograd.pack(weights, packed),
            Forward::RowTiles(tiles) if RowTiles::run_on(tiles.isa) => tiles.pack(weights, packed),
            Forward::Lines(lines) if Lines::run_on(lines.isa) => lines.pack(weights, packed),
            Forward::Direct(direct) | Forward::DirectPooled(direct) if !takes_plain_weights(direct.isa) => {
                pack(direct.isa, &direct.geometry, weights, packed)
            }
            Forward::RowPairs(pairs) => {
                check("packed weights", packed, 0)?;
                pairs.check_weights(weights)
            }
            _ => check("packed weights", packed, 0),
        }
    }

    /// Elements of scratch that [`forward`](Self::forward) takes.
    pub fn scratch_len(&self) -> usize {
        match &self.forward {
            Forward::Winograd(winograd) if has_tiles(winograd.isa) => winograd.forward_scratch_len(),
            Forward::RowTiles(tiles) if RowTiles::run_on(tiles.isa) => tiles.scratch_len(),
            Forward::Lines(lines) if Lines::run_on(lines.isa) => lines.scratch_len(),
            Forward::RowPairs(pairs) => pairs.scratch_len(),
            _ => 0,
        }
    }

    /// `[N, H, W, Cin]` to `[N, OH, OW, Cout]`, with a bias of `[Cout]`; to half the rows and columns if
    /// [`pooled`](Self::pooled), and on top of what the output holds if [`adding`](Self::adding). What `scratch` holds does not
    /// matter.
    ///
    /// # Errors
    /// A slice's length differs from the shape's, or a sum is [not finite](Error::NotFinite).
    pub fn forward(
        &self,
        input: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let (pitches, finish) = (self.pitches, Finish { adds: self.adds, activation });
        match &self.forward {
            Forward::Winograd(winograd) if has_tiles(winograd.isa) => {
                winograd.forward_between(pitches, input, packed, bias, finish, output, scratch)
            }
            Forward::RowTiles(tiles) if RowTiles::run_on(tiles.isa) => {
                tiles.forward_between(pitches, input, packed, bias, activation, output, scratch)
            }
            Forward::Lines(lines) if Lines::run_on(lines.isa) => {
                lines.forward_between(pitches, input, packed, bias, activation, output, scratch)
            }
            Forward::RowPairs(pairs) => pairs.forward(input, packed, bias, activation, output, scratch),
            Forward::Gemv(gemv) if has_tiles(gemv.isa) => {
                let features = 0..gemv.geometry.channels_out;
                gemv.forward(features, input, packed, bias, activation, output)
            }
            Forward::Direct(Direct { isa, geometry }) => {
                forward_between(*isa, geometry, pitches, input, packed, bias, finish, output)
            }
            Forward::DirectPooled(Direct { isa, geometry }) if pooled::runs_on(*isa) => {
                pooled::forward(*isa, geometry, input, packed, bias, activation, output)
            }
            Forward::Winograd(_)
            | Forward::RowTiles(_)
            | Forward::Lines(_)
            | Forward::DirectPooled(_)
            | Forward::Gemv(_) => Err(Error::NotWinograd),
        }
    }
}

/// Either of the gradients: by Winograd's tiles, or directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gradient {
    direct: Direct,
    tile: Option<Tile>,
}

impl Gradient {
    fn new(isa: Isa, geometry: &Geometry, algorithm: Algorithm) -> Result<Gradient, Error> {
        let direct = Direct { isa, geometry: *geometry };
        match algorithm {
            Algorithm::Direct => Ok(Gradient { direct, tile: None }),
            Algorithm::Winograd(tile) if has_tiles(isa) && Winograd::fits(geometry) => {
                Ok(Gradient { direct, tile: Some(tile) })
            }
            _ => Err(Error::NotWinograd),
        }
    }

    fn chosen(isa: Isa, geometry: &Geometry, algorithm: Algorithm) -> Gradient {
        let direct = Direct { isa, geometry: *geometry };
        Gradient::new(isa, geometry, algorithm).unwrap_or(Gradient { direct, tile: None })
    }

    fn winograd(&self) -> Option<Winograd> {
        let Direct { isa, geometry } = &self.direct;
        if has_tiles(*isa) { Winograd::new(*isa, geometry, self.tile?).ok() } else { None }
    }

    fn first(mut self, images: usize) -> Gradient {
        self.direct.geometry = self.direct.geometry.first(images);
        self
    }
}

/// The gradient to the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputGradient(Gradient);

impl InputGradient {
    /// By the [fastest](Algorithm::choose_grad_input) algorithm.
    pub fn new(isa: Isa, geometry: &Geometry) -> InputGradient {
        InputGradient(Gradient::chosen(isa, geometry, Algorithm::choose_grad_input(isa, geometry)))
    }

    /// By that algorithm.
    ///
    /// # Errors
    /// It has no form for the shape, or none that is a gradient.
    pub fn with_algorithm(
        isa: Isa,
        geometry: &Geometry,
        algorithm: Algorithm,
    ) -> Result<InputGradient, Error> {
        Ok(InputGradient(Gradient::new(isa, geometry, algorithm)?))
    }

    /// The same over the first `images`, as [`Geometry::first`].
    pub fn first(self, images: usize) -> InputGradient {
        InputGradient(self.0.first(images))
    }

    /// A dense layer on weights as they are.
    fn dense(&self) -> Option<DenseGradInput> {
        let Direct { isa, geometry } = &self.0.direct;
        DenseGradInput::new(*isa, geometry)
    }

    /// Elements of the packed weights; none where [`run`](Self::run) takes the weights as they are.
    pub fn packed_len(&self) -> usize {
        let Direct { isa, geometry } = &self.0.direct;
        match self.0.winograd() {
            Some(winograd) => winograd.packed_transposed_len(),
            None if self.dense().is_some() => 0,
            None => packed_transposed_len(*isa, geometry),
        }
    }

    /// Packs weights `[KH, KW, Cin / groups, Cout]`, where they are not taken as they are.
    ///
    /// # Errors
    /// A slice's length differs from the shape's.
    pub fn pack(&self, weights: &[f32], packed: &mut [f32]) -> Result<(), Error> {
        let Direct { isa, geometry } = &self.0.direct;
        match self.0.winograd() {
            Some(winograd) => winograd.pack_transposed(weights, packed),
            None if self.dense().is_some() => check("packed weights", packed, 0),
            None => pack_transposed(*isa, geometry, weights, packed),
        }
    }

    /// Elements of scratch that [`run`](Self::run) takes.
    pub fn scratch_len(&self) -> usize {
        match self.0.winograd() {
            Some(winograd) => winograd.grad_input_scratch_len(),
            None => self.dense().map_or(0, |dense| dense.scratch_len()),
        }
    }

    /// `[N, OH, OW, Cout]` to `[N, H, W, Cin]`, which is overwritten. What `scratch` holds does not matter.
    ///
    /// # Errors
    /// A slice's length differs from the shape's, or a sum is [not finite](Error::NotFinite).
    pub fn run(
        &self,
        d_output: &[f32],
        packed: &[f32],
        d_input: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let Direct { isa, geometry } = &self.0.direct;
        match self.0.winograd() {
            Some(winograd) => winograd.grad_input(d_output, packed, d_input, scratch),
            None => match self.dense() {
                Some(dense) => dense.run(d_output, packed, d_input, scratch),
                None => grad_input(*isa, geometry, d_output, packed, d_input),
            },
        }
    }
}

/// The gradient to the weights. Seen as a matrix they are `[KH · KW · Cin / groups, Cout]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightGradient(Gradient);

impl WeightGradient {
    /// By the [fastest](Algorithm::choose_grad_weights) algorithm.
    pub fn new(isa: Isa, geometry: &Geometry) -> WeightGradient {
        WeightGradient(Gradient::chosen(isa, geometry, Algorithm::choose_grad_weights(isa, geometry)))
    }

    /// By that algorithm.
    ///
    /// # Errors
    /// It has no form for the shape, or none that is a gradient.
    pub fn with_algorithm(
        isa: Isa,
        geometry: &Geometry,
        algorithm: Algorithm,
    ) -> Result<WeightGradient, Error> {
        Ok(WeightGradient(Gradient::new(isa, geometry, algorithm)?))
    }

    /// The same over the first `images`, as [`Geometry::first`].
    pub fn first(self, images: usize) -> WeightGradient {
        WeightGradient(self.0.first(images))
    }

    /// What some rows of one image's output contribute, and the rows of the input that they see, as [`Geometry::rows`].
    pub fn rows(mut self, rows: Range<usize>) -> Option<(WeightGradient, Range<usize>)> {
        let (part, seen) = self.0.direct.geometry.rows(rows)?;
        self.0.direct.geometry = part;
        Some((self, seen))
    }

    /// The shape.
    pub fn geometry(&self) -> &Geometry {
        &self.0.direct.geometry
    }

    /// Into how many parts the gradient can be cut: rows of the matrix, or input channels, whose rows do not
    /// lie beside each other. A part's bits are the whole's.
    pub fn parts(&self) -> Parts {
        let geometry = &self.0.direct.geometry;
        match self.0.winograd() {
            Some(_) => Parts::Channels(geometry.input()[3]),
            None => {
                let [kh, kw, channels, _] = geometry.weights();
                Parts::Rows(kh * kw * channels)
            }
        }
    }

    /// Elements of scratch that [`run`](Self::run) takes for so many [`parts`](Self::parts).
    pub fn scratch_len(&self, parts: usize) -> usize {
        self.0.winograd().map_or(0, |winograd| winograd.grad_weights_scratch_len(parts))
    }

    /// From the input `[N, H, W, Cin]` and the output's gradient `[N, OH, OW, Cout]` to some
    /// [`parts`](Self::parts) of the weights' gradient, which is overwritten.
    ///
    /// # Errors
    /// A slice's length differs from the shape's, there are fewer parts, or a sum is [not
    /// finite](Error::NotFinite).
    pub fn run(
        &self,
        input: &[f32],
        d_output: &[f32],
        parts: Range<usize>,
        d_weights: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let Direct { isa, geometry } = &self.0.direct;
        match self.0.winograd() {
            Some(winograd) => winograd.grad_weights(input, d_output, parts, d_weights, scratch),
            None => grad_weights(*isa, geometry, input, d_output, parts, d_weights),
        }
    }
}

/// What a gradient to weights can be cut into, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Rows of the matrix `[KH · KW · Cin / groups, Cout]`.
    Rows(usize),
    /// Input channels: the part for some of them is `[KH, KW, channels, Cout]`.
    Channels(usize),
}

impl Parts {
    /// How many there are.
    pub fn count(self) -> usize {
        match self {
            Parts::Rows(count) | Parts::Channels(count) => count,
        }
    }
}
