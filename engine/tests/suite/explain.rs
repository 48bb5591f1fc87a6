//! Heat maps and images that excite filters: nets whose answers are known, central differences, and Keras.
//! `golden/keras_explain.py` made the file.

use crate::common::numbers;
use bantam::explain::{Ascent, GradCam, Occlusion, resized};
use bantam::{
    BatchNormalization, Conv2d, Error, GraphBuilder, Isa, Model, Options, Sequential, Session, Tensor,
};
use safetensors::SafeTensors;

/// Two channels, of which the second speaks against the first class and for the second, by their means.
fn two_channels() -> Model<'static> {
    let net = Sequential::new([4, 4, 1]).conv2d(2, 1).named("map").global_average_pool2d().dense(2);
    let mut model = net.softmax().build(1).unwrap();
    model.set_weights("map", &[&[1.0, 2.0], &[0.0, 1.0]]).unwrap();
    model.set_weights("dense", &[&[3.0, -1.0, -1.0, 0.5], &[0.25, 0.0]]).unwrap();
    model
}

#[test]
fn the_heat_map_is_that_of_the_definition() {
    let model = two_channels();
    let image: Vec<f32> = (0..16).map(|i| i as f32 / 4.0 - 1.0).collect();
    let mut cam = GradCam::new(&model, "map", Options::new(1)).unwrap();
    // Weights are those of the dense layer by 16: 3 x - (2 x + 1) = x - 1, and -x + (2 x + 1) / 2 = 0.5.
    let map = cam.run(&image, 0).unwrap();
    let largest = 15.0 / 4.0 - 2.0;
    let expected: Vec<f32> = image.iter().map(|x| (x - 1.0).max(0.0) / largest).collect();
    assert_eq!(map.data(), expected);
    assert_eq!(cam.run(&image, 1).unwrap().data(), [1.0; 16]);
    // Nothing speaks for the class: no division of nothing by nothing.
    assert_eq!(cam.run(&[-1.0; 16], 0).unwrap().data(), [0.0; 16]);
    // The means are 7/8 and 11/4: scores of 1/8 and 1/2.
    assert_eq!(cam.run_best(&image).unwrap(), (1, cam.run(&image, 1).unwrap()));
}

/// A single output: what speaks against it speaks for the first class.
#[test]
fn one_output_has_two_classes() {
    let net = Sequential::new([2, 2, 1]).conv2d(1, 1).named("map").global_average_pool2d().dense(1);
    let mut model = net.sigmoid().build(1).unwrap();
    model.set_weights("map", &[&[1.0], &[0.0]]).unwrap();
    model.set_weights("dense", &[&[2.0], &[0.0]]).unwrap();
    let image = [4.0, -3.0, 1.0, -1.0];
    let mut cam = GradCam::new(&model, "map", Options::new(1)).unwrap();
    assert_eq!(cam.run(&image, 0).unwrap().data(), [0.0, 1.0, 0.0, 1.0 / 3.0]);
    assert_eq!(cam.run(&image, 1).unwrap().data(), [1.0, 0.0, 0.25, 0.0]);
    assert_eq!(cam.run_best(&image).unwrap().0, 1);
    assert_eq!(cam.run_best(&image.map(|x| -x)).unwrap().0, 0);
    assert_eq!(cam.run(&image, 2).unwrap_err().to_string(), "class: expected at most 1, got 2");
    let mut session = Session::new(&model, Options::new(4)).unwrap();
    let occlusion = Occlusion::new([1, 1]).value(0.0);
    let [first, second] = [0, 1].map(|class| occlusion.run(&mut session, &image, class).unwrap());
    assert!(first.data().iter().zip(second.data()).all(|(a, b)| *a == -*b && *b != 0.0));
    assert!(second.data()[0] > 0.0 && second.data()[1] < 0.0);
}

/// A residual block with batch normalisation, a smooth head, and a softmax.
fn smooth() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([8, 6, 2]).conv2d_with(6, [3, 3], Conv2d::same()).relu().named("stem");
    let inner = x.conv2d_with(6, [3, 3], Conv2d::same()).batch_normalization().tanh().named("inner");
    let sum = net.add(&[x, inner.conv2d_with(6, [3, 3], Conv2d::same())]).named("block");
    let head = sum.average_pool2d(2).conv2d(5, 2).tanh().flatten().dense(4);
    net.build(&[head.named("scores").softmax()], 7).unwrap()
}

