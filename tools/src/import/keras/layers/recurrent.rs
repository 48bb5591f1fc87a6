//! Recurrent layers.

use super::super::config::{LayerConfig, Reader};
use super::super::site::{Site, Tensor};
use super::super::store::Variable;
use super::{BIAS, KERNEL};
use bantam::{Add, Average, Concatenate, Gru, Lstm, Multiply};
use serde_json::json;

const RECURRENT: Variable = Variable { array: "recurrent_kernel", names: &["recurrent_kernel"] };

/// What LSTM and GRU have in common.
struct Options {
    units: usize,
    bias: bool,
    sequences: bool,
    backwards: bool,
}

fn options(site: &mut Site<'_, '_, '_, '_>) -> Options {
    let advice = "the engine has Keras's default alone";
    site.read.only("activation", &json!("tanh"), advice);
    site.read.only("recurrent_activation", &json!("sigmoid"), advice);
    site.read.only("return_state", &json!(false), "");
    site.read.only("time_major", &json!(false), "");
    if site.read.flag("stateful", false) {
        let line = format!("{}: stateful in Keras, here each sample begins with zeros", site.name);
        site.assembly.report.warnings.push(line);
    }
    Options {
        units: site.read.size("units"),
        bias: site.read.flag("use_bias", true),
        sequences: site.read.flag("return_sequences", false),
        backwards: site.read.flag("go_backwards", false),
    }
}

fn variables(bias: bool) -> &'static [Variable] {
    if bias { &[KERNEL, RECURRENT, BIAS] } else { &[KERNEL, RECURRENT] }
}

pub(super) fn lstm<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let inputs = site.inputs.clone();
    lstm_of(site, "", &inputs, false)
}

fn lstm_of<'g>(
    site: &mut Site<'_, 'g, '_, '_>,
    part: &str,
    inputs: &[Tensor<'g>],
    turned: bool,
) -> Option<Tensor<'g>> {
    let Options { units, bias, sequences, backwards } = options(site);
    site.place.part = "/cell";
    let mut layer = Lstm::new().units(units);
    if !bias {
        layer = layer.no_bias();
    }
    if sequences {
        layer = layer.return_sequences();
    }
    if backwards != turned {
        layer = layer.go_backwards();
    }
    site.node(part, layer, inputs, variables(bias), Vec::new())
}

pub(super) fn gru<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let inputs = site.inputs.clone();
    gru_of(site, "", &inputs, false)
}

fn gru_of<'g>(
    site: &mut Site<'_, 'g, '_, '_>,
    part: &str,
    inputs: &[Tensor<'g>],
    turned: bool,
) -> Option<Tensor<'g>> {
    // Before it was an option the gate came before the product.
    if !site.read.flag("reset_after", false) {
        site.read.refuse("reset_after is false", "the engine has the gate behind the product alone");
    }
    let Options { units, bias, sequences, backwards } = options(site);
    site.place.part = "/cell";
    let mut layer = Gru::new().units(units);
    if !bias {
        layer = layer.no_bias();
    }
    if sequences {
        layer = layer.return_sequences();
    }
    if backwards != turned {
        layer = layer.go_backwards();
    }
    site.node(part, layer, inputs, variables(bias), Vec::new())
}

/// Two layers, `NAME/forward` and `NAME/backward`, and what joins them.
pub(super) fn bidirectional<'g>(site: &mut Site<'_, 'g, '_, '_>) -> Option<Tensor<'g>> {
    let inner = site.read.get("layer").map(LayerConfig::new);
    let Some(Ok(inner)) = inner else { return site.refuse("without a layer", "") };
    if inner.config.get("return_sequences").is_some_and(|sequences| sequences == &json!(true)) {
        let advice = "the engine turns no series round: take the last states, or one direction";
        return site.refuse("return_sequences", advice);
    }
    // Keras 3 writes down both, by the names that they have inside.
    let backward = match site.read.get("backward_layer").map(LayerConfig::new) {
        None => None,
        Some(Ok(backward)) => Some(backward),
        Some(Err(_)) => return site.refuse("with a backward layer that is none", ""),
    };
    let turned = backward.is_none();
    let (inputs, whole) = (site.inputs.clone(), site.place.clone());
    let mut made = Vec::new();
    for (part, layer, turned) in [("forward", inner, false), ("backward", backward.unwrap_or(inner), turned)]
    {
        let outer = std::mem::replace(&mut site.read, Reader::new(layer));
        let prefix = format!("{part}_");
        let name = if layer.name.starts_with(&prefix) { layer.name.into() } else { prefix + layer.name };
        site.place.path = format!("{}/{part}_layer", whole.path);
        site.place.within.push(name.clone());
        site.place.name = name;
        made.push(match layer.class {
            "LSTM" => lstm_of(site, part, &inputs, turned),
            "GRU" => gru_of(site, part, &inputs, turned),
            class => site.refuse(&format!("of {class}"), "expected is LSTM or GRU"),
        });
        let inner = std::mem::replace(&mut site.read, outer);
        site.read.problems.extend(inner.problems);
        site.place = whole.clone();
    }
    let made: Vec<Tensor<'g>> = made.into_iter().collect::<Option<_>>()?;
    match site.read.text("merge_mode", "concat") {
        "concat" => site.node("", Concatenate::new(), &made, &[], Vec::new()),
        "sum" => site.node("", Add, &made, &[], Vec::new()),
        "mul" => site.node("", Multiply, &made, &[], Vec::new()),
        "ave" => site.node("", Average, &made, &[], Vec::new()),
        other => site.refuse(&format!("merge_mode {other}"), ""),
    }
}
