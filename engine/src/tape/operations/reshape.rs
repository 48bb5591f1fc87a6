use crate::error::Error;
use crate::layers::CopyStep;
use crate::shape::Shape;
use bantam_kernels::Error as KernelError;

/// The same elements in another shape.
pub(in crate::tape) fn reshape(input: Shape, shape: Shape) -> Result<CopyStep, Error> {
    let (expected, got) = (input.elements(), shape.elements());
    if expected != got {
        return Err(KernelError::Length { what: "reshaped tensor", expected, got }.into());
    }
    Ok(CopyStep)
}
