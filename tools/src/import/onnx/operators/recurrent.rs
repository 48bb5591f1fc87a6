//! `LSTM` and `GRU`. ONNX has the steps in front of the batch, and the gates in another order.

use super::dense::rows_in_order;
use super::parts::MOST_PARTS;
use crate::import::constant::{Int, Tensor};
use crate::import::fold::beside;
use crate::import::net::{Id, Kind, Make, Weights};
use crate::import::onnx::arrangement::{Arrangement, Factor, size};
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, Map, Value};
use crate::import::refused::Refused;
use bantam::{Gru, Lstm};

/// What the two differ in.
struct Cell {
    /// Where the file has each of the layer's gates.
    gates: &'static [usize],
    functions: &'static [&'static str],
    /// The input of peepholes, if there may be some.
    peepholes: Option<usize>,
}

const GRU: Cell = Cell { gates: &[0, 1, 2], functions: &["Sigmoid", "Tanh"], peepholes: None };

/// Input, output, forget and cell, which are input, forget, cell and output here.
const LSTM: Cell = Cell { gates: &[0, 2, 3, 1], functions: &["Sigmoid", "Tanh", "Tanh"], peepholes: Some(7) };

/// Inputs of the file.
const BIAS: usize = 3;
const LENGTHS: usize = 4;
const STATES: [(usize, &str); 2] = [(5, "initial_h"), (6, "initial_c")];

/// `LSTM` and `GRU` of a map.
pub fn recurrent(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    over(importer, node, &map, false)
}

/// The axes of a series, in the file's order.
struct Series {
    steps: Vec<Factor>,
    features: Vec<Factor>,
    batch_first: bool,
}

impl Series {
    fn of(importer: &Importer<'_>, node: &Node<'_>, map: &Map) -> Result<Series, Refused> {
        let batch_first = node.flag("layout");
        let refused = || {
            let expected = if batch_first { "[batch, steps, features]" } else { "[steps, batch, features]" };
            Refused::expected_got("input", expected, importer.shape(map))
                .advice("the model's first dimension is the batch: export it with batch_first=True")
        };
        let [first, second, features] = &map.lies.axes[..] else { return Err(refused()) };
        let (steps, batch) = if batch_first { (second, first) } else { (first, second) };
        // A batch of one is said to be of the first axis, whichever that is.
        let one = importer.batch == Int::Known(1);
        let samples = |axis: &[Factor]| axis.iter().filter(|&&factor| factor != Factor::BATCH).count();
        let apart = batch[..] == [Factor::BATCH] || one && samples(batch) == 0;
        if !apart || (!one && steps.contains(&Factor::BATCH)) || features.contains(&Factor::BATCH) {
            return Err(refused());
        }
        let steps = steps.iter().copied().filter(|&factor| factor != Factor::BATCH).collect();
        Ok(Series { steps, features: features.clone(), batch_first })
    }
}

