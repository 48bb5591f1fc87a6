//! Functions of each element.

use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, Map, Value, one};
use crate::import::refused::Refused;
use bantam::{
    Differentiable, Elu, Exponential, Gelu, GeneralRelu, HardSigmoid, HardSigmoidKeras2, HardSwish,
    LeakyRelu, Mish, Relu, Rescaling, Selu, Sigmoid, Silu, Softplus, Softsign, Tanh, TanhGelu,
};

/// A layer that is a function of each element, wherever these lie.
pub fn apply<L: Differentiable + Clone>(importer: &mut Importer<'_>, node: &Node<'_>, layer: L) -> Given {
    let map = importer.map(node, 0)?;
    let id = importer.net.function(node.name, map.id, layer);
    one(importer.given(node, id, map.lies))
}

/// What has no attributes that matter, by its name.
pub fn plain(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    match node.op() {
        "Relu" => apply(importer, node, Relu),
        "Sigmoid" => apply(importer, node, Sigmoid),
        "Tanh" => apply(importer, node, Tanh),
        "Softplus" => apply(importer, node, Softplus),
        "Softsign" => apply(importer, node, Softsign),
        "Exp" => apply(importer, node, Exponential),
        "Mish" => apply(importer, node, Mish),
        "HardSwish" => apply(importer, node, HardSwish),
        "Neg" => apply(importer, node, Rescaling::new(-1.0)),
        other => Err(Refused::new(format!("{other} is no function"))),
    }
}

/// `LeakyRelu`
pub fn leaky_relu(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let slope = node.float("alpha").unwrap_or(0.01);
    if slope >= 0.0 {
        return apply(importer, node, LeakyRelu::new(slope));
    }
    Err(Refused::expected_got("alpha", "a number of at least 0", slope))
}

/// `ThresholdedRelu`: nothing up to a threshold.
pub fn thresholded_relu(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    apply(importer, node, GeneralRelu::new().threshold(node.float("alpha").unwrap_or(1.0)))
}

/// `Elu`
pub fn elu(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    apply(importer, node, Elu::new(node.float("alpha").unwrap_or(1.0)))
}

/// `Celu`: an ELU of `x / alpha`, times `alpha`.
pub fn celu(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let (map, alpha) = (importer.map(node, 0)?, node.float("alpha").unwrap_or(1.0));
    if alpha == 1.0 {
        return apply(importer, node, Elu::new(1.0));
    }
    let id = importer.net.function(&format!("{}/scale", node.name), map.id, Rescaling::new(1.0 / alpha));
    let id = importer.net.function(node.name, id, Elu::new(1.0));
    let id = importer.net.function(&format!("{}/scale", node.name), id, Rescaling::new(alpha));
    one(importer.given(node, id, map.lies))
}

/// `Selu`
pub fn selu(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    // As both the standard and Keras have them.
    let (alpha, gamma) = (1.673_263_2, 1.050_701);
    let told = [node.float("alpha").unwrap_or(alpha), node.float("gamma").unwrap_or(gamma)];
    if (told[0] - alpha).abs() < 1e-4 && (told[1] - gamma).abs() < 1e-4 {
        return apply(importer, node, Selu);
    }
    let map = importer.map(node, 0)?;
    let id = importer.net.function(node.name, map.id, Elu::new(told[0]));
    let id = importer.net.function(&format!("{}/scale", node.name), id, Rescaling::new(told[1]));
    one(importer.given(node, id, map.lies))
}

/// `HardSigmoid`: `alpha · x + beta` from 0 to 1.
pub fn hard_sigmoid(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let (alpha, beta) = (node.float("alpha").unwrap_or(0.2), node.float("beta").unwrap_or(0.5));
    let near = |x: f32, to: f32| (x - to).abs() < 1e-6;
    match (near(alpha, 1.0 / 6.0), near(alpha, 0.2), near(beta, 0.5)) {
        (true, _, true) => apply(importer, node, HardSigmoid),
        (_, true, true) => apply(importer, node, HardSigmoidKeras2),
        _ => {
            let map = importer.map(node, 0)?;
            let id = importer.net.function(
                &format!("{}/scale", node.name),
                map.id,
                Rescaling::new(alpha).offset(beta),
            );
            let id = importer.net.function(node.name, id, GeneralRelu::new().max_value(1.0));
            one(importer.given(node, id, map.lies))
        }
    }
}

/// `Gelu`
pub fn gelu(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    match node.text("approximate").unwrap_or("none") {
        "none" => apply(importer, node, Gelu),
        "tanh" => apply(importer, node, TanhGelu),
        other => Err(Refused::expected_got("approximate", "none or tanh", other)),
    }
}

/// `Swish`: `x · sigmoid(alpha · x)`.
pub fn swish(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let (map, alpha) = (importer.map(node, 0)?, node.float("alpha").unwrap_or(1.0));
    if alpha == 1.0 {
        return apply(importer, node, Silu);
    }
    let id = importer.net.function(&format!("{}/scale", node.name), map.id, Rescaling::new(alpha));
    let id = importer.net.function(node.name, id, Silu);
    let id = importer.net.function(&format!("{}/scale", node.name), id, Rescaling::new(1.0 / alpha));
    one(importer.given(node, id, map.lies))
}

/// `Clip`: its bounds are attributes up to opset 10, inputs since.
pub fn clip(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let mut bounds = [None; 2];
    for (input, (bound, name)) in bounds.iter_mut().zip(["min", "max"]).enumerate() {
        *bound = match importer.floats(node, input + 1)? {
            Some(number) if number.len() == 1 => number.to_vec().first().copied(),
            Some(number) => {
                return Err(Refused::expected_got(name, "one number", format!("{:?}", number.dims)));
            }
            None => node.float(name),
        };
    }
    let map = importer.map(node, 0)?;
    clipped(importer, node, &map, bounds)
}

/// A value within bounds.
pub fn clipped(importer: &mut Importer<'_>, node: &Node<'_>, map: &Map, bounds: [Option<f32>; 2]) -> Given {
    let id = importer.net.bounded(node.name, map.id, bounds)?;
    one(if id == map.id {
        importer.seen(node, map, map.lies.clone())
    } else {
        importer.given(node, id, map.lies.clone())
    })
}

/// `PRelu`, with a slope for each channel, or for whatever it is broadcast from.
pub fn prelu(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let slope = importer.weights(node, 1, "slopes")?;
    let (_, values) = super::binary::along(importer, &map, &slope)?;
    let id = importer.net.prelu(node.name, map.id, map.lies.natural(), values);
    one(importer.given(node, id, map.lies))
}

/// A function that the file spells out in several nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spelled {
    Silu,
    HardSwish,
    Mish,
    Gelu,
    TanhGelu,
    Backwards,
}

/// That function of a value.
pub fn spelled(importer: &mut Importer<'_>, node: &Node<'_>, of: usize, function: Spelled) -> Given {
    let Value::Map(map) = importer.values[of].clone() else {
        return Err(Refused::new("expected a function of a map"));
    };
    let id = match function {
        Spelled::Backwards => return super::recurrent::over(importer, node, &map, true),
        Spelled::Silu => importer.net.function(node.name, map.id, Silu),
        Spelled::HardSwish => importer.net.function(node.name, map.id, HardSwish),
        Spelled::Mish => importer.net.function(node.name, map.id, Mish),
        Spelled::Gelu => importer.net.function(node.name, map.id, Gelu),
        Spelled::TanhGelu => importer.net.function(node.name, map.id, TanhGelu),
    };
    one(importer.given(node, id, map.lies))
}
