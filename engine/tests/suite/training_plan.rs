//! Training in an arena that was planned: it learns what a tape learns, in the bytes that were told.

use crate::common::enlarged;
use bantam::{
    Adagrad, Adam, AveragePool2d, Buffer, Conv2d, CosineDecayRestarts, Error, ExponentialDecay, GraphBuilder,
    Isa, Lion, Loss, Lstm, MaxPool2d, Mode, Model, Nadam, Optimizer, Options, RmsProp, SeparableConv2d,
    Sequential, Sgd, Tape, Trainer, TrainingPlan, TrainingSession, Value,
};

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect()
}

fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

fn digits(frozen: &[&str]) -> Model<'static> {
    let net = Sequential::new([28, 28, 1]).conv2d(32, 3).relu().max_pool2d(2);
    let net = net.conv2d(64, 3).relu().max_pool2d(2).conv2d(64, 3).relu();
    let mut model = net.flatten().dense(64).relu().dense(10).build(1).unwrap();
    frozen.iter().for_each(|name| model.set_trainable(name, false).unwrap());
    model
}

const BASE: [&str; 3] = ["conv2d", "conv2d_1", "conv2d_2"];

/// Whole nets, nets with frozen layers at the front and between, every kind of layer that learns alike.
fn nets() -> Vec<Model<'static>> {
    let small = Sequential::new([9, 11, 3])
        .conv2d_with(5, [3, 3], Conv2d::same())
        .relu()
        .conv2d_with(6, [3, 2], Conv2d::same().stride(2))
        .max_pool2d_with(MaxPool2d::new(2).stride(1))
        .relu()
        .flatten()
        .dense(7)
        .relu()
        .dense(4);
    let mut between = small.clone().build(3).unwrap();
    between.set_trainable("conv2d_1", false).unwrap();
    between.set_trainable("dense", false).unwrap();
    let mut front = small.clone().build(4).unwrap();
    front.set_trainable("conv2d", false).unwrap();
    let mut half_frozen = branches();
    half_frozen.set_trainable("conv2d", false).unwrap();
    half_frozen.set_trainable("conv2d_2", false).unwrap();
    let mut fine_tuned = mobile();
    fine_tuned.set_trainable("conv2d", false).unwrap();
    fine_tuned.set_trainable("depthwise_conv2d", false).unwrap();
    fine_tuned.set_trainable("separable_conv2d", false).unwrap();
    let [base, first] = [digits(&BASE), digits(&BASE[..1])];
    let recurrent = Lstm::new().return_sequences();
    let recurrent = Sequential::new([5, 3]).lstm_with(6, recurrent).gru(7).dense(4).build(7).unwrap();
    vec![
        recurrent,
        small.build(2).unwrap(),
        between,
        front,
        base,
        first,
        branches(),
        residual(),
        half_frozen,
        mobile(),
        fine_tuned,
        enlarged(),
    ]
}

/// Sums whose inputs have their gradient in the sum's place: all of them, some, or none.
fn residual() -> Model<'static> {
    fn conv<'n>(x: Value<'n>) -> Value<'n> {
        x.conv2d_with(4, [3, 3], Conv2d::same())
    }
    let net = GraphBuilder::new();
    let mut x = conv(net.input([6, 5, 3]));
    // The sums of a row have one place, that the first convolution behind each adds to.
    for _ in 0..2 {
        x = net.add(&[conv(conv(x).relu()).batch_normalization(), x]).relu();
    }
    // Changed by the ReLU of a convolution; read twice by the sum; added to before another has read it.
    x = net.add(&[conv(x).relu(), x]);
    x = net.add(&[x, conv(x), x]);
    let y = conv(x);
    x = net.add(&[conv(y), y, conv(x)]).relu();
    net.build(&[net.add(&[x.flatten().dense(4), y.flatten().dense(4)])], 8).unwrap()
}

