//! Files of features: as in memory, and refused where they are of something else or damaged.

use crate::made::folder;
use bantam::{Dataset, Features, Model, Options, Samples, Sequential, Tensor};
use bantam_tools::features::{FeatureError, FeatureFile, checksum};
use bantam_tools::images::ImageFolder;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const IMAGES: usize = 11;

fn images(odd: f32) -> Samples {
    let mut pixels: Vec<f32> = (0..IMAGES * 36).map(|i| (i * i % 17) as f32 / 16.0).collect();
    pixels[36 * 7] = odd;
    let targets = (0..IMAGES * 2).map(|i| (i % 3) as f32).collect();
    let images = Tensor::new(&[IMAGES, 6, 6, 1], pixels).unwrap();
    let images = Samples::new(images, Tensor::new(&[IMAGES, 2], targets).unwrap()).unwrap();
    images.weighted((0..IMAGES).map(|i| i as f32 / 2.0).collect()).unwrap()
}

fn base(seed: u64) -> Model<'static> {
    Sequential::new([6, 6, 1]).conv2d(3, 3).relu().max_pool2d(2).build(seed).unwrap()
}

fn write(path: &Path, base: &Model<'_>, images: &Samples) -> Result<(), FeatureError> {
    FeatureFile::write(path, base, images, checksum(images).unwrap(), Options::new(4), &mut |_| {})
}

fn open(path: &Path, base: &Model<'_>, images: &Samples) -> Result<FeatureFile, FeatureError> {
    FeatureFile::open(path, base, checksum(images).unwrap())
}

fn sample(data: &dyn Dataset, index: usize) -> Result<(Vec<f32>, Vec<f32>, f32), bantam::Error> {
    let mut sample = (vec![0.0; data.input_shape().elements()], vec![0.0; data.target_len()], 0.0);
    data.read(index, &mut sample.0, &mut sample.1)?;
    sample.2 = data.weight(index);
    Ok(sample)
}

/// A folder, and a file of features in it.
fn written() -> (TempDir, PathBuf, Model<'static>, Samples) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("images.features");
    let (base, images) = (base(1), images(0.0));
    write(&path, &base, &images).unwrap();
    (folder, path, base, images)
}

#[test]
fn a_file_has_the_bits_that_memory_has() {
    let (folder, path, mut base, images) = written();
    let features = Features::new(&base, &images, Options::new(64)).unwrap().collect(&mut |_| {}).unwrap();
    base.set_all_trainable(false);
    let file = open(&path, &base, &images).unwrap();
    assert_eq!((file.len(), file.input_shape()), (IMAGES, base.output_shape()));
    // The weight of a sample that was not read before is its own.
    assert_eq!(file.weight(5), 2.5);
    for index in [3, 0, 10, 4, 3, 2, 1, 5, 6, 7, 8, 9] {
        assert_eq!(sample(&file, index).unwrap(), sample(&features, index).unwrap());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
}

#[test]
fn a_file_of_another_base_or_other_data_is_stale() {
    let (_folder, path, base1, images0) = written();
    let stale = |base: &Model<'_>, images: &Samples| open(&path, base, images).unwrap_err().to_string();
    let of = |what: &str| format!("expected the features of this {what}, found those of another");
    assert!(stale(&base(2), &images0).ends_with(&of("base")));
    assert!(stale(&base1, &images(1.0)).ends_with(&of("data set")));
    assert!(stale(&base1, &images(1.0)).starts_with(&path.display().to_string()));
    let targets = Tensor::zeros(&[IMAGES, 2]).unwrap();
    let others = Samples::new(Tensor::zeros(&[IMAGES, 6, 6, 1]).unwrap(), targets).unwrap();
    assert!(matches!(open(&path, &base1, &others), Err(FeatureError::Stale { of: "data set", .. })));
    write(&path, &base(2), &images0).unwrap();
    open(&path, &base(2), &images0).unwrap();
}

#[test]
fn images_of_a_folder_are_told_apart_by_their_files() {
    let folder = folder(&["a/1.png", "a/2.png", "b/3.png"]);
    let sum = |size: usize| {
        ImageFolder::new(folder.path()).target_size(size, size).open().unwrap().checksum().unwrap()
    };
    let before = sum(8);
    assert_eq!(sum(8), before);
    assert_ne!(sum(9), before);
    fs::copy(folder.path().join("a/1.png"), folder.path().join("a/2.png")).unwrap();
    let same_twice = sum(8);
    assert_ne!(same_twice, before);
    fs::rename(folder.path().join("a/2.png"), folder.path().join("b/2.png")).unwrap();
    assert_ne!(sum(8), same_twice);
}

#[test]
fn damage_is_an_error_wherever_it_is() {
    let (_folder, path, base, images) = written();
    let good = fs::read(&path).unwrap();
    let read_all = || -> Result<(), String> {
        let file = open(&path, &base, &images).map_err(|error| error.to_string())?;
        (0..IMAGES).try_for_each(|index| sample(&file, index).map(|_| ()).map_err(|error| error.to_string()))
    };
    read_all().unwrap();
    // A byte of each word of the header and of each record.
    for at in (0..128).step_by(4).chain((128..good.len()).step_by(29)) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        let error = read_all().unwrap_err();
        assert!(error.contains("images.features"), "byte {at}: {error}");
    }
    for len in [0, 1, 127, 128, good.len() - 1] {
        fs::write(&path, &good[..len]).unwrap();
        assert!(matches!(open(&path, &base, &images), Err(FeatureError::Broken { .. })), "{len} bytes");
    }
    fs::write(&path, [&good[..], &[0]].concat()).unwrap();
    assert!(open(&path, &base, &images).unwrap_err().to_string().contains("bytes by its header, found"));

    // Two whole records in each other's place.
    let record = (good.len() - 128) / IMAGES;
    let [first, second] = [0, 1].map(|index| &good[128 + index * record..][..record]);
    fs::write(&path, [&good[..128], second, first, &good[128 + 2 * record..]].concat()).unwrap();
    let file = open(&path, &base, &images).unwrap();
    let error = sample(&file, 0).unwrap_err().to_string();
    assert!(error.contains("sample 0") && error.contains("checksum"), "{error}");
    sample(&file, 2).unwrap();

    fs::remove_file(&path).unwrap();
    assert!(matches!(open(&path, &base, &images), Err(FeatureError::Unreadable { .. })));
}

