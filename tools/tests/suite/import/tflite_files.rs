//! Files of TensorFlow Lite that are cut, broken or hostile.

use super::onnx::each;
use super::tflite::CASES;
use bantam_tools::import::tflite::from_bytes;
use bantam_tools::import::{Cause, Format, ImportOptions};

fn file(name: &str) -> Vec<u8> {
    let mut found = Vec::new();
    each(CASES, name, |case| {
        if case.name == name {
            found = case.model.clone();
        }
    });
    assert!(!found.is_empty(), "{name}");
    found
}

fn problem(file: Vec<u8>) -> Cause {
    from_bytes(file, &ImportOptions::new()).map(|_| ()).unwrap_err()
}

#[test]
fn the_format_is_found_by_its_identifier() {
    assert_eq!(Format::of(&file("operator/conv_valid")[..16]).unwrap(), Format::TfLite);
}

#[test]
fn a_file_that_is_cut_anywhere_is_an_error() {
    // Not where buffers are behind the tables: the last is the converter's own, which is not read.
    for name in ["operator/conv_valid", "operator/reshape_by_shape", "operator/depthwise_dilated"] {
        let whole = file(name);
        for len in 0..whole.len() {
            let error = problem(whole[..len].to_vec());
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn a_cut_is_told_with_its_place() {
    let whole = file("operator/conv_valid");
    let Cause::Damaged { offset, .. } = problem(whole[..whole.len() / 2].to_vec()) else {
        panic!("expected damage");
    };
    assert!(offset.is_some_and(|offset| offset < whole.len() as u64), "{offset:?}");
}

#[test]
fn no_flipped_byte_makes_it_panic() {
    for name in [
        "operator/conv_valid",
        "operator/depthwise_dilated",
        "operator/slices",
        "operator/transposed_same",
        "operator/dense_of_rows",
        "operator/pad_reflecting",
        "file/float16",
        "file/weights_behind_the_tables",
    ] {
        let mut file = file(name);
        for at in 0..file.len() {
            for flip in [1, 0x80, 0xff] {
                file[at] ^= flip;
                let _ = from_bytes(file.clone(), &ImportOptions::new());
                file[at] ^= flip;
            }
        }
    }
}

/// The buffer that the weights are in says where they are, behind the tables, and how many bytes they have.
#[test]
fn weights_behind_the_tables_are_in_the_file() {
    let whole = file("file/weights_behind_the_tables");
    let len = whole.len() as u64;
    // Their places are the only numbers of eight bytes that lead into the last part of the file.
    let mut told = Vec::new();
    for at in 0..whole.len() - 8 {
        let mut broken = whole.clone();
        let number = u64::from_le_bytes(whole[at..at + 8].try_into().unwrap());
        if number <= 1 || number >= len {
            continue;
        }
        broken[at..at + 8].copy_from_slice(&len.to_le_bytes());
        if let Err(error) = from_bytes(broken, &ImportOptions::new())
            && error.to_string().contains(&format!("bytes from {len} on in a file of {len}"))
        {
            told.push(at);
        }
    }
    assert!(!told.is_empty());
}
