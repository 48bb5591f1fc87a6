//! What a model's file says beside the net.

use bantam::{ChannelOrder, Error, Metadata, Model, ModelFileProblem, Scaling, Sequential};

fn metadata() -> Metadata {
    let scaling = |scale, offset| Scaling { scale, offset };
    Metadata {
        class_names: vec!["café".into(), String::new(), "z".repeat(70_000)],
        scaling: vec![scaling(1.0 / 127.5, -1.0), scaling(0.25, 0.0), scaling(-2.0, 3.5)],
        channel_order: ChannelOrder::Rgb,
        notes: vec![("license".into(), "CC0".into()), (String::new(), String::new())],
    }
}

fn model() -> Model<'static> {
    Sequential::new([2, 2, 3]).flatten().dense(3).build(1).unwrap()
}

#[test]
fn what_is_set_is_read() {
    let mut model = model();
    assert_eq!(model.metadata(), Ok(Metadata::default()));
    let bare = model.to_bytes().unwrap();
    let scaling_for_all = vec![metadata().scaling[0]];
    for metadata in [
        metadata(),
        Metadata { scaling: scaling_for_all, ..metadata() },
        Metadata { class_names: Vec::new(), notes: Vec::new(), ..metadata() },
        Metadata { channel_order: ChannelOrder::Bgr, ..metadata() },
    ] {
        model.set_metadata(&metadata).unwrap();
        assert_eq!(model.metadata().unwrap(), metadata);
        let bytes = model.to_bytes().unwrap();
        let read = Model::from_bytes(&bytes).unwrap();
        assert_eq!(read, model);
        assert_eq!(read.metadata().unwrap(), metadata);
        let tapped = read.tap(&["flatten"]).unwrap();
        assert_eq!(tapped.into_owned().metadata().unwrap(), metadata);
    }
    model.set_metadata(&Metadata::default()).unwrap();
    assert_eq!(model.to_bytes().unwrap(), bare);
}

#[test]
fn pixels_are_scaled_by_their_channels() {
    let mut pixels = [255.0, 4.0, 1.0, 0.0, 8.0, 2.0];
    metadata().scale(&mut pixels);
    assert_eq!(pixels, [1.0, 1.0, 1.5, -1.0, 2.0, -0.5]);
    Metadata::default().scale(&mut pixels);
    assert_eq!(pixels, [1.0, 1.0, 1.5, -1.0, 2.0, -0.5]);
    Metadata { scaling: vec![Scaling { scale: 2.0, offset: 1.0 }], ..metadata() }.scale(&mut pixels[..2]);
    assert_eq!(pixels[..3], [3.0, 3.0, 1.5]);
}

#[test]
fn blue_comes_first_where_a_model_takes_it_so() {
    let (mut pixels, bgr) = ([255.0, 4.0, 1.0, 0.0, 8.0, 2.0], ChannelOrder::Bgr);
    Metadata { channel_order: bgr, ..Metadata::default() }.scale(&mut pixels);
    assert_eq!(pixels, [1.0, 4.0, 255.0, 2.0, 8.0, 0.0]);
    // The scalings are those of blue, green and red.
    Metadata { channel_order: bgr, ..metadata() }.scale(&mut pixels);
    assert_eq!(pixels, [1.0, 1.0, 1.5, -1.0, 2.0, -0.5]);
    let grey = Metadata { channel_order: bgr, ..Metadata::default() };
    let error = Sequential::new([2, 2, 1]).flatten().build(1).unwrap().set_metadata(&grey).unwrap_err();
    assert_eq!(error.to_string(), "channels of a model that takes BGR: expected 3 elements, got 1");
}

#[test]
fn scaling_that_does_not_fit_is_refused() {
    let mut model = model();
    model.set_metadata(&metadata()).unwrap();
    let mut refused = |scaling: Vec<Scaling>| {
        let error = model.set_metadata(&Metadata { scaling, ..Metadata::default() }).unwrap_err();
        assert_eq!(model.metadata().unwrap(), metadata(), "it is as it was");
        error.to_string()
    };
    let one = Scaling { scale: 1.0, offset: 0.0 };
    assert_eq!(refused(vec![one; 2]), "scaling of channels: expected 3 elements, got 2");
    let nan = Scaling { offset: f32::NAN, ..one };
    assert_eq!(refused(vec![nan]), "scaling: expected finite numbers, got NaN");
}

