//! What a frozen base gives, computed once.

use bantam::{
    Adam, Dataset, Error, Features, Isa, Loss, Model, Options, Samples, Sequential, Shape, Tensor, Trainer,
};
use std::ops::ControlFlow;

const IMAGES: usize = 23;

/// Images of two classes, one of them weighing more.
fn images() -> Samples {
    let pixels = (0..IMAGES * 16 * 15 * 2).map(|i| ((i * i + i / 7) % 23) as f32 / 11.0 - 1.0).collect();
    let classes = (0..IMAGES).map(|i| (i % 3 % 2) as f32).collect();
    let inputs = Tensor::new(&[IMAGES, 16, 15, 2], pixels).unwrap();
    let images = Samples::new(inputs, Tensor::new(&[IMAGES, 1], classes).unwrap()).unwrap();
    images.weighted((0..IMAGES).map(|i| 1.0 + (i % 2) as f32).collect()).unwrap()
}

fn net() -> Model<'static> {
    let net = Sequential::new([16, 15, 2]).conv2d(8, 3).batch_normalization().relu().max_pool2d(2);
    let net = net.conv2d(12, 3).relu().max_pool2d(2).named("features");
    let mut net = net.flatten().dense(9).relu().dense(2).build(5).unwrap();
    let [gamma, beta, mean, variance] =
        [1.5, -0.5, 0.25, 2.0].map(|from| (0..8).map(|c| from + c as f32 / 16.0).collect::<Vec<_>>());
    net.set_weights("batch_normalization", &[&gamma, &beta, &mean, &variance]).unwrap();
    net
}

/// The frozen part runs folded and few images at a time, which takes its own room and less for its maps.
#[test]
fn a_frozen_base_takes_the_memory_of_few_images() {
    let trainer = || Trainer::new(Adam::default(), Loss::SoftmaxCrossEntropy).batch_size(16);
    let images = Samples::new(
        Tensor::zeros(&[16, 128, 128, 3]).unwrap(),
        Tensor::new(&[16, 1], (0..16).map(|i| (i % 2) as f32).collect()).unwrap(),
    );
    let net = Sequential::new([128, 128, 3]).conv2d(64, 3).batch_normalization().relu();
    let net = net.max_pool2d(2).conv2d(8, 3).relu().max_pool2d(2).named("features");
    let mut model = net.global_average_pool2d().dense(2).build(5).unwrap();
    model.unfreeze_from("global_average_pooling2d").unwrap();
    for isa in Isa::available() {
        let peak = trainer().isa(isa).threads(1).peak_bytes(&model, images.as_ref().unwrap()).unwrap();
        // A batch of images, and beside it less than the first layer's maps of two.
        let (batch, maps) = (16 * 128 * 128 * 3 * 4, 2 * 126 * 126 * 64 * 4);
        assert!(batch < peak && peak < batch + maps, "{isa}: {peak}, of which {batch} are images");
    }
}

fn learn(model: &mut Model<'_>, data: &dyn Dataset, isa: Isa) {
    let mut trainer = Trainer::new(Adam::default(), Loss::SoftmaxCrossEntropy).isa(isa);
    trainer = trainer.epochs(4).batch_size(5).micro_batch(2).seed(9);
    trainer.fit(model, data, None, &mut |_| ControlFlow::Continue(())).unwrap();
}

fn collect(base: &Model<'_>, data: &dyn Dataset, options: Options) -> Samples {
    let mut told = 0;
    let features = Features::new(base, data, options).unwrap();
    let features = features.collect(&mut |done| {
        assert!(done > told);
        told = done;
    });
    assert_eq!(told, data.len());
    features.unwrap()
}

/// The features and the target of a sample.
fn sample(data: &dyn Dataset, index: usize) -> (Vec<f32>, Vec<f32>) {
    let mut sample = (vec![0.0; data.input_shape().elements()], vec![0.0; data.target_len()]);
    data.read(index, &mut sample.0, &mut sample.1).unwrap();
    sample
}

#[test]
fn a_head_trained_apart_is_that_of_the_whole_net_with_its_base_frozen() {
    for isa in Isa::available() {
        let (images, mut whole) = (images(), net());
        let (base, mut head) = whole.split_at("features").unwrap();
        let features = collect(&base, &images, Options::new(7).threads(2).isa(isa));
        learn(&mut head, &features, isa);
        let mut apart = whole.clone();
        for name in ["dense", "dense_1"] {
            let weights: Vec<&[f32]> =
                head.weights(name).unwrap().iter().map(|weights| weights.values()).collect();
            apart.set_weights(name, &weights).unwrap();
        }

        whole.unfreeze_from("flatten").unwrap();
        let before = whole.clone();
        learn(&mut whole, &images, isa);
        let values = |model: &Model<'_>| -> Vec<Vec<f32>> {
            model.parameters().iter().map(|weights| weights.values().to_vec()).collect()
        };
        assert_eq!(values(&whole), values(&apart), "{isa}");
        assert_ne!(values(&whole), values(&before), "{isa}");
    }
}

