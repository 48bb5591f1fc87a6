//! Layers that are random in training: statistics, gradients, the same bits again, and nothing at inference; and what
//! regularises activity.

use crate::common::numbers;
use bantam::{
    Activation, ActivityRegularization, AlphaDropout, Dataset, Differentiable, Dropout, Event,
    GaussianDropout, GaussianNoise, GraphBuilder, Isa, Loss, Mode, Model, Options, Samples, Sequential,
    Session, Sgd, Shape, Site, SpatialDropout1d, SpatialDropout2d, Tape, Tensor, Threads, Trainer,
    TrainingSession, TrainingStep,
};
use std::ops::ControlFlow;

fn of<L: Differentiable>(shape: &[usize], layer: L) -> Model<'static> {
    let net = GraphBuilder::new();
    net.build(&[net.input(shape).layer(layer)], 1).unwrap()
}

/// The output in training, and the gradient of its sum.
fn train(model: &Model<'_>, shape: &[usize], x: &[f32], seed: u64) -> [Vec<f32>; 2] {
    let mut tape = Tape::new(Isa::detect());
    let x = tape.parameter(Shape::new(shape).unwrap(), x).unwrap();
    let y = model.record(&mut tape, x, Mode::Training { seed }, &mut Vec::new()).unwrap();
    let output = tape.value(y).unwrap().to_vec();
    let loss = tape.sum(y).unwrap();
    [output, tape.backward(loss).unwrap().get(x).unwrap().to_vec()]
}

/// Mean and variance.
fn moments(x: &[f32]) -> [f64; 2] {
    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / x.len() as f64;
    [mean, x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / x.len() as f64]
}

/// Five deviations of the mean of `n` normal numbers, and of their variance.
fn assert_moments(x: &[f32], [mean, variance]: [f64; 2]) {
    let (n, [got_mean, got_variance]) = (x.len() as f64, moments(x));
    assert!((got_mean - mean).abs() < 5.0 * (variance / n).sqrt(), "{got_mean}, expected {mean}");
    let spread = 5.0 * variance * (2.0 / n).sqrt();
    assert!((got_variance - variance).abs() < spread, "{got_variance}, expected {variance}");
}

const N: usize = 100_000;

#[test]
fn noise_has_its_mean_and_variance() {
    let model = of(&[N], GaussianNoise::new(0.5));
    let [y, d] = train(&model, &[1, N], &vec![2.0; N], 7);
    assert_moments(&y, [2.0, 0.25]);
    assert!(d.iter().all(|&d| d == 1.0));
    let beyond = |deviations: f32| y.iter().filter(|&&y| (y - 2.0).abs() > 0.5 * deviations).count() as f64;
    for (deviations, share) in [(1.0, 0.317_311), (2.0, 0.045_5), (3.0, 0.002_699_8)] {
        let expected = share * N as f64;
        assert!((beyond(deviations) - expected).abs() < 5.0 * expected.sqrt(), "{deviations} deviations");
    }
    // Neighbours, which come in pairs, have nothing to do with each other.
    let products: Vec<f32> = y.chunks(2).map(|y| (y[0] - 2.0) * (y[1] - 2.0)).collect();
    let [mean, variance] = moments(&products);
    assert!(mean.abs() < 5.0 * (variance / products.len() as f64).sqrt(), "{mean}");
}

#[test]
fn gaussian_dropout_multiplies() {
    let model = of(&[N], GaussianDropout::new(0.2));
    let [y, d] = train(&model, &[1, N], &vec![2.0; N], 7);
    assert_moments(&d, [1.0, 0.25]);
    assert!(y.iter().zip(&d).all(|(y, d)| *y == 2.0 * d));
}