/// A model whose metadata are these bytes, which its file holds as they are.
fn with_bytes<R>(bytes: &[u8], read: impl FnOnce(&Model<'_>) -> R) -> R {
    let mut model = Sequential::new([3]).softmax().build(1).unwrap();
    // One note of as many bytes makes room for them behind its length.
    let notes = vec![(String::new(), "n".repeat(bytes.len() - 20))];
    model.set_metadata(&Metadata { notes, ..Metadata::default() }).unwrap();
    let file = model.to_bytes().unwrap();
    let mut words = vec![0u64; file.len() / 8];
    let copy = bytemuck::cast_slice_mut::<u64, u8>(&mut words);
    copy.copy_from_slice(&file);
    let table = 64 + u32::from_le_bytes(copy[12..16].try_into().unwrap()) as usize;
    copy[table - bytes.len()..table].copy_from_slice(bytes);
    crate::common::mend(copy);
    read(&Model::from_bytes(copy).unwrap())
}

#[test]
fn bad_bytes_are_an_error_when_they_are_read() {
    let written = |metadata: &Metadata| {
        let mut model = Sequential::new([3]).softmax().build(1).unwrap();
        model.set_metadata(metadata).unwrap();
        let file = model.to_bytes().unwrap();
        let table = 64 + u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
        let bare = Sequential::new([3]).softmax().build(1).unwrap().to_bytes().unwrap();
        let start = 64 + u32::from_le_bytes(bare[12..16].try_into().unwrap()) as usize;
        file[start..table].to_vec()
    };
    let metadata = Metadata { class_names: vec!["cat".into(), "dog".into()], ..metadata() };
    let whole = written(&metadata);
    assert_eq!(with_bytes(&whole, |model| model.metadata()).as_ref(), Ok(&metadata));
    for len in 20..whole.len() {
        let error = with_bytes(&whole[..len], |model| model.metadata()).unwrap_err();
        assert!(matches!(error, Error::ModelFile { problem: ModelFileProblem::CutShort { .. } }), "{error}");
    }
    let told = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        with_bytes(&bytes, |model| model.metadata()).unwrap_err().to_string()
    };
    let longer = told(&|bytes| bytes.extend([0; 5]));
    assert_eq!(longer, "model file: bytes after the metadata: expected 0, found 4");
    // A file says nothing of RGB, as those that were written before there was anything else.
    let order = |byte: u8| with_bytes(&[&whole[..], &[byte]].concat(), |model| model.metadata());
    assert_eq!(order(1), Ok(Metadata { channel_order: ChannelOrder::Bgr, ..metadata.clone() }));
    assert_eq!(order(2).unwrap_err().to_string(), "model file: its channel order makes no sense");
    // Lengths of four billion claim no memory.
    let huge = u32::MAX.to_le_bytes();
    let mut names = written(&Metadata { class_names: metadata.class_names.clone(), ..Metadata::default() });
    names[..4].copy_from_slice(&huge);
    let names = with_bytes(&names, |model| model.metadata()).unwrap_err().to_string();
    assert_eq!(names, "model file: class name: expected 4 bytes, found 0");
    let rest = whole.len() - 8;
    let name = told(&|bytes| bytes[4..8].copy_from_slice(&huge));
    assert_eq!(name, format!("model file: class name: expected 4294967295 bytes, found {rest}"));
    let letters = told(&|bytes| bytes[8] = 0xff);
    assert_eq!(letters, "model file: its class name makes no sense");
    let infinite = told(&|bytes| bytes[22..26].copy_from_slice(&f32::INFINITY.to_le_bytes()));
    assert_eq!(infinite, "scaling: expected finite numbers, got infinity");
    for at in 0..whole.len() {
        for byte in [0, 1, 3, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            let _ = with_bytes(&bytes, |model| model.metadata());
        }
    }
}
