mod products;
mod transform;

use super::super::activation::Activation;
use super::super::geometry::{Axis, Geometry, Pitches, span};
use super::super::pack::WholeVectors;
use super::pitch;
use crate::error::{check, elements};
use crate::simd::{Operation, Simd, Tile};
use crate::{Error, Isa};
use products::{Product, ToOutputs};
use transform::{Pack, ToPoints, Transform};

/// Convolution by Winograd's algorithm along the rows alone: four neighbours in a row of the output cost 6
/// multiplications in place of 12 for windows three columns wide, 14 in place of 28 for windows of seven with
/// stride 2, 9 in place of 12 for windows of three with stride 2.
///
/// Sums at the points stay in registers until they are transformed, so that it serves few channels too. A
/// stride of two parts the columns into even and odd ones, over each of which a window slides by one: F(4, 4)
/// for both of seven columns, whose sums are transformed together; F(4, 2) for the even ones of three, with
/// the middle tap multiplied as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowTiles {
    pub(in crate::conv2d) isa: Isa,
    pub(in crate::conv2d) geometry: Geometry,
    form: Form,
    pub(in crate::conv2d) pooled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// F(4, 3).
    Three,
    /// F(4, 4), for every other column.
    SevenByTwo,
    /// F(4, 2), for every other column.
    ThreeByTwo,
}

impl Form {
    fn of(axis: &Axis) -> Option<Form> {
        match [axis.window, axis.stride, axis.dilation] {
            [3, 1, 1] => Some(Form::Three),
            [7, 2, 1] => Some(Form::SevenByTwo),
            [3, 2, 1] => Some(Form::ThreeByTwo),
            _ => None,
        }
    }

    const fn points(self) -> usize {
        match self {
            Form::Three => 6,
            Form::SevenByTwo => 7,
            Form::ThreeByTwo => 5,
        }
    }

    /// Kinds of columns that are transformed: even and odd ones, or one kind alone.
    const fn phases(self) -> usize {
        match self {
            Form::SevenByTwo => 2,
            Form::Three | Form::ThreeByTwo => 1,
        }
    }

    /// Columns, one for each output, that are multiplied as they are.
    const fn plain(self) -> usize {
        match self {
            Form::ThreeByTwo => OUTPUTS,
            Form::Three | Form::SevenByTwo => 0,
        }
    }

    const fn planes(self) -> usize {
        self.points() + self.plain()
    }

    /// Vectors of weights for each product of a tile.
    const fn weights(self) -> usize {
        self.points() + self.plain() / OUTPUTS
    }

    /// As [`Tile::error_amplification`](super::Tile), for one dimension.
    const fn error_amplification(self) -> f64 {
        match self {
            Form::Three => 13.0,
            Form::SevenByTwo => 23.0,
            Form::ThreeByTwo => 10.0,
        }
    }
}

/// Outputs of a tile.
const OUTPUTS: usize = 4;
/// Numbers of rows that are transformed together.
const PARTED: usize = 4 * 1024;
/// What the transformed rows of a block take should stay in the second-level cache.
const BLOCK_BYTES: usize = 512 * 1024;

/// Whether the registers hold the sums of several tiles, and a product takes an input from memory for all lanes.
///
/// With AVX2's sixteen registers a weight that is loaded meets two inputs: 3 channels to 64, windows of 7×7 and
/// 112×112 outputs take 2.24 ms, directly 2.09. NEON takes one instruction for the address and one for the load of
/// each input: 0.47 for a multiply-add of that layer, directly 0.36.
struct ProductsFromMemory;

impl Operation for ProductsFromMemory {
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> bool {
        matches!(S::TILE, Tile::R6V4)
    }
}

impl RowTiles {
    /// Whether there are such tiles for an instruction set. Where the compiler sees that there are for none, a
    /// program has nothing of them in it.
    #[inline]
    pub(in crate::conv2d) fn run_on(isa: Isa) -> bool {
        isa.run(ProductsFromMemory)
    }

    /// For the shape of a convolution.
    ///
    /// # Errors
    /// The windows are not three columns wide with stride 1 or 2 or seven with stride 2, there are dilation or
    /// groups, or the instruction set is not AVX-512; or rows at the points would not fit memory.
    pub fn new(isa: Isa, geometry: &Geometry) -> Result<RowTiles, Error> {
        let [vertical, horizontal] = geometry.axes;
        match Form::of(&horizontal) {
            Some(form) if geometry.groups == 1 && vertical.dilation == 1 && RowTiles::run_on(isa) => {
                // What the scratch is less than, so that no length overflows.
                let padded = [16, vertical.padded(), horizontal.padded(), geometry.channels_in];
                elements("rows at the points", &padded)?;
                Ok(RowTiles { isa, geometry: *geometry, form, pooled: false })
            }
            _ => Err(Error::NotWinograd),
        }
    }