/// The same, of a map whose steps come in the other order if it is `turned`.
pub fn over(importer: &mut Importer<'_>, node: &Node<'_>, map: &Map, turned: bool) -> Given {
    let cell = if node.op() == "GRU" { GRU } else { LSTM };
    let series = Series::of(importer, node, map)?;
    let (steps, features) = (size(&series.steps), size(&series.features));
    let directions = match node.text("direction").unwrap_or("forward") {
        "forward" => &[false][..],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => {
            return Err(Refused::expected_got("direction", "forward, reverse or bidirectional", other));
        }
    };
    let read = |output: usize| {
        node.outputs.get(output).copied().flatten().is_some_and(|value| importer.graph.readers[value] > 0)
    };
    let (sequences, last) = (read(0), read(1));
    if read(2) {
        let advice = "export it without: a layer gives its states alone";
        return Err(Refused::new("output Y_c: the cell behind the last step").advice(advice));
    }
    check(importer, node, &cell, steps, directions.len())?;
    let [kernels, states] = [(1, "W"), (2, "R")].map(|(input, what)| importer.weights(node, input, what));
    let (kernels, states) = (kernels?, states?);
    let (count, gates) = (directions.len(), cell.gates.len());
    let units = states.dims.last().copied().unwrap_or(0);
    for (what, weights, columns) in [("W", &kernels, features), ("R", &states, units)] {
        if weights.dims != [count, gates * units, columns] || units == 0 {
            let expected = format!("[{count}, {gates}·units, {columns}]");
            return Err(Refused::expected_got(what, expected, format!("{:?}", weights.dims)));
        }
    }
    let bias = importer.floats(node, BIAS)?;
    if let Some(bias) = bias.as_ref().filter(|bias| bias.dims != [count, 2 * gates * units]) {
        let expected = format!("[{count}, {}]", 2 * gates * units);
        return Err(Refused::expected_got("B", expected, format!("{:?}", bias.dims)));
    }

    // Of the weights alone, not of the state that it begins with.
    importer.net.origin = importer.roots_of(&node.inputs[1..node.inputs.len().min(BIAS + 1)]);
    let order = &map.lies.order;
    let inside: Vec<Factor> =
        order.iter().filter(|factor| series.features.contains(factor)).copied().collect();
    let x = importer.laid(node, map, &[&series.steps, &inside]);
    let (mut all, mut ends) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (direction, &reverse) in directions.iter().enumerate() {
        let of = |tensor: &Tensor| tensor.sliced(0, direction, 1, 1);
        let by_gates = |tensor: &Tensor| -> Result<Tensor, Refused> {
            let parted = of(tensor).view(vec![gates, units, tensor.dims[2]], {
                vec![units * tensor.stride(1), tensor.stride(1), tensor.stride(2)]
            });
            let rows = gates * units;
            let matrix = in_order(parted, cell.gates)?.reshaped(vec![rows, tensor.dims[2]])?;
            Ok(matrix.transposed(&[1, 0]))
        };
        let mut weights = vec![
            Weights::new("kernel", rows_in_order(&by_gates(&kernels)?, &series.features, &inside)),
            Weights::new("recurrent_kernel", by_gates(&states)?),
        ];
        if let Some(bias) = &bias {
            let both = of(bias).view(vec![2, gates, units], {
                vec![gates * units * bias.stride(1), units * bias.stride(1), bias.stride(1)]
            });
            weights.push(Weights::new("bias", biases(node, &cell, &both)?));
        }
        let backwards = reverse != turned;
        let (lstm, biased) = (node.op() == "LSTM", bias.is_some());
        let make: Make = Box::new(move |graph, x, _| {
            if lstm {
                let mut layer = Lstm::new().units(units);
                (layer.0.bias, layer.0.sequences, layer.0.backwards) = (biased, sequences, backwards);
                graph.layer(layer, x)
            } else {
                let mut layer = Gru::new().units(units);
                (layer.0.bias, layer.0.sequences, layer.0.backwards) = (biased, sequences, backwards);
                graph.layer(layer, x)
            }
        });
        let dims = if sequences { vec![steps, units] } else { vec![units] };
        let name = match (count, reverse) {
            (1, _) => node.name.to_string(),
            (_, false) => format!("{}/forward", node.name),
            (_, true) => format!("{}/backward", node.name),
        };
        let id = importer.net.add(&name, Kind::Other, &[x], dims, weights, make);
        if !sequences {
            ends.push(id);
            continue;
        }
        if last {
            ends.push(importer.net.part(&name, id, [1, steps, units], [steps - 1, 1, 1]));
        }
        // The layer's are in the order in which they are computed, the file's in that of its own input.
        all.push(if reverse { reversed(importer, &name, id, [steps, units])? } else { id });
    }

    let hidden = importer.factors.axis(units);
    let way = importer.factors.axis(count);
    let batch = vec![Factor::BATCH];
    let mut given = vec![Value::Unknown, Value::Unknown];
    if sequences {
        let id = importer.net.joined(node.name, &all, 1);
        let order = [&series.steps[..], &way, &hidden].concat();
        let axes = if series.batch_first {
            vec![batch.clone(), series.steps, way.clone(), hidden.clone()]
        } else {
            vec![series.steps, way.clone(), batch.clone(), hidden.clone()]
        };
        given[0] = importer.given(node, id, Arrangement { axes, order }.settled(importer.batch));
    }
    if last {
        let flat: Vec<_> = ends.iter().map(|&id| importer.net.reshape(node.name, id, &[units])).collect();
        let id = importer.net.joined(node.name, &flat, 0);
        let order = [&way[..], &hidden].concat();
        let axes = if series.batch_first { vec![batch, way, hidden] } else { vec![way, batch, hidden] };
        let lies = Arrangement { axes, order }.settled(importer.batch);
        given[1] = Value::Map(Map { id, lies, exclusive: false });
    }
    Ok(given)
}

