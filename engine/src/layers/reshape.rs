use super::{
    Attributes, AttributesMut, CopyStep, Differentiable, Layer, LayerType, PassesOn, Signature, Site,
    one_input,
};
use crate::error::Error;
use crate::shape::Shape;

/// The numbers of a sample in another shape. They stay where they are.
///
/// ```
/// use bantam::Sequential;
/// let model = Sequential::new([6, 4]).reshape([-1, 2, 4]).build(1)?;
/// assert_eq!(model.output_shape().dims(), [3, 2, 4]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reshape {
    target: [i32; Shape::MAX_RANK],
    rank: usize,
}

impl Reshape {
    /// To that shape of a sample. One size may be -1: the one that takes all numbers.
    pub fn new(target: impl AsRef<[i32]>) -> Reshape {
        let (mut sizes, rank) = ([0; Shape::MAX_RANK], target.as_ref().len());
        sizes.iter_mut().zip(target.as_ref()).for_each(|(size, &target)| *size = target);
        Reshape { target: sizes, rank }
    }

    /// The shape that so many numbers have.
    fn shape(&self, elements: usize) -> Result<Shape, Error> {
        let (what, max) = ("dimensions", Shape::MAX_RANK);
        let target = self.target.get(..self.rank).ok_or(Error::TooMany { what, max, got: self.rank })?;
        let (mut sizes, mut known, mut open) = ([0; Shape::MAX_RANK], 1usize, None);
        for (size, &target) in sizes.iter_mut().zip(target) {
            match target {
                -1 if open.is_none() => open = Some(size),
                1.. => {
                    *size = target as usize;
                    known = known.saturating_mul(*size);
                }
                _ => {
                    let (what, expected) = ("size of a shape", "at least 1, or -1 once");
                    return Err(Error::OutOfRange { what, expected, got: target as f32 });
                }
            }
        }
        if let Some(open) = open {
            *open = (elements / known).max(1);
        }
        Ok(Shape::new(&sizes[..target.len()])?)
    }
}

impl Layer for Reshape {
    const NAME: &'static str = "Reshape";
    const BASE: &'static str = "reshape";
    const TYPE: LayerType = LayerType::of::<Reshape>().passes_on(PassesOn::Always);
    type Step = CopyStep;

    fn read(attributes: &mut Attributes<'_>) -> Reshape {
        let what = "shape";
        let (rank, mut target) = (attributes.byte(what).into(), [0; Shape::MAX_RANK]);
        for size in target.iter_mut().take(rank) {
            *size = attributes.size(what) as i32;
        }
        Reshape { target, rank }
    }

    fn write(&self, attributes: &mut AttributesMut) {
        attributes.byte(self.rank.try_into().unwrap_or(u8::MAX));
        for size in self.target.iter().take(self.rank) {
            attributes.bytes(&size.to_le_bytes());
        }
    }

    fn signature(&self, inputs: &[Shape]) -> Result<Signature, Error> {
        let input = one_input(inputs)?;
        let output = self.shape(input.elements())?;
        if output.elements() != input.elements() {
            return Err(Error::shape("shape of as many numbers", input, output));
        }
        Ok(Signature::new(output))
    }

    fn lower(&self, _: &Site<'_>) -> Result<CopyStep, Error> {
        Ok(CopyStep)
    }
}

impl Differentiable for Reshape {
    type TrainingStep = CopyStep;

    fn lower_for_training(&self, _: &Site<'_>) -> Result<CopyStep, Error> {
        Ok(CopyStep)
    }
}
