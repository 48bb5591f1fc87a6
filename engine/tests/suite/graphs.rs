//! Models with branches, several inputs and several outputs: built, shown, planned, run and trained.

use crate::common::numbers;
use bantam::{
    Adam, Conv2d, GraphBuilder, Isa, LayerType, Loss, MAX_INPUTS, Mode, Model, Optimizer, Options, Plan,
    Samples, Sequential, Session, Sgd, Tape, Tensor, Trainer, TrainingSession, Var,
};
use std::ops::ControlFlow;

fn outputs(model: &Model<'_>, options: Options, inputs: &[&[f32]]) -> Vec<Vec<f32>> {
    let mut session = Session::new(model, options).unwrap();
    session.run_all(inputs).unwrap();
    let count = model.output_shapes().count();
    assert!(session.output(count).is_empty());
    (0..count).map(|index| session.output(index).to_vec()).collect()
}

/// A dense layer of a model, on a tape.
fn dense<'a>(tape: &mut Tape<'a>, model: &'a Model<'_>, name: &str, x: Var, relu: bool) -> Var {
    let [kernel, bias] = model.weights(name).unwrap() else { panic!("a kernel and a bias") };
    let [w, b] = [kernel, bias].map(|weights| tape.parameter(weights.shape(), weights.values()).unwrap());
    if relu { tape.dense_relu(x, w, Some(b)) } else { tape.dense(x, w, Some(b)) }.unwrap()
}

#[test]
fn several_inputs_and_outputs() {
    let net = GraphBuilder::new();
    let (a, b) = (net.input([3]), net.input([5]));
    let left = a.dense(4).named("left").relu();
    let right = b.dense(4).named("right");
    let sum = net.add(&[left, right]);
    let twice = net.add(&[sum, sum]);
    // Values that are read by others, one of them twice an output, and an input.
    let model = net.build(&[sum, left, a, sum, right, twice], 1).unwrap();
    assert_eq!(model.input_shapes().len(), 2);
    let (x, y) = (numbers(9), numbers(15));
    for isa in Isa::available() {
        for samples in 1..=3 {
            let inputs = [&x[..3 * samples], &y[..5 * samples]];
            let got = outputs(&model, Options::new(3).isa(isa), &inputs);
            let mut tape = Tape::new(isa);
            let [a, b] = [0, 1].map(|i| {
                let shape = model.input_shapes()[i].with_batch(samples).unwrap();
                tape.input(shape, inputs[i]).unwrap()
            });
            let left = dense(&mut tape, &model, "left", a, true);
            let right = dense(&mut tape, &model, "right", b, false);
            let sum = tape.add(left, right).unwrap();
            let twice = tape.add(sum, sum).unwrap();
            for (got, want) in got.iter().zip([sum, left, a, sum, right, twice]) {
                assert_eq!(got, tape.value(want).unwrap(), "{isa}, {samples} samples");
            }
        }
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let net = GraphBuilder::new();
    let (a, b) = (net.input([3]), net.input([5]));
    let model = net.build(&[a.dense(2), b.dense(2)], 1).unwrap();
    let mut session = Session::new(&model, Options::new(2)).unwrap();
    let mut refused = |inputs: &[&[f32]]| session.run_all(inputs).unwrap_err().to_string();
    assert_eq!(refused(&[&[0.0; 3]]), "inputs of the model: expected 2 elements, got 1");
    assert_eq!(refused(&[&[0.0; 3], &[0.0; 5], &[]]), "inputs of the model: expected 2 elements, got 3");
    assert_eq!(refused(&[&[0.0; 6], &[0.0; 5]]), "samples: expected 10 elements, got 5");
    assert_eq!(refused(&[&[], &[0.0; 5]]), "samples: expected 3 elements, got 0");
    let nan = "input of sample 1: expected finite numbers, got NaN at index 2";
    assert_eq!(refused(&[&[0.0; 6], &[0., 0., 0., 0., 0., 0., 0., f32::NAN, 0., 0.]]), nan);
    assert!(session.output(0).is_empty(), "of a run that failed");
    assert!(session.run(&[0.0; 3]).is_err());

    let trainer = Trainer::new(Sgd::default(), Loss::MeanSquaredError);
    let refused = TrainingSession::new(&trainer, &model).err().unwrap().to_string();
    assert_eq!(refused, "inputs of a model: expected 1 elements, got 2");
    let two_outputs =
        Sequential::new([3]).dense(2).relu().build(1).unwrap().tap(&["dense", "re_lu"]).unwrap();
    let refused = TrainingSession::new(&trainer, &two_outputs).err().unwrap().to_string();
    assert_eq!(refused, "outputs of a model: expected 1 elements, got 2");
}

#[test]
fn values_that_are_read_again_are_not_overwritten() {
    let net = GraphBuilder::new();
    let x = net.input([6]);
    let a = x.dense(6).named("a");
    let b = a.tanh().named("b");
    let c = b.tanh().named("c");
    let d = net.add(&[c, a]);
    let input = numbers(6);
    let run = |model: &Model<'_>| outputs(model, Options::new(1).isa(Isa::SCALAR), &[&input]);
    let last = net.build(&[d], 1).unwrap();
    let all = net.build(&[a, b, c, d], 1).unwrap();
    let in_place = |model: &Model<'_>| {
        let plan = Plan::new(model, Options::new(1).isa(Isa::SCALAR)).unwrap();
        plan.steps().map(|step| step.in_place).collect::<Vec<_>>()
    };
    assert_eq!(in_place(&last), [false, false, true, true]);
    assert_eq!(in_place(&all), [false; 4]);
    let values = run(&all);
    assert_eq!(run(&last)[0], values[3]);
    for (i, &a) in values[0].iter().enumerate() {
        let (b, c) = (a.tanh(), a.tanh().tanh());
        for (got, want) in values.iter().zip([a, b, c, c + a]) {
            assert!((got[i] - want).abs() < 1e-6, "{} {want}", got[i]);
        }
    }
    // A value that one layer reads twice.
    let both = net.build(&[net.add(&[a, a])], 1).unwrap();
    assert_eq!(in_place(&both), [false; 2]);
    assert!(run(&both)[0].iter().zip(&values[0]).all(|(both, a)| *both == 2.0 * a));
}

