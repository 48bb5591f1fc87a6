//! The file: protocol buffers, whose weights are written one by one behind what describes them.

use super::array::{Array, Data};
use crate::export::Cause;
use crate::export::sink::Sink;
use crate::import::onnx::proto::{GraphProto, ModelProto, StringStringEntryProto, TensorProto};
use prost::Message;
use prost::encoding::{WireType, encode_key};
use std::path::{Path, PathBuf};

/// Numbers of a field that is bytes or a message.
const GRAPH: u32 = 7;
const INITIALIZER: u32 = 5;
const RAW_DATA: u32 = 9;

/// Of ONNX's types of elements.
const FLOAT: i32 = 1;
const INT64: i32 = 7;

/// A message has 2 GB at most: of more, weights go to a file beside. That much is left to what describes them.
pub const MOST: u64 = (1 << 31) - (64 << 20);

/// Arrays that are smaller stay in the model's file: some of them are shapes, which its reader needs to know.
const LEAST_OUTSIDE: usize = 1024;

/// Where arrays begin in a file of their own, so that they can be mapped.
const ALIGNMENT: u64 = 4096;

/// Writes a model, whose graph has no initialisers yet. If the arrays have more than `most` bytes, they go to `PATH.data`.
pub fn write(
    model: &ModelProto,
    graph: &GraphProto,
    arrays: &[Array<'_>],
    path: &Path,
    most: u64,
) -> Result<(), Cause> {
    let total: u64 = arrays.iter().map(|array| array.len() as u64).sum();
    let beside = (total > most).then(|| {
        let mut name = path.as_os_str().to_owned();
        name.push(".data");
        PathBuf::from(name)
    });
    let mut heads = Vec::with_capacity(arrays.len());
    let mut data = match &beside {
        Some(beside) => {
            Some((Sink::create(beside)?, beside.file_name().unwrap_or_default().to_string_lossy()))
        }
        None => None,
    };
    for array in arrays {
        let mut head = head(array);
        if let Some((sink, name)) = data.as_mut().filter(|_| array.len() >= LEAST_OUTSIDE) {
            let padding = sink.len().next_multiple_of(ALIGNMENT) - sink.len();
            sink.write(&vec![0; padding as usize])?;
            let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
            head.external_data = vec![
                entry("location", name.to_string()),
                entry("offset", sink.len().to_string()),
                entry("length", array.len().to_string()),
            ];
            head.data_location = 1;
            array.bytes(&mut |bytes| sink.write(bytes))?;
        }
        heads.push(head);
    }

    let mut file = Sink::create(path)?;
    file.write(&model.encode_to_vec())?;
    let initializers: Vec<Vec<u8>> =
        arrays.iter().zip(&heads).map(|(array, head)| initializer(array, head)).collect();
    let graph = graph.encode_to_vec();
    let inside =
        |(array, head): (&Array<'_>, &TensorProto)| if head.data_location == 0 { array.len() } else { 0 };
    let raw: usize = arrays.iter().zip(&heads).map(inside).sum();
    let described: usize = initializers.iter().map(Vec::len).sum();
    file.write(&key(GRAPH, graph.len() + described + raw))?;
    file.write(&graph)?;
    for ((array, head), initializer) in arrays.iter().zip(&heads).zip(&initializers) {
        file.write(initializer)?;
        if head.data_location == 0 {
            array.bytes(&mut |bytes| file.write(bytes))?;
        }
    }
    if let Some((data, _)) = data {
        data.commit()?;
    }
    Ok(file.commit()?)
}

fn head(array: &Array<'_>) -> TensorProto {
    TensorProto {
        name: array.name.clone(),
        dims: array.dims.iter().map(|&dim| dim as i64).collect(),
        data_type: match array.data {
            Data::Floats(_) => FLOAT,
            Data::Ints(_) => INT64,
        },
        ..TensorProto::default()
    }
}

/// All of an initialiser but its bytes, which come last.
fn initializer(array: &Array<'_>, head: &TensorProto) -> Vec<u8> {
    let described = head.encode_to_vec();
    let (raw, len) =
        if head.data_location == 0 { (key(RAW_DATA, array.len()), array.len()) } else { (vec![], 0) };
    [key(INITIALIZER, described.len() + raw.len() + len), described, raw].concat()
}

/// What comes before so many bytes of a field.
fn key(field: u32, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(field, WireType::LengthDelimited, &mut bytes);
    // A vector grows.
    let _ = prost::encode_length_delimiter(len, &mut bytes);
    bytes
}