    /// The same convolution and a max-pool of its output with windows of 2×2 and as large a stride, which takes the
    /// outputs from registers. `None` if a window would lack a row or column, or the sums are too many for four
    /// tiles at a time.
    pub fn pooled(mut self) -> Option<RowTiles> {
        let [_, height, width, _] = self.geometry.output();
        self.pooled = self.form.plain() == 0 && height.is_multiple_of(2) && width.is_multiple_of(2);
        self.pooled.then_some(self)
    }

    /// How far a result may be from the true one, in the units and the range of
    /// [`Winograd::error_bound`](super::Winograd::error_bound).
    pub fn error_bound(&self) -> f64 {
        // Roundings along a path through the three transforms, at the most.
        const TRANSFORMS: usize = 32;
        // The sums of both phases are one.
        self.form.error_amplification() * (self.depth() + TRANSFORMS) as f64
    }

    /// Multiplications of an image for each pair of channels.
    pub(in super::super) fn multiplications(&self) -> f64 {
        let rows = self.geometry.axes[0];
        let products = self.form.planes() * self.form.phases() * rows.window;
        (self.tiles() * rows.output) as f64 * products as f64
    }

    /// Products that are summed at a point.
    fn depth(&self) -> usize {
        self.geometry.axes[0].window * self.form.phases() * self.geometry.channels_in
    }

    /// Elements of the packed weights that [`forward`](Self::forward) takes.
    pub fn packed_len(&self) -> usize {
        self.depth() * self.form.weights() * self.isa.run(WholeVectors(self.geometry.channels_out))
    }

    /// Tiles in a row.
    pub(in super::super) fn tiles(&self) -> usize {
        self.geometry.axes[1].output.div_ceil(OUTPUTS)
    }

    /// Elements of a row at a point: tiles, and one more that the last reads.
    fn line(&self) -> usize {
        (self.tiles() + 1) * self.geometry.channels_in
    }

    /// Rows of the input that are transformed together, from the first-level cache.
    fn together(&self) -> usize {
        // Even and odd columns take turns at a point, so that one row is all that lies together.
        if self.form.phases() > 1 {
            return 1;
        }
        let columns = OUTPUTS * self.geometry.axes[1].stride;
        (PARTED / (columns * self.line())).clamp(1, self.seen())
    }

    /// Rows of the convolution's output that are worked on together: an even number, or all.
    pub(in super::super) fn block(&self) -> usize {
        let rows = self.geometry.axes[0];
        let row_bytes = size_of::<f32>() * self.form.planes() * self.form.phases() * self.line();
        let more = (BLOCK_BYTES / row_bytes).saturating_sub(rows.window) / rows.stride;
        (1 + more).next_multiple_of(2).min(rows.output)
    }

    /// Rows of the input that a block sees.
    fn seen(&self) -> usize {
        let rows = self.geometry.axes[0];
        (self.block() - 1) * rows.stride + rows.window
    }

    /// Rows and columns of what is written for an image.
    fn written(&self) -> [usize; 2] {
        let [_, height, width, _] = self.geometry.output();
        if self.pooled { [height / 2, width / 2] } else { [height, width] }
    }

    /// Elements of scratch that [`forward`](Self::forward) takes.
    pub fn scratch_len(&self) -> usize {
        self.scratch().iter().sum()
    }

    /// Elements of a row parted into columns, and of a block's rows at the points.
    fn scratch(&self) -> [usize; 2] {
        let parted = OUTPUTS * self.geometry.axes[1].stride * self.together() * self.line();
        [parted, self.form.planes() * pitch(self.seen() * self.form.phases() * self.line())]
    }

    /// Transforms weights `[KH, KW, Cin, Cout]` and packs them.
    ///
    /// # Errors
    /// A slice's length differs from the shape's.
    pub fn pack(&self, weights: &[f32], packed: &mut [f32]) -> Result<(), Error> {
        check("weights", weights, self.geometry.weights().iter().product())?;
        check("packed weights", packed, self.packed_len())?;
        match self.form {
            Form::Three => self.isa.run(Pack::<6, 3> { tiles: self, weights, packed }),
            Form::SevenByTwo => self.isa.run(Pack::<7, 4> { tiles: self, weights, packed }),
            Form::ThreeByTwo => self.isa.run(Pack::<5, 2> { tiles: self, weights, packed }),
        }
        Ok(())
    }