#[test]
fn branches_that_no_output_needs_do_not_run() {
    let net = GraphBuilder::new();
    let x = net.input([6, 6, 2]);
    let stem = x.conv2d_with(3, [3, 3], Conv2d::same()).named("stem").relu();
    let dead = stem.conv2d(8, 3).named("dead").flatten().dense(9);
    let used = stem.flatten().dense(2).named("used");
    let model = net.build(&[used], 1).unwrap();
    assert_eq!(model.nodes().len(), 7);
    let steps = |model: &Model<'_>| {
        let plan = Plan::new(model, Options::new(1)).unwrap();
        plan.steps().map(|step| step.names.join(" + ")).collect::<Vec<_>>()
    };
    assert_eq!(steps(&model), ["stem + re_lu + flatten_1", "used"]);
    // Without it, there is no reader but the next layer, and all runs in one pass.
    let with_dead = net.build(&[dead], 1).unwrap();
    assert_eq!(steps(&with_dead), ["stem + re_lu", "dead + flatten", "dense"]);
    let tapped = model.tap(&["dead"]).unwrap();
    assert_eq!(steps(&tapped), ["stem + re_lu", "dead"]);
}

#[test]
fn any_node_can_be_tapped() {
    let model = branches();
    let names: Vec<&str> = model.nodes().iter().map(|node| node.name()).collect();
    let input = numbers(2 * 5 * 5 * 2);
    for isa in Isa::available() {
        let run = |model: &Model<'_>| outputs(model, Options::new(2).isa(isa), &[&input]);
        let all = run(&model.tap(&names).unwrap());
        assert_eq!(all.last(), run(&model).last(), "{isa}");
        for (name, at_once) in names.iter().zip(&all) {
            let alone = model.tap(&[name]).unwrap();
            assert_eq!(alone.output_shape(), model.node(name).unwrap().output_shape());
            assert_eq!(run(&alone)[0], *at_once, "{isa}: {name}");
        }
        // In another order, and one twice.
        let some = run(&model.tap(&["dense", "a", "dense"]).unwrap());
        assert_eq!([&some[0], &some[2]], [&all[names.len() - 1]; 2]);
    }
    let error = model.tap(&["dence"]).unwrap_err().to_string();
    assert_eq!(error, "layer: no layer is named \"dence\"; the nearest is \"dense\"");
    assert_eq!(
        model.tap(&[]).unwrap_err().to_string(),
        "outputs of a model: expected at least one, got none"
    );
}

