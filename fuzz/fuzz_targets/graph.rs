//! No graph that a builder makes panics when it is planned, run or trained; and a plan, wherever it puts things, gives
//! what a plan gives that overwrites nothing and joins nothing.
#![no_main]

use bantam::{
    AveragePool2d, Buffer, Concatenate, Conv1d, Conv2d, Conv2dTranspose, DepthwiseConv2d, Event,
    GraphBuilder, Isa, Loss, MaxPool2d, Mode, Model, Options, Padding, Plan, Prelu, Samples, SeparableConv2d,
    Session, Sgd, Tape, Tensor, Trainer, TrainingPlan, TrainingSession, UpSampling2d, Value,
};
use libfuzzer_sys::fuzz_target;
use std::ops::ControlFlow;

/// What a plan may take to be run.
const ARENA: usize = 1 << 16;
const MULTIPLY_ADDS: u64 = 1 << 20;

/// Bytes as they come; zeros when there are none left.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn below(&mut self, end: usize) -> usize {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(byte) % end
    }

    /// From 1 on.
    fn size(&mut self, most: usize) -> usize {
        1 + self.below(most)
    }

    /// The same; one in 64 is of another order.
    fn odd(&mut self, most: usize) -> usize {
        const ODD: [usize; 8] = [0, 31, 257, 4099, 0xffff, u32::MAX as usize, 1 << 20, usize::MAX];
        if self.below(64) == 63 { ODD[self.below(ODD.len())] } else { self.size(most) }
    }
}