/// By the head alone, whose input moves.
#[test]
fn gradients_are_those_of_central_differences() {
    let model = smooth();
    let image = numbers(8 * 6 * 2);
    let (base, head) = model.truncate_at("scores").unwrap().split_at("block").unwrap();
    let mut base = Session::new(&base, Options::new(1)).unwrap();
    let map = base.run(&image).unwrap().to_vec();
    let mut head = Session::new(&head, Options::new(1)).unwrap();
    let mut cam = GradCam::new(&model, "block", Options::new(1)).unwrap();
    for class in 0..4 {
        let h = 1.0 / 32.0;
        let mut weights = [0.0; 6];
        for index in 0..map.len() {
            let mut at = |h: f32| {
                let mut moved = map.clone();
                moved[index] += h;
                f64::from(head.run(&moved).unwrap()[class])
            };
            weights[index % 6] += (at(h) - at(-h)) / (2.0 * f64::from(h));
        }
        let sum = |pixel: &[f32]| pixel.iter().zip(weights).map(|(&x, w)| f64::from(x) * w).sum::<f64>();
        let heat: Vec<f64> = map.chunks_exact(6).map(|pixel| sum(pixel).max(0.0)).collect();
        let largest = heat.iter().fold(0.0f64, |a, &b| a.max(b));
        assert!(largest > 0.0);
        for (got, heat) in cam.run(&image, class).unwrap().data().iter().zip(heat) {
            // What tanh bends over h = 1/32 is of its square, 1e-3, less what an element has of the mean of four.
            assert!((f64::from(*got) - heat / largest).abs() < 5e-4, "{got} {}", heat / largest);
        }
    }
}

struct Keras(SafeTensors<'static>);

impl Keras {
    fn new() -> Keras {
        let bytes = include_bytes!("../golden/keras_explain.safetensors");
        Keras(SafeTensors::deserialize(bytes).unwrap())
    }

    fn array(&self, name: &str) -> Vec<f32> {
        let data = self.0.tensor(name).unwrap_or_else(|_| panic!("{name}")).data().to_vec();
        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }

    /// Names of what it made of a kind, with the layer and the class or filter.
    fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a str, usize)> {
        self.0.names().into_iter().filter_map(move |name| {
            let (layer, of) = name.strip_prefix(kind)?.rsplit_once('.')?;
            Some((name, layer, of.parse().unwrap()))
        })
    }

    fn model(&self) -> Model<'static> {
        let (net, same) = (GraphBuilder::new(), Conv2d::same());
        let image = net.input([12, 10, 3]);
        let stem = image.conv2d_with(8, [3, 3], same).named("stem").relu().named("stem_relu");
        let inner = stem.conv2d_with(8, [3, 3], same).named("first");
        let inner = inner.layer(BatchNormalization::new()).named("bn").relu();
        let inner = inner.conv2d_with(8, [3, 3], same).named("second");
        let block = net.add(&[stem, inner]).relu().named("block");
        let last = block.max_pool2d(2).conv2d(6, 3).named("third").relu().named("last");
        let mut model = net.build(&[last.flatten().dense(4).softmax()], 1).unwrap();
        for name in ["stem", "first", "bn", "second", "third", "dense"] {
            let names = model.weights(name).unwrap().iter().map(|weights| weights.name());
            let arrays: Vec<_> = names.map(|weight| self.array(&format!("weight.{name}.{weight}"))).collect();
            let slices: Vec<_> = arrays.iter().map(|array| &array[..]).collect();
            model.set_weights(name, &slices).unwrap();
        }
        model
    }
}

/// 32 roundings of the largest number: each passes six layers there and back, and the sums' errors grow with the root of
/// their lengths, of some ten to a hundred.
const ROUNDING: f32 = 32.0 * f32::EPSILON;

/// The largest difference, by the largest of what is expected.
fn difference(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    let largest = |a: f32, b: f32| if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) };
    let scale = expected.iter().map(|x| x.abs()).fold(0.0, largest);
    got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, largest) / scale
}

/// On every instruction set: a map before and behind its ReLU, behind a block and within one.
#[test]
fn heat_maps_are_those_of_keras() {
    let keras = Keras::new();
    let (model, image) = (keras.model(), keras.array("input"));
    let mut count = 0;
    for (isa, (name, layer, class)) in
        Isa::available().flat_map(|isa| keras.all("cam.").map(move |c| (isa, c)))
    {
        let mut cam = GradCam::new(&model, layer, Options::new(1).isa(isa)).unwrap();
        let difference = difference(cam.run(&image, class).unwrap().data(), &keras.array(name));
        println!("{name:<14} {isa:<8} {difference:.1e}");
        assert!(difference < ROUNDING, "{isa} {name}: {difference}");
        count += 1;
    }
    assert_eq!(count, 5 * Isa::available().count());
}