    /// Convolution, bias and activation: `[N, H, W, Cin]` to `[N, OH, OW, Cout]`, or to half the rows and columns if
    /// [`pooled`](Self::pooled), with weights from [`pack`](Self::pack) and a bias of `[Cout]`. What `scratch` holds
    /// does not matter.
    ///
    /// # Errors
    /// A slice's length differs from the shape's, or a sum before pool and activation is [not
    /// finite](Error::NotFinite).
    pub fn forward(
        &self,
        input: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let pitches = Pitches::of(&self.geometry);
        self.forward_between(pitches, input, packed, bias, activation, output, scratch)
    }

    /// [`forward`](Self::forward), with pixels at these pitches.
    #[allow(clippy::too_many_arguments, reason = "those of `forward` and the pitches")]
    pub(in crate::conv2d) fn forward_between(
        &self,
        pitches: Pitches,
        input: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let [batch, h, w, channels] = self.geometry.input();
        let ([height, width], features) = (self.written(), self.geometry.channels_out);
        check("input", input, span([batch, h, w, channels], pitches.read))?;
        check("packed weights", packed, self.packed_len())?;
        check("output", output, span([batch, height, width, features], pitches.write))?;
        check("scratch", scratch, self.scratch_len())?;
        if let Some(bias) = bias {
            check("bias", bias, features)?;
        }
        let (parted, samples) = scratch.split_at_mut(self.scratch()[0]);
        let (all, block) = (self.geometry.axes[0].output, self.block());
        // The last may be shorter: with the last pixel's channels a slice of a wider map ends.
        let images = input.chunks(h * w * pitches.read);
        for (image, output) in images.zip(output.chunks_mut(height * width * pitches.write)) {
            let mut rest = output;
            for first in (0..all).step_by(block) {
                let rows = first..all.min(first + block);
                let len = rows.len() * height / all * width * pitches.write;
                let (output, behind) = rest.split_at_mut(len.min(rest.len()));
                rest = behind;
                let transform = Transform {
                    tiles: self,
                    rows: rows.clone(),
                    image,
                    pixel_pitch: pitches.read,
                    parted,
                    samples,
                };
                self.transform(transform);
                let rows = rows.len();
                let product = Product {
                    tiles: self,
                    rows,
                    samples,
                    packed,
                    bias,
                    activation,
                    output,
                    pixel_pitch: pitches.write,
                };
                if !self.multiply(product) {
                    return Err(Error::NotFinite);
                }
            }
        }
        Ok(())
    }

    fn transform(&self, transform: Transform<'_>) {
        match self.form {
            Form::Three => self.isa.run(ToPoints::<6, 4>(transform)),
            Form::SevenByTwo => self.isa.run(ToPoints::<7, 8>(transform)),
            Form::ThreeByTwo => self.isa.run(ToPoints::<5, 8>(transform)),
        }
    }

    fn multiply(&self, product: Product<'_>) -> bool {
        match (self.form, self.pooled) {
            (Form::Three, false) => self.isa.run(ToOutputs::<6, 0, 1>(product)),
            (Form::Three, true) => self.isa.run(ToOutputs::<6, 0, 2>(product)),
            (Form::SevenByTwo, false) => self.isa.run(ToOutputs::<7, 0, 1>(product)),
            (Form::SevenByTwo, true) => self.isa.run(ToOutputs::<7, 0, 2>(product)),
            (Form::ThreeByTwo, _) => self.isa.run(ToOutputs::<5, 4, 1>(product)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::points::tests::error_amplification;
    use super::Form;

    #[test]
    fn growth_is_as_stated() {
        let computed = [
            error_amplification::<6, 4, 3>(),
            error_amplification::<7, 4, 4>(),
            error_amplification::<5, 4, 2>(),
        ];
        for (form, computed) in [Form::Three, Form::SevenByTwo, Form::ThreeByTwo].into_iter().zip(computed) {
            let stated = form.error_amplification();
            assert!(computed <= stated && stated < computed + 1.0, "{form:?}: {computed}, stated {stated}");
        }
    }
}