#[test]
fn sizes_that_a_header_claims_are_held_against_the_files_length() {
    let (_folder, path, base, images) = written();
    let good = fs::read(&path).unwrap();
    // Dimensions, numbers of a target, samples: huge, so that products overflow, or none.
    for at in [12, 16, 24, 32, 56, 64] {
        for claimed in [0, u64::MAX, 1 << 61, 1 << 40] {
            let mut bytes = good.clone();
            let width = if at == 12 { 4 } else { 8 };
            bytes[at..][..width].copy_from_slice(&claimed.to_le_bytes()[..width]);
            let sum = xxhash_rust::xxh3::xxh3_64(&bytes[..120]);
            bytes[120..128].copy_from_slice(&sum.to_le_bytes());
            fs::write(&path, &bytes).unwrap();
            let opened = open(&path, &base, &images);
            assert!(matches!(opened, Err(FeatureError::Broken { .. })), "{claimed} at {at}: {opened:?}");
        }
    }
}

#[test]
fn what_cannot_be_computed_leaves_the_old_file() {
    let (folder, path, base, good) = written();
    let error = write(&path, &base, &images(f32::NAN)).unwrap_err().to_string();
    assert!(error.contains("sample 7"), "{error}");
    open(&path, &base, &good).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
    let nowhere = folder.path().join("none/images.features");
    assert!(write(&nowhere, &base, &good).unwrap_err().to_string().contains("cannot make a file"));
}

/// The test below, in a process that may write no file of more than a few blocks.
const IN_LITTLE_ROOM: &str = "BANTAM_TEST_IN_LITTLE_ROOM";

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_leaves_the_old_file() {
    let test = "features::a_full_disk_is_an_error_and_leaves_the_old_file";
    let Some(path) = std::env::var_os(IN_LITTLE_ROOM).map(PathBuf::from) else {
        let (folder, path, base, images) = written();
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" --exact \"$1\""]);
        command.arg(std::env::current_exe().unwrap()).arg(test).env(IN_LITTLE_ROOM, &path);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        open(&path, &base, &images).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
        return;
    };
    let error = write(&path, &base(2), &images(0.0)).unwrap_err().to_string();
    assert!(error.contains("images.features") && error.contains("File too large"), "{error}");
}