/// Maps so large that a batch goes through the base in parts: each sample has its own features, and an error its own number.
#[test]
fn a_batch_of_large_maps_runs_in_parts() {
    let base = Sequential::new([130, 130, 1]).conv2d(32, 3).batch_normalization().relu();
    let base = base.global_average_pool2d().build(3).unwrap();
    let images = |largest: f32| {
        let mut pixels: Vec<f32> = (0..5 * 130 * 130).map(|i| (i % 97) as f32 / 96.0).collect();
        pixels[3 * 130 * 130 + 130 * 64..][..130].fill(largest);
        let pixels = Tensor::new(&[5, 130, 130, 1], pixels).unwrap();
        Samples::new(pixels, Tensor::zeros(&[5, 1]).unwrap()).unwrap()
    };
    let one = collect(&base, &images(1.0), Options::new(1));
    for (batch, threads) in [(5, 1), (4, 2), (5, 7)] {
        let all = collect(&base, &images(1.0), Options::new(batch).threads(threads));
        (0..5).for_each(|index| assert_eq!(sample(&all, index), sample(&one, index), "{index} of {batch}"));
        let (images, options) = (images(f32::MAX), Options::new(batch).threads(threads));
        let overflow = Features::new(&base, &images, options).unwrap().collect(&mut |_| {}).unwrap_err();
        assert!(matches!(overflow, Error::NotFinite { sample: 3, .. }), "{overflow}");
    }
}

#[test]
fn neither_the_batch_nor_the_threads_change_what_a_base_gives() {
    let (images, whole) = (images(), net());
    let (base, _) = whole.split_at("features").unwrap();
    let one = collect(&base, &images, Options::new(1));
    assert_eq!(one.input_shape(), Shape::new(&[2, 2, 12]).unwrap());
    for (batch, threads) in [(2, 1), (7, 2), (23, 7), (64, 1)] {
        let others = collect(&base, &images, Options::new(batch).threads(threads));
        for index in 0..IMAGES {
            assert_eq!(sample(&others, index), sample(&one, index), "{index} of batches of {batch}");
            assert_eq!(sample(&one, index).1, sample(&images, index).1);
            assert_eq!(others.weight(index), images.weight(index));
        }
    }
}

#[test]
fn batches_that_were_taken_are_not_collected() {
    let (images, whole) = (images(), net());
    let (base, _) = whole.split_at("features").unwrap();
    let all = collect(&base, &images, Options::new(10));
    let mut features = Features::new(&base, &images, Options::new(10)).unwrap();
    let first = features.next_batch().unwrap().unwrap();
    assert_eq!((first.first, first.weights.len(), first.targets.len()), (0, 10, 10));
    assert_eq!(first.features[..48], sample(&all, 0).0);
    let rest = features.collect(&mut |_| {}).unwrap();
    assert_eq!((rest.len(), sample(&rest, 0)), (IMAGES - 10, sample(&all, 10)));
    let mut features = Features::new(&base, &images, Options::new(64)).unwrap();
    assert!(features.next_batch().unwrap().is_some() && features.next_batch().unwrap().is_none());
    assert_eq!(features.collect(&mut |_| {}).unwrap_err(), Error::Empty { what: "data set" });
}

#[test]
fn what_a_base_cannot_take_is_refused() {
    let whole = net();
    let (base, _) = whole.split_at("features").unwrap();
    let refused = |dims: &[usize], pixel: f32| {
        let count = Shape::new(dims).unwrap().elements();
        let inputs = Tensor::new(dims, vec![pixel; count]).unwrap();
        let data = Samples::new(inputs, Tensor::zeros(&[dims[0], 1]).unwrap()).unwrap();
        let features = Features::new(&base, &data, Options::new(2));
        features.and_then(|features| features.collect(&mut |_| {})).unwrap_err().to_string()
    };
    let misfit = refused(&[3, 15, 16, 2], 0.0);
    assert!(misfit.contains("expected [16, 15, 2], got [15, 16, 2]"), "{misfit}");
    assert!(refused(&[3, 16, 15, 2], f32::NAN).contains("NaN"));
    assert!(matches!(Features::new(&base, &images(), Options::new(0)), Err(Error::Empty { what: "batch" })));
    let tapped = whole.tap(&["features", "dense"]).unwrap();
    assert!(Features::new(&tapped, &images(), Options::new(2)).is_err());
}