/// Adds layers that read any values before them. Most fit.
fn graph<'g>(net: &'g GraphBuilder, bytes: &mut Bytes<'_>) -> Vec<Value<'g>> {
    let mut values = Vec::new();
    // Weights are memory that a builder may be asked for: none are of a size that would fill it.
    let mut vast = false;
    for _ in 0..1 + bytes.below(3) % 2 * bytes.below(3) {
        let image = bytes.below(4) > 0;
        let shape =
            if image { vec![bytes.odd(9), bytes.odd(9), bytes.size(5)] } else { vec![bytes.size(20)] };
        vast |= shape.iter().any(|&dim| dim > 20);
        values.push((net.input(&shape), image));
    }
    for _ in 0..1 + bytes.below(16) {
        // The last is read most often, so that there are chains.
        let back = bytes.below(8).saturating_sub(4);
        let (x, mut image) = values[values.len().saturating_sub(1 + back).min(values.len() - 1)];
        let other = values[bytes.below(values.len())].0;
        let kind = bytes.below(43);
        let value = match kind {
            0..=3 if image => {
                let how = match bytes.below(4) {
                    0 => Conv2d::valid(),
                    1 => Conv2d::padded(Padding::Explicit {
                        top: bytes.below(3),
                        bottom: bytes.below(3),
                        left: 1,
                        right: 2,
                    }),
                    _ => Conv2d::same(),
                };
                let how = if bytes.below(4) == 0 { how.stride(bytes.odd(3)) } else { how };
                let how = if bytes.below(4) == 0 { how.relu() } else { how };
                x.conv2d_with(bytes.size(9), [bytes.size(3), bytes.size(3)], how)
            }
            4 if image => {
                let pool = MaxPool2d::new(bytes.odd(3)).padding(Padding::Same);
                x.max_pool2d_with(if bytes.below(2) == 0 { pool.stride(bytes.odd(2)) } else { pool })
            }
            0..=2 if !image && !vast => x.dense(bytes.size(17)),
            5 => {
                image = false;
                x.flatten()
            }
            6 => x.softmax(),
            7 => x.dropout(bytes.below(4) as f32 / 4.0),
            8 => x.tanh(),
            9 => x.relu6(),
            10 => net.add(&[x, other]),
            11 => net.add(&[x, x]),
            12 => net.concatenate(&[x, x]),
            13 => net.multiply(x, other),
            14 => x.reuse_layer_of(other),
            15 if !vast => x.batch_normalization(),
            16 if image => x.depthwise_conv2d_with([bytes.size(3), bytes.size(3)], DepthwiseConv2d::same()),
            17 if image => {
                x.separable_conv2d_with(bytes.size(9), [3, bytes.size(3)], SeparableConv2d::same())
            }
            18 if image => x.average_pool2d_with(AveragePool2d::new(bytes.odd(3)).padding(Padding::Same)),
            19 if image => {
                image = false;
                if bytes.below(2) == 0 { x.global_average_pool2d() } else { x.global_max_pool2d() }
            }
            20 if image => x.zero_padding2d([[bytes.below(3), bytes.below(3)], [bytes.below(3), 1]]),
            21 => x.leaky_relu(0.25),
            22 => x.hard_swish(),
            23 => x.gelu(),
            24 if !vast => x.layer_normalization(),
            25 if !vast => x.group_normalization(bytes.size(4)),
            26 if !vast => x.prelu(Prelu::new().shared_axes([bytes.size(3)])),
            27 => net.maximum(&[x, other]),
            28 => net.average(&[x, other, x]),
            29 => net.subtract(x, other),
            30 => x.softmax_along(bytes.below(5) as i8 - 3),
            31 => x.gaussian_dropout(bytes.below(4) as f32 / 4.0),
            32 if image => x.spatial_dropout2d(bytes.below(4) as f32 / 4.0),
            33 => x.activity_regularization(0.1, 0.1),
            34 if image && !vast => {
                let how =
                    if bytes.below(2) == 0 { Conv2dTranspose::same() } else { Conv2dTranspose::valid() };
                x.conv2d_transpose_with(
                    bytes.size(5),
                    [bytes.size(3), bytes.size(3)],
                    how.stride(bytes.size(2)),
                )
            }
            35 if image => x.cropping2d([[bytes.below(2), bytes.below(2)], [0, bytes.below(2)]]),
            36 if image && !vast => {
                let how = UpSampling2d::new([bytes.size(2), bytes.size(3)]);
                x.up_sampling2d_with(if bytes.below(2) == 0 { how } else { how.bilinear() })
            }
            37 if image && !vast => x.permute([3, 1, 2]),
            38 if image => {
                let how = AveragePool2d::rectangular([bytes.size(3), bytes.size(2)]).dilation(bytes.size(2));
                let how = how.strides([bytes.size(2), bytes.size(3)]).ceil_mode();
                x.average_pool2d_with(how.count_padding())
            }
            39 if image => x.max_pool2d_with(MaxPool2d::rectangular([2, bytes.size(3)]).ceil_mode()),
            40 => net.layer(Concatenate::new().axis(1), &[x, x]),
            41 if image && !vast => {
                image = false;
                let series = x.reshape([-1, 1]).conv1d_with(bytes.size(3), bytes.size(3), Conv1d::causal());
                series.relu().max_pool1d(bytes.size(2)).flatten()
            }
            _ => x.relu(),
        };
        values.push((value, image));
    }
    values.into_iter().map(|(value, _)| value).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Bytes(bytes);
    let net = GraphBuilder::new();
    let values = graph(&net, &mut bytes);
    let mut outputs = vec![values[values.len() - 1]];
    for _ in 0..bytes.below(4) {
        outputs.push(values[bytes.below(values.len())]);
    }
    let Ok(mut model) = net.build(&outputs, 1) else { return };
    for index in 0..model.nodes().len() {
        let name = model.nodes()[index].name().to_string();
        model.set_trainable(&name, bytes.below(4) > 0).expect("its own name");
    }
    assert!(!model.summary().to_string().is_empty() && !model.to_dot().to_string().is_empty());
    let parameters = model.parameter_count();
    if parameters > ARENA {
        Isa::available().for_each(|isa| drop(Plan::new(&model, Options::new(1).isa(isa))));
        return;
    }
    let file = model.to_bytes().expect("names and sizes are small");
    assert!(Model::from_bytes(&file).expect("what was written can be read") == model);
    let folded = model.fold().expect("variances are ones");
    let everything = net.build(&values, 1).expect("the same graph");
    let batch = 1 + bytes.below(3);
    for isa in Isa::available() {
        if small(&everything, Options::new(batch).isa(isa)) {
            let outputs = values_of(&outputs, &values);
            run(&model, &everything, &outputs, batch, isa);
            run(&folded, &everything, &outputs, batch, isa);
            train(&model, batch, isa);
        }
    }
});

