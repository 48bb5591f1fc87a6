//! Weights of PyTorch, beside what its nets give with them.

use ::safetensors::SafeTensors;
use bantam::{
    BatchNormalization, Conv2d, Conv2dTranspose, DepthwiseConv1d, DepthwiseConv2d, Model, Options, Padding,
    Prelu, Sequential, Session,
};
use bantam_tools::import::keras::Which;
use bantam_tools::import::safetensors::{Map, load_weights, read_weights};
use bantam_tools::import::{Cause, ImportOptions, import};
use std::fs;
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/torch").join(name)
}

/// What PyTorch calls it in `torch_weights.py`, unless another name is told.
fn net(stem: &str) -> Model<'static> {
    let normalization = BatchNormalization::new().epsilon(1e-5);
    let around = Padding::Explicit { top: 1, bottom: 1, left: 1, right: 1 };
    let net = Sequential::new([5, 4, 3]).conv2d_with(6, [3, 3], Conv2d::padded(around).no_bias()).named(stem);
    let net = net.layer(normalization).named(&format!("{stem}_bn")).relu();
    let net = net.depthwise_conv2d_with([3, 3], DepthwiseConv2d::padded(around).stride(2).multiplier(2));
    let net = net.named("depthwise").conv2d_with(8, [1, 1], Conv2d::valid().groups(2)).named("grouped");
    let net = net.layer(Prelu::new().shared_axes([1, 2])).named("slope");
    let net = net.conv2d_transpose_with(5, [2, 2], Conv2dTranspose::valid().stride(2)).named("up");
    let net =
        net.flatten().layer(normalization).named("flat_bn").dropout(0.5).dense(7).named("hidden").relu();
    net.dense(4).named("out").build(1).unwrap()
}

fn series() -> Model<'static> {
    let net = Sequential::new([7, 2]).conv1d(6, 3).named("body.0").relu();
    let net = net.depthwise_conv1d_with(2, DepthwiseConv1d::valid()).named("body.2");
    let net = net.layer(BatchNormalization::new().epsilon(1e-5)).named("body/3").flatten();
    net.dense(3).named("head.fc").build(1).unwrap()
}

/// `[N, C, …]` as `[N, …, C]`.
fn channels_last(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let (channels, pixels) = (shape[1], shape[2..].iter().product::<usize>());
    let samples = values.chunks(channels * pixels);
    samples
        .flat_map(|sample| (0..sample.len()).map(|i| sample[i % channels * pixels + i / channels]))
        .collect()
}

/// Asserts that a model gives what PyTorch gave: sums are of 120 products or fewer, six of them behind each other.
fn equals(model: &Model<'_>, name: &str) {
    let bytes = fs::read(golden("recorded.safetensors")).unwrap();
    let recorded = SafeTensors::deserialize(&bytes).unwrap();
    let array = |which: &str| {
        let tensor = recorded.tensor(&format!("{name}/{which}")).unwrap();
        let values: Vec<f32> = tensor.data().as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect();
        (tensor.shape().to_vec(), values)
    };
    let ((shape, input), (_, output)) = (array("input"), array("output"));
    let mut session = Session::new(model, Options::new(shape[0])).unwrap();
    let given = session.run(&channels_last(&input, &shape)).unwrap();
    let largest = given.iter().zip(&output).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let scale = output.iter().fold(1.0f32, |most, x| most.max(x.abs()));
    assert!(largest <= 6.0 * 11.0 * f32::EPSILON * scale, "{name}: {largest:e}");
    assert!(output.iter().any(|x| x.abs() > 0.1), "{name}: nothing to compare");
}

#[test]
fn nets_called_as_in_pytorch_need_no_map() {
    for file in ["net", "net_f16", "net_bf16"] {
        let mut model = net("stem");
        let loaded =
            load_weights(&mut model, golden(&format!("{file}.safetensors")), &Map::default(), Which::All)
                .unwrap();
        assert_eq!(loaded.loaded.len(), 9, "{loaded:?}");
        equals(&model, file);
    }
    let mut model = series();
    load_weights(&mut model, golden("series.safetensors"), &Map::default(), Which::All).unwrap();
    equals(&model, "series");
}