/// Depthwise and separable convolutions, normalised, and means.
fn mobile() -> Model<'static> {
    let net = Sequential::new([9, 8, 3]).batch_normalization().conv2d(6, 3).batch_normalization().relu();
    let net = net
        .depthwise_conv2d(3)
        .batch_normalization()
        .relu6()
        .average_pool2d_with(AveragePool2d::new(2).stride(1));
    let net = net.separable_conv2d_with(5, [3, 3], SeparableConv2d::same()).batch_normalization().relu();
    net.global_average_pool2d().dense(4).build(6).unwrap()
}

/// Values that several layers read, one of them twice; sums, products and maps side by side.
fn branches() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([7, 6, 3]).conv2d_with(4, [3, 3], Conv2d::same()).silu();
    let y = net.add(&[x.conv2d_with(4, [3, 3], Conv2d::same()), x, x]).relu6();
    let factors = y.max_pool2d_with(MaxPool2d::new(6)).conv2d(4, 1).hard_sigmoid();
    let y = net.concatenate(&[net.multiply(y, factors), x.leaky_relu(0.1), y]);
    let y = y.zero_padding2d([[0, 1], [1, 0]]).conv2d_with(5, [3, 3], Conv2d::valid().stride(2)).hard_swish();
    net.build(&[y.flatten().dense(6).tanh().dense(4)], 5).unwrap()
}

fn optimizers() -> Vec<Optimizer> {
    let momentum = Sgd { rate: 0.02, momentum: 0.9, nesterov: true };
    let rmsprop = RmsProp { momentum: 0.5, centered: true, ..RmsProp::default() };
    let sgd = || Optimizer::from(Sgd { rate: 0.05, ..Sgd::default() });
    let schedule = ExponentialDecay { initial_rate: 0.1, decay_steps: 2, decay_rate: 0.5, staircase: false };
    vec![
        sgd(),
        momentum.into(),
        RmsProp::default().into(),
        Adam::default().into(),
        rmsprop.into(),
        Adagrad::default().into(),
        Optimizer::from(Nadam::default()).clip_norm(0.1),
        Optimizer::from(Lion::default()).clip_value(0.01).ema(0.5, Some(2)),
        Optimizer::from(Adam { amsgrad: true, ..Adam::default() })
            .weight_decay(0.1, &["bias"])
            .clip_global_norm(0.1),
        sgd().ema(0.9, None).clip_norm(0.05).weight_decay(0.1, &["kernel"]).schedule(schedule),
    ]
}

const BATCH: usize = 6;

/// Inputs and labels of a batch.
fn batch(model: &Model<'_>) -> (Vec<f32>, Vec<f32>) {
    let classes = model.output_shape().elements();
    let labels = (0..BATCH).map(|i| (i % classes) as f32).collect();
    (numbers(BATCH * model.input_shape().elements()), labels)
}

fn trainer(isa: Isa, optimizer: impl Into<Optimizer>) -> Trainer {
    Trainer::new(optimizer, Loss::SoftmaxCrossEntropy).batch_size(BATCH).isa(isa)
}

/// The model after so many steps on a tape, which keeps everything for itself, and the last loss.
fn on_a_tape(model: &Model<'_>, isa: Isa, mut optimizer: Optimizer, steps: usize) -> (Model<'static>, f32) {
    let mut model = model.clone().into_owned();
    let (inputs, labels) = batch(&model);
    let shape = model.input_shape().with_batch(BATCH).unwrap();
    let (mut memory, mut last) = (Tape::new(isa), 0.0);
    for _ in 0..steps {
        let mut tape = memory.reset();
        let mut parameters = Vec::new();
        let x = tape.input(shape, &inputs).unwrap();
        let y = model.record(&mut tape, x, Mode::Training { seed: 0 }, &mut parameters).unwrap();
        let targets = tape.one_hot(&labels, model.output_shape().elements()).unwrap();
        let loss = tape.softmax_cross_entropy(y, targets).unwrap();
        last = tape.value(loss).unwrap()[0];
        let gradients = tape.backward(loss).unwrap();
        model.update(isa, &mut optimizer, &parameters, &gradients).unwrap();
        memory = gradients.into_tape();
    }
    (model, last)
}