/// Of normal numbers mean and variance stay.
#[test]
fn alpha_dropout_keeps_mean_and_variance() {
    const RATE: f32 = 0.3;
    let zeros = vec![0.0; N];
    let [x, _] = train(&of(&[N], GaussianNoise::new(1.0)), &[1, N], &zeros, 3);
    let [y, d] = train(&of(&[N], AlphaDropout::new(RATE)), &[1, N], &x, 7);
    let [mean, variance] = moments(&y);
    assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    let dropped: Vec<f32> = y.iter().zip(&d).filter(|(_, d)| **d == 0.0).map(|(y, _)| *y).collect();
    // Five deviations of a binomial distribution.
    let expected = f64::from(RATE) * N as f64;
    assert!((dropped.len() as f64 - expected).abs() < 5.0 * (expected * 0.7).sqrt(), "{}", dropped.len());
    // Keras's formula in double precision: a (-1.7581) + b.
    let least: f64 = -1.758_099_340_847_376_6;
    let scale = ((1.0 - 0.3) * (1.0 + 0.3 * least * least)).powf(-0.5);
    let shift = -scale * least * 0.3;
    let near = |got: f32, want: f64| (f64::from(got) - want).abs() < 1e-6;
    assert!(dropped.iter().all(|&y| near(y, scale * least + shift)));
    let kept = x.iter().zip(&y).zip(&d).filter(|(_, d)| **d != 0.0);
    assert!(kept.clone().count() > 0);
    for ((x, y), d) in kept {
        assert!(near(*d, scale) && (f64::from(*y) - (scale * f64::from(*x) + shift)).abs() < 1e-5);
    }
}

#[test]
fn dropout_of_whole_samples() {
    const SAMPLES: usize = 10_000;
    let layer = Dropout::new(0.25).whole_samples();
    let model = of(&[2, 3, 1], layer);
    let [y, d] = train(&model, &[SAMPLES, 2, 3, 1], &vec![3.0; SAMPLES * 6], 7);
    assert!(y.chunks(6).all(|sample| sample == [0.0; 6] || sample == [4.0; 6]));
    assert!(y.iter().zip(&d).all(|(y, d)| *y == 3.0 * d));
    let stay: Vec<f32> = y.chunks(6).map(|sample| sample[0] / 4.0).collect();
    assert_moments(&stay, [0.75, 0.25 * 0.75]);
    let read = Model::from_bytes(&model.to_bytes().unwrap()).unwrap().into_owned();
    assert_eq!(read.nodes()[0].layer(), Some(layer));
    assert_ne!(read.nodes()[0].layer(), Some(Dropout::new(0.25)));
}

#[test]
fn spatial_dropout_drops_channels() {
    const RATE: f32 = 0.3;
    let (samples, channels) = (50, 200);
    for (model, shape) in [
        (of(&[2, 3, channels], SpatialDropout2d::new(RATE)), vec![samples, 2, 3, channels]),
        (of(&[6, channels], SpatialDropout1d::new(RATE)), vec![samples, 6, channels]),
    ] {
        let x = numbers(samples * 6 * channels);
        let [y, d] = train(&model, &shape, &x, 7);
        assert!(y.iter().zip(&x).zip(&d).all(|((y, x), d)| *y == x * d));
        let scale = 1.0 / (1.0 - RATE);
        for sample in d.chunks(6 * channels) {
            let first = &sample[..channels];
            assert!(first.iter().all(|&d| d == 0.0 || d == scale));
            assert!(sample.chunks(channels).all(|pixel| pixel == first));
        }
        let dropped = d.iter().filter(|&&d| d == 0.0).count() as f64 / 6.0;
        // Five deviations of a binomial distribution of 10,000.
        assert!((dropped - 3000.0).abs() < 5.0 * 2100f64.sqrt(), "{dropped}");
    }
}

