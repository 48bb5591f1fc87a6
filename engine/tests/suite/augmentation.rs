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
