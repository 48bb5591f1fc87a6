//! A convolution's features in parts, each with its own weights, so that threads can share them.

use super::activation::Finish;
use super::convolution::{Direct, Forward, has_tiles};
use super::direct::forward_features;
use super::pack::PartOfPanels;
use super::winograd::Lines;
use super::{Activation, Convolution};
use crate::{CacheLine, Columns, Error, Isa};
use core::ops::Range;

impl Convolution {
    /// One of so many parts of the features, about equal in work, so that threads can share them; `None` where there are
    /// too few, or no such code: there is none for scalar code, nor for convolutions in groups or by [`RowTiles`](super::winograd::RowTiles).
    ///
    /// ```
    /// use bantam_kernels::conv2d::{Activation, Algorithm, Convolution, Geometry};
    /// use bantam_kernels::{Columns, Isa};
    /// let (isa, two) = (Isa::detect(), Geometry::dense(2, 3, 128)?);
    /// let convolution = Convolution::with_algorithm(isa, &two, Algorithm::Direct)?;
    /// let mut packed = vec![0.0; convolution.packed_len()];
    /// convolution.pack(&[0.5; 3 * 128], &mut packed)?;
    /// let (mut output, input) = ([0.0; 2 * 128], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    /// let mut columns = Columns::new(&mut output, 2, 128)?;
    /// for part in 0..2 {
    ///     let Some(features) = convolution.features(part, 2) else { return Ok(()) };
    ///     let (these, others) = columns.split_at(features.range().len());
    ///     features.forward(&input, &packed, None, Activation::None, these, &mut [])?;
    ///     columns = others;
    /// }
    /// assert_eq!([output[0], output[127], output[128], output[255]], [3.0, 3.0, 7.5, 7.5]);
    /// # Ok::<(), bantam_kernels::Error>(())
    /// ```
    pub fn features(&self, part: usize, parts: usize) -> Option<Features<'_>> {
        let all = self.geometry().channels_out;
        let of_panels = |isa: Isa| isa.run_with_vectors(PartOfPanels { features: all, part, parts })?;
        let range = match &self.forward {
            Forward::Gemv(gemv) if has_tiles(gemv.isa) => {
                // Whole cache lines, so that no two threads write to one.
                let lines = all.div_ceil(CacheLine::NUMBERS);
                let first = |part: usize| (part * lines / parts * CacheLine::NUMBERS).min(all);
                if part >= parts || lines < parts {
                    return None;
                }
                first(part)..first(part + 1)
            }
            Forward::Direct(direct) if has_tiles(direct.isa) && direct.geometry.groups == 1 => {
                of_panels(direct.isa)?
            }
            Forward::Winograd(winograd) if has_tiles(winograd.isa) => of_panels(winograd.isa)?,
            Forward::Lines(lines) if Lines::run_on(lines.isa) => {
                of_panels(lines.isa).filter(|features| lines.has_form(features.len()))?
            }
            _ => return None,
        };
        Some(Features { convolution: self, range })
    }
}

/// Some of a [`Convolution`]'s features.
#[derive(Clone, Debug)]
pub struct Features<'a> {
    convolution: &'a Convolution,
    range: Range<usize>,
}

impl Features<'_> {
    /// Which they are.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Elements of scratch that [`forward`](Self::forward) takes.
    pub fn scratch_len(&self) -> usize {
        match &self.convolution.forward {
            Forward::Winograd(winograd) if has_tiles(winograd.isa) => {
                winograd.features_scratch_len(self.range.len())
            }
            Forward::Lines(lines) if Lines::run_on(lines.isa) => lines.features_scratch_len(self.range.len()),
            _ => 0,
        }
    }

    /// As [`Convolution::forward`], with the same input, packed weights and bias; of the output, `[N · OH · OW, Cout]`, these
    /// features' columns. The bits are the whole's.
    ///
    /// # Errors
    /// A length differs from the shape's, or a sum is [not finite](Error::NotFinite).
    pub fn forward(
        &self,
        input: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: Columns<'_>,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let (features, Convolution { pitches, adds, .. }) = (self.range(), *self.convolution);
        let finish = Finish { adds, activation };
        match &self.convolution.forward {
            Forward::Gemv(gemv) if has_tiles(gemv.isa) => {
                gemv.forward(features, input, packed, bias, activation, output.into_row()?)
            }
            Forward::Direct(Direct { isa, geometry }) if has_tiles(*isa) => {
                forward_features(*isa, geometry, pitches, features, input, packed, bias, finish, output)
            }
            Forward::Winograd(winograd) if has_tiles(winograd.isa) => {
                winograd.forward_features(pitches, features, input, packed, bias, finish, output, scratch)
            }
            Forward::Lines(lines) if Lines::run_on(lines.isa) => {
                lines.forward_features(pitches, features, input, packed, bias, activation, output, scratch)
            }
            _ => Err(Error::NotWinograd),
        }
    }
}
