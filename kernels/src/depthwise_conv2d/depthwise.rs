use super::{Geometry, forward, grad_input, grad_weights};
use crate::conv2d::Activation;
use crate::{Error, Isa};
use core::ops::Range;

/// A depthwise convolution's three passes for a shape and an [`Isa`]. Nothing is packed and none takes scratch.
///
/// ```
/// use bantam_kernels::Isa;
/// use bantam_kernels::conv2d::{Activation, Padding};
/// use bantam_kernels::depthwise_conv2d::{Depthwise, Geometry};
/// let geometry = Geometry::new([1, 8, 8, 16], [3, 3], 1, [1, 1], Padding::Same)?;
/// let depthwise = Depthwise::new(Isa::detect(), &geometry);
/// let mut output = [0.0; 8 * 8 * 16];
/// depthwise.forward(&[1.0; 8 * 8 * 16], &[0.5; 3 * 3 * 16], None, Activation::None, &mut output)?;
/// assert_eq!(output[3 * 8 * 16 + 3 * 16], 4.5);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depthwise {
    isa: Isa,
    geometry: Geometry,
}

impl Depthwise {
    /// For that shape.
    pub fn new(isa: Isa, geometry: &Geometry) -> Depthwise {
        Depthwise { isa, geometry: *geometry }
    }

    /// The shape.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The same over the first `images`, as [`Geometry::first`].
    pub fn first(self, images: usize) -> Depthwise {
        Depthwise { geometry: self.geometry.first(images), ..self }
    }

    /// The same for some rows of one image, as [`Geometry::rows`]. The bits are those of the whole.
    pub fn rows(self, rows: Range<usize>) -> Option<(Depthwise, Range<usize>)> {
        let (geometry, seen) = self.geometry.rows(rows)?;
        Some((Depthwise { geometry, ..self }, seen))
    }

    /// As the function [`forward`]: `[N, H, W, C]` to `[N, OH, OW, C * M]`, with weights `[KH, KW, C, M]` and a
    /// bias of `[C * M]`.
    ///
    /// # Errors
    /// A slice's length differs from the shape's.
    pub fn forward(
        &self,
        input: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
    ) -> Result<(), Error> {
        forward(self.isa, &self.geometry, input, weights, bias, activation, output)
    }

    /// The gradient to the input, as the function [`grad_input`]: `[N, OH, OW, C * M]` to `[N, H, W, C]`, which is
    /// overwritten.
    ///
    /// # Errors
    /// A slice's length differs from the shape's.
    pub fn grad_input(&self, d_output: &[f32], weights: &[f32], d_input: &mut [f32]) -> Result<(), Error> {
        grad_input(self.isa, &self.geometry, d_output, weights, d_input)
    }

    /// The gradient to the weights of some input `channels`, as the function [`grad_weights`]:
    /// `[KH, KW, channels, M]`, which is overwritten. A part's bits are the whole's.
    ///
    /// # Errors
    /// A slice's length differs from the shape's, or `channels` ends past the last.
    pub fn grad_weights(
        &self,
        input: &[f32],
        d_output: &[f32],
        channels: Range<usize>,
        d_weights: &mut [f32],
    ) -> Result<(), Error> {
        grad_weights(self.isa, &self.geometry, input, d_output, channels, d_weights)
    }
}