#[test]
fn ascended_images_are_those_of_keras() {
    let keras = Keras::new();
    let model = keras.model();
    for (isa, (name, layer, filter)) in
        Isa::available().flat_map(|isa| keras.all("mean.").map(move |c| (isa, c)))
    {
        let (mut image, means) = (keras.array("input"), keras.array(name));
        let ascent = Ascent::new().steps(means.len()).isa(isa);
        let got = ascent.run(&model, layer, filter, &mut image).unwrap();
        let of_means = difference(&got, &means);
        let of_image = difference(&image, &keras.array(&format!("ascended.{layer}.{filter}")));
        println!("{name:<14} {isa:<8} {of_means:.1e} {of_image:.1e}");
        assert!(of_means < ROUNDING && of_image < ROUNDING, "{isa} {name}: {of_means} {of_image}");
    }
}

#[test]
fn occlusion_maps_are_those_of_keras() {
    let keras = Keras::new();
    let (model, image) = (keras.model(), keras.array("input"));
    let occlusion = Occlusion::new([4, 4]).stride([2, 2]).value(0.5);
    let run = |options: Options| {
        let mut session = Session::new(&model, options).unwrap();
        occlusion.run(&mut session, &image, 1).unwrap()
    };
    for isa in Isa::available() {
        let difference = difference(run(Options::new(1).isa(isa)).data(), &keras.array("occluded.1"));
        println!("{:<14} {isa:<8} {difference:.1e}", "occluded.1");
        assert!(difference < ROUNDING, "{isa}: {difference}");
    }
    // Batches give the same bits, the last of 30 by 7 not full, and one of 64 never.
    let map = run(Options::new(1));
    assert_eq!(map.shape().dims(), [6, 5]);
    assert!(run(Options::new(7)) == map && run(Options::new(64)) == map);
}

/// By a model whose output is a weighted sum of the image.
#[test]
fn a_patch_is_cut_at_the_edges_and_of_the_mean() {
    let mut model = Sequential::new([3, 5, 2]).flatten().dense(2).build(1).unwrap();
    let mut kernel = [0.0; 30 * 2];
    kernel.iter_mut().skip(1).step_by(2).for_each(|weight| *weight = 1.0);
    model.set_weights("dense", &[&kernel, &[0.0; 2]]).unwrap();
    let mut session = Session::new(&model, Options::new(4)).unwrap();
    // One channel of ones, and one of five threes among zeros, whose mean is one.
    let image: Vec<f32> =
        (0..30).map(|i| if i % 2 == 0 { 1.0 } else { f32::from(u8::from(i % 6 == 3)) * 3.0 }).collect();
    let lost = |occlusion: Occlusion, session: &mut Session<'_>| {
        let map = occlusion.run(session, &image, 1).unwrap();
        (map.shape().dims().to_vec(), map.into_data())
    };
    let pixel = |row: usize, column: usize| image[2 * (5 * row + column) + 1];
    let expected: Vec<f32> = (0..15).map(|i| pixel(i / 5, i % 5) - 1.0).collect();
    assert_eq!(lost(Occlusion::new([1, 1]), &mut session), (vec![3, 5], expected));
    // Patches of three rows and two columns around each second column: 0 and 1, 2 and 3, 4.
    let pair = |columns: [usize; 2]| {
        (0..3)
            .flat_map(|row| (columns[0]..columns[1]).map(move |column| (row, column)))
            .map(|(row, column)| pixel(row, column) + 1.0)
            .sum::<f32>()
    };
    let map = lost(Occlusion::new([3, 2]).value(0.0), &mut session);
    assert_eq!(map, (vec![1, 3], vec![pair([0, 2]), pair([2, 4]), pair([4, 5])]));
    // A patch of one column at the centre of four: column 2, and of the last cell the last one.
    let map = lost(Occlusion::new([3, 1]).stride([3, 4]).value(0.0), &mut session);
    assert_eq!(map, (vec![1, 2], vec![pair([2, 3]), pair([4, 5])]));
    assert_eq!(lost(Occlusion::new([3, 5]).value(0.0), &mut session), (vec![1, 1], vec![30.0]));
}

#[test]
fn a_map_is_resized_between_the_centres_of_its_pixels() {
    let map = Tensor::new(&[2, 2], vec![0.0, 1.0, 2.0, 3.0]).unwrap();
    for isa in Isa::available() {
        let same = resized(isa, &map, [2, 2]).unwrap();
        assert_eq!(same, map);
        let tall = resized(isa, &map, [4, 2]).unwrap();
        assert_eq!(tall.data(), [0.0, 1.0, 0.5, 1.5, 1.5, 2.5, 2.0, 3.0]);
        let seven = resized(isa, &map, [7, 7]).unwrap();
        assert!((seven.data()[24] - 1.5).abs() < 1e-6 && (seven.data()[0], seven.data()[48]) == (0.0, 3.0));
        assert_eq!(resized(isa, &map, [1, 1]).unwrap().data(), [1.5]);
    }
    let told = |map: &Tensor, size| resized(Isa::detect(), map, size).unwrap_err().to_string();
    assert_eq!(told(&map, [0, 3]), "dimension: expected at least 1, got 0");
    assert_eq!(told(&Tensor::zeros(&[4]).unwrap(), [2, 2]), "map: expected 2 dimensions, got [4]");
}

