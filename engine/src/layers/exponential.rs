use super::map::Map;
use crate::error::Error;
use bantam_kernels::elementwise;

/// `exp(x)`, Keras's `Activation("exponential")`. Above 88.7 it is infinite, which a session refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exponential;

impl Map for Exponential {
    const NAME: &'static str = "Exponential";
    const BASE: &'static str = "exponential";
    type Function = elementwise::Exponential;

    fn function(&self) -> Result<Self::Function, Error> {
        Ok(elementwise::Exponential)
    }
}
