//! No file of weights, and no map, makes their reader panic; and what does not fit leaves a model as it was.
#![no_main]

use bantam::Sequential;
use bantam_tools::import::keras::Which;
use bantam_tools::import::safetensors::{Map, read_weights};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let net = Sequential::new([7, 2]).conv1d(6, 3).named("body.0").relu().depthwise_conv1d(2).named("body.2");
    let net = net.batch_normalization().named("body.3").flatten().dense(3).named("head.fc");
    let mut model = net.build(1).expect("a net of a few numbers");
    let before = model.clone();
    // The same bytes are a map, as far as they are one.
    let map = Map::parse(bytes).unwrap_or_default();
    for which in [Which::All, Which::OfBoth] {
        if read_weights(&mut model, bytes, &map, which).is_err() {
            assert_eq!(model, before);
        }
        model = before.clone();
    }
    let _ = map.tensors_of("body.2", "kernel");
});
