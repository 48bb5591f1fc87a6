//! Training as a whole: it learns, repeats itself to the bit, leaves frozen layers alone, and says
//! what is wrong.

use bantam::{
    Adam, Conv2d, Dataset, Error, Event, Isa, Loss, Mode, Model, Optimizer, Options, Padding, RmsProp,
    Samples, Sequential, Session, Sgd, Shape, Tape, Tensor, Trainer, TrainingSession,
};
use std::ops::ControlFlow;

/// Small pictures of a bar, lying or standing.
fn bars(samples: usize) -> Samples {
    const SIDE: usize = 6;
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for i in 0..samples {
        let (standing, at) = (i % 2, (i / 2) % SIDE);
        for y in 0..SIDE {
            for x in 0..SIDE {
                let noise = ((i * 31 + y * 17 + x * 7) % 10) as f32 / 50.0;
                let on = if standing == 1 { x == at } else { y == at };
                pixels.push(noise + if on { 0.8 } else { 0.0 });
            }
        }
        labels.push(standing as f32);
    }
    let pixels = Tensor::new(&[samples, SIDE, SIDE, 1], pixels).unwrap();
    Samples::new(pixels, Tensor::new(&[samples, 1], labels).unwrap()).unwrap()
}

fn network(seed: u64) -> Model<'static> {
    let net = Sequential::new([6, 6, 1]).conv2d(8, 3).relu().max_pool2d(2).dropout(0.1);
    net.flatten().dense(16).relu().dense(2).build(seed).unwrap()
}

fn go_on(_: Event) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn trainer(optimizer: impl Into<Optimizer>) -> Trainer {
    Trainer::new(optimizer, Loss::SoftmaxCrossEntropy).epochs(12).batch_size(16).seed(5)
}

#[test]
fn every_optimizer_learns() {
    let optimizers: [Optimizer; 5] = [
        Sgd { rate: 0.1, ..Sgd::default() }.into(),
        Sgd { rate: 0.05, momentum: 0.9, nesterov: false }.into(),
        Sgd { rate: 0.05, momentum: 0.9, nesterov: true }.into(),
        RmsProp { rate: 0.005, ..RmsProp::default() }.into(),
        Adam { rate: 0.01, ..Adam::default() }.into(),
    ];
    let data = bars(200);
    for optimizer in optimizers {
        let name = format!("{optimizer:?}");
        let mut model = network(1);
        let history = trainer(optimizer).fit(&mut model, &data, Some(&data), &mut go_on).unwrap();
        let last = history.epochs.last().unwrap();
        assert_eq!(last.validation.unwrap().accuracy, Some(1.0), "{name}");
        assert!(last.training.loss < history.epochs[0].training.loss, "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let data = bars(50);
    let train = |seed: u64, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut model = network(seed);
        pool.install(|| trainer(RmsProp::default()).fit(&mut model, &data, None, &mut go_on)).unwrap();
        model.to_bytes().unwrap()
    };
    let one = train(3, 1);
    for threads in [1, 2, 3, 7] {
        assert!(train(3, threads) == one, "{threads} threads");
    }
    assert!(train(4, 1) != one);
}

/// Samples of a net whose layers are large enough to be shared among threads, in shards that are too.
fn noise(samples: usize) -> (Samples, Sequential) {
    let pixels = (0..samples * 16 * 16 * 4).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect();
    let labels = (0..samples).map(|i| (i * 31 % 7) as f32).collect();
    let pixels = Tensor::new(&[samples, 16, 16, 4], pixels).unwrap();
    let samples = Samples::new(pixels, Tensor::new(&[samples, 1], labels).unwrap()).unwrap();
    let net = Sequential::new([16, 16, 4]).conv2d(48, 5).relu().max_pool2d(2).conv2d(96, 3).relu();
    (samples, net.flatten().dense(7))
}

#[test]
fn shards_of_a_batch_have_the_same_bits_on_any_number_of_threads() {
    let (data, net) = noise(100);
    let built = net.build(1).unwrap();
    let train = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut model = built.clone();
        let mut trainer = trainer(RmsProp::default()).epochs(1).batch_size(80);
        pool.install(|| trainer.fit(&mut model, &data, None, &mut go_on)).unwrap();
        model.to_bytes().unwrap()
    };
    let one = train(1);
    for threads in [2, 3, 6, 8] {
        assert!(train(threads) == one, "{threads} threads");
    }
}