#[test]
fn a_map_tells_other_names() {
    let map =
        Map::parse(br#"{"block1_{n}": "stem{n}", "block1": "stem", "*_bn": "*_bn", "block1_bn": "stem_bn"}"#);
    let error =
        load_weights(&mut net("block1"), golden("net.safetensors"), &map.unwrap(), Which::All).unwrap_err();
    // The first key that fits counts, and one that fits nothing is told.
    let error = error.to_string();
    for part in [
        "block1_bn/gamma: the file has no block1_bn.weight; the nearest is stem_bn.weight",
        "\"block1_{n}\" of the map: expected a layer or an array of the model, found none",
        "stem_bn.running_var: the file has it, the model has not",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains("num_batches_tracked"), "{error}");
    let map = Map::parse(br#"{"block1": "stem", "block1_bn": "stem_bn"}"#).unwrap();
    let mut model = net("block1");
    load_weights(&mut model, golden("net.safetensors"), &map, Which::All).unwrap();
    equals(&model, "net");
}

#[test]
fn all_that_does_not_fit_is_told_at_once() {
    let file = golden("net.safetensors");
    let mut model = Sequential::new([5, 5, 3])
        .conv2d(6, 5)
        .named("stem")
        .flatten()
        .dense(7)
        .named("hiden")
        .build(1)
        .unwrap();
    let before = model.clone();
    let error = load_weights(&mut model, &file, &Map::default(), Which::OfBoth).unwrap_err().to_string();
    for part in [
        "stem/kernel, stem.weight: expected [6, 3, 5, 5], got [6, 3, 3, 3]",
        "stem/bias: the file has no stem/bias and no stem.bias",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = load_weights(&mut model, &file, &Map::default(), Which::All).unwrap_err().to_string();
    for part in [
        "hiden/kernel: the file has no hiden/kernel and no hiden.weight; the nearest is hidden.weight",
        "out.weight: the file has it, the model has not",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(model, before);
    // What is not learnt elsewhere stays.
    let mut model = Sequential::new([7]).dense(4).named("out").dense(2).named("mine").build(1).unwrap();
    let mine = model.weights("mine").unwrap().to_vec();
    let loaded = load_weights(&mut model, &file, &Map::default(), Which::OfBoth).unwrap();
    assert_eq!((&loaded.loaded[..], &loaded.missing[..]), (&["out".into()][..], &["mine".into()][..]));
    assert!(loaded.extra.contains(&"hidden.weight".to_string()));
    assert_eq!(model.weights("mine").unwrap(), mine);
    let alone = import(&file, &ImportOptions::new()).unwrap_err().to_string();
    assert!(alone.contains("weights without a model (.safetensors)") && alone.contains("--into"), "{alone}");
}

/// A file of one tensor, as its header says it.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn read(bytes: &[u8]) -> Result<Model<'static>, Cause> {
    let mut model = Sequential::new([2]).dense(1).named("fc").build(1).unwrap();
    let map = Map::parse(br#"{"fc/bias": null}"#)?;
    read_weights(&mut model, bytes, &map, Which::All).map(|_| model)
}

#[test]
fn damaged_and_hostile_files_are_errors() {
    let data: Vec<u8> = [0.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let whole = file(r#"{"fc.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#, &data);
    assert_eq!(read(&whole).unwrap().weights("fc").unwrap()[0].values(), [0.5, -2.0]);
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err(), "{end}");
    }
    for at in 0..whole.len() - data.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let _ = read(&bytes);
    }
    for (header, data) in [
        // More than there is, in several ways.
        (r#"{"fc.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,80]}}"#, &data[..]),
        (r#"{"fc.weight":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#, &data),
        (r#"{"fc.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[8,0]}}"#, &data),
        (r#"{"fc.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,18446744073709551615]}}"#, &data),
        // Bytes that are nobody's.
        (r#"{"fc.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}"#, &data),
        (r#"{"fc.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]}}"#, &data),
        (r#"{"fc.weight":{"dtype":"F99","shape":[1,2],"data_offsets":[0,8]}}"#, &data),
        (r#"{"fc.weight":[1,2]}"#, &data),
        ("[]", &[]),
        ("{", &[]),
    ] {
        let error = read(&file(header, data)).unwrap_err();
        assert!(matches!(error, Cause::Damaged { .. }), "{header}: {error}");
    }
    let mut longer = file("{}", &[]);
    longer[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(read(&longer).is_err());
    let whole_numbers = file(r#"{"fc.weight":{"dtype":"I32","shape":[1,2],"data_offsets":[0,8]}}"#, &data);
    let error = read(&whole_numbers).unwrap_err().to_string();
    assert!(error.contains("fc/kernel: expected floating-point numbers, got I32"), "{error}");
    // Numbers that begin anywhere.
    let odd = file(r#"{"fc.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}} "#, &data);
    assert_eq!(read(&odd).unwrap(), read(&whole).unwrap());
}
