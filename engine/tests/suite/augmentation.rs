//! Augmentation beside Keras's, and the data set that augments.
//!
//! `golden/keras_augmentation.py` made the file, and says where Keras is not followed.

use bantam::{
    Augmentation, Augmented, Dataset, Error, Fill, Interpolation, Isa, Loss, Samples, Sequential, Sgd,
    Spread, Tensor, Trainer, Transform,
};
use safetensors::SafeTensors;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

const SIZES: [[usize; 3]; 4] = [[6, 6, 1], [7, 7, 3], [5, 9, 3], [8, 5, 4]];
const FILLS: [Fill; 4] = [Fill::Nearest, Fill::Constant(7.0), Fill::Reflect, Fill::Wrap];

struct Keras(SafeTensors<'static>);

impl Keras {
    fn new() -> Keras {
        let file = include_bytes!("../golden/keras_augmentation.safetensors");
        Keras(SafeTensors::deserialize(file).unwrap())
    }

    fn find(&self, name: &str) -> Option<Vec<f32>> {
        let view = self.0.tensor(name).ok()?;
        Some(view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    fn array(&self, name: &str) -> Vec<f32> {
        self.find(name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// The names behind a prefix.
    fn names(&self, prefix: &str) -> Vec<String> {
        self.0.names().iter().filter_map(|name| Some(name.strip_prefix(prefix)?.to_string())).collect()
    }
}

fn convention(name: &str) -> Augmentation {
    match name {
        "generator" => Augmentation::image_data_generator(),
        _ => Augmentation::layers(),
    }
}

fn fixed(number: f32) -> Spread {
    (number..=number).into()
}

fn applied(augmentation: &Augmentation, drawn: &Transform, shape: [usize; 3], image: &[f32]) -> Vec<f32> {
    let mut output = vec![f32::NAN; augmentation.output_shape(shape).unwrap().iter().product()];
    augmentation.transform(drawn, shape, image, &mut output).unwrap();
    output
}

#[test]
fn maps_are_those_of_keras() {
    let keras = Keras::new();
    let mut largest = BTreeMap::new();
    for name in ["generator", "layers"] {
        let maps = keras.names(&format!("6x6x1/{name}/"));
        let maps = maps.iter().filter(|map| keras.array(&format!("{name}/{map}")).len() == 10);
        assert!(maps.clone().count() > 10);
        for (map, [height, width, channels]) in maps.flat_map(|map| SIZES.map(|size| (map, size))) {
            let how = keras.array(&format!("{name}/{map}"));
            let [rotation, down, right, shear, shear_y, shear_x, zoom_y, zoom_x, flip_y, flip_x] = how[..]
            else {
                panic!()
            };
            let of_layers = name == "layers";
            let (turn, still) = if of_layers { (360.0, 1.0) } else { (1.0, 0.0) };
            let augmentation = convention(name)
                .rotation(fixed(rotation / turn))
                .height_shift(fixed(down))
                .width_shift(fixed(right))
                .shear(fixed(shear))
                .shear_y(fixed(shear_y))
                .shear_x(fixed(shear_x))
                .zoom_height(fixed(zoom_y - still))
                .zoom_width(fixed(zoom_x - still));
            let shape = [height, width, channels];
            let size = format!("{height}x{width}x{channels}");
            let drawn = augmentation.draw(1, shape).unwrap();
            let drawn = Transform { flip: [flip_y != 0.0, flip_x != 0.0], ..drawn };
            let image = keras.array(&format!("{size}/input"));
            let expected = keras.array(&format!("{size}/{name}/{map}"));
            let modes = [Interpolation::Bilinear, Interpolation::Nearest];
            let modes = modes.into_iter().flat_map(|interpolation| FILLS.map(|fill| (interpolation, fill)));
            for ((interpolation, fill), expected) in modes.zip(expected.chunks_exact(image.len())) {
                for isa in Isa::available() {
                    let augmentation = augmentation.clone().interpolation(interpolation).fill(fill).isa(isa);
                    let got = applied(&augmentation, &drawn, shape, &image);
                    // Sixteen roundings of how far the map leads, and the steepest slope of two axes.
                    let far = (height.max(width) as f32) * 2.0 * (1.0 + down.abs().max(right.abs()));
                    let bound = match interpolation {
                        Interpolation::Nearest => 0.0,
                        Interpolation::Bilinear => 16.0 * far * f32::EPSILON / 2.0 * 2.0 * 255.0,
                    };
                    let most: &mut f32 = largest.entry((name, map.clone())).or_default();
                    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
                        let difference = (got - expected).abs();
                        assert!(
                            difference <= bound,
                            "{name}/{map} {size} {interpolation:?} {fill:?} on {isa} at {i}: {got}, {expected}"
                        );
                        *most = most.max(difference);
                    }
                }
            }
        }
    }
    for ((name, map), largest) in largest {
        println!("{name} {map}: {largest:.1e} of 255");
    }
}

/// Outputs of a case by its parameters, beside Keras's.
fn compare(name: &str, rounded_down: bool, change: impl Fn(Augmentation, f32) -> Augmentation) {
    let keras = Keras::new();
    let (by, _) = name.split_once('/').unwrap();
    let mut largest = 0f32;
    for shape in SIZES {
        let size = shape.map(|size| size.to_string()).join("x");
        let image = keras.array(&format!("{size}/input"));
        let Some(expected) = keras.find(&format!("{size}/{name}")) else { continue };
        for (number, expected) in keras.array(name).iter().zip(expected.chunks_exact(image.len())) {
            let augmentation = change(convention(by), *number);
            let mut got = vec![f32::NAN; image.len()];
            augmentation.apply(1, shape, &image, &mut got).unwrap();
            for (got, expected) in got.iter().zip(expected) {
                let got = if rounded_down { (got + 1e-3).floor() } else { *got };
                assert!((got - expected).abs() <= 1e-4, "{name} of {number} for {size}: {got}, {expected}");
                largest = largest.max((got - expected).abs());
            }
        }
    }
    println!("{name}: {largest:.1e} of 255");
}

#[test]
fn values_are_those_of_keras() {
    // Pillow's images are whole numbers.
    compare("generator/brightness", true, |augmentation, by| augmentation.brightness(by..=by));
    compare("generator/channel_shift", false, |augmentation, by| augmentation.channel_shift(by..=by));
    compare("layers/brightness", false, |augmentation, by| augmentation.brightness(by..=by));
    compare("layers/contrast", false, |augmentation, by| augmentation.contrast(by - 1.0..=by - 1.0));
}

#[test]
fn crops_are_those_of_keras() {
    let keras = Keras::new();
    for shape in SIZES {
        let size = shape.map(|size| size.to_string()).join("x");
        let (image, crops) =
            (keras.array(&format!("{size}/input")), keras.array(&format!("{size}/layers/crop")));
        let places = keras.array("layers/crop");
        let augmentation = Augmentation::layers().crop([4, 3]);
        for (place, expected) in places.chunks_exact(2).zip(crops.chunks_exact(4 * 3 * shape[2])) {
            let drawn = augmentation.draw(1, shape).unwrap();
            let drawn = Transform { crop: [place[0] as usize, place[1] as usize], ..drawn };
            assert_eq!(applied(&augmentation, &drawn, shape, &image), expected);
        }
    }
}

fn ramp(len: usize) -> Vec<f32> {
    (0..len).map(|x| x as f32 + 1.0).collect()
}

/// One row under a shift to the right.
fn row(augmentation: Augmentation, len: usize, right: f32) -> Vec<f32> {
    let mut moved = vec![f32::NAN; len];
    augmentation.width_shift_pixels(fixed(right)).apply(1, [1, len, 1], &ramp(len), &mut moved).unwrap();
    moved
}

/// Where Keras does otherwise.
#[test]
fn maps_are_right() {
    let layers = Augmentation::layers;
    assert_eq!(row(layers().fill(Fill::Wrap), 8, 8.0), ramp(8));
    assert_eq!(row(layers().fill(Fill::Wrap), 8, -8.0), ramp(8));
    assert_eq!(row(layers().fill(Fill::Wrap), 8, 0.5), [4.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]);
    assert_eq!(row(layers(), 8, 2.5), [2.5, 1.5, 1.0, 1.5, 2.5, 3.5, 4.5, 5.5]);
    assert_eq!(row(layers().fill(Fill::Constant(0.0)), 4, 0.5), [0.5, 1.5, 2.5, 3.5]);
    let generator = Augmentation::image_data_generator;
    assert_eq!(row(generator().fill(Fill::Constant(0.0)), 4, 0.5), [0.0, 1.5, 2.5, 3.5]);
    assert_eq!(row(generator(), 4, 9.0), [1.0; 4]);

    // Half a turn about the centre of an image that is no square, with and without a fill to see.
    let image = ramp(48 * 96);
    let backwards: Vec<f32> = image.iter().rev().copied().collect();
    for fill in FILLS {
        let mut turned = vec![f32::NAN; image.len()];
        let augmentation = generator().rotation(fixed(180.0)).fill(fill);
        augmentation.apply(1, [48, 96, 1], &image, &mut turned).unwrap();
        assert_eq!(turned, backwards, "{fill:?}");
    }

    // The middle row of a sheared image stays.
    let mut dots = [0.0; 33 * 33];
    (0..33).for_each(|y| dots[y * 33 + 16] = 1.0);
    let mut sheared = [f32::NAN; 33 * 33];
    let augmentation = layers().shear_x(fixed(0.5)).fill(Fill::Constant(0.0));
    augmentation.apply(1, [33, 33, 1], &dots, &mut sheared).unwrap();
    let column = |y: usize| sheared[y * 33..][..33].iter().position(|&x| x == 1.0);
    assert_eq!([0, 16, 32].map(column), [Some(24), Some(16), Some(8)]);

    // A dot goes to the right and down.
    let mut dot = [0.0; 5 * 7];
    dot[7 + 2] = 1.0;
    let mut moved = [f32::NAN; 5 * 7];
    generator()
        .width_shift(fixed(3.0 / 7.0))
        .height_shift_pixels(fixed(1.0))
        .apply(1, [5, 7, 1], &dot, &mut moved)
        .unwrap();
    assert!((moved[2 * 7 + 5] - 1.0).abs() < 1e-5, "{moved:?}");
}

#[test]
fn values_stay_in_their_range() {
    let image = [0.0, 0.25, 0.5, 1.0];
    let by = |augmentation: Augmentation| {
        let mut got = [f32::NAN; 4];
        augmentation.value_range(0.0, 1.0).apply(1, [2, 2, 1], &image, &mut got).unwrap();
        got
    };
    assert_eq!(by(Augmentation::image_data_generator().brightness(fixed(2.0))), [0.0, 0.5, 1.0, 1.0]);
    assert_eq!(by(Augmentation::layers().brightness(fixed(0.5))), [0.5, 0.75, 1.0, 1.0]);
    assert_eq!(by(Augmentation::layers().brightness(fixed(-0.25))), [0.0, 0.0, 0.25, 0.75]);
    assert_eq!(by(Augmentation::layers().channel_shift(fixed(0.5))), [0.5, 0.75, 1.0, 1.0]);
    assert_eq!(by(Augmentation::layers().contrast(fixed(-1.0))), [0.4375; 4]);
    // What is not finite is not hidden.
    let mut got = [0.0; 2];
    let all = Augmentation::layers().channel_shift(fixed(0.5)).brightness(fixed(0.5)).contrast(fixed(0.5));
    all.apply(1, [1, 1, 2], &[f32::NAN; 2], &mut got).unwrap();
    assert!(got.iter().all(|x| x.is_nan()));
}

#[test]
fn a_rectangle_is_cut_out() {
    let augmentation = Augmentation::layers().cutout([3, 2], -1.0);
    let image = ramp(5 * 6 * 2);
    let mut middles = [[0; 6]; 5];
    for seed in 0..400 {
        let drawn = augmentation.draw(seed, [5, 6, 2]).unwrap();
        let [y, x] = drawn.cutout;
        middles[y][x] += 1;
        let got = applied(&augmentation, &drawn, [5, 6, 2], &image);
        for (i, (got, whole)) in got.iter().zip(&image).enumerate() {
            let (row, column) = (i / 12, i / 2 % 6);
            let cut = (row + 1 >= y && row <= y + 1) && (column + 1 >= x && column <= x);
            assert_eq!(*got, if cut { -1.0 } else { *whole }, "[{row}, {column}] about [{y}, {x}]");
        }
    }
    assert!(middles.as_flattened().iter().all(|&count| count > 0), "{middles:?}");
}

#[test]
fn numbers_are_drawn_evenly_from_their_ranges() {
    let shape = [20, 40, 3];
    let all = Augmentation::image_data_generator()
        .rotation(20.0)
        .width_shift(0.1)
        .height_shift_pixels(2.0)
        .zoom(0.8..=1.2)
        .shear_x(0.1..=0.3)
        .horizontal_flip()
        .vertical_flip()
        .crop([19, 37])
        .channel_shift(10.0)
        .brightness(0.5..=1.5)
        .contrast(0.25);
    let draws: Vec<Transform> = (0..4000).map(|seed| all.draw(seed, shape).unwrap()).collect();
    let even = |what: &str, least: f32, most: f32, number: &dyn Fn(&Transform) -> f32| {
        let numbers: Vec<f32> = draws.iter().map(number).collect();
        assert!(numbers.iter().all(|number| (least..=most).contains(number)), "{what}");
        let mean = numbers.iter().sum::<f32>() / numbers.len() as f32;
        // A mean of 4000 is within four of its own deviations of a 219th of the range.
        assert!((mean - (least + most) / 2.0).abs() < 4.0 * (most - least) / 219.0, "{what}: {mean}");
        let quarter = numbers.iter().filter(|&&number| number < least + (most - least) / 4.0).count();
        assert!((890..1110).contains(&quarter), "{what}: {quarter} in the first quarter");
    };
    even("rotation", -20.0, 20.0, &|t| t.rotation);
    even("width shift", -4.0, 4.0, &|t| t.shift[1]);
    even("height shift", -2.0, 2.0, &|t| t.shift[0]);
    even("vertical zoom", 0.8, 1.2, &|t| t.zoom[0]);
    even("horizontal zoom", 0.8, 1.2, &|t| t.zoom[1]);
    even("shear", 0.1, 0.3, &|t| t.shear[1]);
    even("channel shift", -10.0, 10.0, &|t| t.channel_shift);
    even("brightness", 0.5, 1.5, &|t| t.brightness);
    even("contrast", 0.75, 1.25, &|t| t.contrast);
    for axis in 0..2 {
        let flipped = draws.iter().filter(|t| t.flip[axis]).count();
        assert!((1870..2130).contains(&flipped), "{flipped} flips");
    }
    for (axis, places) in [2, 4].into_iter().enumerate() {
        for place in 0..places {
            let found = draws.iter().filter(|t| t.crop[axis] == place).count();
            assert!(found.abs_diff(4000 / places) < 130, "{found} crops at {place}");
        }
    }
    assert!(draws.iter().any(|t| (t.zoom[0] - t.zoom[1]).abs() > 0.3));
    // One zoom for both axes, unless they are named.
    let layers = Augmentation::layers().zoom(-0.5..=0.25);
    let apart = layers.clone().zoom_width(0.1);
    for seed in 0..100 {
        let [zoom, of_both] = [&apart, &layers].map(|layers| layers.draw(seed, shape).unwrap().zoom);
        assert!(of_both[0] == of_both[1] && (0.5..=1.25).contains(&of_both[0]));
        assert!(zoom[0] == of_both[0] && (0.9..=1.1).contains(&zoom[1]));
    }
    // What else is named changes no number.
    let alone = Augmentation::image_data_generator().contrast(0.25).draw(5, shape).unwrap();
    assert_eq!(alone.contrast, draws[5].contrast);
}

#[test]
fn bad_arguments_are_refused() {
    let generator = Augmentation::image_data_generator;
    let shape = [4, 5, 3];
    let refused = |augmentation: Augmentation| augmentation.output_shape(shape).unwrap_err().to_string();
    for (augmentation, what) in [
        (generator().rotation(f32::NAN), "rotation: expected finite numbers, got NaN"),
        (
            generator().rotation(2.0..=1.0),
            "rotation: expected a range that ends where it begins or above, got 1",
        ),
        (generator().width_shift(f32::INFINITY), "shift: expected finite numbers, got -infinity"),
        (generator().shear(90.0), "shear: expected angles of less than 90 degrees, got -90"),
        (generator().zoom(1.0), "zoom: expected factors above 0, got 0"),
        (generator().brightness(-0.5..=1.0), "brightness: expected factors of at least 0, got -0.5"),
        (generator().contrast(1.5), "contrast: expected factors of at least 0, got -0.5"),
        (
            generator().value_range(1.0, 0.0),
            "range of values: expected a range that ends where it begins or above, got 0",
        ),
        (generator().fill(Fill::Constant(f32::NAN)), "fill: expected a finite number, got NaN"),
        (generator().cutout([1, 1], f32::INFINITY), "fill: expected a finite number, got infinity"),
        (generator().crop([4, 6]), "crop: expected at most 5, got 6"),
        (generator().crop([0, 5]), "crop: expected at least 1, got 0"),
    ] {
        assert_eq!(refused(augmentation), what);
    }
    let mut output = [7.0; 60];
    let image = [1.0; 60];
    let far = generator().width_shift_pixels(fixed(1e9)).apply(1, shape, &image, &mut output).unwrap_err();
    assert!(far.to_string().starts_with("distance of the map: expected at most 2097152, got"), "{far}");
    assert!(generator().apply(1, shape, &image[1..], &mut output).is_err());
    assert!(generator().crop([2, 2]).apply(1, shape, &image, &mut output).is_err());
    assert!(generator().apply(1, [4, 0, 3], &[], &mut []).is_err());
    assert_eq!(output, [7.0; 60]);
    let flat = Samples::new(Tensor::zeros(&[2, 4]).unwrap(), Tensor::zeros(&[2, 1]).unwrap()).unwrap();
    assert!(matches!(Augmented::new(flat, generator()), Err(Error::Rank { expected: 3, .. })));
}

/// Images of two kinds, of five rows and four columns.
fn images(count: usize) -> Samples {
    let pixels = (0..count * 20).map(|i| ((i * 37 + i / 20 * 11) % 101) as f32 / 101.0).collect();
    let labels = (0..count).map(|i| (i % 2) as f32).collect();
    Samples::new(Tensor::new(&[count, 5, 4, 1], pixels).unwrap(), Tensor::new(&[count, 1], labels).unwrap())
        .unwrap()
}

fn everything() -> Augmentation {
    let generator =
        Augmentation::image_data_generator().rotation(20.0).width_shift(0.2).shear(10.0).zoom(0.2);
    generator
        .horizontal_flip()
        .crop([4, 4])
        .brightness(0.2)
        .contrast(0.2)
        .value_range(0.0, 1.0)
        .cutout([2, 2], 0.5)
}

#[test]
fn a_sample_depends_on_its_number_and_the_epoch() {
    let train = Augmented::new(images(9), everything()).unwrap();
    assert_eq!(train.input_shape().dims(), [4, 4, 1]);
    let read = |epoch: u64, order: &[usize]| {
        train.begin_epoch(order, epoch).unwrap();
        let mut all = vec![[f32::NAN; 16]; 9];
        for &index in order {
            train.read(index, &mut all[index], &mut [0.0]).unwrap();
        }
        all
    };
    let first = read(1, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(first, read(1, &[8, 3, 1, 0, 2, 7, 6, 5, 4]));
    let second = read(2, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(first.iter().zip(&second).all(|(first, second)| first != second));
    // Seeds of neighbours have nothing in common.
    let mut seeds: Vec<u64> =
        (0..64).flat_map(|epoch| (0..64).map(move |index| Augmentation::sample_seed(epoch, index))).collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 64 * 64);
}

#[test]
fn training_has_the_same_bits_on_any_number_of_threads() {
    let (data, validation) = (images(70), images(8));
    let train = Augmented::new(&data, everything()).unwrap();
    let whole = Augmented::new(validation, Augmentation::layers().crop([4, 4])).unwrap();
    let trained = |threads: usize| {
        let mut model = Sequential::new([4, 4, 1]).conv2d(3, 3).relu().flatten().dense(2).build(1).unwrap();
        let mut trainer =
            Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy).epochs(3).batch_size(35).threads(threads);
        let history =
            trainer.fit(&mut model, &train, Some(&whole), &mut |_| ControlFlow::Continue(())).unwrap();
        (model.to_bytes().unwrap(), history)
    };
    let one = trained(1);
    for threads in [2, 7] {
        assert!(trained(threads) == one, "{threads} threads");
    }
}

/// Notes what it is told and how often it is read.
struct Noting {
    data: Samples,
    epochs: RefCell<Vec<(Vec<usize>, u64)>>,
    read: RefCell<Vec<usize>>,
}

impl Noting {
    fn new(count: usize) -> Noting {
        Noting { data: images(count), epochs: RefCell::default(), read: RefCell::default() }
    }
}

impl Dataset for Noting {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn input_shape(&self) -> bantam::Shape {
        self.data.input_shape()
    }

    fn target_len(&self) -> usize {
        self.data.target_len()
    }

    fn begin_epoch(&self, order: &[usize], seed: u64) -> Result<(), Error> {
        self.epochs.borrow_mut().push((order.to_vec(), seed));
        Ok(())
    }

    fn read(&self, index: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
        self.read.borrow_mut().push(index);
        self.data.read(index, input, target)
    }
}

#[test]
fn a_data_set_is_told_the_order_of_each_epoch() {
    let (train, validation) = (Noting::new(20), Noting::new(6));
    let mut model = Sequential::new([5, 4, 1]).flatten().dense(2).build(1).unwrap();
    let mut trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy).epochs(2).batch_size(8);
    for _ in 0..2 {
        trainer.fit(&mut model, &train, Some(&validation), &mut |_| ControlFlow::Continue(())).unwrap();
    }
    trainer.evaluate(&model, &train).unwrap();
    let epochs = train.epochs.borrow();
    let told: Vec<usize> = epochs.iter().flat_map(|(order, _)| order.clone()).chain(0..20).collect();
    assert_eq!(*train.read.borrow(), told);
    assert_eq!(epochs.len(), 4);
    let mut seeds: Vec<u64> = epochs.iter().map(|&(_, seed)| seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 4);
    assert_eq!(validation.read.borrow().len(), 4 * 6);
    assert!(validation.epochs.borrow().is_empty());
    // Another trainer of that seed says the same, and not one of another seed.
    let said = |seed: u64| {
        let train = Noting::new(20);
        let mut model = Sequential::new([5, 4, 1]).flatten().dense(2).build(1).unwrap();
        let mut trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy).epochs(4).seed(seed);
        trainer.fit(&mut model, &train, None, &mut |_| ControlFlow::Continue(())).unwrap();
        train.epochs.into_inner()
    };
    assert_eq!(said(3), said(3));
    assert_ne!(said(3)[0].1, said(4)[0].1);
}