#[test]
fn a_step_is_one_of_the_mean_of_its_samples() {
    const RATE: f32 = 0.5;
    let samples = 70;
    let (data, net) = noise(samples);
    let mut model = net.build(1).unwrap();
    let before = model.clone();
    let mut step = trainer(Sgd { rate: RATE, ..Sgd::default() }).epochs(1).batch_size(samples);
    let history = step.fit(&mut model, &data, None, &mut go_on).unwrap();

    let mut tape = Tape::new(Isa::detect());
    let (mut inputs, mut labels) = (vec![0.0; samples * 16 * 16 * 4], vec![0.0; samples]);
    for (i, (input, label)) in inputs.chunks_mut(16 * 16 * 4).zip(labels.chunks_mut(1)).enumerate() {
        data.read(i, input, label).unwrap();
    }
    let mut parameters = Vec::new();
    let x = tape.input(Shape::new(&[samples, 16, 16, 4]).unwrap(), &inputs).unwrap();
    let y = before.record(&mut tape, x, Mode::Training { seed: 1 }, &mut parameters).unwrap();
    let targets = tape.one_hot(&labels, 7).unwrap();
    let loss = tape.softmax_cross_entropy(y, targets).unwrap();
    let value = tape.value(loss).unwrap()[0];
    assert!((history.epochs[0].training.loss - value).abs() <= 1e-5 * value);
    let gradients = tape.backward(loss).unwrap();
    let weights = |model: &Model<'_>| {
        let parameters = model.parameters().iter();
        parameters.map(|parameter| parameter.values().to_vec()).collect::<Vec<_>>()
    };
    for ((before, after), &parameter) in weights(&before).iter().zip(weights(&model)).zip(&parameters) {
        let gradient = gradients.get(parameter).unwrap();
        let largest = gradient.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        for ((before, after), d) in before.iter().zip(after).zip(gradient) {
            // A weight's own rounding is not small beside its step.
            let allowed = RATE * 2e-5 * largest + before.abs() * f32::EPSILON;
            assert!((before - RATE * d - after).abs() <= allowed, "{before} {d} {after}");
        }
    }
}

#[test]
fn frozen_layers_stay() {
    let mut model = network(1);
    model.set_trainable("conv2d", false).unwrap();
    let before = model.clone();
    trainer(Adam::default()).fit(&mut model, &bars(40), None, &mut go_on).unwrap();
    assert_eq!(model.weights("conv2d"), before.weights("conv2d"));
    assert_ne!(model.weights("dense"), before.weights("dense"));
}