#[test]
fn a_seed_gives_the_same_numbers_and_inference_none() {
    let shape = [3, 4, 5];
    let nets = [
        of(&shape[1..], GaussianNoise::new(1.0)),
        of(&shape[1..], GaussianDropout::new(0.5)),
        of(&shape[1..], AlphaDropout::new(0.5)),
        of(&shape[1..], SpatialDropout1d::new(0.5)),
    ];
    let x: Vec<f32> = numbers(60).iter().map(|x| x + 3.0).collect();
    for model in nets {
        let one = train(&model, &shape, &x, 1);
        assert_eq!(one, train(&model, &shape, &x, 1));
        assert_ne!(one, train(&model, &shape, &x, 2));
        let mut session = Session::new(&model, Options::new(3)).unwrap();
        assert_eq!(session.run(&x).unwrap(), x);
        // Of a rate or a deviation of zero nothing is left either.
        assert_eq!(Model::from_bytes(&model.to_bytes().unwrap()).unwrap(), model);
    }
    let nothing = [
        of(&shape[1..], GaussianNoise::new(0.0)),
        of(&shape[1..], GaussianDropout::new(0.0)),
        of(&shape[1..], AlphaDropout::new(0.0)),
        of(&shape[1..], SpatialDropout1d::new(0.0)),
    ];
    for model in nothing {
        assert_eq!(train(&model, &shape, &x, 1), [x.clone(), vec![1.0; 60]]);
    }
}

fn samples(n: usize) -> Samples {
    let inputs = Tensor::new(&[n, 4, 4, 3], numbers(n * 48)).unwrap();
    let targets = (0..n).map(|i| i as f32 / n as f32).collect();
    Samples::new(inputs, Tensor::new(&[n, 1], targets).unwrap()).unwrap()
}

/// After some steps of batches that are parted into shards.
fn fitted(net: &Model<'static>, data: &Samples, threads: usize, batch: usize) -> Model<'static> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let mut model = net.clone();
    let trainer = Trainer::new(Sgd { rate: 0.1, ..Sgd::default() }, Loss::MeanSquaredError);
    let mut trainer = trainer.epochs(1).batch_size(batch).seed(5);
    let mut go_on = |_: Event| ControlFlow::Continue(());
    pool.install(|| trainer.fit(&mut model, data, None, &mut go_on)).unwrap();
    model
}

#[test]
fn training_has_the_same_bits_on_any_number_of_threads() {
    let net = Sequential::new([4, 4, 3]).gaussian_noise(0.1).conv2d(8, 3).spatial_dropout2d(0.25);
    let net =
        net.group_normalization(4).selu().alpha_dropout(0.1).activity_regularization(0.01, 0.02).flatten();
    let net = net.layer_normalization().gaussian_dropout(0.2).dense(1).build(3).unwrap();
    let data = samples(150);
    let one = fitted(&net, &data, 1, 70).to_bytes().unwrap();
    for threads in [2, 7] {
        assert!(fitted(&net, &data, threads, 70).to_bytes().unwrap() == one, "{threads} threads");
    }
}

/// Keras 3.15.1 on TensorFlow 2.21 gives `(l1 Σ|x| + l2 Σx²) / N`: 1.6866666736702125 for the numbers from -5 to 6 in three
/// rows, l1 0.1 and l2 0.01, and its gradient, 0 at 0.
#[test]
fn activity_adds_to_the_loss_as_in_keras() {
    let x: Vec<f32> = (0..12).map(|i| i as f32 - 5.0).collect();
    let model = of(&[4], ActivityRegularization::new(0.1, 0.01));
    let [y, d] = train(&model, &[3, 4], &x, 1);
    assert_eq!(y, x);
    for (x, d) in x.iter().zip(d) {
        let sign = if *x == 0.0 { 0.0 } else { x.signum() };
        assert!((d - 1.0 - (0.1 * sign + 0.02 * x) / 3.0).abs() < 1e-6, "{x}: {d}");
    }
    let mut session = Session::new(&model, Options::new(3)).unwrap();
    assert_eq!(session.run(&x).unwrap(), x);
    let inputs = [Shape::new(&[3, 4]).unwrap()];
    let site = Site {
        isa: Isa::detect(),
        threads: Threads::ONE,
        direct_only: false,
        model_weights: 0,
        learns: true,
        activation: Activation::None,
        inputs: &inputs,
        weights: &[],
    };
    let step = ActivityRegularization::new(0.1, 0.01).lower_for_training(&site).unwrap();
    assert!((step.penalty(&[&x]) - 1.686_666_7).abs() < 1e-6);
}

