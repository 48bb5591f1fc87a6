//! Gradients against central differences.

use super::{Gradients, Node, Source, Tape, Var};
use crate::error::Error;
use crate::memory::heap;
use crate::shape::Shape;
use crate::tensor::check_len;
use alloc::vec::Vec;
use bantam_kernels::Isa;

impl<'a> Tape<'a> {
    /// Holds the gradient of a loss to each of some tensors against central differences. `record` records the loss of
    /// variables for them; it is called some times for each element, and must give the same loss each time. Gives the
    /// largest difference.
    ///
    /// A difference over steps of `h` and one over `h / 2` are extrapolated to steps of nothing. What they differ by bounds
    /// the error that the function's bends make; 16 roundings of each value on the tape, times the gradient to it, by `h`
    /// bound that of its digits. Of `h` from 1/16 of the element, or of 1, to 1/1024 the largest is taken whose differences
    /// agree as well as roundings let them, or else that with the least bound. A gradient that is further off than the
    /// bounds explain is an error. At a kink no difference agrees with another, and nothing is said.
    ///
    /// ```
    /// use bantam::{Error, Isa, Loss, Shape, Tape};
    /// let logits = (Shape::new(&[1, 3])?, &[0.1, -0.4, 2.0][..]);
    /// let label = [1.0];
    /// let difference = Tape::check(Isa::detect(), &[logits], |tape, vars| {
    ///     let label = tape.input(Shape::new(&[1])?, &label)?;
    ///     tape.loss(Loss::SoftmaxCrossEntropy, vars[0], label)
    /// })?;
    /// assert!(difference < 1e-4);
    ///
    /// // A derivative that is wrong: that of sin(x) at 0.5 is cos(0.5).
    /// let x = (Shape::new(&[1])?, &[0.5][..]);
    /// let wrong = Tape::check(Isa::detect(), &[x], |tape, vars| {
    ///     let y = tape.map(vars[0], f32::sin, |x, _| x.sin())?;
    ///     tape.sum(y)
    /// });
    /// let told = wrong.unwrap_err().to_string();
    /// assert!(told.starts_with("gradient of input 0 at index 0: expected 0.8775"), "{told}");
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// A gradient is wrong: the input and the element are named. Or the loss is no single finite number.
    pub fn check(
        isa: Isa,
        inputs: &[(Shape, &[f32])],
        record: impl Fn(&mut Tape<'a>, &[Var]) -> Result<Var, Error>,
    ) -> Result<f32, Error> {
        let mut values = heap::list(inputs.len())?;
        for &(shape, data) in inputs {
            check_len("input", data, shape)?;
            let mut copy = heap::list(data.len())?;
            copy.extend_from_slice(data);
            values.push((shape, copy));
        }
        let (tape, loss, vars) = recorded(isa, &values, &record)?;
        let gradients = tape.backward(loss)?;
        let rounding = gradients.rounding();
        let mut largest = 0f32;
        for (input, &var) in vars.iter().enumerate() {
            for index in 0..values[input].1.len() {
                // What the loss does not depend on has no gradient.
                let got = match gradients.get(var) {
                    Ok(gradient) => gradient[index],
                    Err(Error::NoGradient) => 0.0,
                    Err(error) => return Err(error),
                };
                let Estimate { slope, bound } = slope((input, index), rounding, &mut values, &|values| {
                    let (tape, loss, _) = recorded(isa, values, &record)?;
                    Ok(tape.value(loss)?[0])
                })?;
                let difference = libm::fabs(f64::from(got) - slope);
                if difference.is_nan() || difference > bound {
                    return Err(Error::Gradient { input, index, expected: slope as f32, got });
                }
                largest = largest.max(difference as f32);
            }
        }
        Ok(largest)
    }

    /// As [`parameter`](Tape::parameter), of numbers that are copied.
    fn copied(&mut self, shape: Shape, data: &[f32]) -> Result<Var, Error> {
        let var = self.push(Node { shape, wants_gradient: true, source: Source::Owned })?;
        let value = &mut self.memory.buffers[var.index].value;
        value.resize(data.len())?;
        value.copy_from_slice(data);
        Ok(var)
    }
}

impl Gradients {
    /// What one rounding of each value changes the loss by, at most.
    fn rounding(&self) -> f64 {
        let of_values = self.tape.memory.buffers.iter().map(|buffers| {
            let products = buffers.value.iter().zip(&*buffers.gradient);
            products.map(|(x, d)| libm::fabs(f64::from(*x) * f64::from(*d))).sum::<f64>()
        });
        f64::from(f32::EPSILON) / 2.0 * of_values.sum::<f64>()
    }
}

type Values = [(Shape, Vec<f32>)];

/// A tape with a loss that is one finite number, and the variables of its inputs.
fn recorded<'a>(
    isa: Isa,
    values: &Values,
    record: &impl Fn(&mut Tape<'a>, &[Var]) -> Result<Var, Error>,
) -> Result<(Tape<'a>, Var, Vec<Var>), Error> {
    let mut tape = Tape::new(isa);
    let mut vars = heap::list(values.len())?;
    for (shape, data) in values {
        vars.push(tape.copied(*shape, data)?);
    }
    let loss = record(&mut tape, &vars)?;
    match *tape.value(loss)? {
        [_] => Ok((tape, loss, vars)),
        _ => Err(Error::shape("loss", Shape::SCALAR, tape.shape(loss)?)),
    }
}

/// A derivative, and how far it may be off.
#[derive(Clone, Copy)]
struct Estimate {
    slope: f64,
    bound: f64,
}

/// The derivative of a loss to one element of its inputs.
fn slope(
    (input, index): (usize, usize),
    rounding: f64,
    values: &mut Values,
    loss: &impl Fn(&Values) -> Result<f32, Error>,
) -> Result<Estimate, Error> {
    let x = values[input].1[index];
    let mut best = Estimate { slope: f64::NAN, bound: f64::INFINITY };
    for halvings in [4, 6, 8, 10] {
        let h = libm::ldexpf(libm::fabsf(x).max(1.0), -halvings);
        let mut quotient = |h: f32| {
            let [up, down] = [x + h, x - h];
            let mut at = |x| {
                values[input].1[index] = x;
                loss(values).map(f64::from)
            };
            let losses = (at(up), at(down));
            values[input].1[index] = x;
            let (above, below) = (losses.0?, losses.1?);
            Ok::<_, Error>((above - below) / (f64::from(up) - f64::from(down)))
        };
        let (wide, narrow) = (quotient(h)?, quotient(h / 2.0)?);
        let roundings = 16.0 * rounding / f64::from(h);
        let bends = libm::fabs(wide - narrow);
        let estimate = Estimate { slope: (4.0 * narrow - wide) / 3.0, bound: bends + roundings };
        if estimate.bound < best.bound {
            best = estimate;
        }
        if bends <= roundings {
            break;
        }
    }
    let got = best.slope as f32;
    if got.is_finite() {
        Ok(best)
    } else {
        Err(Error::OutOfRange { what: "central difference", expected: "a finite number", got })
    }
}