/// Where the outputs are among all values. Those of one place print alike.
fn values_of(outputs: &[Value<'_>], values: &[Value<'_>]) -> Vec<usize> {
    let text = |value: &Value<'_>| format!("{value:?}");
    let place = |output| values.iter().position(|value| text(value) == text(output));
    outputs.iter().map(|output| place(output).expect("outputs are values")).collect()
}

/// Whether it runs in little memory and time.
fn small(model: &Model<'_>, options: Options) -> bool {
    let Ok(plan) = Plan::new(model, options) else { return false };
    plan.arena_len() <= ARENA && plan.multiply_adds() <= MULTIPLY_ADDS
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect()
}

/// Numbers that make everything that is computed of them NaN.
fn painted(len: usize) -> Buffer {
    let mut arena = Buffer::new(len);
    arena.fill(f32::NAN);
    arena
}

/// Runs it in memory that holds NaN, and holds it against a run whose every value has a place of its own.
fn run(model: &Model<'_>, everything: &Model<'_>, outputs: &[usize], batch: usize, isa: Isa) {
    let options = Options::new(batch).isa(isa);
    let plan = Plan::new(model, options).expect("a part of what can be planned");
    assert!(plan.lower_bound_bytes() <= plan.peak_bytes());
    assert!(plan.steps().all(|step| step.offset + step.bytes <= plan.peak_bytes()));
    let mut arena = painted(plan.arena_len());
    let mut session = Session::with_plan(plan, &mut arena).expect("what was planned has room");
    let mut all = Session::new(everything, options).expect("what was planned has room");
    let inputs: Vec<Vec<f32>> =
        model.input_shapes().iter().map(|shape| numbers(batch * shape.elements())).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(|input| &input[..]).collect();
    if all.run_all(&inputs).is_err() {
        // Products of products overflow.
        let _ = session.run_all(&inputs);
        return;
    }
    session.run_all(&inputs).expect("it reads nothing that is not written");
    for (index, &value) in outputs.iter().enumerate() {
        let (got, want) = (session.output(index), all.output(value));
        assert_eq!(got.len(), want.len());
        let largest = want.iter().fold(1.0f32, |largest, x| largest.max(x.abs()));
        let close = |(got, want): (&f32, &f32)| (got - want).abs() <= 1e-3 * largest;
        assert!(got.iter().zip(want).all(close), "{isa}: output {index}\n{got:?}\n{want:?}");
    }
}

/// One step in memory that holds NaN, the same on a tape, and the same by a trainer whose gradients stay.
fn train(model: &Model<'_>, batch: usize, isa: Isa) {
    let sgd = Sgd { rate: 0.01, ..Sgd::default() };
    let trainer = |batch| Trainer::new(sgd, Loss::MeanSquaredError).batch_size(batch).isa(isa);
    let Ok(plan) = TrainingPlan::new(&trainer(batch), model) else { return };
    let inputs = numbers(batch * model.input_shape().elements());
    let targets = numbers(batch * model.output_shape().elements());
    let mut arena = painted(plan.arena_len());
    let mut session =
        TrainingSession::with_arena(&trainer(batch), model, &mut arena).expect("what was planned has room");
    if session.step(&inputs, &targets).is_err() {
        return;
    }
    let learnt = session.to_model();
    let mut own = TrainingSession::new(&trainer(batch), model).expect("as before");
    own.step(&inputs, &targets).expect("as before");
    assert_same(&own.to_model(), &learnt, "another arena");
    if model.nodes().iter().any(|node| node.layer_type().name().contains("Dropout")) {
        // Every way draws its own.
        return;
    }
    assert_close(&on_a_tape(model, isa, sgd, (&inputs, &targets, batch)), &learnt, "a tape");
    if batch == 1 {
        let tensor = |shape: bantam::Shape, numbers| {
            Tensor::new(shape.with_batch(1).expect("it is small").dims(), numbers).expect("as many")
        };
        let data = Samples::new(tensor(model.input_shape(), inputs), tensor(model.output_shape(), targets));
        let data = data.expect("one of each");
        let mut fitted = model.clone();
        let mut go_on = |_: Event| ControlFlow::Continue(());
        let fit = trainer(1).epochs(1).fit(&mut fitted, &data, None, &mut go_on);
        if fit.is_ok() {
            assert_close(&fitted, &learnt, "a trainer");
        }
    }
}

