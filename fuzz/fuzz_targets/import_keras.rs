//! No file makes the importer of Keras's models panic, or take more memory than the file gives reason to; and weights that do
//! not fit leave a model as it was.
#![no_main]

use bantam::Sequential;
use bantam_tools::import::ImportOptions;
use bantam_tools::import::keras::{Which, read, read_resumed, read_weights};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(import) = read(bytes.to_vec(), &ImportOptions::new().input_size(6, 6)) {
        let _ = (import.report.to_string(), import.report.to_json());
        import.model.to_bytes().expect("what was imported can be written");
    }
    if let Ok(resumed) = read_resumed(bytes.to_vec(), &ImportOptions::new().input_size(6, 6)) {
        let _ = (resumed.optimizer.rate(), resumed.import.report.to_string());
    }
    let net = Sequential::new([6, 6, 2]).conv2d(3, 3).named("stem").batch_normalization().named("bn");
    let mut model = net.flatten().dense(3).named("top_3").build(1).expect("a net of a few numbers");
    let before = model.clone();
    for which in [Which::All, Which::OfBoth] {
        if read_weights(&mut model, bytes.to_vec(), which).is_err() {
            assert_eq!(model, before);
        }
        model = before.clone();
    }
});
