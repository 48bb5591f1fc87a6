//! Batch normalisation by the statistics of the batch: as Keras has it, and the same bits however it is shared.

use bantam::{
    BatchNormalization, Conv2d, Error, GraphBuilder, Isa, Loss, Mode, Model, Options, Samples, Sequential,
    Session, Sgd, Shape, Tape, Tensor, Trainer, TrainingSession,
};
use safetensors::SafeTensors;
use std::ops::ControlFlow;

const STEPS: usize = 30;

struct Golden(SafeTensors<'static>);

impl Golden {
    fn new() -> Golden {
        let bytes = include_bytes!("../golden/keras_training.safetensors");
        Golden(SafeTensors::deserialize(bytes).unwrap())
    }

    fn array(&self, name: &str) -> Vec<f32> {
        let data = self.0.tensor(name).unwrap_or_else(|_| panic!("{name}")).data().to_vec();
        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }

    /// The net, before or after its training.
    fn model(&self, when: &str) -> Model<'static> {
        let mut model = net().build(1).unwrap();
        for name in ["conv1", "bn1", "conv2", "bn2", "dense"] {
            let names: Vec<_> =
                model.parameters_of(model.node(name).unwrap()).iter().map(|p| p.name()).collect();
            let arrays: Vec<_> =
                names.into_iter().map(|weight| self.array(&format!("{when}.{name}.{weight}"))).collect();
            let slices: Vec<_> = arrays.iter().map(|array| &array[..]).collect();
            model.set_weights(name, &slices).unwrap();
        }
        model
    }

    fn samples(&self) -> Samples {
        let (inputs, targets) = (self.array("input"), self.array("target"));
        let n = targets.len();
        Samples::new(Tensor::new(&[n, 6, 6, 2], inputs).unwrap(), Tensor::new(&[n, 1], targets).unwrap())
            .unwrap()
    }
}

fn net() -> Sequential {
    let net = Sequential::new([6, 6, 2]);
    let net = net.conv2d_with(4, [3, 3], Conv2d::valid().no_bias()).named("conv1");
    let net = net.layer(BatchNormalization::new()).named("bn1").relu();
    let net = net.conv2d_with(6, [3, 3], Conv2d::same().stride(2)).named("conv2");
    let net = net.layer(BatchNormalization::new().momentum(0.9)).named("bn2").relu();
    net.global_average_pool2d().dense(3).named("dense")
}

fn sgd() -> Sgd {
    Sgd { rate: 0.05, momentum: 0.9, ..Sgd::default() }
}

fn go_on(_: bantam::Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Rounding errors grow as they pass through 30 steps and the normalisation: up to a hundred times.
fn assert_learnt(what: &str, got: &Model<'_>, want: &Model<'_>) {
    for (got, want) in got.parameters().iter().zip(want.parameters()) {
        let largest = want.values().iter().fold(0f32, |largest, x| largest.max(x.abs()));
        for (got, want) in got.values().iter().zip(want.values()) {
            let tolerance = 100.0 * f32::EPSILON * largest;
            assert!((got - want).abs() <= tolerance, "{what}: {got}, expected {want}");
        }
    }
}

#[test]
fn thirty_steps_are_keras_s() {
    let golden = Golden::new();
    let (samples, after) = (golden.samples(), golden.model("after"));
    for isa in Isa::available() {
        let mut model = golden.model("before");
        let trainer = Trainer::new(sgd(), Loss::SoftmaxCrossEntropy).isa(isa).batch_size(70);
        let history = trainer.clone().epochs(STEPS).fit(&mut model, &samples, None, &mut go_on).unwrap();
        assert_learnt(&format!("{isa}, trainer"), &model, &after);
        for (epoch, want) in history.epochs.iter().zip(golden.array("loss")) {
            assert!((epoch.training.loss - want).abs() < 1e-5, "{isa}: {}, {want}", epoch.training.loss);
        }
        let before = golden.model("before");
        let mut session = TrainingSession::new(&trainer, &before).unwrap();
        for _ in 0..STEPS {
            session.step(&golden.array("input"), &golden.array("target")).unwrap();
        }
        assert_learnt(&format!("{isa}, session"), &session.to_model(), &after);

        let (mut model, mut optimizer) = (golden.model("before"), sgd().into());
        let (inputs, targets) = (golden.array("input"), golden.array("target"));
        for seed in 0..STEPS as u64 {
            let mut tape = Tape::new(isa);
            let x = tape.input(Shape::new(&[70, 6, 6, 2]).unwrap(), &inputs).unwrap();
            let mut parameters = Vec::new();
            let y = model.record(&mut tape, x, Mode::Training { seed }, &mut parameters).unwrap();
            let t = tape.one_hot(&targets, 3).unwrap();
            let loss = tape.softmax_cross_entropy(y, t).unwrap();
            let gradients = tape.backward(loss).unwrap();
            model.update(isa, &mut optimizer, &parameters, &gradients).unwrap();
        }
        assert_learnt(&format!("{isa}, tape"), &model, &after);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let golden = Golden::new();
    let samples = golden.samples();
    // Batches of 68 are three shards, of 23, 23 and 22; the last batch of an epoch has two samples.
    let learnt = [1, 2, 7].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut model = golden.model("before");
            let mut trainer =
                Trainer::new(sgd(), Loss::SoftmaxCrossEntropy).batch_size(68).epochs(3).threads(threads);
            trainer.fit(&mut model, &samples, None, &mut go_on).unwrap();
            model
        })
    });
    assert!(learnt[0] == learnt[1] && learnt[0] == learnt[2]);
}