/// The memory of a first image serves the next, an error between them or not.
#[test]
fn what_cannot_be_explained_is_refused() {
    let model = smooth();
    let new = |layer: &str| GradCam::new(&model, layer, Options::new(1)).map(|_| ()).unwrap_err().to_string();
    assert_eq!(new("blocks"), "layer: no layer is named \"blocks\"; the nearest is \"block\"");
    assert_eq!(new("flatten"), "layer \"flatten\": map of the layer: expected 3 dimensions, got [30]");
    let mut cam = GradCam::new(&model, "block", Options::new(1)).unwrap();
    let image = numbers(96);
    let map = cam.run(&image, 1).unwrap();
    let mut told = |image: &[f32], class| cam.run(image, class).unwrap_err().to_string();
    assert_eq!(told(&image, 4), "class: expected at most 3, got 4");
    assert_eq!(told(&image[1..], 1), "samples: expected 96 elements, got 95");
    assert_eq!(told(&[&image[..], &image].concat(), 1), "samples: expected 96 elements, got 192");
    let mut broken = image.clone();
    broken[3] = f32::NAN;
    assert_eq!(told(&broken, 1), "input of sample 0: expected finite numbers, got NaN at index 3");
    assert_eq!(cam.run(&image, 1).unwrap(), map);
    let short = &mut [0.0; 8];
    let error = GradCam::with_arena(&model, "block", Options::new(1), short).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::ArenaTooSmall { .. }), "{error}");

    let net = GraphBuilder::new();
    let x = net.input([6, 6, 1]).conv2d(3, 3).named("first");
    let side = x.conv2d(2, 1).named("side");
    let flat = net.build(&[x.flatten().dense(2)], 1).unwrap();
    let error = GradCam::new(&flat, "side", Options::new(1)).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "layer \"side\": value: expected one that the output depends on, got another");
    let maps = net.build(&[side], 1).unwrap();
    let error = GradCam::new(&maps, "first", Options::new(1)).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "scores of classes: expected 1 dimensions, got [4, 4, 2]");

    let told = |layer: &str, filter, image: &mut [f32]| {
        Ascent::new().run(&model, layer, filter, image).unwrap_err().to_string()
    };
    assert_eq!(told("block", 6, &mut image.clone()), "filter: expected at most 5, got 6");
    assert_eq!(told("block", 5, &mut [0.0; 3]), "image: expected 96 elements, got 3");
    let endless = Ascent::new().rate(f32::INFINITY).run(&model, "block", 1, &mut image.clone()).unwrap_err();
    assert_eq!(endless.to_string(), "rate: expected a finite number, got infinity");
    let mut session = Session::new(&model, Options::new(2)).unwrap();
    let mut told =
        |occlusion: Occlusion, class| occlusion.run(&mut session, &image, class).unwrap_err().to_string();
    assert_eq!(told(Occlusion::new([0, 1]), 0), "patch: expected at least 1, got 0");
    assert_eq!(told(Occlusion::new([9, 1]), 0), "patch: expected at most 8, got 9");
    assert_eq!(told(Occlusion::new([1, 1]).stride([1, 7]), 0), "stride: expected at most 6, got 7");
    assert_eq!(told(Occlusion::new([1, 1]), 4), "class: expected at most 3, got 4");
    let nan = Occlusion::new([1, 1]).value(f32::NAN);
    assert_eq!(told(nan, 0), "value of sample 0: expected finite numbers, got NaN at index 0");
}

/// Noise of the same seed is the same, within its range.
#[test]
fn an_ascent_raises_what_it_is_to_raise() {
    let model = smooth();
    let (mut image, mut same) = ([0.0; 96], [0.0; 96]);
    Ascent::noise(0.4..0.6, 3, &mut image);
    Ascent::noise(0.4..0.6, 3, &mut same);
    assert!(image == same && image.iter().all(|x| (0.4..0.6).contains(x)));
    Ascent::noise(0.4..0.6, 4, &mut same);
    assert_ne!(image, same);
    let means = Ascent::new().steps(20).rate(0.02).run(&model, "inner", 2, &mut image).unwrap();
    assert_eq!(means.len(), 20);
    assert!(means.windows(2).all(|pair| pair[1] > pair[0]), "{means:?}");
}