/// Refuses what the engine's layers do not do.
fn check(
    importer: &Importer<'_>,
    node: &Node<'_>,
    cell: &Cell,
    steps: usize,
    directions: usize,
) -> Result<(), Refused> {
    if let Some(told) = node.texts("activations") {
        let usual = cell.functions.iter().copied().cycle().take(cell.functions.len() * directions);
        if !told.iter().copied().eq(usual) {
            let (expected, got) = (cell.functions.join(", "), told.join(", "));
            return Err(Refused::expected_got("activations", expected, got));
        }
    }
    if let Some(clip) = node.float("clip").filter(|&clip| clip > 0.0) {
        return Err(Refused::expected_got("clip", "none", clip));
    }
    if node.flag("input_forget") {
        let advice = "no layer has its input gate and its forget gate in one";
        return Err(Refused::expected_got("input_forget", 0, 1).advice(advice));
    }
    if node.op() == "GRU" && !node.flag("linear_before_reset") {
        let advice = "train it with the reset gate behind the product of the state: PyTorch's GRU, and Keras's with \
                      reset_after=True, are so";
        return Err(Refused::expected_got("linear_before_reset", 1, 0).advice(advice));
    }
    if let Some(lengths) = importer.numbers(node, LENGTHS)? {
        let whole = |&len: &i64| usize::try_from(len) == Ok(steps);
        if !lengths.iter().all(whole) {
            return Err(Refused::expected_got("sequence_lens", steps, format!("{lengths:?}")));
        }
    }
    for (input, what) in STATES {
        let advice = "export it without a state of its own: layers begin with zeros";
        if !zero(importer, node, input) {
            return Err(Refused::expected_got(what, "zeros", "others").advice(advice));
        }
    }
    match cell.peepholes {
        Some(input) if !zero(importer, node, input) => {
            Err(Refused::new("P: peepholes").advice("no layer has gates that read the cell"))
        }
        _ => Ok(()),
    }
}

/// Whether an input is zeros, or not there.
fn zero(importer: &Importer<'_>, node: &Node<'_>, input: usize) -> bool {
    match node.inputs.get(input).copied().flatten().map(|value| &importer.values[value]) {
        None => true,
        Some(Value::Filled(filled)) => filled.number == 0.0,
        Some(_) => {
            matches!(importer.floats(node, input), Ok(Some(state)) if state.to_vec().iter().all(|&x| x == 0.0))
        }
    }
}

/// The parts of the first axis in another order.
fn in_order(tensor: Tensor, order: &[usize]) -> Result<Tensor, Refused> {
    if order.is_sorted() {
        return Ok(tensor);
    }
    let parts: Vec<Tensor> = order.iter().map(|&at| tensor.sliced(0, at, 1, 1)).collect();
    beside(&parts, 0)
}

/// Of the biases of input and state, `[2, gates, units]`, those of the layer: a GRU has both, an LSTM their sum.
fn biases(node: &Node<'_>, cell: &Cell, both: &Tensor) -> Result<Tensor, Refused> {
    let [_, gates, units] = both.dims[..] else { return Err(Refused::new("B: expected two for each gate")) };
    if node.op() == "GRU" {
        return both.reshaped(vec![2, gates * units]);
    }
    let [input, state] = [0, 1].map(|at| {
        in_order(
            both.sliced(0, at, 1, 1).view(vec![gates, units], vec![both.stride(1), both.stride(2)]),
            cell.gates,
        )
    });
    let sum = input?.to_vec().into_iter().zip(state?.to_vec()).map(|(input, state)| input + state);
    Ok(Tensor::new(vec![gates * units], sum.collect()))
}

/// The steps of a series in the other order, one by one.
fn reversed(
    importer: &mut Importer<'_>,
    name: &str,
    id: Id,
    [steps, units]: [usize; 2],
) -> Result<Id, Refused> {
    if steps > MOST_PARTS {
        let got = format!("{steps} of them");
        return Err(Refused::expected_got(
            "states of all steps, backwards",
            format!("{MOST_PARTS} at most"),
            got,
        )
        .advice("no layer turns a series round: use the last state alone, or fewer steps"));
    }
    let name = format!("{name}/reversed");
    let each = (0..steps).rev().map(|at| importer.net.part(&name, id, [1, steps, units], [at, 1, 1]));
    let each: Vec<_> = each.collect();
    let whole = importer.net.joined(&name, &each, 1);
    Ok(importer.net.reshape(&name, whole, &[steps, units]))
}
