//! Activations, as layers and within layers.

use super::super::config::{LayerConfig, Reader};
use super::super::site::{Site, Tensor};
use super::super::store::Variable;
use super::left_out;
use bantam::{
    AxisSoftmax, Elu, Exponential, Gelu, GeneralRelu, HardSigmoid, HardSigmoidKeras2, HardSwish, LeakyRelu,
    Mish, Prelu, Relu, Relu6, Selu, Sigmoid, Silu, Softmax, Softplus, Softsign, Tanh,
};
use serde_json::Value;

/// The activation of a layer that has one: a node behind it, `NAME/relu`.
pub(super) fn inside<'g>(site: &mut Site<'_, 'g, '_, '_>, made: Option<Tensor<'g>>) -> Option<Tensor<'g>> {
    let made = made?;
    let Some(activation) = site.read.get("activation") else { return Some(made) };
    match activation_of(activation) {
        Kind::Function("linear") => Some(made),
        Kind::Function(name) => function(site, name, name, made),
        // A layer that is another's activation, as `activation=ReLU(6)`.
        Kind::Layer(layer) => {
            let part = super::super::assembly::snake_case(layer.class);
            let whole = std::mem::replace(&mut site.read, Reader::new(layer));
            let name = whole.layer.name;
            let behind = match layer.class {
                "ReLU" => relu_like(site, &part, made),
                "LeakyReLU" => {
                    let slope = slope(site);
                    site.behind(&part, LeakyRelu::new(slope), made)
                }
                "ELU" => {
                    let alpha = site.read.number("alpha", 1.0);
                    site.behind(&part, Elu::new(alpha), made)
                }
                "Softmax" => soften(site, &part, made),
                class => site.refuse(&format!("the activation {class}"), "give it as a layer behind"),
            };
            let inner = std::mem::replace(&mut site.read, whole);
            let named = inner
                .problems
                .into_iter()
                .map(|problem| crate::import::Unsupported { name: name.into(), ..problem });
            site.read.problems.extend(named);
            behind
        }
        Kind::Unknown => {
            site.read.refuse(format!("the activation {activation}"), "use one of Keras's own");
            Some(made)
        }
    }
}

enum Kind<'c> {
    Function(&'c str),
    Layer(LayerConfig<'c>),
    Unknown,
}

/// A name, a function's configuration, or a layer's.
fn activation_of(value: &Value) -> Kind<'_> {
    if let Some(name) = value.as_str() {
        return Kind::Function(name);
    }
    match LayerConfig::new(value) {
        Ok(layer) => Kind::Layer(layer),
        // `{"class_name": "function", "config": "relu"}`
        Err(_) => value.get("config").and_then(Value::as_str).map_or(Kind::Unknown, Kind::Function),
    }
}

/// The node of a function of that name.
fn function<'g>(
    site: &mut Site<'_, 'g, '_, '_>,
    part: &str,
    name: &str,
    input: Tensor<'g>,
) -> Option<Tensor<'g>> {
    match name {
        "relu" => site.behind(part, Relu, input),
        "relu6" => site.behind(part, Relu6, input),
        "leaky_relu" => site.behind(part, LeakyRelu::new(0.2), input),
        "sigmoid" => site.behind(part, Sigmoid, input),
        // Keras 3 has another formula under the same name, and loads files of Keras 2 with it without a word.
        "hard_sigmoid" if site.assembly.before_keras_3 => site.behind(part, HardSigmoidKeras2, input),
        "hard_sigmoid" => site.behind(part, HardSigmoid, input),
        "tanh" => site.behind(part, Tanh, input),
        "softmax" => site.behind(part, Softmax, input),
        "silu" | "swish" => site.behind(part, Silu, input),
        "hard_silu" | "hard_swish" => site.behind(part, HardSwish, input),
        "elu" => site.behind(part, Elu::new(1.0), input),
        "selu" => site.behind(part, Selu, input),
        "gelu" => site.behind(part, Gelu, input),
        "softplus" => site.behind(part, Softplus, input),
        "softsign" => site.behind(part, Softsign, input),
        "exponential" => site.behind(part, Exponential, input),
        "mish" => site.behind(part, Mish, input),
        name => {
            site.read
                .refuse(format!("the activation {name}"), "use one that the engine has, and train again");
            Some(input)
        }
    }
}

pub(super) fn activation<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let input = site.input()?;
    match site.read.get("activation").map_or(Kind::Function("linear"), activation_of) {
        Kind::Function("linear") => left_out(site, "it hands its input on"),
        Kind::Function(name) => function(site, "", name, input),
        Kind::Layer(_) => inside(site, Some(input)),
        Kind::Unknown => site.refuse("an activation of its own", "use one of Keras's own"),
    }
}

pub(super) fn relu<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let input = site.input()?;
    relu_like(site, "", input)
}

/// By the fastest layer that has those arguments.
fn relu_like<'g>(site: &mut Site<'_, 'g, '_, '_>, part: &str, input: Tensor<'g>) -> Option<Tensor<'g>> {
    let most = site.read.get("max_value").is_some().then(|| site.read.number("max_value", 0.0));
    let slope = site.read.number("negative_slope", 0.0);
    let threshold = site.read.number("threshold", 0.0);
    match (most, slope, threshold) {
        (None, 0.0, 0.0) => site.behind(part, Relu, input),
        (Some(6.0), 0.0, 0.0) => site.behind(part, Relu6, input),
        (None, slope, 0.0) => site.behind(part, LeakyRelu::new(slope), input),
        (most, slope, threshold) => {
            let layer = GeneralRelu::new().negative_slope(slope).threshold(threshold);
            site.behind(part, most.map_or(layer, |most| layer.max_value(most)), input)
        }
    }
}

/// Keras 2 calls it `alpha`.
fn slope(site: &mut Site<'_, '_, '_, '_>) -> f32 {
    let key = if site.read.get("alpha").is_some() { "alpha" } else { "negative_slope" };
    site.read.number(key, 0.3)
}

pub(super) fn leaky_relu<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let slope = slope(site);
    site.plain(LeakyRelu::new(slope))
}

pub(super) fn thresholded_relu<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let theta = site.read.number("theta", 1.0);
    site.plain(GeneralRelu::new().threshold(theta))
}

pub(super) fn elu<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let alpha = site.read.number("alpha", 1.0);
    site.plain(Elu::new(alpha))
}

pub(super) fn prelu<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let axes: Vec<usize> =
        site.read.integers("shared_axes", &[]).iter().map(|&axis| axis.unsigned_abs() as usize).collect();
    let layer = match axes[..] {
        [] => Prelu::new(),
        [a] => Prelu::new().shared_axes([a]),
        [a, b] => Prelu::new().shared_axes([a, b]),
        [a, b, c] => Prelu::new().shared_axes([a, b, c]),
        _ => return site.refuse("more than three shared axes", ""),
    };
    site.put(layer, &[Variable { array: "alpha", names: &["alpha"] }])
}

pub(super) fn softmax<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let input = site.input()?;
    soften(site, "", input)
}

fn soften<'g>(site: &mut Site<'_, 'g, '_, '_>, part: &str, input: Tensor<'g>) -> Option<Tensor<'g>> {
    let last = input.shape.rank() as i64;
    match site.read.integers("axis", &[-1])[..] {
        [axis] if axis == -1 || axis == last => site.behind(part, Softmax, input),
        [axis] => match i8::try_from(axis) {
            Ok(axis) => site.behind(part, AxisSoftmax::new(axis), input),
            Err(_) => site.refuse(&format!("axis {axis}"), ""),
        },
        _ => site.refuse("several axes", ""),
    }
}