#[test]
fn it_learns_what_a_tape_learns_to_the_bit() {
    for (i, model) in nets().iter().enumerate() {
        let (inputs, labels) = batch(model);
        for isa in Isa::available() {
            for (threads, optimizer) in [1, 2].into_iter().cycle().zip(optimizers()) {
                on_threads(threads, || {
                    let (want, want_loss) = on_a_tape(model, isa, optimizer.clone(), 3);
                    let mut session = TrainingSession::new(&trainer(isa, optimizer), model).unwrap();
                    let losses = [0; 3].map(|_| session.step(&inputs, &labels).unwrap().loss);
                    assert!(losses[2] == want_loss, "{i} {isa}: {losses:?} {want_loss}");
                    assert!(session.to_model() == want, "{i} {isa}");
                });
            }
        }
    }
}

#[test]
fn what_was_learnt_runs_as_the_model_does() {
    let model = &nets()[2];
    let (inputs, labels) = batch(model);
    let mut session = TrainingSession::new(&trainer(Isa::detect(), Sgd::default()), model).unwrap();
    session.step(&inputs, &labels).unwrap();
    let learnt = session.to_model();
    for n in [1, 2, BATCH] {
        let samples = &inputs[..n * model.input_shape().elements()];
        let want = bantam::Session::new(&learnt, Options::new(n)).unwrap().run(samples).unwrap().to_vec();
        let got = session.run(samples).unwrap();
        assert!(got.iter().zip(&want).all(|(got, want)| (got - want).abs() <= 1e-5), "{got:?} {want:?}");
    }
    let names: Vec<_> = session.weights().map(|(layer, name, _)| (layer.to_string(), name)).collect();
    assert_eq!(names[..2], [("conv2d".to_string(), "kernel"), ("conv2d".to_string(), "bias")]);
    assert_eq!(names.len(), 4);
    session.restart();
    assert!(session.to_model() == *model);
}

const PAINT: f32 = f32::from_bits(0x7fc0_beef);

#[test]
fn the_arena_is_used_as_planned_and_no_further() {
    for model in nets() {
        let (inputs, labels) = batch(&model);
        for isa in Isa::available() {
            for (threads, optimizer) in [1, 2].into_iter().cycle().zip(optimizers()) {
                on_threads(threads, || {
                    let trainer = trainer(isa, optimizer);
                    let plan = TrainingPlan::new(&trainer, &model).unwrap();
                    let len = plan.arena_len();
                    assert_eq!(plan.peak_bytes(), 4 * len);
                    let mut arena = Buffer::new(len + 64);
                    arena.fill(PAINT);
                    let mut session = TrainingSession::with_arena(&trainer, &model, &mut arena).unwrap();
                    session.step(&inputs, &labels).unwrap();
                    session.run(&inputs).unwrap();
                    let learnt = session.to_model();
                    let unused = |x: &f32| x.to_bits() == PAINT.to_bits();
                    assert!(arena[len..].iter().all(unused), "{isa}: {plan}");
                    let used = len - arena[..len].iter().rev().take_while(|x| unused(x)).count();
                    assert!(isa != Isa::SCALAR || used > len - 16, "{used} of {len}\n{plan}");
                    // Nothing was read that nobody wrote.
                    assert!(
                        learnt
                            == TrainingSession::new(&trainer, &model)
                                .map(|mut own| {
                                    own.step(&inputs, &labels).unwrap();
                                    own.to_model()
                                })
                                .unwrap()
                    );
                });
            }
        }
    }
}

/// Both dense layers of the book's net, 37,578 weights, learn in what a chip of 256 KiB has left.
#[test]
fn the_book_s_head_learns_within_a_chip() {
    on_threads(1, || {
        let model = digits(&BASE);
        let trainer = trainer(Isa::SCALAR, Sgd::default());
        let plan = TrainingPlan::new(&trainer, &model).unwrap();
        println!("{plan}");
        assert!(plan.peak_bytes() < 208 * 1024, "{plan}");
        let macs: u64 = 576 * 64 * 2 + 640 * 3;
        assert_eq!(plan.steps().map(|layer| layer.multiply_adds).sum::<u64>(), 6 * macs);
    });
}

