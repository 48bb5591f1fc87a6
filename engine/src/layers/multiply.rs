use super::{
    Attributes, AttributesMut, Backward, BackwardReads, Differentiable, Forward, Layer, Signature, Site,
    Step, TrainingStep, two_inputs,
};
use crate::error::Error;
use crate::shape::Shape;
use bantam_kernels::{Isa, channels};

/// The product of two inputs of one shape, element by element; or of a map `[H, W, C]` and a factor for each of its
/// channels, `[1, 1, C]` or `[C]`, in either order, as in squeeze-and-excitation (Hu et al., arXiv 1709.01507).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Multiply;

impl Layer for Multiply {
    const NAME: &'static str = "Multiply";
    const BASE: &'static str = "multiply";
    type Step = MultiplyStep;

    fn read(_: &mut Attributes<'_>) -> Multiply {
        Multiply
    }

    fn write(&self, _: &mut AttributesMut) {}

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let [a, b] = two_inputs(inputs)?;
        let scales = |factors: Shape, map: Shape| match (factors.dims(), map.dims()) {
            (&([factors] | [1, 1, factors]), &[_, _, channels]) => factors == channels,
            _ => false,
        };
        if a == b || scales(b, a) {
            Ok(Signature::new(a))
        } else if scales(a, b) {
            Ok(Signature::new(b))
        } else {
            Err(Error::shape("second operand", a, b))
        }
    }

    fn lower(&self, site: &Site<'_>) -> Result<MultiplyStep, Error> {
        let [a, b] = two_inputs(site.inputs)?;
        Ok(MultiplyStep::new(site.isa, [a, b].map(|batch| batch.elements() / batch.dims()[0])))
    }
}

impl Differentiable for Multiply {
    type TrainingStep = MultiplyStep;

    fn lower_for_training(&self, site: &Site<'_>) -> Result<MultiplyStep, Error> {
        self.lower(site)
    }
}

/// [`Multiply`], ready to run. Factors of every element are those of a map of one pixel.
pub struct MultiplyStep {
    isa: Isa,
    /// The input that has the factors.
    factors: usize,
    pixels: usize,
    channels: usize,
}

impl MultiplyStep {
    /// For samples of so many elements.
    pub fn new(isa: Isa, [a, b]: [usize; 2]) -> MultiplyStep {
        let (factors, channels) = if a < b { (0, a) } else { (1, b) };
        MultiplyStep { isa, factors, pixels: a.max(b) / channels, channels }
    }

    /// How many images a map has.
    fn images(&self, map: &[f32]) -> usize {
        map.len() / (self.pixels * self.channels)
    }
}

impl Step for MultiplyStep {
    fn overwrites(&self, input: usize) -> bool {
        input != self.factors || self.pixels == 1
    }

    fn forward(&self, run: Forward<'_>) -> Result<(), Error> {
        let MultiplyStep { isa, factors, pixels, channels } = *self;
        let (inputs, y) = (run.inputs, run.output);
        let images = self.images(y);
        match run.overwritten {
            Some(map) => channels::mul_assign(isa, images, pixels, channels, y, inputs[1 - map])?,
            None => channels::mul(isa, images, pixels, channels, inputs[1 - factors], inputs[factors], y)?,
        }
        Ok(())
    }
}

impl TrainingStep for MultiplyStep {
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::INPUTS
    }

    fn backward(&self, run: Backward<'_>) -> Result<(), Error> {
        let Some(d_input) = run.d_input else { return Ok(()) };
        let MultiplyStep { isa, factors, pixels, channels } = *self;
        let (d_y, other) = (&*run.d_output, run.inputs[1 - run.input]);
        let images = self.images(d_y);
        if run.input == factors {
            channels::grad_scale(isa, images, pixels, channels, d_y, other, channels, d_input)?;
        } else {
            channels::mul(isa, images, pixels, channels, d_y, other, d_input)?;
        }
        Ok(())
    }
}
