//! Normalisations and rescaling.

use super::super::site::{Site, Tensor};
use super::super::store::Variable;
use bantam::{BatchNormalization, GroupNormalization, LayerNormalization, Normalization, Rescaling};
use serde_json::{Value, json};

const GAMMA: Variable = Variable { array: "gamma", names: &["gamma"] };
const BETA: Variable = Variable { array: "beta", names: &["beta"] };
const MOVING: [Variable; 2] = [
    Variable { array: "moving_mean", names: &["moving_mean"] },
    Variable { array: "moving_variance", names: &["moving_variance"] },
];

/// Statistics are of the last axis.
fn last_axis(site: &mut Site<'_, '_, '_, '_>) {
    let rank = site.rank() as i64;
    let axes = site.read.integers("axis", &[-1]);
    if axes != [-1] && axes != [rank] && site.input().is_some_and(|input| input.certain) {
        site.read.refuse(format!("axis {axes:?}, expected the last"), "channels are last here");
    }
}

/// Scale and centre, whose weights are there if they are asked for.
fn affine(site: &mut Site<'_, '_, '_, '_>) -> (bool, bool, Vec<Variable>) {
    let (scale, center) = (site.read.flag("scale", true), site.read.flag("center", true));
    let variables = [(scale, GAMMA), (center, BETA)].into_iter().filter(|(is_there, _)| *is_there);
    (scale, center, variables.map(|(_, variable)| variable).collect())
}

pub(super) fn batch<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    last_axis(site);
    site.read.only("renorm", &json!(false), "train it without");
    let (scale, center, mut variables) = affine(site);
    variables.extend(MOVING);
    let mut layer = BatchNormalization::new()
        .momentum(site.read.number("momentum", 0.99))
        .epsilon(site.read.number("epsilon", 1e-3));
    if !scale {
        layer = layer.no_scale();
    }
    if !center {
        layer = layer.no_center();
    }
    site.put(layer, &variables)
}

pub(super) fn layer<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    last_axis(site);
    site.read.only("rms_scaling", &json!(false), "");
    let epsilon = site.read.number("epsilon", 1e-3);
    let (scale, center, variables) = affine(site);
    let mut layer = LayerNormalization::new().epsilon(epsilon);
    if !scale {
        layer = layer.no_scale();
    }
    if !center {
        layer = layer.no_center();
    }
    site.put(layer, &variables)
}

pub(super) fn group<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    last_axis(site);
    let channels = site.input().and_then(|input| input.shape.dims().last().copied()).unwrap_or(1);
    let groups = match site.read.integers("groups", &[32])[..] {
        // Instance normalisation.
        [-1] => channels,
        [groups] => usize::try_from(groups).unwrap_or(0),
        _ => 0,
    };
    let epsilon = site.read.number("epsilon", 1e-3);
    let (scale, center, variables) = affine(site);
    let mut layer = GroupNormalization::new(groups).epsilon(epsilon);
    if !scale {
        layer = layer.no_scale();
    }
    if !center {
        layer = layer.no_center();
    }
    site.put(layer, &variables)
}

/// Keras's `Normalization`, whose mean and variance are given in the configuration or were measured by `adapt`.
pub(super) fn features<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    if site.read.get("axis").is_some() {
        last_axis(site);
    }
    let layer = Normalization::new();
    let layer = if site.read.flag("invert", false) { layer.invert() } else { layer };
    let inputs = site.inputs.clone();
    let given: Vec<_> = ["mean", "variance"]
        .into_iter()
        .filter_map(|key| Some((key, numbers(site.read.get(key)?)?)))
        .collect();
    if let [(_, mean), (_, variance)] = &given[..]
        && let ([mean], [variance]) = (&mean[..], &variance[..])
    {
        let deviation = variance.sqrt().max(1e-7);
        let invert = site.read.flag("invert", false);
        let (scale, offset) = if invert { (deviation, *mean) } else { (1.0 / deviation, -mean / deviation) };
        return site.plain(Rescaling::new(scale).offset(offset));
    }
    if given.len() == 2 {
        return site.node("", layer, &inputs, &[], given);
    }
    // How many samples were measured is of no use.
    let variables = ["mean", "variance", ""].map(|array| Variable {
        array,
        names: match array {
            "mean" => &["mean"],
            "variance" => &["variance"],
            _ => &["count"],
        },
    });
    site.put(layer, &variables)
}

/// Numbers of a list in lists, or one.
fn numbers(value: &Value) -> Option<Vec<f32>> {
    match value {
        Value::Array(values) => {
            let parts: Option<Vec<Vec<f32>>> = values.iter().map(numbers).collect();
            Some(parts?.concat())
        }
        // As Keras 3 writes arrays: `{"class_name": "__numpy__", "config": {"value": […]}}`
        Value::Object(object) => numbers(object.get("config")?.get("value")?),
        value => Some(vec![value.as_f64()? as f32]),
    }
}

/// With a factor for each channel it is a normalisation by given numbers.
pub(super) fn rescaling<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let read = |key, default: f32| site.read.get(key).map_or(Some(vec![default]), numbers);
    let (Some(scale), Some(offset)) = (read("scale", 1.0), read("offset", 0.0)) else {
        return site.refuse("scale or offset that is no number", "");
    };
    if let ([scale], [offset]) = (&scale[..], &offset[..]) {
        return site.plain(Rescaling::new(*scale).offset(*offset));
    }
    let channels = site.input()?.shape.dims().last().copied().unwrap_or(1);
    let of =
        |values: &[f32], channel: usize| values.get(if values.len() == 1 { 0 } else { channel }).copied();
    let pairs: Option<Vec<[f32; 2]>> =
        (0..channels).map(|channel| Some([of(&scale, channel)?, of(&offset, channel)?])).collect();
    let Some(pairs) = pairs.filter(|pairs| pairs.iter().all(|[scale, _]| *scale > 0.0)) else {
        return site.refuse("scales that are no positive number of each channel", "");
    };
    let mean = pairs.iter().map(|[scale, offset]| -offset / scale).collect();
    let variance = pairs.iter().map(|[scale, _]| 1.0 / (scale * scale)).collect();
    let inputs = site.inputs.clone();
    site.node("", Normalization::new(), &inputs, &[], vec![("mean", mean), ("variance", variance)])
}