/// Two paths that meet, with a convolution that is used twice.
fn branches() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([5, 5, 2]);
    let a = x.conv2d_with(3, [3, 3], Conv2d::same()).named("a").relu();
    let b = a.conv2d_with(3, [3, 3], Conv2d::same().relu()).named("b");
    let c = b.reuse_layer_of(b).named("c");
    let sum = net.add(&[a, c]);
    let twice = net.add(&[sum, sum]);
    net.build(&[twice.flatten().dense(4)], 2).unwrap()
}

const BATCH: usize = 6;

/// The same net on a tape, operation by operation: each parameter is there once.
fn branches_on_a_tape<'a>(
    tape: &mut Tape<'a>,
    model: &'a Model<'_>,
    x: Var,
    parameters: &mut Vec<Var>,
) -> Var {
    for (name, node) in [("a", 0), ("b", 2), ("dense", 9)] {
        assert_eq!(model.nodes()[node].name(), name);
        for weights in model.weights(name).unwrap() {
            parameters.push(tape.parameter(weights.shape(), weights.values()).unwrap());
        }
    }
    let p = parameters;
    let same = Conv2d::same().relu();
    let a = tape.conv2d(x, p[0], Some(p[1]), same).unwrap();
    let b = tape.conv2d(a, p[2], Some(p[3]), same).unwrap();
    let c = tape.conv2d(b, p[2], Some(p[3]), same).unwrap();
    let sum = tape.add(a, c).unwrap();
    let twice = tape.add(sum, sum).unwrap();
    let flat = tape.flatten(twice).unwrap();
    tape.dense(flat, p[4], Some(p[5])).unwrap()
}

fn on_a_tape(model: &Model<'_>, isa: Isa, mut optimizer: Optimizer, record: bool) -> (Model<'static>, f32) {
    let mut model = model.clone().into_owned();
    let (inputs, labels) = batch();
    let (mut memory, mut last) = (Tape::new(isa), 0.0);
    for _ in 0..3 {
        let mut tape = memory.reset();
        let mut parameters = Vec::new();
        let x = tape.input(model.input_shape().with_batch(BATCH).unwrap(), &inputs).unwrap();
        let y = match record {
            true => model.record(&mut tape, x, Mode::Training { seed: 0 }, &mut parameters).unwrap(),
            false => branches_on_a_tape(&mut tape, &model, x, &mut parameters),
        };
        let targets = tape.one_hot(&labels, 4).unwrap();
        let loss = tape.softmax_cross_entropy(y, targets).unwrap();
        last = tape.value(loss).unwrap()[0];
        let gradients = tape.backward(loss).unwrap();
        model.update(isa, &mut optimizer, &parameters, &gradients).unwrap();
        memory = gradients.into_tape();
    }
    (model, last)
}

fn batch() -> (Vec<f32>, Vec<f32>) {
    (numbers(BATCH * 5 * 5 * 2), (0..BATCH).map(|i| (i % 4) as f32).collect())
}

fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn training_with_branches_equals_a_tape_to_the_bit() {
    let model = branches();
    let (inputs, labels) = batch();
    let shape = [BATCH, 5, 5, 2];
    let data = Samples::new(
        Tensor::new(&shape, inputs.clone()).unwrap(),
        Tensor::new(&[BATCH, 1], labels.clone()).unwrap(),
    );
    let data = data.unwrap();
    let optimizers = || [Optimizer::from(Sgd { rate: 0.05, ..Sgd::default() }), Adam::default().into()];
    for isa in Isa::available() {
        for (threads, optimizer) in [1, 2].into_iter().zip(optimizers()) {
            on_threads(threads, || {
                let (want, want_loss) = on_a_tape(&model, isa, optimizer.clone(), false);
                assert!(want != model);
                assert!(on_a_tape(&model, isa, optimizer.clone(), true).0 == want, "{isa}: recorded");
                let trainer = Trainer::new(optimizer, Loss::SoftmaxCrossEntropy).batch_size(BATCH).isa(isa);
                let mut session = TrainingSession::new(&trainer, &model).unwrap();
                let losses = [0; 3].map(|_| session.step(&inputs, &labels).unwrap().loss);
                assert!(losses[2] == want_loss && session.to_model() == want, "{isa}: a session");
                // A batch that is learnt in shards, of which each keeps its gradients; its order is drawn.
                let mut fitted = model.clone();
                let mut go_on = |_: bantam::Event| ControlFlow::Continue(());
                trainer.epochs(3).fit(&mut fitted, &data, None, &mut go_on).unwrap();
                let weights = |model: &Model<'_>| {
                    model.parameters().iter().flat_map(|p| p.values().to_vec()).collect::<Vec<_>>()
                };
                for ((before, got), want) in weights(&model).iter().zip(weights(&fitted)).zip(weights(&want))
                {
                    let moved = (want - before).abs();
                    assert!((got - want).abs() <= 1e-3 * moved + 1e-5, "{isa}: {before} {got} {want}");
                }
            });
        }
    }
}

#[test]
fn frozen_branches_stay() {
    let (inputs, labels) = batch();
    for frozen in [&["a"][..], &["b"], &["c"], &["a", "b"], &["dense"], &["a", "dense"]] {
        let mut model = branches();
        frozen.iter().for_each(|name| model.set_trainable(name, false).unwrap());
        for isa in [Isa::SCALAR, Isa::detect()] {
            let sgd = Sgd { rate: 0.05, ..Sgd::default() };
            let (want, _) = on_a_tape(&model, isa, sgd.into(), true);
            let trainer = Trainer::new(sgd, Loss::SoftmaxCrossEntropy).batch_size(BATCH).isa(isa);
            let mut session = TrainingSession::new(&trainer, &model).unwrap();
            (0..3).for_each(|_| assert!(session.step(&inputs, &labels).is_ok()));
            let learnt = session.to_model();
            for name in ["a", "b", "c", "dense"] {
                // What freezes one freezes what shares its weights.
                let same =
                    |other: &&str| *other == name || ["b", "c"] == [*other.min(&name), *other.max(&name)];
                let frozen_here = frozen.iter().any(same);
                assert_eq!(model.node(name).unwrap().is_trainable(), !frozen_here);
                assert_eq!(
                    learnt.weights(name) == model.weights(name),
                    frozen_here,
                    "{isa}: {name} of {frozen:?}"
                );
            }
            // What is frozen may run a sample at a time, by other kernels.
            for (got, want) in learnt.parameters().iter().zip(want.parameters()) {
                let close = |(got, want): (&f32, &f32)| (got - want).abs() <= 1e-5;
                assert!(got.values().iter().zip(want.values()).all(close), "{isa}: {frozen:?}");
            }
        }
    }
}

#[test]
fn shared_weights_are_one() {
    let mut model = branches();
    assert_eq!(model.parameters().len(), 6);
    assert_eq!(model.parameter_count(), (9 * 2 * 3 + 3) + (9 * 3 * 3 + 3) + (75 * 4 + 4));
    assert_eq!(model.weights("b"), model.weights("c"));
    let (kernel, bias) = (numbers(81), numbers(3));
    model.set_weights("c", &[&kernel, &bias]).unwrap();
    assert_eq!(model.weights("b").unwrap()[0].values(), kernel);
    model.set_trainable("c", false).unwrap();
    assert!(!model.node("b").unwrap().is_trainable());

    let bytes = model.to_bytes().unwrap();
    let read = Model::from_bytes(&bytes).unwrap();
    assert_eq!(read, model);
    assert_eq!(read.parameters().len(), 6);
    let input = numbers(50);
    let run = |model: &Model<'_>| outputs(model, Options::new(1), &[&input]);
    assert_eq!(run(&read), run(&model));
}

