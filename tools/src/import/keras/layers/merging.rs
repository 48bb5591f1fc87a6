//! Layers of several inputs, and arithmetic of Keras 3 and TensorFlow that is written as an operator.

use super::super::site::{Site, Tensor};
use super::left_out;
use bantam::{Add, Average, Concatenate, Maximum, Minimum, Multiply, Rescaling, Subtract};

const ADVICE: &str = "write it as a layer of Keras";

pub(super) fn merge<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    if site.inputs.len() == 1 && !site.numbers.is_empty() {
        return with_number(site, site.read.layer.class);
    }
    match site.read.layer.class {
        "Add" => site.plain(Add),
        "Subtract" => site.plain(Subtract),
        "Multiply" => site.plain(Multiply),
        "Average" => site.plain(Average),
        "Maximum" => site.plain(Maximum),
        "Minimum" => site.plain(Minimum),
        "Concatenate" => {
            let axis = site.read.integers("axis", &[-1]);
            match axis.first().map(|&axis| i8::try_from(axis)) {
                // Where it is the last it is said so, whatever the rank: it is the faster one.
                Some(Ok(axis)) if axis > 0 && axis as usize == site.rank() => site.plain(Concatenate::new()),
                Some(Ok(axis)) => site.plain(Concatenate::new().axis(axis)),
                _ => site.refuse("an axis that is none", ""),
            }
        }
        _ => site.refuse("a quotient of two values", ADVICE),
    }
}

/// `x + 2`, `2 - x`, `x * 2`, `x / 2`
fn with_number<'g>(site: &mut Site<'_, 'g, '_, '_>, operator: &str) -> Option<Tensor<'g>> {
    let [number] = site.numbers[..] else { return site.refuse("more than one number", ADVICE) };
    let (number, first) = (number as f32, site.number_first);
    let layer = match operator {
        "Add" => Rescaling::new(1.0).offset(number),
        "Subtract" if first => Rescaling::new(-1.0).offset(number),
        "Subtract" => Rescaling::new(1.0).offset(-number),
        "Multiply" => Rescaling::new(number),
        "TrueDivide" | "Divide" if !first => Rescaling::new(1.0 / number),
        _ => return site.refuse("a number and a value", ADVICE),
    };
    site.plain(layer)
}

/// A function of TensorFlow in a model of Keras 2, as in its `preprocess_input`.
pub(super) fn tensorflow<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let function = site.read.text("function", "");
    let operator = match function {
        "math.add" | "__operators__.add" => "Add",
        "math.subtract" => "Subtract",
        "math.multiply" => "Multiply",
        "math.truediv" | "math.divide" => "TrueDivide",
        "nn.relu" => return site.plain(bantam::Relu),
        "nn.softmax" => return site.plain(bantam::Softmax),
        "math.sigmoid" => return site.plain(bantam::Sigmoid),
        "identity" | "stop_gradient" => return left_out(site, "it hands its input on"),
        _ => return site.refuse(&format!("the function {function} of TensorFlow"), ADVICE),
    };
    match (site.inputs.len(), operator) {
        (1, _) => with_number(site, operator),
        (_, "Add") => site.plain(Add),
        (_, "Subtract") => site.plain(Subtract),
        (_, "Multiply") => site.plain(Multiply),
        _ => site.refuse("a quotient of two values", ADVICE),
    }
}
