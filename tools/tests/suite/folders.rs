//! What is in a folder, in which order, and what is read of it.

use crate::made::{folder, picture, save};
use bantam::{Augmentation, ChannelOrder, Dataset, Metadata, Scaling};
use bantam_tools::images::{ClassMode, Color, FolderError, ImageFolder, ImageSet};
use std::fs;
use tempfile::TempDir;

const CATS_AND_DOGS: [&str; 10] = [
    "cats/1.png",
    "cats/10.png",
    "cats/2.png",
    "cats/more/3.PNG",
    "cats/older/4.png",
    "dogs/1.png",
    "dogs/2.png",
    "dogs/3.png",
    "dogs/4.png",
    "dogs/5.png",
]; // fmt: skip

fn open(folder: &TempDir) -> ImageFolder {
    ImageFolder::new(folder.path()).target_size(4, 6).threads(2)
}

/// The red of an image, which says which it is, and its target.
fn read(set: &ImageSet, index: usize) -> (f32, Vec<f32>) {
    let mut pixels = vec![f32::NAN; set.input_shape().elements()];
    let mut target = vec![f32::NAN; set.target_len()];
    set.read(index, &mut pixels, &mut target).unwrap();
    assert!(pixels.iter().all(|x| x.is_finite()));
    (pixels[0], target)
}

fn all(set: &ImageSet, order: &[usize]) -> Vec<f32> {
    order.iter().map(|&index| read(set, index).0).collect()
}