#[test]
fn frozen_goes_by_the_moving_statistics() {
    let golden = Golden::new();
    let mut model = golden.model("before");
    model.set_trainable("bn1", false).unwrap();
    let before = model.clone();
    let mut trainer = Trainer::new(sgd(), Loss::SoftmaxCrossEntropy).batch_size(16);
    trainer.fit(&mut model, &golden.samples(), None, &mut go_on).unwrap();
    assert_eq!(model.weights("bn1").unwrap(), before.weights("bn1").unwrap());
    assert_ne!(model.weights("bn2").unwrap(), before.weights("bn2").unwrap());
    assert_ne!(model.weights("conv1").unwrap(), before.weights("conv1").unwrap());
}

#[test]
fn a_batch_of_one_has_no_variance() {
    let net = Sequential::new([4]).dense(3).batch_normalization().dense(2);
    let mut model = net.build(1).unwrap();
    let before = model.clone();
    let samples = |n: usize| {
        let inputs = (0..4 * n).map(|i| i as f32 / 4.0).collect();
        let targets = (0..n).map(|i| (i % 2) as f32).collect();
        Samples::new(Tensor::new(&[n, 4], inputs).unwrap(), Tensor::new(&[n, 1], targets).unwrap()).unwrap()
    };
    let trainer = |batch| Trainer::new(sgd(), Loss::SoftmaxCrossEntropy).batch_size(batch);
    let no_variance =
        || Error::Layer { name: "batch_normalization".into(), cause: Box::new(Error::NoVariance) };
    // Nine samples leave one after two batches: nothing is learnt of the others either.
    for (batch, n) in [(1, 3), (4, 9)] {
        let error = trainer(batch).fit(&mut model, &samples(n), None, &mut go_on).unwrap_err();
        assert_eq!(error, no_variance());
        assert_eq!(model, before);
    }
    assert_eq!(TrainingSession::new(&trainer(1), &model).err(), Some(no_variance()));
    let (mut tape, mut parameters) = (Tape::new(Isa::detect()), Vec::new());
    let input = tape.input(Shape::new(&[1, 4]).unwrap(), &[0.5; 4]).unwrap();
    let recorded = model.record(&mut tape, input, Mode::Training { seed: 1 }, &mut parameters);
    assert_eq!(recorded.err(), Some(no_variance()));
    trainer(4).fit(&mut model, &samples(10), None, &mut go_on).unwrap();
    // 1025 samples are 32 shards of 32 and one of a single sample, which is no batch.
    trainer(1025).fit(&mut model, &samples(1025), None, &mut go_on).unwrap();
    // One image has many numbers of each channel.
    let golden = Golden::new();
    trainer(1).fit(&mut golden.model("before"), &golden.samples(), None, &mut go_on).unwrap();
}

