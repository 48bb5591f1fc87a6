//! Pixels held against those of Pillow and of Keras, which `tests/golden/images.py` wrote.

use bantam_tools::images::{AspectRatio, Color, ImageLoader, Resampling};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

/// Largest difference, and which share differs at all.
#[derive(Default)]
struct Differences {
    values: usize,
    differing: usize,
    largest: f32,
}

impl Differences {
    fn add(&mut self, ours: &[f32], theirs: &[f32]) {
        assert_eq!(ours.len(), theirs.len());
        for (a, b) in ours.iter().zip(theirs) {
            self.values += 1;
            self.differing += usize::from(a != b);
            self.largest = self.largest.max((a - b).abs());
        }
    }
}

fn numbers(tensor: &safetensors::tensor::TensorView<'_>) -> Vec<f32> {
    match tensor.dtype() {
        safetensors::Dtype::U8 => tensor.data().iter().map(|&level| f32::from(level)).collect(),
        _ => tensor.data().chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect(),
    }
}

fn write(tensor: &safetensors::tensor::TensorView<'_>, path: &Path) -> Color {
    let [height, width, channels] = *tensor.shape() else { panic!("{:?}", tensor.shape()) };
    let (pixels, size) = (tensor.data().to_vec(), (width as u32, height as u32));
    if channels == 1 {
        image::GrayImage::from_raw(size.0, size.1, pixels).unwrap().save(path).unwrap();
        Color::Grey
    } else {
        image::RgbImage::from_raw(size.0, size.1, pixels).unwrap().save(path).unwrap();
        Color::Rgb
    }
}

#[test]
fn pixels_are_those_of_pillow_and_keras() {
    let file = SafeTensors::deserialize(include_bytes!("../golden/images.safetensors")).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("picture.png");
    let mut found: BTreeMap<String, Differences> = BTreeMap::new();
    for (name, theirs) in file.tensors() {
        let mut parts = name.split('/');
        let (case, how, interpolation) = (parts.next().unwrap(), parts.next().unwrap(), parts.next());
        let Some(interpolation) = interpolation else { continue };
        let color = write(&file.tensor(&format!("{case}/in")).unwrap(), &path);
        let [height, width, _] = *theirs.shape() else { panic!() };
        let aspect_ratio = match how {
            "load_img_crop" | "keras_crop" => AspectRatio::Crop,
            "keras_pad" => AspectRatio::Pad(7),
            _ => AspectRatio::Stretch,
        };
        let loader = ImageLoader::new()
            .target_size(height, width)
            .color(color)
            .aspect_ratio(aspect_ratio)
            .antialias(!how.starts_with("keras"))
            .interpolation(match interpolation {
                "nearest" => Resampling::Nearest,
                "bilinear" => Resampling::Bilinear,
                _ => Resampling::Bicubic,
            });
        let mut ours = vec![0.0; loader.shape().unwrap().elements()];
        loader.load(&path, &mut ours).unwrap();
        found.entry(format!("{how}, {interpolation}")).or_default().add(&ours, &numbers(&theirs));
    }
    assert_eq!(found.len(), 12);
    for (how, Differences { values, differing, largest }) in &found {
        let share = 100.0 * *differing as f32 / *values as f32;
        println!("| {how} | {values} | {share:.2} % | {largest:.1e} |");
    }
    for (how, Differences { values, differing, largest }) in found {
        let share = differing as f32 / values as f32;
        match how.as_str() {
            "pillow, nearest" | "load_img_crop, nearest" => assert_eq!(largest, 0.0, "{how}"),
            // Positions and weights of `f32`, of 255 levels.
            "keras_stretch, bilinear" | "keras_crop, bilinear" | "keras_pad, bilinear" => {
                assert!(largest < 1e-3, "{how}: {largest}");
            }
            // TensorFlow takes weights from a table of 1024 positions between two pixels.
            _ if how.starts_with("keras") => assert!(largest < 255.0 / 1024.0, "{how}: {largest}"),
            // Weights of 15 bits in place of 22, some of them: a sum comes to lie on the other side of a half.
            _ => assert!(largest <= 1.0 && share < 0.05, "{how}: {largest}, {share}"),
        }
    }
}