#[test]
fn classes_and_files_are_sorted_as_text() {
    let made = folder(&[
        "b/1.png",
        "a2/1.png",
        "a10/2.png",
        "a10/10.png",
        "Z/x.png",
        ".git/1.png",
        "A/c/1.png",
        "A/b.png",
    ]);
    fs::write(made.path().join("notes.txt"), "no class").unwrap();
    fs::write(made.path().join("b/notes.txt"), "no image").unwrap();
    let set = open(&made).open().unwrap();
    assert_eq!(set.class_names(), ["A", "Z", "a10", "a2", "b"]);
    let paths: Vec<_> =
        (0..set.len()).map(|i| set.path(i).strip_prefix(made.path()).unwrap().to_str().unwrap()).collect();
    assert_eq!(paths, ["A/b.png", "A/c/1.png", "Z/x.png", "a10/10.png", "a10/2.png", "a2/1.png", "b/1.png"]);
    assert_eq!((0..set.len()).map(|i| set.class(i)).collect::<Vec<_>>(), [0, 0, 1, 2, 2, 3, 4]);
    // 7 images of 5 classes.
    assert_eq!(set.class_weights(), [0.7, 1.4, 0.7, 1.4, 1.4]);
    assert_eq!(all(&set, &[0, 1, 2, 3, 4, 5, 6]), [7.0, 6.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
}

/// In its own order of channels, and scaled in that order.
#[test]
fn images_are_prepared_as_a_model_tells() {
    let made = folder(&["a/1.png", "b/1.png"]);
    let scaling = [1.0, 2.0, 3.0].map(|scale| Scaling { scale, offset: -scale }).into();
    let metadata = Metadata { scaling, channel_order: ChannelOrder::Bgr, ..Metadata::default() };
    let prepared = open(&made).prepared_for(&metadata).open().unwrap();
    let (set, mut want) = (open(&made).open().unwrap(), vec![0.0; 4 * 6 * 3]);
    set.read(0, &mut want, &mut [0.0]).unwrap();
    metadata.scale(&mut want);
    let mut got = vec![0.0; want.len()];
    prepared.read(0, &mut got, &mut [0.0]).unwrap();
    assert_eq!(got, want);
    // The last pixel is red 0, green 5 · 7, blue 3 · 5.
    assert_eq!(got[got.len() - 3..], [15.0 - 1.0, 2.0 * (35.0 - 1.0), 3.0 * (0.0 - 1.0)]);
    let grey = open(&made).color(Color::Grey).prepared_for(&Metadata { scaling: vec![], ..metadata }).open();
    let text = "channels of BGR: expected three, got 1";
    assert!(grey.is_err_and(|error| error.to_string().contains(text)));
}

#[test]
fn targets_are_those_of_the_class_mode() {
    let made = folder(&CATS_AND_DOGS);
    for (mode, cat, dog) in [
        (ClassMode::Sparse, vec![0.0], vec![1.0]),
        (ClassMode::Binary, vec![0.0], vec![1.0]),
        (ClassMode::Categorical, vec![1.0, 0.0], vec![0.0, 1.0]),
    ] {
        let set = open(&made).class_mode(mode).open().unwrap();
        assert_eq!((read(&set, 1).1, read(&set, 7).1), (cat, dog), "{mode:?}");
    }
    save(picture(6, 4, 9), &made.path().join("eels/1.png"));
    let refused = open(&made).class_mode(ClassMode::Binary).open();
    assert!(matches!(refused, Err(FolderError::NotBinary { found }) if found == ["cats", "dogs", "eels"]));
}

#[test]
fn levels_are_scaled() {
    let set = open(&folder(&CATS_AND_DOGS)).rescale(1.0 / 255.0).open().unwrap();
    let mut pixels = [0.0; 72];
    // The folder is gone: what cannot be read is said then.
    assert!(set.read(3, &mut pixels, &mut [0.0]).is_err());
    let made = folder(&CATS_AND_DOGS);
    let set = open(&made).rescale(1.0 / 255.0).open().unwrap();
    set.read(3, &mut pixels, &mut [0.0]).unwrap();
    let expected = |x: u8| f32::from(x) * (1.0 / 255.0);
    assert_eq!(pixels[..6], [expected(3), 0.0, 0.0, expected(3), expected(7), 0.0]);
}

#[test]
fn any_order_on_any_number_of_threads_has_the_same_bits() {
    let made = folder(&CATS_AND_DOGS);
    let augmentation = Augmentation::image_data_generator().rotation(40.0).zoom(0.2).horizontal_flip();
    let orders = [[3, 1, 9, 0, 2, 4, 5, 8, 7, 6], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]];
    let epochs = |threads, ahead| {
        let set = open(&made).augment(augmentation.clone()).threads(threads).ahead(ahead).open().unwrap();
        let mut seen = Vec::new();
        for (order, seed) in orders.iter().zip([1, 2]) {
            set.begin_epoch(order, seed).unwrap();
            let mut pixels = vec![0.0; 72];
            for &index in order {
                set.read(index, &mut pixels, &mut [0.0]).unwrap();
                seen.push(pixels.clone());
            }
        }
        (seen, all(&set, &orders[1]))
    };
    let expected = epochs(1, 1);
    for (threads, ahead) in [(2, 1), (7, 3), (0, 0), (3, 100)] {
        assert!(epochs(threads, ahead) == expected, "{threads} threads, {ahead} ahead");
    }
    // What is no epoch is not changed; what is, is in every epoch another.
    assert_eq!(expected.1, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    assert_ne!(expected.0[0], expected.0[13]);
}

#[test]
fn an_epoch_may_be_left_and_images_read_in_any_order() {
    let made = folder(&CATS_AND_DOGS);
    let set = open(&made).ahead(2).open().unwrap();
    set.begin_epoch(&[5, 6, 7, 8, 9], 1).unwrap();
    assert_eq!(all(&set, &[5, 6]), [5.0, 6.0]);
    assert_eq!(all(&set, &[0, 1, 2, 9, 3, 4, 0, 1]), [0.0, 1.0, 2.0, 9.0, 3.0, 4.0, 0.0, 1.0]);
    set.begin_epoch(&[4, 4, 2], 2).unwrap();
    assert_eq!(all(&set, &[4, 4, 2, 2]), [4.0, 4.0, 2.0, 2.0]);
}

#[test]
fn a_split_parts_each_class() {
    let made = folder(&CATS_AND_DOGS);
    let paths = |set: &ImageSet| (0..set.len()).map(|i| set.path(i).to_path_buf()).collect::<Vec<_>>();
    let split = |seed| {
        let (training, validation) = open(&made).validation_split(0.4, seed).unwrap();
        for (set, of_each) in [(&training, 3), (&validation, 2)] {
            for class in 0..2 {
                assert_eq!((0..set.len()).filter(|&i| set.class(i) == class).count(), of_each);
            }
            assert!(paths(set).is_sorted());
        }
        (paths(&training), paths(&validation))
    };
    let (training, validation) = split(1);
    assert_eq!(split(1), (training.clone(), validation.clone()));
    let mut all = [&training[..], &validation].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), CATS_AND_DOGS.len());
    assert!((2..20).any(|seed| split(seed).1 != validation));
    let refused = open(&made).validation_split(0.05, 1).unwrap_err().to_string();
    let expected =
        "class \"cats\": expected images for both parts, found 5, of which 0.05 would leave one empty";
    assert_eq!(refused, expected);
    for share in [0.0, 1.0, -1.0, f64::NAN] {
        assert!(
            matches!(open(&made).validation_split(share, 1), Err(FolderError::OutOfRange { .. })),
            "{share}"
        );
    }
}

#[test]
fn the_validation_set_of_a_split_is_not_augmented() {
    let made = folder(&CATS_AND_DOGS);
    let augmentation = Augmentation::image_data_generator().brightness(2.0..=3.0);
    let (training, validation) = open(&made).augment(augmentation).validation_split(0.4, 1).unwrap();
    let order: Vec<usize> = (0..4).collect();
    let plain = [all(&training, &order), all(&validation, &order)];
    training.begin_epoch(&order, 1).unwrap();
    validation.begin_epoch(&order, 1).unwrap();
    let epoch = [all(&training, &order), all(&validation, &order)];
    assert!(plain[0].iter().zip(&epoch[0]).any(|(plain, changed)| plain != changed));
    assert_eq!(plain[1], epoch[1]);
}

#[test]
fn what_crops_is_no_augmentation_of_a_folder() {
    let refused = open(&folder(&CATS_AND_DOGS)).augment(Augmentation::layers().crop([2, 2])).open();
    assert!(matches!(refused, Err(FolderError::Crop)));
}