#[test]
fn events_come_in_order_and_may_end_the_training() {
    let mut seen = Vec::new();
    let history = trainer(Sgd::default()).fit(&mut network(1), &bars(40), None, &mut |event| {
        seen.push(match event {
            Event::Batch { epoch, batch, batches, samples, .. } => {
                format!("{epoch}: {batch}/{batches} {samples}")
            }
            Event::Trained { epoch } => format!("{epoch} trained"),
            Event::Epoch(epoch, _) => format!("{} over", epoch.epoch),
            _ => String::new(),
        });
        if matches!(event, Event::Epoch(epoch, _) if epoch.epoch == 2) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(history.unwrap().epochs.len(), 2);
    let expected = ["1: 1/3 16", "1: 2/3 32", "1: 3/3 40", "1 trained", "1 over"];
    assert_eq!(seen[..5], expected);
    assert_eq!(seen.len(), 10);
}

#[test]
fn an_epochs_event_has_the_model_of_that_epoch() {
    let trained = |epochs: usize| {
        let (mut model, mut seen) = (network(1), Vec::new());
        let mut trainer = trainer(Adam::default()).epochs(epochs);
        let history = trainer.fit(&mut model, &bars(40), None, &mut |event| {
            if let Event::Epoch(_, model) = event {
                seen.push(model.clone().into_owned());
            }
            ControlFlow::Continue(())
        });
        history.unwrap();
        (model, seen)
    };
    let ((first, _), (second, seen)) = (trained(1), trained(2));
    assert_ne!(first, second);
    assert_eq!(seen, [first, second]);
}

#[test]
fn probabilities_and_one_hot_targets_serve_as_well() {
    let data = bars(200);
    let mut one_hot = Vec::new();
    let mut pixels = vec![0.0; 200 * 36];
    for i in 0..200 {
        let mut label = [0.0];
        data.read(i, &mut pixels[i * 36..][..36], &mut label).unwrap();
        one_hot.extend([1.0 - label[0], label[0]]);
    }
    let pixels = Tensor::new(&[200, 6, 6, 1], pixels).unwrap();
    let one_hot = Samples::new(pixels, Tensor::new(&[200, 2], one_hot).unwrap()).unwrap();
    // No dropout: its mask depends on the layer's place.
    let net = || Sequential::new([6, 6, 1]).conv2d(4, 3).relu().flatten().dense(2);
    let mut logits = net().build(2).unwrap();
    let mut probabilities = net().softmax().build(2).unwrap();
    let trainer = trainer(RmsProp::default());
    let a = trainer.clone().fit(&mut logits, &data, Some(&data), &mut go_on).unwrap();
    let b = trainer.clone().fit(&mut probabilities, &one_hot, Some(&one_hot), &mut go_on).unwrap();
    assert_eq!(logits.nodes()[0], probabilities.nodes()[0]);
    for (a, b) in a.epochs.iter().zip(&b.epochs) {
        assert_eq!(a.training, b.training);
        assert_eq!(a.validation, b.validation);
    }
}

#[test]
fn regression_and_binary_targets_are_learnt() {
    let x: Vec<f32> = (0..64).map(|i| i as f32 / 32.0 - 1.0).collect();
    let inputs = || Tensor::new(&[64, 1], x.clone()).unwrap();
    let square = Tensor::new(&[64, 1], x.iter().map(|x| x * x).collect()).unwrap();
    let curve = Samples::new(inputs(), square).unwrap();
    let net = || Sequential::new([1]).dense(16).relu().dense(1).build(1).unwrap();
    let adam = || Adam { rate: 0.01, ..Adam::default() };
    let mut model = net();
    let mut squares = Trainer::new(adam(), Loss::MeanSquaredError).epochs(200).batch_size(16);
    squares.fit(&mut model, &curve, None, &mut go_on).unwrap();
    let result = squares.evaluate(&model, &curve).unwrap();
    assert!(result.loss < 1e-3 && result.accuracy.is_none(), "{result:?}");

    let inside = x.iter().map(|x| if x.abs() < 0.5 { 1.0 } else { 0.0 }).collect();
    let interval = Samples::new(inputs(), Tensor::new(&[64, 1], inside).unwrap()).unwrap();
    let mut model = net();
    let mut binary = Trainer::new(adam(), Loss::BinaryCrossEntropy).epochs(400).batch_size(16);
    binary.fit(&mut model, &interval, None, &mut go_on).unwrap();
    let accuracy = binary.evaluate(&model, &interval).unwrap().accuracy.unwrap();
    assert!(accuracy > 0.95, "{accuracy}");
}

#[test]
fn the_books_net_has_the_books_summary() {
    let model = Sequential::new([28, 28, 1])
        .conv2d(32, 3)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .relu()
        .flatten()
        .dense(64)
        .relu()
        .dense(10)
        .build(1)
        .unwrap();
    let summary = model.summary().to_string();
    for row in [
        ["conv2d (Conv2D)", "(None, 26, 26, 32)", "320"],
        ["max_pooling2d_1 (MaxPooling2D)", "(None, 5, 5, 64)", "0"],
        ["conv2d_2 (Conv2D)", "(None, 3, 3, 64)", "36,928"],
        ["dense (Dense)", "(None, 64)", "36,928"],
        ["dense_1 (Dense)", "(None, 10)", "650"],
    ] {
        let found = summary.lines().any(|line| row.iter().all(|cell| line.contains(cell)));
        assert!(found, "{row:?} is not in\n{summary}");
    }
    assert!(summary.contains("Total params: 93,322\nTrainable params: 93,322\nNon-trainable params: 0"));
}

fn data(shape: &[usize], labels: &[f32]) -> Samples {
    let labels = Tensor::new(&[labels.len(), 1], labels.to_vec()).unwrap();
    Samples::new(Tensor::zeros(shape).unwrap(), labels).unwrap()
}

#[test]
fn bad_data_is_refused_and_the_model_kept() {
    let mut model = network(1);
    let before = model.clone();
    let mut fit = |data: &Samples| {
        let result = trainer(Sgd::default()).fit(&mut model, data, None, &mut go_on);
        result.unwrap_err().to_string()
    };
    assert_eq!(
        fit(&data(&[1, 5, 6, 1], &[0.0])),
        "samples of the data set: expected [6, 6, 1], got [5, 6, 1]"
    );
    assert_eq!(
        fit(&data(&[2, 6, 6, 1], &[0.0, 2.0])),
        "label of sample 1: expected a whole number from 0 to 1, got 2"
    );
    assert_eq!(
        fit(&data(&[1, 6, 6, 1], &[0.5])),
        "label of sample 0: expected a whole number from 0 to 1, got 0.5"
    );
    assert_eq!(
        fit(&data(&[1, 6, 6, 1], &[f32::NAN])),
        "label of sample 0: expected a whole number from 0 to 1, got NaN"
    );
    let nan = Samples::new(
        Tensor::new(&[1, 6, 6, 1], vec![f32::NAN; 36]).unwrap(),
        Tensor::new(&[1, 1], vec![0.0]).unwrap(),
    );
    assert_eq!(fit(&nan.unwrap()), "input of sample 0: expected finite numbers, got NaN at index 0");
    assert_eq!(model, before);

    let wide = Samples::new(Tensor::zeros(&[1, 6, 6, 1]).unwrap(), Tensor::zeros(&[1, 3]).unwrap()).unwrap();
    let error = trainer(Sgd::default()).evaluate(&model, &wide).unwrap_err();
    assert_eq!(error.to_string(), "targets of a sample: expected [2], got [3]");
    let error = trainer(Sgd::default()).evaluate(&model, &data(&[1, 6, 6, 1], &[-1.0])).unwrap_err();
    assert_eq!(error, Error::Label { sample: 0, label: -1.0, classes: 2 });
}

#[test]
fn bad_models_are_refused() {
    let refused = |net: Sequential| net.build(0).unwrap_err().to_string();
    let small = refused(Sequential::new([4, 4, 1]).conv2d(8, 5));
    assert_eq!(small, "layer \"conv2d\": window: expected at most the padded input's 4, got 5");
    let zero = refused(Sequential::new([4, 4, 1]).conv2d(0, 3));
    assert_eq!(zero, "layer \"conv2d\": filters: expected at least 1, got 0");
    let none = refused(Sequential::new([4]).dense(0));
    assert_eq!(none, "layer \"dense\": units: expected at least 1, got 0");
    assert_eq!(refused(Sequential::new([4, 0, 1]).flatten()), "dimension: expected at least 1, got 0");
    let flat = refused(Sequential::new([4]).conv2d(1, 1));
    assert_eq!(flat, "layer \"conv2d\": input: expected 3 dimensions, got [4]");
    let flat = refused(Sequential::new([4]).max_pool2d(1));
    assert_eq!(flat, "layer \"max_pooling2d\": input: expected 3 dimensions, got [4]");
    let image = refused(Sequential::new([4, 4, 1]).dense(3));
    assert_eq!(image, "layer \"dense\": input: expected one dimension, got [4, 4, 1]: flatten it first");
    #[cfg(target_pointer_width = "64")]
    {
        let huge = refused(Sequential::new([4]).dense(1 << 32));
        let told = "layer \"dense\": sizes of a layer: expected at most 4294967295, got 4294967296";
        assert_eq!(huge, told);
    }
    let huge = refused(Sequential::new([usize::MAX / 8]).dense(1 << 31));
    assert_eq!(
        huge,
        "layer \"dense\": weights: expected at most isize::MAX bytes, the product of its sizes is larger"
    );
    let twice = refused(Sequential::new([4]).dense(2).named("a").dense(2).named("a"));
    assert_eq!(twice, "layer: more than one is named \"a\"");
    let rate = refused(Sequential::new([4]).dropout(1.0));
    assert_eq!(rate, "layer \"dropout\": dropout rate: expected at least 0 and less than 1, got 1");
    assert_eq!(refused(Sequential::new([4])), "layers: expected at least one, got none");
    let endless = (0..5000).fold(Sequential::new([4]), |net, _| net.relu());
    assert_eq!(refused(endless), "layers: expected at most 4096, got 5000");
    let unborn = network(1).input_shape().with_batch(0).unwrap_err();
    assert_eq!(unborn.to_string(), "batch: expected at least 1, got 0");
    assert!(matches!(network(1).node("conv9"), Err(Error::UnknownLayer { .. })));
}

#[test]
fn misuse_of_a_tape_is_refused() {
    let numbers = [1.0, 2.0, 3.0, 4.0];
    let shape = Shape::new(&[2, 2]).unwrap();
    let mut tape = Tape::new(Isa::detect());
    assert!(matches!(tape.input(Shape::new(&[5]).unwrap(), &numbers), Err(Error::Kernel(_))));
    let x = tape.parameter(shape, &numbers).unwrap();
    let unused = tape.parameter(shape, &numbers).unwrap();
    let vector = tape.input(Shape::new(&[4]).unwrap(), &numbers).unwrap();
    let error = tape.add(x, vector).unwrap_err();
    assert_eq!(error.to_string(), "second operand: expected [2, 2], got [4]");
    let error = tape.one_hot(&[0.0, 7.0], 7).unwrap_err();
    assert_eq!(error.to_string(), "label of sample 1: expected a whole number from 0 to 6, got 7");
    let loss = tape.sum(x).unwrap();
    let gradients = tape.backward(loss).unwrap();
    assert_eq!(gradients.get(unused), Err(Error::NoGradient));
    assert_eq!(gradients.get(vector), Err(Error::NoGradient));
    assert_eq!(gradients.value(x), Err(Error::NoValue));

    let mut tape = gradients.into_tape();
    assert_eq!(tape.relu(x), Err(Error::StaleVar));
    assert_eq!(Tape::new(Isa::detect()).shape(x), Err(Error::StaleVar));
    let x = tape.parameter(shape, &numbers).unwrap();
    let error = tape.backward(x).err().unwrap();
    assert_eq!(error.to_string(), "loss: expected [], got [2, 2]");
}

#[test]
fn a_variable_of_another_tape_is_refused() {
    let (ours, theirs) = ([1.0, 2.0], [3.0, 4.0]);
    let shape = Shape::new(&[2]).unwrap();
    let (mut tape, mut other) = (Tape::new(Isa::detect()), Tape::new(Isa::detect()));
    let a = tape.parameter(shape, &ours).unwrap();
    let b = other.parameter(shape, &theirs).unwrap();
    assert_eq!(tape.add(a, b), Err(Error::StaleVar));
    assert_eq!(other.value(a), Err(Error::StaleVar));
    drop(other);
    let mut third = Tape::new(Isa::detect());
    third.parameter(shape, &ours).unwrap();
    assert_eq!(third.relu(b), Err(Error::StaleVar));
    let loss = tape.sum(a).unwrap();
    assert_eq!(tape.backward(loss).unwrap().get(b), Err(Error::StaleVar));
}

#[test]
fn numbers_out_of_range_are_refused_before_anything_is_learnt() {
    let nan = f32::NAN;
    let optimizers: [(Optimizer, &str); 10] = [
        (Sgd { rate: -1.0, ..Sgd::default() }.into(), "learning rate"),
        (Sgd { rate: nan, ..Sgd::default() }.into(), "learning rate"),
        (Sgd { momentum: 2.0, ..Sgd::default() }.into(), "momentum"),
        (RmsProp { rate: f32::INFINITY, ..RmsProp::default() }.into(), "learning rate"),
        (RmsProp { rho: 1.0, ..RmsProp::default() }.into(), "rho"),
        (RmsProp { epsilon: 0.0, ..RmsProp::default() }.into(), "epsilon"),
        (Adam { rate: -0.1, ..Adam::default() }.into(), "learning rate"),
        (Adam { beta1: nan, ..Adam::default() }.into(), "beta1"),
        (Adam { beta2: -0.5, ..Adam::default() }.into(), "beta2"),
        (Adam { epsilon: nan, ..Adam::default() }.into(), "epsilon"),
    ];
    let before = network(1);
    for (mut optimizer, what) in optimizers {
        let named = |error: Error| error.to_string().starts_with(&format!("{what}: expected "));
        let mut model = before.clone();
        let mut trainer = trainer(optimizer.clone());
        assert!(named(trainer.fit(&mut model, &bars(8), None, &mut go_on).unwrap_err()), "{what}");
        assert!(model == before);
        assert!(named(TrainingSession::new(&trainer, &model).err().unwrap()), "{what}");
        assert!(named(optimizer.begin_step().err().unwrap()), "{what}");
    }
}

/// What is remembered of the first weights fits, and that of the second does not.
#[test]
fn another_model_s_state_moves_nothing() {
    let mut optimizer = Optimizer::from(Sgd { momentum: 0.9, ..Sgd::default() });
    let before = network(1);
    let first = before.parameters()[0].values().len();
    for (index, len) in [(0, first), (1, 1)] {
        let mut step = optimizer.begin_step().unwrap();
        step.update(Isa::detect(), index, &mut vec![0.0; len], &vec![0.0; len]).unwrap();
    }
    let mut model = before.clone();
    let refused = trainer(optimizer).fit(&mut model, &bars(8), None, &mut go_on).unwrap_err().to_string();
    assert_eq!(refused, "layer \"conv2d\": optimiser's state: expected 8 elements, got 1");
    assert!(model == before);
}

#[test]
fn training_without_anything_to_learn_is_refused() {
    let refused = |trainer: Trainer, model: &mut Model<'_>| {
        trainer.clone().fit(model, &bars(8), None, &mut go_on).unwrap_err().to_string()
    };
    let sgd = || trainer(Sgd::default());
    assert_eq!(refused(sgd().epochs(0), &mut network(1)), "epochs: expected at least one, got none");
    assert_eq!(refused(sgd().batch_size(0), &mut network(1)), "batch: expected at least one, got none");
    assert_eq!(sgd().batch_size(0).peak_bytes(&network(1), &bars(8)), Err(Error::Empty { what: "batch" }));
    let mut frozen = network(1);
    for name in ["conv2d", "dense", "dense_1"] {
        frozen.set_trainable(name, false).unwrap();
    }
    assert_eq!(refused(sgd(), &mut frozen), "trainable layers: expected at least one, got none");
}

/// Order of samples, dropout and the optimiser's state go on.
#[test]
fn two_epochs_and_two_more_are_four() {
    let data = bars(50);
    for optimizer in [Optimizer::from(Adam::default()), Sgd { momentum: 0.9, ..Sgd::default() }.into()] {
        let trainer = || trainer(optimizer.clone());
        let [mut at_once, mut in_parts] = [(); 2].map(|()| network(1));
        trainer().epochs(4).fit(&mut at_once, &data, None, &mut go_on).unwrap();
        let mut part = trainer().epochs(2);
        let first = part.fit(&mut in_parts, &data, None, &mut go_on).unwrap();
        let second = part.fit(&mut in_parts, &data, None, &mut go_on).unwrap();
        assert!(in_parts == at_once);
        assert_ne!(first.epochs[0].training, second.epochs[0].training);

        // Another model, and one that was changed meanwhile, begin anew.
        let mut other = network(1);
        part.fit(&mut other, &data, None, &mut go_on).unwrap();
        let mut fresh = network(1);
        trainer().epochs(2).fit(&mut fresh, &data, None, &mut go_on).unwrap();
        assert!(other == fresh);
    }
}

/// A training that is refused before its first step leaves order and optimiser as they were.
#[test]
fn a_refused_training_changes_nothing() {
    let data = bars(50);
    let (pixels, mut labels) = (Tensor::zeros(&[50, 6, 6, 1]).unwrap(), vec![0.0; 50]);
    labels.fill(9.0);
    let bad = Samples::new(pixels, Tensor::new(&[50, 1], labels).unwrap()).unwrap();
    let [mut at_once, mut in_parts] = [(); 2].map(|()| network(1));
    trainer(Adam::default()).epochs(4).fit(&mut at_once, &data, None, &mut go_on).unwrap();
    let mut part = trainer(Adam::default()).epochs(2);
    part.fit(&mut in_parts, &data, None, &mut go_on).unwrap();
    part.fit(&mut in_parts, &bad, None, &mut go_on).unwrap_err();
    part.fit(&mut in_parts, &data, None, &mut go_on).unwrap();
    assert!(in_parts == at_once);
}

/// The error of a batch's loss and gradients grows with the logarithm of its size.
#[test]
fn a_batch_of_many_shards_keeps_its_digits() {
    let rows = 200_000;
    let inputs = Tensor::zeros(&[rows, 1]).unwrap();
    let data = Samples::new(inputs, Tensor::new(&[rows, 1], vec![3.0; rows]).unwrap()).unwrap();
    let mut model = Sequential::new([1]).dense(10).build(1).unwrap();
    let sgd = Sgd { rate: 1.0, ..Sgd::default() };
    let mut trainer = Trainer::new(sgd, Loss::SoftmaxCrossEntropy).batch_size(rows);
    let loss = trainer.fit(&mut model, &data, None, &mut go_on).unwrap().epochs[0].training.loss;
    assert!((f64::from(loss) - 10f64.ln()).abs() < 1e-6, "{loss}");
    for (class, &bias) in model.parameters()[1].values().iter().enumerate() {
        let right = if class == 3 { 0.9 } else { -0.1 };
        assert!((bias - right).abs() < 1e-6, "{class}: {bias}");
    }
}

/// The loss of the last step says nothing of where it led.
#[test]
fn a_last_step_too_far_is_told() {
    let samples = Samples::new(
        Tensor::new(&[2, 2], vec![10.0, 20.0, 30.0, 40.0]).unwrap(),
        Tensor::new(&[2, 1], vec![1e3, 2e3]).unwrap(),
    );
    let mut model = Sequential::new([2]).dense(1).build(1).unwrap();
    let mut trainer = Trainer::new(Sgd { rate: 1e38, ..Sgd::default() }, Loss::MeanSquaredError);
    let samples = samples.unwrap();
    // And the next training does not begin with such weights.
    for _ in 0..2 {
        let error = trainer.fit(&mut model, &samples, None, &mut go_on).unwrap_err();
        assert!(
            error.to_string().starts_with("layer \"dense\": kernel: expected finite numbers, got "),
            "{error}"
        );
    }
    let mut model = Sequential::new([2]).dense(1).build(1).unwrap();
    let before = model.clone();
    let error = model.set_weights("dense", &[&[1.0, 2.0], &[f32::NAN]]).unwrap_err();
    assert_eq!(error.to_string(), "layer \"dense\": bias: expected finite numbers, got NaN");
    assert_eq!(model, before);
}

#[test]
fn an_update_of_other_variables_is_refused_and_nothing_moves() {
    let mut model = Sequential::new([2]).dense(4).relu().dense(1).build(1).unwrap();
    let before = model.clone();
    let mut parameters = Vec::new();
    let mut tape = Tape::new(Isa::detect());
    let x = tape.input(Shape::new(&[1, 2]).unwrap(), &[0.3, 0.7]).unwrap();
    let y = before.record(&mut tape, x, Mode::Inference, &mut parameters).unwrap();
    let loss = tape.sum(y).unwrap();
    let gradients = tape.backward(loss).unwrap();
    let [a, b, c, d] = parameters[..] else { panic!("four parameters") };
    let mut sgd = Optimizer::from(Sgd::default());
    for wrong in [&[][..], &[a, b], &[a, b, d, c], &[b, a, c, d]] {
        assert!(model.update(Isa::detect(), &mut sgd, wrong, &gradients).is_err());
        assert!(model == before);
    }
    // The root of nothing has a value and no gradient that is a number.
    let mut tape = gradients.into_tape();
    let (mut root_of, x) = (Vec::new(), tape.input(Shape::new(&[1, 2]).unwrap(), &[0.0, 0.0]).unwrap());
    let y = before.record(&mut tape, x, Mode::Inference, &mut root_of).unwrap();
    let y = tape.sqrt(y).unwrap();
    let loss = tape.sum(y).unwrap();
    let rooted = tape.backward(loss).unwrap();
    let error = model.update(Isa::detect(), &mut sgd, &root_of, &rooted).unwrap_err();
    assert_eq!(error.to_string(), "layer \"dense_1\": gradient: expected finite numbers, got NaN");
    assert!(model == before);
    let mut tape = Tape::new(Isa::detect());
    let mut parameters = Vec::new();
    let x = tape.input(Shape::new(&[1, 2]).unwrap(), &[0.3, 0.7]).unwrap();
    let y = before.record(&mut tape, x, Mode::Inference, &mut parameters).unwrap();
    let loss = tape.sum(y).unwrap();
    let gradients = tape.backward(loss).unwrap();
    model.update(Isa::detect(), &mut sgd, &parameters, &gradients).unwrap();
    assert!(model != before);
    // No memory for a parameter of that number.
    for index in [usize::MAX, usize::MAX / 64] {
        let mut step = sgd.begin_step().unwrap();
        let error = step.update(Isa::detect(), index, &mut [1.0], &[1.0]).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    }
}

/// A ReLU in a convolution's pass is a layer behind it; name and weights are the convolution's.
#[test]
fn a_layer_with_its_own_relu_keeps_name_and_initializer() {
    let net = |he: bool| {
        let net = Sequential::new([6, 6, 1]).conv2d_with(4, [3, 3], Conv2d::valid().relu()).named("stem");
        if he { net.initializer(bantam::Initializer::HeNormal) } else { net }.build(1).unwrap()
    };
    assert_eq!(net(false).nodes()[0].name(), "stem");
    assert_ne!(net(false).weights("stem"), net(true).weights("stem"));
}

#[test]
fn overflowing_shapes_are_refused() {
    let most = usize::MAX;
    assert!(Shape::new(&[most, most]).is_err());
    assert!(Shape::new(&[most / 4]).is_err());
    assert!(Shape::new(&[1, 2, 3, 4, 5, 6]).is_err());
    assert!(Tensor::new(&[2, 2], vec![0.0; 3]).is_err());
}

/// One large image is parted by rows, or by pixels if the window is one: the bits stay.
#[test]
fn one_image_has_the_same_bits_on_any_number_of_threads() {
    let net = Sequential::new([31, 33, 24])
        .conv2d_with(40, [3, 3], Conv2d::same())
        .relu()
        .conv2d_with(96, [5, 3], Conv2d::same().stride(2))
        .conv2d(200, 1)
        .conv2d_with(300, [3, 3], Conv2d::padded(Padding::Explicit { top: 9, bottom: 8, left: 1, right: 2 }))
        .max_pool2d(3);
    let model = net.build(5).unwrap();
    let image: Vec<f32> = (0..31 * 33 * 24).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut session = Session::new(&model, Options::new(2)).unwrap();
            session.run(&image).unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        })
    };
    let one = run(1);
    for threads in [2, 3, 5, 16] {
        assert!(run(threads) == one, "{threads} threads");
    }
}
