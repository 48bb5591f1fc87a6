use crate::error::Error;
use crate::graph::Model;
use crate::graph::fuse::Operations;
use crate::graph::init::unit;
use crate::memory::heap;
use crate::run::session::check_finite;
use crate::shape::Shape;
use crate::tape::Tape;
use crate::tensor::check_len;
use alloc::vec::Vec;
use bantam_kernels::{Isa, reduce};
use core::ops::Range;
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// An image that excites a filter: gradient ascent on the input (Erhan et al., Visualizing Higher-Layer Features of a Deep
/// Network, 2009; Simonyan et al., arXiv 1312.6034).
///
/// What is raised is the mean of the filter's map, or the score of a class, which is a filter of the last dense layer. Each
/// step adds `rate · g / (sqrt(mean(g²)) + 1e-5)` of its gradient `g` to the image: steps are as long where the gradient is
/// small.
///
/// ```
/// use bantam::{Sequential, explain::Ascent};
/// let model = Sequential::new([12, 12, 1]).conv2d(4, 3).relu().flatten().dense(2).build(1)?;
/// let mut image = [0.0; 144];
/// Ascent::noise(0.4..0.6, 7, &mut image);
/// let means = Ascent::new().steps(10).rate(0.1).run(&model, "conv2d", 3, &mut image)?;
/// assert!(means[9] > means[0]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ascent {
    steps: usize,
    rate: f32,
    isa: Isa,
}

impl Ascent {
    /// 40 steps of rate 1, which suits pixels from 0 to 255.
    pub fn new() -> Ascent {
        Ascent { steps: 40, rate: 1.0, isa: Isa::detect() }
    }

    /// So many steps.
    #[must_use]
    pub fn steps(self, steps: usize) -> Ascent {
        Ascent { steps, ..self }
    }

    /// How far the root of the mean square of the pixels moves in a step.
    #[must_use]
    pub fn rate(self, rate: f32) -> Ascent {
        Ascent { rate, ..self }
    }

    /// By that instruction set, in place of the widest of this CPU.
    #[must_use]
    pub fn isa(self, isa: Isa) -> Ascent {
        Ascent { isa, ..self }
    }

    /// Fills an image with grey noise to begin from: 128 to 148 of pixels to 255, or about the middle of what the model takes.
    pub fn noise(values: Range<f32>, seed: u64, image: &mut [f32]) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        image.fill_with(|| values.start + (values.end - values.start) * unit(&mut random));
    }

    /// Moves an image, `[H, W, C]`, by the gradient of one filter of the layer of that name. Gives the mean of the filter's
    /// map before each step.
    ///
    /// # Errors
    /// There is no such layer or filter, or the model has several inputs; `image` is not one image, or not finite; the rate is not
    /// finite; the output of the layer or the gradient no longer is, and the image then is as it was before that step; or
    /// there is no memory.
    pub fn run(
        &self,
        model: &Model<'_>,
        layer: &str,
        filter: usize,
        image: &mut [f32],
    ) -> Result<Vec<f32>, Error> {
        let Ascent { steps, rate, isa } = *self;
        let shape = model.only_input()?;
        let value = model.input_shapes().len() + model.index(layer)?;
        check_len("image", image, shape)?;
        check_finite("input", image.len(), image)?;
        if !rate.is_finite() {
            return Err(Error::OutOfRange { what: "rate", expected: "a finite number", got: rate });
        }
        let part = filter_of(model.value_shape(value), filter)?;
        let operations = Operations::new(model, &[], &[value], false)?;
        let mut means = heap::list(steps)?;
        let mut memory = Tape::new(isa);
        for _ in 0..steps {
            let mut tape: Tape<'_> = memory.reset();
            let input = tape.parameter(shape.with_batch(1)?, image)?;
            let output = model.record_frozen(&mut tape, &operations, [input, input])?;
            let map = tape.slice(output, &part)?;
            let mean = tape.mean(map)?;
            let value = tape.value(mean)?;
            check_finite("output", 1, value)?;
            means.push(value[0]);
            let gradients = tape.backward(mean)?;
            let gradient = gradients.get(input)?;
            let norm = libm::sqrtf(reduce::sum_squares(isa, gradient) / gradient.len() as f32) + 1e-5;
            if !norm.is_finite() {
                let (what, expected) = ("gradient's norm", "a finite number");
                return Err(Error::OutOfRange { what, expected, got: norm });
            }
            image.iter_mut().zip(gradient).for_each(|(x, g)| *x += rate * (g / norm));
            memory = gradients.into_tape();
        }
        Ok(means)
    }
}

impl Default for Ascent {
    fn default() -> Ascent {
        Ascent::new()
    }
}

/// The filter's part of an output `[1, …, filters]`.
fn filter_of(output: Shape, filter: usize) -> Result<Vec<Range<usize>>, Error> {
    let mut part = heap::list(1 + output.rank())?;
    part.push(0..1);
    part.extend(output.dims().iter().map(|&dim| 0..dim));
    let filters = part.last().map_or(0, ExactSizeIterator::len);
    if filter >= filters {
        let max = filters.saturating_sub(1);
        return Err(bantam_kernels::Error::OutOfRange { what: "filter", max, got: filter }.into());
    }
    if let Some(last) = part.last_mut() {
        *last = filter..filter + 1;
    }
    Ok(part)
}
