//! A model that is used where its file is mapped.

use bantam::{Isa, Model, Options, Plan, Sequential, Session};
use bantam_mapped::{LargePages, MappedFile};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process};

/// A file that goes when the test ends.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Temporary {
        Temporary(env::temp_dir().join(format!("bantam-mapped-{name}-{}", process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn weights_stay_in_the_file_and_an_arena_in_large_pages() {
    let saved = Sequential::new([9, 9, 2]).conv2d(4, 3).relu().flatten().dense(5).build(1).unwrap();
    let path = Temporary::new("model");
    saved.save(&path.0).unwrap();
    // SAFETY: the test's own file.
    let file = unsafe { MappedFile::open(&path.0) }.unwrap();
    let model = Model::from_bytes(&file).unwrap();
    assert_eq!(model, saved);
    let (weights, bytes) = (model.weights("dense").unwrap()[0].values().as_ptr_range(), file.as_ptr_range());
    assert!(bytes.start <= weights.start.cast() && weights.end.cast() <= bytes.end);

    let input = [0.25; 9 * 9 * 2];
    let want = Session::new(&saved, Options::new(1)).unwrap().run(&input).unwrap().to_vec();
    let bytes = bantam::Plan::new(&model, Options::new(1)).unwrap().peak_bytes();
    let mut arena = LargePages::new(bytes).unwrap();
    assert!(arena.len() == bytes && arena.iter().all(|&byte| byte == 0));
    let mut session = Session::with_bytes(&model, Options::new(1), &mut arena).unwrap();
    assert_eq!(session.run(&input).unwrap(), want);
}

/// Of what a session tells while it is made, the pages go at once; the answers stay.
#[test]
fn weights_that_are_packed_are_released() {
    let net = Sequential::new([6, 6, 64]).conv2d(128, 3).relu().depthwise_conv2d(3).global_average_pool2d();
    let saved = net.dense(300).dense(4096).dense(10).build(1).unwrap();
    let path = Temporary::new("released");
    saved.save(&path.0).unwrap();
    // SAFETY: the test's own file.
    let file = unsafe { MappedFile::open(&path.0) }.unwrap();
    let model = Model::from_bytes(&file).unwrap();
    let input = [0.25; 6 * 6 * 64];
    for isa in Isa::available() {
        let options = Options::new(1).isa(isa);
        let want = Session::new(&saved, options).unwrap().run(&input).unwrap().to_vec();
        let mut arena = LargePages::new(Plan::new(&model, options).unwrap().peak_bytes()).unwrap();
        let released = AtomicUsize::new(0);
        let release = |weights: &[f32]| {
            file.release_part(weights).unwrap();
            released.fetch_add(weights.len(), Ordering::Relaxed);
        };
        let mut session = Session::with_bytes_observed(&model, options, &mut arena, release).unwrap();
        assert_eq!(session.run(&input).unwrap(), want);
        // A large dense layer of one sample reads its kernel where it lies.
        let read = if isa == Isa::SCALAR { model.parameter_count() } else { 300 * 4096 };
        assert_eq!(released.into_inner(), model.parameter_count() - read, "{isa}");
    }
    // What is not of the file stays.
    file.release_part(&input).unwrap();
    file.release_part::<f32>(&[]).unwrap();
    assert_eq!(input[0], 0.25);
    assert_eq!(model, saved);
}

/// As `Model::save` replaces it.
#[test]
fn a_file_that_is_replaced_stays_as_it_was_mapped() {
    let path = Temporary::new("replaced");
    let model = |seed| Sequential::new([300]).dense(40).build(seed).unwrap();
    model(1).save(&path.0).unwrap();
    // SAFETY: the test's own file, which is replaced and not written to.
    let file = unsafe { MappedFile::open(&path.0) }.unwrap();
    model(2).save(&path.0).unwrap();
    assert_eq!(Model::from_bytes(&file).unwrap(), model(1));
    assert_eq!(Model::load(&path.0).unwrap(), model(2));
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    // SAFETY: there is none.
    assert!(unsafe { MappedFile::open("no such file") }.is_err());
    let path = Temporary::new("empty");
    fs::write(&path.0, []).unwrap();
    // SAFETY: the test's own file.
    let empty = unsafe { MappedFile::open(&path.0) }.unwrap();
    assert!(Model::from_bytes(&empty).is_err());
}
