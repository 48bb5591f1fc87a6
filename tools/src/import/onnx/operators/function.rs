//! Functions of each element.

use crate::import::onnx::Refused;
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, Map, Value, one};
use crate::import::onnx::net::{Id, Kind, Weights};
use bantam::{
    Differentiable, Elu, Exponential, Gelu, GeneralRelu, HardSigmoid, HardSigmoidKeras2, HardSwish,
    LeakyRelu, Mish, Prelu, Relu, Relu6, Rescaling, Selu, Sigmoid, Silu, Softplus, Softsign, Tanh, TanhGelu,
};

/// A layer that is a function of each element, wherever these lie.
pub fn apply<L: Differentiable + Clone>(importer: &mut Importer<'_>, node: &Node<'_>, layer: L) -> Given {
    let map = importer.map(node, 0)?;
    let id = on(importer, node.name, map.id, layer);
    one(importer.given(node, id, map.lies))
}

/// The same, of a value of the net.
fn on<L: Differentiable + Clone>(importer: &mut Importer<'_>, name: &str, id: Id, layer: L) -> Id {
    let dims = importer.net.dims(id).to_vec();
    importer.net.layer(name, layer, &[id], dims)
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
    let id = on(importer, &format!("{}/scale", node.name), map.id, Rescaling::new(1.0 / alpha));
    let id = on(importer, node.name, id, Elu::new(1.0));
    let id = on(importer, &format!("{}/scale", node.name), id, Rescaling::new(alpha));
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
    let id = on(importer, node.name, map.id, Elu::new(told[0]));
    let id = on(importer, &format!("{}/scale", node.name), id, Rescaling::new(told[1]));
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
            let id =
                on(importer, &format!("{}/scale", node.name), map.id, Rescaling::new(alpha).offset(beta));
            let id = on(importer, node.name, id, GeneralRelu::new().max_value(1.0));
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
    let id = on(importer, &format!("{}/scale", node.name), map.id, Rescaling::new(alpha));
    let id = on(importer, node.name, id, Silu);
    let id = on(importer, &format!("{}/scale", node.name), id, Rescaling::new(1.0 / alpha));
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
pub fn clipped(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    map: &Map,
    [low, high]: [Option<f32>; 2],
) -> Given {
    // What no finite number exceeds is no bound.
    let low = low.filter(|&low| low > f32::MIN);
    let high = high.filter(|&high| high < f32::MAX);
    let shift = format!("{}/shift", node.name);
    let mut id = map.id;
    match (low, high) {
        (None, None) => return one(importer.seen(node, map, map.lies.clone())),
        (Some(0.0), None) => id = on(importer, node.name, id, Relu),
        (Some(0.0), Some(6.0)) => id = on(importer, node.name, id, Relu6),
        (Some(low), None) => {
            id = on(importer, &shift, id, Rescaling::new(1.0).offset(-low));
            id = on(importer, node.name, id, Relu);
            id = on(importer, &shift, id, Rescaling::new(1.0).offset(low));
        }
        (None, Some(high)) => {
            id = on(importer, &shift, id, Rescaling::new(-1.0).offset(high));
            id = on(importer, node.name, id, Relu);
            id = on(importer, &shift, id, Rescaling::new(-1.0).offset(high));
        }
        (Some(low), Some(high)) if low <= high => {
            let bounded = GeneralRelu::new().max_value(high - low);
            if low == 0.0 {
                id = on(importer, node.name, id, bounded);
            } else {
                id = on(importer, &shift, id, Rescaling::new(1.0).offset(-low));
                id = on(importer, node.name, id, bounded);
                id = on(importer, &shift, id, Rescaling::new(1.0).offset(low));
            }
        }
        (Some(low), Some(high)) => {
            return Err(Refused::expected_got("bounds", "the lower first", format!("{low} and {high}")));
        }
    }
    one(importer.given(node, id, map.lies.clone()))
}

/// `PRelu`, with a slope for each channel, or for whatever it is broadcast from.
pub fn prelu(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let slope = importer.weights(node, 1, "slopes")?;
    let (outer, values) = super::binary::along(importer, &map, &slope)?;
    let inner = values.len();
    let dims = if outer == 1 { vec![inner] } else { vec![outer, inner] };
    let natural = map.lies.natural();
    let dims = if natural.last() == Some(&inner) && natural.len() <= 4 { natural } else { dims };
    let id = importer.net.reshape(node.name, map.id, &dims);
    let shared = dims.len() - 1;
    let mut alpha = vec![1; shared];
    alpha.push(inner);
    let values = crate::import::onnx::tensor::Tensor::new(alpha, values);
    let make: crate::import::onnx::net::Make = Box::new(move |graph, x, _| {
        let prelu = match shared {
            0 => Prelu::new(),
            1 => Prelu::new().shared_axes([1]),
            2 => Prelu::new().shared_axes([1, 2]),
            _ => Prelu::new().shared_axes([1, 2, 3]),
        };
        graph.layer(prelu, x)
    });
    let id = importer.net.add(node.name, Kind::Other, &[id], dims, vec![Weights::new("alpha", values)], make);
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
}

/// That function of a value.
pub fn spelled(importer: &mut Importer<'_>, node: &Node<'_>, of: usize, function: Spelled) -> Given {
    let Value::Map(map) = importer.values[of].clone() else {
        return Err(Refused::new("expected a function of a map"));
    };
    let id = match function {
        Spelled::Silu => on(importer, node.name, map.id, Silu),
        Spelled::HardSwish => on(importer, node.name, map.id, HardSwish),
        Spelled::Mish => on(importer, node.name, map.id, Mish),
        Spelled::Gelu => on(importer, node.name, map.id, Gelu),
        Spelled::TanhGelu => on(importer, node.name, map.id, TanhGelu),
    };
    one(importer.given(node, id, map.lies))
}
