use super::{Backward, BackwardRows, Differentiable, Forward, Operation, conv2d as convolution};
use crate::{Error, Shape};
use bantam_kernels::Isa;
use bantam_kernels::conv2d::{Activation, Geometry};

/// `[N, In]` times `[In, Out]`, plus a bias of `[Out]`: a convolution of one-pixel images, because
/// that runs on weights that are packed already and allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dense {
    pub activation: Activation,
}

impl Dense {
    fn geometry(&self, inputs: &[Shape]) -> Result<Geometry, Error> {
        let [batch, features] = inputs[0].array("input")?;
        let [_, outputs] = inputs[1].array("weights")?;
        convolution::require_weights(inputs, &[features, outputs])?;
        Ok(Geometry::dense(batch, features, outputs)?)
    }
}

impl Operation for Dense {
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        let [batch, _, _, outputs] = self.geometry(inputs)?.output();
        Shape::new(&[batch, outputs])
    }

    fn prepared_len(&self, isa: Isa, inputs: &[Shape]) -> Result<usize, Error> {
        convolution::prepared_len(isa, &self.geometry(inputs)?)
    }

    fn prepare(
        &self,
        isa: Isa,
        shapes: &[Shape],
        inputs: &[&[f32]],
        prepared: &mut [f32],
    ) -> Result<(), Error> {
        convolution::prepare(isa, &self.geometry(shapes)?, inputs[1], prepared)
    }

    fn forward_scratch_len(&self, isa: Isa, inputs: &[Shape]) -> Result<usize, Error> {
        convolution::forward_scratch_len(isa, &self.geometry(inputs)?)
    }

    fn multiply_adds(&self, inputs: &[Shape]) -> u64 {
        self.geometry(inputs).map_or(0, |geometry| geometry.multiply_adds())
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let prepared_for = self.geometry(run.prepared_for)?;
        convolution::forward(&prepared_for, self.activation, run)
    }
}

impl Differentiable for Dense {
    fn backward_scratch_len(&self, isa: Isa, inputs: &[Shape], d_input: bool) -> Result<usize, Error> {
        convolution::backward_scratch_len(isa, &self.geometry(inputs)?, None, d_input)
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let geometry = self.geometry(run.shapes)?;
        convolution::backward(&geometry, self.activation, None, run)
    }

    fn weight_rows(&self, isa: Isa, inputs: &[Shape]) -> Result<Option<usize>, Error> {
        convolution::weight_rows(isa, &self.geometry(inputs)?)
    }

    fn backward_rows(&self, run: BackwardRows<'_>) -> Result<(), Error> {
        convolution::backward_rows(&self.geometry(run.shapes)?, run)
    }
}