/// `w (w x + b) + b`, whose gradients are the sums of those of two uses.
#[test]
fn gradients_of_shared_weights_are_those_of_central_differences() {
    let net = GraphBuilder::new();
    let once = net.input([3]).dense(3);
    let model = net.build(&[once.reuse_layer_of(once)], 4).unwrap();
    let (x, targets) = (numbers(6), [0.5, -0.25, 0.125, 1.0, 0.75, -0.5]);
    let loss = |w: &[f64]| -> f64 {
        let layer = |x: &[f64]| -> Vec<f64> {
            (0..3).map(|o| w[9 + o] + (0..3).map(|i| x[i] * w[3 * i + o]).sum::<f64>()).collect()
        };
        let rows = x.chunks(3).zip(targets.chunks(3)).map(|(x, t)| {
            let y = layer(&layer(&x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>()));
            y.iter().zip(t).map(|(y, &t)| (y - f64::from(t)).powi(2)).sum::<f64>()
        });
        rows.sum::<f64>() / 6.0
    };
    let before: Vec<f32> = model.parameters().iter().flat_map(|p| p.values().to_vec()).collect();
    for isa in Isa::available() {
        let sgd = Sgd { rate: 1.0, ..Sgd::default() };
        let trainer = Trainer::new(sgd, Loss::MeanSquaredError).batch_size(2).isa(isa);
        let mut session = TrainingSession::new(&trainer, &model).unwrap();
        let value = session.step(&x, &targets).unwrap().loss;
        let learnt = session.to_model();
        let after = learnt.parameters().iter().flat_map(|p| p.values().to_vec());
        let exact: Vec<f64> = before.iter().map(|&w| f64::from(w)).collect();
        assert!((f64::from(value) - loss(&exact)).abs() < 1e-6, "{isa}");
        for (i, after) in after.enumerate() {
            let at = |step: f64| {
                let mut moved = exact.clone();
                moved[i] += step;
                loss(&moved)
            };
            let gradient = (at(1e-5) - at(-1e-5)) / 2e-5;
            let got = f64::from(before[i]) - f64::from(after);
            assert!((got - gradient).abs() < 1e-5, "{isa}: weight {i} moved by {got}, expected {gradient}");
        }
    }
}

/// One kernel over near cells and far ones, which Keras's order lists the other way round.
#[test]
fn layers_that_share_weights_may_differ_in_all_else() {
    let near = Conv2d::same().relu();
    let far = Conv2d::same().dilation(2);
    let model = |shared: bool| {
        let net = GraphBuilder::new();
        net.keras_order();
        let x = net.input([6, 6, 2]);
        let near = x.conv2d_with(3, [3, 3], near).named("near");
        let far = x.conv2d_with(3, [3, 3], far).named("far");
        let far = if shared { far.with_weights_of(near) } else { far };
        assert_eq!(far.layer_type().map(LayerType::name), Some("Conv2D"));
        net.build(&[net.add(&[far.relu(), near])], 1).unwrap()
    };
    let (one, mut two) = (model(true), model(false));
    assert_eq!([&one, &two].map(Model::parameter_count), [3 * 3 * 2 * 3 + 3, 2 * (3 * 3 * 2 * 3 + 3)]);
    let weights: Vec<&[f32]> = one.weights("near").unwrap().iter().map(|array| array.values()).collect();
    ["near", "far"].iter().for_each(|layer| two.set_weights(layer, &weights).unwrap());
    let input = numbers(2 * 72);
    let run = |model: &Model<'_>| outputs(model, Options::new(2), &[&input]);
    assert_eq!(run(&one), run(&two));
}

