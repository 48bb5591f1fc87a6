//! Learning in less memory: every way gives the bits of the plan that keeps all.

use crate::common::enlarged;
use bantam::{
    Conv2d, Error, Event, GraphBuilder, Gru, Isa, Loss, Lstm, MaxPool2d, Model, Padding, Samples, Sgd,
    Tensor, Trainer, TrainingPlan, Way,
};
use std::ops::ControlFlow;

const BATCH: usize = 5;

/// Two residual blocks with batch normalisation, dropout and a pool that saves where its maxima were.
fn residual() -> Model<'static> {
    let net = GraphBuilder::new();
    let mut x = net.input([9, 8, 3]).conv2d(4, 3).batch_normalization().relu();
    for stride in [1, 2] {
        let same = Conv2d::same().no_bias();
        let y = x.conv2d_with(6, [3, 3], same.stride(stride)).batch_normalization().relu().dropout(0.25);
        let y = y.conv2d_with(6, [3, 3], same).batch_normalization();
        let shortcut = x.conv2d_with(6, [1, 1], same.stride(stride)).batch_normalization();
        x = net.add(&[y, shortcut]).relu();
    }
    let x = x.max_pool2d_with(MaxPool2d::new(3).stride(1).padding(Padding::Same)).tanh();
    net.build(&[x.global_average_pool2d().dense(4).softmax()], 3).unwrap()
}

/// A chain of convolutions with pools, of which the first two layers are frozen.
fn chain(dropout: f32) -> Model<'static> {
    let net = bantam::Sequential::new([16, 15, 2]).conv2d(4, 3).relu().conv2d(5, 3).relu().max_pool2d(2);
    let net = net.conv2d(6, 3).silu().depthwise_conv2d(3).flatten().dropout(dropout).dense(8).relu().dense(4);
    let mut model = net.build(5).unwrap();
    model.set_trainable("conv2d", false).unwrap();
    model
}

/// All kinds of layers that draw at random.
fn noisy() -> Model<'static> {
    let net =
        bantam::Sequential::new([8, 8, 3]).gaussian_noise(0.1).conv2d(6, 3).relu().spatial_dropout2d(0.3);
    let net =
        net.conv2d(4, 3).alpha_dropout(0.2).flatten().gaussian_dropout(0.2).dense(8).relu().dropout(0.5);
    net.dense(4).build(8).unwrap()
}

/// Recurrent layers, which save what a backward pass through time reads.
fn series() -> Model<'static> {
    let net = bantam::Sequential::new([6, 3]).gru_with(7, Gru::new().return_sequences()).tanh();
    let net = net.lstm_with(5, Lstm::new().return_sequences().go_backwards()).flatten().dense(8).relu();
    net.dense(4).build(6).unwrap()
}

fn trainer(isa: Isa) -> Trainer {
    let sgd = Sgd { rate: 0.05, momentum: 0.9, ..Sgd::default() };
    Trainer::new(sgd, Loss::SoftmaxCrossEntropy).batch_size(BATCH).isa(isa).threads(1).seed(7)
}

/// Samples that look random, and their classes.
fn samples(model: &Model<'_>, n: usize) -> (Vec<f32>, Vec<f32>) {
    let len = n * model.input_shape().elements();
    let inputs = (0..len).map(|i| ((i * 2_654_435_761_usize) % 1021) as f32 / 510.0 - 1.0).collect();
    (inputs, (0..n).map(|i| (i % 4) as f32).collect())
}

const PAINT: f32 = f32::from_bits(0x7fc0_beef);