/// Its last convolution and classifier too, where the kernel of the dense layer between them stays in flash.
#[test]
fn the_book_s_last_convolution_learns_within_a_chip() {
    on_threads(1, || {
        let mut model = digits(&BASE[..2]);
        model.set_weight_trainable("dense", "kernel", false).unwrap();
        let (inputs, labels) = batch(&model);
        let trainer = trainer(Isa::SCALAR, Sgd::default());
        let plan = TrainingPlan::within(&trainer, &model, 256 * 1024).unwrap();
        let learnt: usize = plan.steps().map(|step| step.weight_bytes).sum();
        assert_eq!(learnt, 4 * (9 * 64 * 64 + 64 + 64 + 640 + 10));
        let mut session = plan.session().unwrap();
        (0..3).for_each(|_| assert!(session.step(&inputs, &labels).is_ok()));
        assert!(session.to_model() == on_a_tape(&model, Isa::SCALAR, Sgd::default().into(), 3).0);
    });
}

const NAN_IN_SAMPLE_1: &str = "input of sample 1: expected finite numbers, got NaN at index 5";

/// Dropout is drawn from the trainer's seed, anew after a restart and again after a step that failed.
#[test]
fn a_restart_and_a_failed_step_rewind_dropout() {
    let model = Sequential::new([8]).dense(32).relu().dropout(0.5).dense(2).build(1).unwrap();
    let trainer = trainer(Isa::detect(), Sgd { rate: 0.1, ..Sgd::default() });
    let inputs: Vec<_> = (0..BATCH * 8).map(|i| (i * 37 % 11) as f32 / 10.0).collect();
    let labels: Vec<_> = (0..BATCH).map(|i| (i % 2) as f32).collect();
    let mut session = TrainingSession::new(&trainer, &model).unwrap();
    let mut three = |fail: bool| {
        session.restart();
        [0; 3].map(|_| {
            if fail {
                assert!(session.step(&inputs, &[5.0; BATCH]).is_err());
                let mut huge = inputs.clone();
                huge.fill(f32::MAX);
                assert!(session.step(&huge, &labels).is_err());
            }
            session.step(&inputs, &labels).unwrap().loss
        })
    };
    let first = three(false);
    assert_eq!(three(false), first);
    assert_eq!(three(true), first);
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_lost() {
    on_threads(1, || {
        let model = digits(&BASE);
        let (mut inputs, mut labels) = batch(&model);
        let trainer = trainer(Isa::SCALAR, Sgd::default());
        let peak = TrainingPlan::new(&trainer, &model).unwrap().peak_bytes();
        let mut short = vec![0.0; peak / 4 - 2];
        let error = TrainingSession::with_arena(&trainer, &model, &mut short).err().unwrap();
        assert_eq!(error, Error::ArenaTooSmall { expected: peak, got: peak - 8 });

        let mut session = TrainingSession::new(&trainer, &model).unwrap();
        let shape = |error: Error| matches!(error, Error::Kernel(_) | Error::Shape { .. });
        assert!(shape(session.step(&inputs[1..], &labels).unwrap_err()));
        for some in [&labels[1..], &[]] {
            let told = session.step(&inputs, some).unwrap_err().to_string();
            let (expected, got) = (labels.len(), some.len());
            assert_eq!(told, format!("targets of a batch: expected {expected} elements, got {got}"));
        }
        labels[2] = 10.0;
        let error = session.step(&inputs, &labels).unwrap_err();
        assert_eq!(error, Error::Label { sample: 2, label: 10.0, classes: 10 });
        labels[2] = 1.0;
        let good = inputs.clone();
        inputs[784 + 5] = f32::NAN;
        let refused = |error: Error| assert_eq!(error.to_string(), NAN_IN_SAMPLE_1);
        refused(session.step(&inputs, &labels).unwrap_err());
        refused(session.run(&inputs).unwrap_err());
        inputs.fill(f32::MAX);
        assert!(session.step(&inputs, &labels).is_err());
        assert!(session.run(&inputs).is_err());
        assert!(session.to_model() == model);
        assert!(session.step(&good, &labels).is_ok());

        let all = ["conv2d", "conv2d_1", "conv2d_2", "dense", "dense_1"];
        let frozen = digits(&all);
        let error = TrainingPlan::new(&trainer, &frozen).err().unwrap();
        assert_eq!(error, Error::Empty { what: "trainable layers" });
    });
}

/// The bits do not depend on the threads, neither those asked for nor those there.
#[test]
fn threads_are_an_option() {
    let model = digits(&BASE[..1]);
    let (inputs, labels) = batch(&model);
    let three_steps = |threads, pool| {
        on_threads(pool, || {
            let trainer = trainer(Isa::detect(), RmsProp::default()).threads(threads);
            let mut session = TrainingSession::new(&trainer, &model).unwrap();
            [0; 3].map(|_| session.step(&inputs, &labels).unwrap().loss)
        })
    };
    let want = three_steps(1, 1);
    for (threads, pool) in [(4, 4), (4, 1), (1, 4), (2, 2)] {
        assert_eq!(three_steps(threads, pool), want);
    }
}

#[test]
fn one_array_of_weights_can_stay_as_it_is() {
    let mut model = digits(&BASE);
    let whole = TrainingPlan::new(&trainer(Isa::SCALAR, Sgd::default()), &model).unwrap().peak_bytes();
    model.set_weight_trainable("dense", "kernel", false).unwrap();
    let refused = model.set_weight_trainable("dense", "kernels", false).unwrap_err().to_string();
    assert_eq!(
        refused,
        "layer \"dense\": weights: none that learn are named \"kernels\"; there are kernel, bias"
    );
    let read = Model::from_bytes(&model.to_bytes().unwrap()).unwrap().into_owned();
    assert!(read == model && read.fold().unwrap() == model);
    assert!(read.summary().to_string().contains("Trainable params: 714"), "{}", read.summary());
    for isa in Isa::available() {
        let (inputs, labels) = batch(&model);
        let trainer = trainer(isa, Sgd::default());
        let mut session = TrainingSession::new(&trainer, &model).unwrap();
        session.step(&inputs, &labels).unwrap();
        let learnt = session.to_model();
        assert!(learnt == on_a_tape(&model, isa, Sgd::default().into(), 1).0);
        let [before, after] = [&model, &learnt].map(|model| model.weights("dense").unwrap());
        assert!(before[0].values() == after[0].values() && before[1].values() != after[1].values());
    }
    let plan = TrainingPlan::new(&trainer(Isa::SCALAR, Sgd::default()), &model).unwrap();
    assert!(plan.peak_bytes() < whole / 2, "{plan}");
}

/// A schedule may leave the range of rates after steps that were right.
#[test]
fn a_rate_that_is_out_of_its_range_moves_nothing() {
    let schedule = CosineDecayRestarts {
        first_decay_steps: 1,
        t_mul: 1.0,
        m_mul: 1e30,
        ..CosineDecayRestarts::default()
    };
    let model = Sequential::new([3]).dense(3).build(1).unwrap();
    let trainer = trainer(Isa::SCALAR, Optimizer::from(Sgd::default()).schedule(schedule));
    let mut session = TrainingSession::new(&trainer, &model).unwrap();
    let (inputs, labels) = batch(&model);
    // 0.001, 10²⁷, and no number.
    for _ in 0..2 {
        session.step(&inputs, &labels).unwrap();
    }
    let before = session.to_model();
    let refused = session.step(&inputs, &labels).unwrap_err().to_string();
    assert!(session.to_model() == before);
    assert!(refused.starts_with("learning rate: expected a finite number of at least 0"), "{refused}");
}
