//! Recurrent layers. ONNX has the steps in front of the batch, and the gates in another order.

use crate::export::onnx::array::Floats;
use crate::export::onnx::exporter::{Exporter, int};
use crate::export::onnx::order::natural;
use crate::import::Unsupported;
use bantam::{Gru, Lstm, RecurrentOptions};

/// Steps, batch, features.
const STEPS_FIRST: [usize; 3] = [1, 0, 2];

/// `GRU`: update, reset and candidate, as here.
pub fn gru(x: &mut Exporter<'_>, at: usize, layer: Gru) -> Result<(), Unsupported> {
    write(x, at, "GRU", &layer.0, &[0, 1, 2])
}

/// `LSTM`: input, output, forget and cell, which are input, forget, cell and output here.
pub fn lstm(x: &mut Exporter<'_>, at: usize, layer: Lstm) -> Result<(), Unsupported> {
    write(x, at, "LSTM", &layer.0, &[0, 3, 1, 2])
}

fn write(
    x: &mut Exporter<'_>,
    at: usize,
    op: &str,
    layer: &RecurrentOptions,
    gates: &[usize],
) -> Result<(), Unsupported> {
    let (units, all) = (layer.units, layer.units * gates.len());
    let mut input = x.read(x.inputs(at)[0], &STEPS_FIRST);
    if layer.backwards {
        // Sequences are in the order in which they are computed, those of direction=reverse are not.
        let numbers = [("starts", -1), ("ends", i64::MIN), ("axes", 0), ("steps", -1)];
        let [starts, ends, axes, steps] = numbers.map(|(name, number)| x.whole(at, name, vec![number]));
        input = x.part(at, "reverse", "Slice", &[input, starts, ends, axes, steps], vec![]);
    }
    let mut inputs = vec![input];
    for name in ["kernel", "recurrent_kernel"] {
        let Some(weights) = x.weights(at, name) else { continue };
        let rows = weights.values().len() / all;
        let in_order = with_gates(weights.values(), units, gates);
        let floats = Floats::new(in_order).turned(&[rows, all], &[1, 0]);
        inputs.push(x.floats(at, name, &[1, all, rows], floats));
    }
    if let Some(bias) = x.weights(at, "bias") {
        let mut both = with_gates(bias.values(), units, gates);
        // An LSTM has none of the state's.
        both.resize(2 * all, 0.0);
        inputs.push(x.floats(at, "bias", &[1, 2 * all], Floats::new(both)));
    }
    let mut attributes = vec![int("hidden_size", units as i64)];
    if op == "GRU" {
        attributes.push(int("linear_before_reset", 1));
    }
    let states = x.unique(&format!("{}/states", x.name(at)));
    let (outputs, direction, order) = if layer.sequences {
        (vec![states.clone()], 1, STEPS_FIRST.to_vec())
    } else {
        (vec![String::new(), states.clone()], 0, natural(1))
    };
    let name = format!("{}/{}", x.name(at), op.to_lowercase());
    x.operator(&name, op, &inputs, &outputs, attributes);
    let axes = x.whole(at, "direction", vec![direction]);
    x.give(at, "Squeeze", &[states, axes], vec![], order);
    Ok(())
}

/// Rows of gates, in another order.
fn with_gates(values: &[f32], units: usize, gates: &[usize]) -> Vec<f32> {
    let rows = values.chunks_exact(units * gates.len());
    let turned = rows.flat_map(|row| gates.iter().flat_map(move |gate| &row[gate * units..][..units]));
    turned.copied().collect()
}