#[test]
fn every_way_learns_the_same() {
    for (model, fewest) in [(residual(), 2), (chain(0.5), 1), (enlarged(), 1), (series(), 1)] {
        let (inputs, labels) = samples(&model, BATCH);
        for isa in Isa::available() {
            let trainer = trainer(isa);
            let steps = |mut session: bantam::TrainingSession<'_>| {
                let losses = [(); 3].map(|()| session.step(&inputs, &labels).unwrap().loss);
                (losses, session.to_model())
            };
            let all = TrainingPlan::new(&trainer, &model).unwrap();
            let (kept, most) = (all.multiply_adds(), all.peak_bytes());
            let want = steps(all.session().unwrap());
            for way in
                [Way::DropCheap, Way::DropAllCheap, Way::KeepEvery(2), Way::KeepEvery(3), Way::KeepEvery(64)]
            {
                let plan = TrainingPlan::by_way(&trainer, &model, way).unwrap();
                assert!(plan.multiply_adds() >= kept, "{way}: {plan}");
                let len = plan.arena_len();
                let mut arena = vec![PAINT; len + 64];
                let got = steps(plan.session_in(&mut arena).unwrap());
                assert!(got == want, "{isa}, {way}");
                let untouched = |x: &f32| x.to_bits() == PAINT.to_bits();
                assert!(arena[len..].iter().all(untouched), "{isa}, {way}");
                let used = len - arena[..len].iter().rev().take_while(|x| untouched(x)).count();
                assert!(isa != Isa::SCALAR || used > len - 16, "{isa}, {way}: {used} of {len}");
            }
            let ways = TrainingPlan::ways(&trainer, &model).unwrap();
            assert!(ways.len() >= fewest && ways[0].peak_bytes() == most, "{}", ways.len());
            assert!(ways.is_sorted_by(|a, b| a.peak_bytes() > b.peak_bytes()));
        }
    }
}