#[test]
fn a_builder_refuses_what_it_cannot_use() {
    let (net, other) = (GraphBuilder::new(), GraphBuilder::new());
    let (x, y) = (net.input([4]), other.input([4]));
    let refused = |net: &GraphBuilder, value| net.build(&[value], 1).unwrap_err().to_string();
    let foreign = "value: expected one of this builder, got one of another";
    assert_eq!(refused(&net, y.dense(2)), foreign);
    let fine = x.dense(3);
    assert!(net.build(&[fine], 1).is_ok(), "a builder is as it was after a build that failed");
    assert_eq!(refused(&other, other.add(&[y, fine])), foreign);

    let other = GraphBuilder::new();
    assert_eq!(refused(&other, other.input([4]).reuse_layer_of(fine)), foreign);
    let other = GraphBuilder::new();
    let y = other.input([4]);
    assert_eq!(refused(&other, y.reuse_layer_of(y)), "value: expected one that a layer gives, got an input");

    let other = GraphBuilder::new();
    assert_eq!(refused(&other, other.input([4]).dense(2).with_weights_of(fine)), foreign);
    let other = GraphBuilder::new();
    let y = other.input([4]);
    let input = "value: expected one that a layer gives, got an input";
    assert_eq!(refused(&other, y.dense(2).with_weights_of(y)), input);
    let other = GraphBuilder::new();
    other.keras_order();
    let y = other.input([4]);
    let (first, second) = (y.dense(2), y.dense(2));
    let later = "layer whose weights it shares: expected one of the 0 before it, got number 1";
    assert_eq!(refused(&other, first.with_weights_of(second)), later);
    let other = GraphBuilder::new();
    let (y, z) = (other.input([4]), other.input([5]));
    let narrow = "layer \"dense_1\": shared weights: expected [5, 2], got [4, 2]";
    assert_eq!(refused(&other, z.reuse_layer_of(y.dense(2))), narrow);
    let other = GraphBuilder::new();
    let (y, z) = (other.input([4]), other.input([5]));
    let maps = "layer \"add\": operand: expected [4], got [5]";
    assert_eq!(refused(&other, other.add(&[y, z])), maps);

    let empty = GraphBuilder::new().build(&[], 1).unwrap_err().to_string();
    assert_eq!(empty, "inputs of a model: expected at least one, got none");
    let other = GraphBuilder::new();
    let y = other.input([4]);
    let twice = y.dense(1).named("head").dense(2).named("head");
    assert_eq!(refused(&other, twice), "layer: more than one is named \"head\"");
    let many = GraphBuilder::new();
    let y = many.input([4]);
    let told =
        format!("layer \"add\": inputs of a layer: expected at most {MAX_INPUTS}, got {}", MAX_INPUTS + 1);
    assert_eq!(refused(&many, many.add(&[y; MAX_INPUTS + 1])), told);
}

/// A layer with its own activation is two nodes, and so is another use of it.
#[test]
fn a_layer_is_reused_with_its_activation() {
    let net = GraphBuilder::new();
    let x = net.input([4, 4, 1]);
    let first = x.conv2d_with(1, [3, 3], Conv2d::same().relu());
    let model = net.build(&[first.reuse_layer_of(first).reuse_layer_of(first)], 1).unwrap();
    let names: Vec<&str> = model.nodes().iter().map(|node| node.name()).collect();
    assert_eq!(names, ["conv2d", "re_lu", "conv2d_1", "re_lu_1", "conv2d_2", "re_lu_2"]);
    assert_eq!(model.parameters().len(), 2);
    assert_eq!(Model::from_bytes(&model.to_bytes().unwrap()).unwrap(), model);
}

#[test]
fn automatic_names_leave_out_those_that_are_given() {
    let net = Sequential::new([3]).dense(4).dense(4).named("dense").dense(4).dense(4).named("dense_2");
    let model = net.dense(2).build(1).unwrap();
    let names: Vec<_> = model.nodes().iter().map(|node| node.name()).collect();
    assert_eq!(names, ["dense_1", "dense", "dense_3", "dense_2", "dense_4"]);
}

#[test]
fn a_summary_counts_shared_weights_once() {
    let mut model = branches();
    model.set_trainable("a", false).unwrap();
    let expected = "\
Layer (type)                   Output Shape                Param #  Connected to
============================================================================================
a (Conv2D)                     (None, 5, 5, 3)                  57  input
re_lu (ReLU)                   (None, 5, 5, 3)                   0  a
b (Conv2D)                     (None, 5, 5, 3)                  84  re_lu
re_lu_1 (ReLU)                 (None, 5, 5, 3)                   0  b
c (Conv2D)                     (None, 5, 5, 3)            (shared)  re_lu_1
re_lu_2 (ReLU)                 (None, 5, 5, 3)                   0  c
add (Add)                      (None, 5, 5, 3)                   0  re_lu, re_lu_2
add_1 (Add)                    (None, 5, 5, 3)                   0  add, add
flatten (Flatten)              (None, 75)                        0  add_1
dense (Dense)                  (None, 4)                       304  flatten
============================================================================================
Total params: 445
Trainable params: 388
Non-trainable params: 57";
    assert_eq!(model.summary().to_string(), expected);
}

