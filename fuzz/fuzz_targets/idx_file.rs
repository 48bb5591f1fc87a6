//! No bytes make the reader of IDX files panic or give an array of another size than it states.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mnist::idx;

fuzz_target!(|bytes: &[u8]| {
    for dims in [1, 3] {
        if let Ok(array) = idx::read(bytes, dims) {
            assert_eq!(array.dims.len(), usize::from(dims));
            assert_eq!(array.dims.iter().product::<usize>(), array.data.len());
        }
    }
});