fn on_a_tape(
    model: &Model<'_>,
    isa: Isa,
    sgd: Sgd,
    (inputs, targets, batch): (&[f32], &[f32], usize),
) -> Model<'static> {
    let mut learnt = model.clone().into_owned();
    let mut tape = Tape::new(isa);
    let mut parameters = Vec::new();
    let shape = |shape: bantam::Shape| shape.with_batch(batch).expect("it is small");
    let x = tape.input(shape(model.input_shape()), inputs).expect("as many");
    let y = model.record(&mut tape, x, Mode::Training { seed: 0 }, &mut parameters).expect("it was planned");
    let targets = tape.input(shape(model.output_shape()), targets).expect("as many");
    let loss = tape.mean_squared_error(y, targets).expect("of one shape");
    let gradients = tape.backward(loss).expect("a number");
    // A parameter that the output does not depend on has no gradient.
    for (index, &parameter) in parameters.iter().enumerate() {
        let Ok(gradient) = gradients.get(parameter) else { continue };
        if let Some((name, at)) = names_of(model, index) {
            let weights = learnt.weights(&name).expect("its name");
            // Of moving statistics the tape gives how far they move.
            let rate = if weights[at].name().starts_with("moving_") { 1.0 } else { sgd.rate };
            let mut arrays: Vec<Vec<f32>> = weights.iter().map(|p| p.values().to_vec()).collect();
            arrays[at].iter_mut().zip(gradient).for_each(|(w, d)| *w -= rate * d);
            let arrays: Vec<&[f32]> = arrays.iter().map(|array| &array[..]).collect();
            learnt.set_weights(&name, &arrays).expect("of the same shapes");
        }
    }
    learnt
}

/// A node that has a parameter, and which of its parameters that is.
fn names_of(model: &Model<'_>, parameter: usize) -> Option<(String, usize)> {
    let wanted = &raw const model.parameters()[parameter];
    model.nodes().iter().find_map(|node| {
        let at = model.parameters_of(node).iter().position(|p| core::ptr::eq(p, wanted))?;
        Some((node.name().to_string(), at))
    })
}

fn weights<'m>(model: &'m Model<'_>) -> impl Iterator<Item = f32> + 'm {
    model.parameters().iter().flat_map(|parameter| parameter.values().iter().copied())
}

fn assert_same(got: &Model<'_>, want: &Model<'_>, case: &str) {
    let bits = |model| weights(model).map(f32::to_bits).collect::<Vec<_>>();
    assert!(bits(got) == bits(want), "{case}");
}

fn assert_close(got: &Model<'_>, want: &Model<'_>, case: &str) {
    let largest = weights(want).fold(1.0f32, |largest, x| largest.max(x.abs()));
    let close = |(got, want): (f32, f32)| !want.is_finite() || (got - want).abs() <= 1e-4 * largest;
    let apart = || weights(got).zip(weights(want)).find(|&pair| !close(pair));
    assert!(apart().is_none(), "{case}: {:?}\n{}", apart(), want.summary());
}