#[test]
fn momentum_and_epsilon_survive_the_file() {
    let layer = BatchNormalization::new().momentum(0.9).epsilon(1e-5);
    let net = GraphBuilder::new();
    let model = net.build(&[net.input([3]).layer(layer)], 1).unwrap();
    let bytes = model.to_bytes().unwrap();
    let read = Model::from_bytes(&bytes).unwrap();
    assert_eq!(read.nodes()[0].layer::<BatchNormalization>(), Some(layer));
    for momentum in [-0.1, 1.0, f32::NAN] {
        let net = GraphBuilder::new();
        let refused = net.build(&[net.input([3]).layer(layer.momentum(momentum))], 1);
        assert!(
            matches!(refused, Err(Error::OutOfRange { what: "momentum", .. }) | Err(Error::Layer { .. })),
            "{refused:?}"
        );
    }
}

/// Without gamma or beta it is the layer that has them and keeps them at 1 and 0, to the bit.
#[test]
fn without_gamma_or_beta() {
    let golden = Golden::new();
    let (samples, whole) = (golden.samples(), BatchNormalization::new().momentum(0.9));
    let cases = [
        (whole.no_scale(), &["gamma"][..]),
        (whole.no_center(), &["beta"]),
        (whole.no_scale().no_center(), &["gamma", "beta"]),
    ];
    for (layer, left_out) in cases {
        let net = |layer| {
            let net = Sequential::new([6, 6, 2]).layer(layer).named("bn1").conv2d(4, 3);
            net.layer(layer).named("bn2").relu().flatten().dense(3).build(1).unwrap()
        };
        let [mut short, mut long] = [net(layer), net(whole)];
        for name in left_out {
            ["bn1", "bn2"].iter().for_each(|bn| long.set_weight_trainable(bn, name, false).unwrap());
        }
        for trainable in [true, false] {
            for model in [&mut short, &mut long] {
                model.set_trainable("bn2", trainable).unwrap();
                Trainer::new(sgd(), Loss::SoftmaxCrossEntropy)
                    .batch_size(70)
                    .epochs(3)
                    .fit(model, &samples, None, &mut go_on)
                    .unwrap();
            }
            for node in short.nodes() {
                let kept = long
                    .weights(node.name())
                    .unwrap()
                    .iter()
                    .filter(|array| !left_out.contains(&array.name()));
                let (got, want): (Vec<_>, Vec<_>) = (
                    short.parameters_of(node).iter().map(|array| (array.name(), array.values())).collect(),
                    kept.map(|array| (array.name(), array.values())).collect(),
                );
                assert_eq!(got, want, "{}, without {left_out:?}", node.name());
            }
        }
        let outputs = [&short, &long, &short.fold().unwrap(), &long.fold().unwrap()].map(|model| {
            let mut session = Session::new(model, Options::new(70)).unwrap();
            session.run(&golden.array("input")).unwrap().to_vec()
        });
        assert_eq!(outputs[0], outputs[1]);
        assert_eq!(outputs[2], outputs[3]);
        assert_eq!(short.fold().unwrap().nodes().len(), short.nodes().len() - 1);
        let read = Model::from_bytes(&short.to_bytes().unwrap()).unwrap().into_owned();
        assert_eq!(read, short);
        assert_eq!(read.nodes()[0].layer(), Some(layer));
    }
}

/// A base that runs again would overwrite the statistics that were gathered for the first layer behind it.
#[test]
fn it_learns_just_behind_a_frozen_base() {
    let net = Sequential::new([9, 8, 3]).conv2d(4, 3).relu().conv2d(5, 3).batch_normalization().relu();
    let mut model = net.global_average_pool2d().dense(3).build(1).unwrap();
    ["conv2d", "conv2d_1"].iter().for_each(|name| model.set_trainable(name, false).unwrap());
    let inputs: Vec<f32> = (0..8 * 216).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect();
    let labels: Vec<f32> = (0..8).map(|i| (i % 3) as f32).collect();
    let samples = Samples::new(
        Tensor::new(&[8, 9, 8, 3], inputs.clone()).unwrap(),
        Tensor::new(&[8, 1], labels.clone()).unwrap(),
    )
    .unwrap();
    for isa in Isa::available() {
        let trainer = Trainer::new(sgd(), Loss::SoftmaxCrossEntropy).batch_size(8).isa(isa);
        let mut fitted = model.clone();
        trainer.clone().fit(&mut fitted, &samples, None, &mut go_on).unwrap();
        let mut session = TrainingSession::new(&trainer, &model).unwrap();
        session.step(&inputs, &labels).unwrap();
        assert_learnt(&format!("{isa}"), &fitted, &session.to_model());
    }
}
