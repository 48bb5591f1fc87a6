use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Initial, Layer, Signature,
    Site, Step, TrainingStep, gradients, one_batch, one_input,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::{Isa, channels, elementwise};

/// `x` if it is positive, else `alpha · x` with an `alpha` of each element that is learnt, from zeros on (He et al., "Delving
/// Deep into Rectifiers", arXiv 1502.01852). Dimensions that share theirs have one `alpha`: `[1, 1, C]` of maps `[H, W, C]`
/// whose dimensions 1 and 2 share. At zero the gradient is 0, as in Keras.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prelu {
    /// Bit `i` says that dimension `i` shares; the batch is dimension 0.
    shared: u32,
}

impl Prelu {
    /// With an `alpha` of each element.
    pub const fn new() -> Prelu {
        Prelu { shared: 0 }
    }

    /// Which dimensions share, counted from 1: the first behind the batch.
    pub const fn shared_axes<const N: usize>(self, axes: [usize; N]) -> Prelu {
        let (mut shared, mut i) = (0, 0);
        while i < N {
            // What is no dimension counts as the batch, which cannot share.
            shared |= 1 << if axes[i] < 32 { axes[i] } else { 0 };
            i += 1;
        }
        Prelu { shared }
    }

    fn shares(&self, axis: usize) -> bool {
        self.shared >> (axis + 1) & 1 == 1
    }
}

impl Layer for Prelu {
    const NAME: &'static str = "PReLU";
    const BASE: &'static str = "p_re_lu";
    type Step = PreluStep;

    fn read(attributes: &mut Attributes<'_>) -> Prelu {
        Prelu { shared: attributes.size("shared axes") as u32 }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.size(self.shared as usize);
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let input = one_input(inputs)?;
        let rank = input.dims().len();
        let beyond = (0..32).find(|&axis| self.shared >> axis & 1 == 1 && (axis == 0 || axis > rank));
        if let Some(axis) = beyond {
            let expected = "dimensions of the input behind the batch, from 1";
            return Err(Error::OutOfRange { what: "shared axis", expected, got: axis as f32 });
        }
        let mut alpha = [1; Shape::MAX_RANK];
        for (axis, size) in input.dims().iter().enumerate().filter(|&(axis, _)| !self.shares(axis)) {
            alpha[axis] = *size;
        }
        Ok(Signature::new(input).weight("alpha", &alpha[..rank], Initial::Constant(0.0)))
    }

    fn lower(&self, site: &Site<'_>) -> Result<PreluStep, Error> {
        let (_, sample) = one_batch(site.inputs)?;
        let rank = sample.dims().len();
        let outer = (0..rank).take_while(|&axis| self.shares(axis)).count();
        let expands = (outer..rank).any(|axis| self.shares(axis));
        let columns = sample.dims()[outer..].iter().product();
        Ok(PreluStep { isa: site.isa, layer: *self, sample, columns, expands })
    }
}

impl Differentiable for Prelu {
    type TrainingStep = PreluStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<PreluStep, Error> {
        self.lower(site)
    }
}

/// [`Prelu`], ready to run. Dimensions that share and come first are rows.
pub struct PreluStep {
    isa: Isa,
    layer: Prelu,
    sample: Shape,
    columns: usize,
    /// Whether dimensions of a row share.
    expands: bool,
}

impl PreluStep {
    /// Which `alpha` a column has.
    fn alpha_of(&self, mut column: usize) -> usize {
        let (mut alpha, mut stride) = (0, 1);
        for (axis, &size) in self.sample.dims().iter().enumerate().rev() {
            if !self.layer.shares(axis) {
                alpha += column % size * stride;
                stride *= size;
            }
            column /= size;
        }
        alpha
    }

    fn expand(&self, alpha: &[f32], expanded: &mut [f32]) {
        for (column, expanded) in expanded.iter_mut().enumerate() {
            *expanded = alpha[self.alpha_of(column)];
        }
    }
}

impl Step for PreluStep {
    fn prepared_len(&self) -> usize {
        if self.expands { self.columns } else { 0 }
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        self.expand(weights[0], prepared);
        Ok(())
    }

    fn reads_weights(&self, _: usize) -> bool {
        !self.expands
    }

    fn overwrites(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let PreluStep { isa, columns, .. } = *self;
        let alpha = if self.expands { run.prepared } else { run.weights[0] };
        let (rows, y) = (run.output.len() / columns, run.output);
        match run.overwritten {
            Some(_) => channels::prelu_in_place(isa, rows, columns, alpha, y)?,
            None => channels::prelu(isa, rows, columns, run.inputs[0], alpha, y)?,
        }
        Ok(())
    }
}

impl TrainingStep for PreluStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::INPUTS
    }

    fn backward_scratch_len(&self, _: bool) -> usize {
        self.prepared_len()
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let PreluStep { isa, columns, .. } = *self;
        let Backward { inputs, weights, d_output, d_input, d_weights, scratch, .. } = run;
        let (x, rows) = (inputs[0], d_output.len() / columns);
        let [d_alpha] = gradients(d_weights);
        match d_alpha {
            Some(d_alpha) if self.expands => {
                channels::grad_alpha(isa, rows, columns, d_output, x, scratch)?;
                d_alpha.fill(0.0);
                for (column, d) in scratch.iter().enumerate() {
                    d_alpha[self.alpha_of(column)] += d;
                }
            }
            Some(d_alpha) => channels::grad_alpha(isa, rows, columns, d_output, x, d_alpha)?,
            None => {}
        }
        let Some(d_input) = d_input else { return Ok(()) };
        let mut alpha = weights[0];
        if self.expands {
            self.expand(alpha, scratch);
            alpha = scratch;
        }
        channels::prelu_slopes(isa, rows, columns, x, alpha, d_input)?;
        Ok(elementwise::mul_assign(isa, d_input, d_output)?)
    }
}