/// A batch in shards moves weights as the same batch in one does, up to rounding: each shard has its share of the penalty.
#[test]
fn a_penalty_is_that_of_the_batch() {
    let data = samples(70);
    let net = Sequential::new([4, 4, 3]).flatten().dense(6).activity_regularization(0.3, 0.2).dense(1);
    let before = net.build(3).unwrap();
    let after = fitted(&before, &data, 1, 70);
    let (mut inputs, mut targets) = (vec![0.0; 70 * 48], vec![0.0; 70]);
    for (i, (input, target)) in inputs.chunks_mut(48).zip(targets.chunks_mut(1)).enumerate() {
        data.read(i, input, target).unwrap();
    }
    let mut tape = Tape::new(Isa::detect());
    let mut parameters = Vec::new();
    let x = tape.input(Shape::new(&[70, 4, 4, 3]).unwrap(), &inputs).unwrap();
    let y = before.record(&mut tape, x, Mode::Training { seed: 1 }, &mut parameters).unwrap();
    let t = tape.input(Shape::new(&[70, 1]).unwrap(), &targets).unwrap();
    let loss = tape.mean_squared_error(y, t).unwrap();
    let gradients = tape.backward(loss).unwrap();
    for (i, &parameter) in parameters.iter().enumerate() {
        let (old, new) = (before.parameters()[i].values(), after.parameters()[i].values());
        for ((old, new), g) in old.iter().zip(new).zip(gradients.get(parameter).unwrap()) {
            assert!((old - 0.1 * g - new).abs() < 2e-6, "{} {old} {g} {new}", before.parameters()[i].name());
        }
    }
}

/// What a layer adds to the loss is in the loss of a session and of a fit, whatever the shards.
#[test]
fn a_penalty_is_in_the_loss_that_training_reports() {
    let build = |l1: f32| {
        let net = Sequential::new([4]).dense(3).activity_regularization(l1, 0.0);
        net.dense(2).build(1).unwrap()
    };
    let [plain, penalised] = [0.0, 0.5].map(build);
    let n = 70;
    let inputs: Vec<f32> = (0..4 * n).map(|i| ((i * 37) % 19) as f32 / 10.0 - 0.9).collect();
    let labels: Vec<f32> = (0..n).map(|i| (i % 2) as f32).collect();
    let tapped = plain.tap(&["dense"]).unwrap();
    let mut session = Session::new(&tapped, Options::new(n)).unwrap();
    let added = 0.5 * session.run(&inputs).unwrap().iter().map(|x| x.abs()).sum::<f32>() / n as f32;
    let trainer = Trainer::new(Sgd { rate: 0.0, ..Sgd::default() }, Loss::SoftmaxCrossEntropy).batch_size(n);
    let losses = [plain, penalised].map(|model| {
        let step = TrainingSession::new(&trainer, &model).unwrap().step(&inputs, &labels).unwrap().loss;
        let data = Samples::new(
            Tensor::new(&[n, 4], inputs.clone()).unwrap(),
            Tensor::new(&[n, 1], labels.clone()).unwrap(),
        );
        let mut model = model.clone();
        let go_on = &mut |_: bantam::Event<'_>| ControlFlow::Continue(());
        let history = trainer.clone().fit(&mut model, &data.unwrap(), None, go_on).unwrap();
        [step, history.epochs[0].training.loss]
    });
    for (plain, penalised) in losses[0].iter().zip(losses[1]) {
        assert!((penalised - plain - added).abs() < 1e-5, "{penalised} - {plain}, {added}");
    }
}