#[test]
fn the_fastest_way_is_taken_that_fits() {
    let model = residual();
    let trainer = trainer(Isa::SCALAR);
    let ways = TrainingPlan::ways(&trainer, &model).unwrap();
    for (way, slower) in ways.iter().zip(&ways[1..]) {
        let within = |bytes| TrainingPlan::within(&trainer, &model, bytes).unwrap().way();
        assert_eq!(within(way.peak_bytes()), way.way());
        assert_eq!(within(way.peak_bytes() - 1), slower.way());
    }
    let least = ways.last().unwrap().peak_bytes();
    let error = TrainingPlan::within(&trainer, &model, least - 1).err().unwrap();
    let Error::BudgetTooSmall { expected, got, layer } = &error else { panic!("{error}") };
    assert_eq!((*expected, *got), (least, least - 1));
    assert!(model.node(layer).is_ok(), "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("memory for training: expected {least} bytes or more, got")), "{text}");
}

fn go_on(_: Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Batches of 150 are five shards of 30, and 55 samples are left; 7 shards are added up in another tree than 5.
#[test]
fn a_fit_within_less_memory_learns_the_same() {
    for (model, batch, n) in [(residual(), 70, 75), (chain(0.0), 150, 205), (chain(0.0), 209, 209)] {
        let (inputs, labels) = samples(&model, n);
        let shape = model.input_shape().with_batch(n).unwrap();
        let inputs = Tensor::new(shape.dims(), inputs).unwrap();
        let data = Samples::new(inputs, Tensor::new(&[n, 1], labels).unwrap()).unwrap();
        let fitted = |trainer: Trainer| {
            let mut trained = model.clone();
            trainer
                .clone()
                .epochs(2)
                .fit(&mut trained, &data, None, &mut go_on)
                .map(|history| (history, trained))
        };
        let trainer = trainer(Isa::detect()).batch_size(batch);
        let all = trainer.peak_bytes(&model, &data).unwrap();
        let want = fitted(trainer.clone()).unwrap();
        let Err(Error::BudgetTooSmall { expected: least, .. }) = fitted(trainer.clone().within(1)) else {
            panic!("expected the least that would do")
        };
        assert!(least < all, "{least} of {all}");
        // With the same micro-batches it has the same bits, and smaller ones only where nothing else does.
        let (mut same, mut close) = (0, 0);
        for bytes in [all, all - 1, least.midpoint(all), least + (all - least) / 8, least] {
            let trainer = trainer.clone().within(bytes);
            assert!(trainer.peak_bytes(&model, &data).unwrap() <= bytes);
            let got = fitted(trainer).unwrap();
            if got == want {
                same += 1;
            } else {
                assert!(batch > 70 && is_close(&got.1, &want.1), "{bytes} bytes of {least} to {all}");
                close += 1;
            }
        }
        assert!(same >= 3 && same + close == 5, "{same}, {close}");
        assert!(fitted(trainer.clone().within(least - 1)).is_err());
    }
}

/// Whether the weights of two models differ by no more than roundings of some steps.
fn is_close(a: &Model<'_>, b: &Model<'_>) -> bool {
    let apart = |(x, y): (&f32, &f32)| (x - y).abs() > 1e-5 * x.abs().max(0.1);
    let mut pairs = a.parameters().iter().zip(b.parameters());
    pairs.all(|(a, b)| !a.values().iter().zip(b.values()).any(apart))
}

#[test]
fn micro_batches_add_up_to_the_batch() {
    const BATCH: usize = 14;
    for model in [chain(0.5), noisy(), enlarged(), series()] {
        let (inputs, labels) = samples(&model, BATCH);
        for isa in Isa::available() {
            let trainer = trainer(isa).batch_size(BATCH).seed(3);
            let learnt = |plan: TrainingPlan<'_>| {
                let len = plan.arena_len();
                let mut arena = vec![PAINT; len + 64];
                let mut session = plan.session_in(&mut arena).unwrap();
                let losses = [(); 3].map(|()| session.step(&inputs, &labels).unwrap().loss);
                let model = session.to_model();
                assert!(arena[len..].iter().all(|x| x.to_bits() == PAINT.to_bits()), "{isa}");
                (losses, model)
            };
            let whole = TrainingPlan::new(&trainer, &model).unwrap();
            let most = whole.peak_bytes();
            let (want_losses, want) = learnt(whole);
            for micro_batch in [7, 2, 1] {
                let trainer = trainer.clone().micro_batch(micro_batch);
                let plan = TrainingPlan::new(&trainer, &model).unwrap();
                assert_eq!(plan.micro_batch(), micro_batch);
                let kept = learnt(plan);
                let (losses, got) = &kept;
                assert!(is_close(got, &want), "{isa}, {micro_batch}");
                for (loss, want) in losses.iter().zip(want_losses) {
                    assert!((loss - want).abs() < 1e-5 * want, "{isa}, {micro_batch}: {loss} {want}");
                }
                let plan = TrainingPlan::by_way(&trainer, &model, Way::KeepEvery(2)).unwrap();
                assert!(learnt(plan) == kept, "{isa}, {micro_batch}");
            }
            let plans = TrainingPlan::ways(&trainer, &model).unwrap();
            assert!(plans.len() > 2 && plans[0].peak_bytes() == most);
            let least = plans.last().unwrap();
            assert!(least.micro_batch() < BATCH, "{least}");
            let within = TrainingPlan::within(&trainer, &model, least.peak_bytes()).unwrap();
            assert_eq!((within.way(), within.micro_batch()), (least.way(), least.micro_batch()));
        }
    }
}

#[test]
fn micro_batches_that_cannot_be_are_refused() {
    let refused = |model: &Model<'_>, micro_batch| {
        let trainer = trainer(Isa::SCALAR).batch_size(9).micro_batch(micro_batch);
        TrainingPlan::new(&trainer, model).err().unwrap().to_string()
    };
    assert_eq!(refused(&chain(0.5), 0), "micro-batch: expected at least one, got none");
    assert_eq!(refused(&chain(0.5), 2), "micro-batch: expected a divisor of the batch, got 2");
    assert_eq!(
        refused(&residual(), 3),
        "micro-batch: expected the whole batch, whose statistics a layer needs, got 3"
    );
    let empty = trainer(Isa::SCALAR).batch_size(0).micro_batch(3);
    let error = TrainingPlan::new(&empty, &chain(0.5)).err().unwrap();
    assert_eq!(error.to_string(), "batch: expected at least 1, got 0");
}