#[test]
fn a_graph_is_drawn() {
    let net = GraphBuilder::new();
    let (a, b) = (net.input([4]), net.input([4]));
    let left = a.dense(400).named("the \"left\" \\N\nhalf");
    let sum = net.add(&[left, b.reuse_layer_of(left)]);
    let mut model = net.build(&[sum.dense(1).named("head"), sum], 1).unwrap();
    model.set_trainable("head", false).unwrap();
    let expected = r#"digraph {
  node [shape=box];
  v0 [label="input\n[4]", shape=ellipse];
  v1 [label="input_1\n[4]", shape=ellipse];
  v2 [label="the \"left\" \\N\nhalf\nDense\n[400]\nparameters: 2,000"];
  v0 -> v2;
  v3 [label="dense\nDense\n[400]\nweights of the \"left\" \\N\nhalf"];
  v1 -> v3;
  v4 [label="add\nAdd\n[400]"];
  v2 -> v4 [label="[400]"];
  v3 -> v4 [label="[400]"];
  v5 [label="head\nDense\n[1]\nparameters: 401", style=filled, fillcolor=lightgrey];
  v4 -> v5;
  o0 [label="output\n[1]", shape=ellipse];
  v5 -> o0;
  o1 [label="output_1\n[400]", shape=ellipse];
  v4 -> o1;
}"#;
    let dot = model.to_dot().to_string();
    assert_eq!(dot, expected);
    // Quotes end in the line that they begin in, and a brace ends what a brace began.
    for line in dot.lines() {
        let (mut quotes, mut escaped) = (0, false);
        for c in line.chars() {
            quotes += usize::from(c == '"' && !escaped);
            escaped = c == '\\' && !escaped;
        }
        assert!(quotes % 2 == 0 && !escaped, "{line}");
        assert!(line.ends_with([';', '{', '}']), "{line}");
    }
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
}

/// The order of the layers is Keras's, and what they compute is the same.
#[test]
fn keras_lists_layers_by_their_depth() {
    let build = |keras: bool| {
        let net = GraphBuilder::new();
        if keras {
            net.keras_order();
        }
        let (x, other) = (net.input([6]), net.input([6]));
        let unused = x.dense(2).named("unused").relu();
        let a = x.dense(4).dense(4).relu();
        let b = other.dense(4);
        let c = x.reuse_layer_of(b);
        let outputs = [net.add(&[c, a]), b, other];
        assert_ne!(format!("{unused:?}"), "");
        net.build(&outputs, 5).unwrap()
    };
    let names =
        |model: &Model<'_>| model.nodes().iter().map(|node| node.name().to_owned()).collect::<Vec<String>>();
    let (drawn, ordered) = (build(false), build(true));
    let as_drawn = ["unused", "re_lu", "dense", "dense_1", "re_lu_1", "dense_2", "dense_3", "add"];
    assert_eq!(names(&drawn), as_drawn);
    let by_depth = ["dense", "dense_1", "dense_3", "re_lu_1", "add", "dense_2", "unused", "re_lu"];
    assert_eq!(names(&ordered), by_depth);
    assert_eq!(drawn.summary().to_string().matches("(shared)").count(), 1);
    assert_eq!(ordered.summary().to_string().matches("(shared)").count(), 1);
    let mut same = drawn.clone();
    for name in ["dense", "dense_1", "dense_2"] {
        let weights: Vec<_> = ordered.weights(name).unwrap().iter().map(|array| array.values()).collect();
        same.set_weights(name, &weights).unwrap();
    }
    let inputs = [&numbers(6)[..], &numbers(12)[6..]];
    assert_eq!(outputs(&ordered, Options::new(1), &inputs), outputs(&same, Options::new(1), &inputs));
}
