//! The model file: what is written is read, and nothing else is.

use bantam::{Aligned, Conv2d, Error, MaxPool2d, Model, ModelFileProblem, Padding, Sequential, Session};

fn model() -> Model<'static> {
    let padded = Padding::Explicit { top: 1, bottom: 0, left: 2, right: 1 };
    let mut model = Sequential::new([5, 6, 2])
        .conv2d_with(3, [3, 2], Conv2d::same().stride(2))
        .named("první")
        .relu()
        .conv2d_with(2, [1, 1], Conv2d::padded(padded))
        .max_pool2d_with(MaxPool2d::new(3).stride(1).padding(Padding::Same))
        .dropout(0.25)
        .flatten()
        .dense(4)
        .softmax()
        .build(3)
        .unwrap();
    model.set_trainable("conv2d", false).unwrap();
    model
}

/// Puts the checksum right.
fn mend(file: &mut [u8]) {
    let words = file[..24].chunks(8).chain(file[32..].chunks(8));
    let sum = words.fold(0xcbf2_9ce4_8422_2325_u64, |sum, word| {
        (sum ^ u64::from_le_bytes(word.try_into().unwrap())).wrapping_mul(0x0000_0100_0000_01b3)
    });
    file[24..32].copy_from_slice(&sum.to_le_bytes());
}

fn problem(bytes: &[u8]) -> ModelFileProblem {
    // At an address that suits, so that only the bytes are judged.
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    let aligned = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()];
    aligned.copy_from_slice(bytes);
    match Model::from_bytes(aligned) {
        Err(Error::ModelFile { problem }) => problem,
        other => panic!("expected a problem, got {other:?}"),
    }
}

#[test]
fn what_is_written_is_read() {
    let model = model();
    let bytes = model.to_bytes().unwrap();
    let read = Model::from_bytes(&bytes).unwrap();
    assert_eq!(read, model);
    assert!(!read.layer("conv2d").unwrap().is_trainable());
    // In place: the weights that are read lie inside the file.
    let weights = read.layers()[0].parameters()[0].values().as_ptr_range();
    let file = bytes.as_ptr_range();
    assert!(file.start <= weights.start.cast() && weights.end.cast() <= file.end);
    assert_eq!((weights.start as usize - file.start as usize) % 64, 0);

    let image: Vec<f32> = (0..60).map(|i| i as f32 / 60.0).collect();
    let run = |model: &Model<'_>| -> Vec<u32> {
        let mut session = Session::new(model, 1, bantam::Isa::detect()).unwrap();
        session.run(&image).unwrap().iter().map(|y| y.to_bits()).collect()
    };
    assert_eq!(run(&read), run(&model));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = model().to_bytes().unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            problem(&damaged);
        }
    }
}

#[test]
fn every_cut_is_noticed() {
    let bytes = model().to_bytes().unwrap();
    for len in 0..bytes.len() {
        let expected = if len == 0 {
            ModelFileProblem::Empty
        } else if len < 8 {
            ModelFileProblem::Foreign
        } else {
            let expected = if len < 64 { 64 } else { bytes.len() as u64 };
            ModelFileProblem::Length { expected, got: len as u64 }
        };
        assert_eq!(problem(&bytes[..len]), expected);
    }
    let mut longer = bytes.clone();
    longer.extend([0; 64]);
    let (expected, got) = (bytes.len() as u64, longer.len() as u64);
    assert_eq!(problem(&longer), ModelFileProblem::Length { expected, got });
}

/// A flash that was written in part reads as ones from there on.
#[test]
fn a_file_that_was_flashed_in_part_is_noticed() {
    let bytes = model().to_bytes().unwrap();
    for len in (0..bytes.len()).step_by(4) {
        let mut flash = bytes.clone();
        flash[len..].fill(0xff);
        match problem(&flash) {
            ModelFileProblem::Foreign => assert!(len < 8),
            ModelFileProblem::Version { .. } => assert_eq!(len, 8),
            ModelFileProblem::Length { got, .. } => assert!(len < 24 && got == bytes.len() as u64),
            ModelFileProblem::Checksum { .. } => assert!(len >= 24),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn foreign_and_newer_files_are_named() {
    assert_eq!(
        problem(b"\x89PNG\r\n\x1a\n and more of a picture than a header has, much more of it"),
        ModelFileProblem::Foreign
    );
    let mut newer = model().to_bytes().unwrap();
    newer[8] = 2;
    assert_eq!(problem(&newer), ModelFileProblem::Version { expected: 1, got: 2 });
    let message = Error::from(problem(&newer)).to_string();
    assert_eq!(message, "model file: expected version 1, found 2");
}

#[test]
fn an_odd_address_is_refused() {
    let bytes = model().to_bytes().unwrap();
    let mut words = vec![0u64; bytes.len() / 8 + 1];
    let shifted = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut words)[1..=bytes.len()];
    shifted.copy_from_slice(&bytes);
    let Err(Error::Layer { cause, .. }) = Model::from_bytes(shifted) else { panic!("it was read") };
    assert_eq!(*cause, Error::ModelFile { problem: ModelFileProblem::Misaligned { expected: 4 } });
}

#[test]
fn included_bytes_are_aligned() {
    static FILE: &[u8] = bantam::include_aligned!("golden/mnist_step.f32");
    assert_eq!(FILE.as_ptr() as usize % 64, 0);
    assert_eq!(align_of::<Aligned<u8>>(), 64);
}

#[cfg(feature = "std")]
#[test]
fn saving_replaces_a_file_as_a_whole() {
    let folder = std::env::temp_dir().join(format!("bantam-model-file-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("model.bantam");
    let model = model();
    model.save(&path).unwrap();
    model.save(&path).unwrap();
    assert_eq!(Model::load(&path).unwrap(), model);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "a temporary file was left");
    std::fs::remove_dir_all(&folder).unwrap();

    let missing = Model::load(&path).unwrap_err();
    assert!(missing.to_string().contains("model.bantam"), "{missing}");
    assert!(matches!(model.save(folder.join("no/model.bantam")), Err(Error::File { .. })));
}

/// A megabyte of layers, each with another name: refused before they are compared with each other.
#[test]
fn a_file_of_a_hundred_thousand_layers_is_refused_at_once() {
    let layers = 100_000;
    let mut file = Sequential::new([4]).relu().build(1).unwrap().to_bytes().unwrap();
    let mut table = file[64..64 + 5].to_vec(); // rank and one dimension
    for i in 0..layers {
        let name = format!("{i:06}");
        table.extend([1, name.len() as u8, 0]);
        table.extend(name.bytes());
        table.push(5); // ReLU
    }
    file.truncate(64);
    file[12..16].copy_from_slice(&(table.len() as u32).to_le_bytes());
    file.extend(&table);
    file.resize(file.len().next_multiple_of(64), 0);
    let len = file.len() as u64;
    file[16..24].copy_from_slice(&len.to_le_bytes());
    mend(&mut file);
    let start = std::time::Instant::now();
    assert_eq!(Model::from_bytes(&file), Err(Error::TooManyLayers { max: 4096, got: layers }));
    assert!(start.elapsed().as_secs_f32() < 0.5, "{:?}", start.elapsed());
}

#[test]
fn an_empty_file_is_told_to_be_empty() {
    assert_eq!(
        Model::from_bytes(&[]).unwrap_err().to_string(),
        "model file: expected a model, found no bytes"
    );
}
