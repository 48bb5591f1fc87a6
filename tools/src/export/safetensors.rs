//! Weights in `.safetensors`, by the names of layers and arrays, `conv2d/kernel`, in the order of axes of the engine and of Keras.
//! What the model's file says beside the net is in the metadata.

use super::Cause;
use super::sink::Sink;
use crate::import::keras::owners;
use bantam::{ChannelOrder, Metadata, Model};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Writes the weights.
pub(super) fn write(model: &Model<'_>, path: &Path) -> Result<(), Cause> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), metadata(&model.metadata()?));
    let mut offset = 0;
    for node in owners(model) {
        for parameter in model.parameters_of(node) {
            let end = offset + 4 * parameter.values().len();
            let name = format!("{}/{}", node.name(), parameter.name());
            let tensor =
                json!({ "dtype": "F32", "shape": parameter.shape().dims(), "data_offsets": [offset, end] });
            header.insert(name, tensor);
            offset = end;
        }
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut sink = Sink::create(path)?;
    sink.write(&(header.len() as u64).to_le_bytes())?;
    sink.write(&header)?;
    let parameters = owners(model).flat_map(|node| model.parameters_of(node));
    for parameter in parameters {
        // A piece at a time: they may be most of the memory.
        for values in parameter.values().chunks(1 << 16) {
            sink.write(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
        }
    }
    Ok(sink.commit()?)
}

/// Texts alone, as the format has it.
fn metadata(metadata: &Metadata) -> Value {
    let Metadata { class_names, scaling, channel_order, notes } = metadata;
    let mut all: Map<String, Value> =
        notes.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    let mut add = |key: &str, value: Value| all.insert(key.into(), value.to_string().into());
    if !class_names.is_empty() {
        add("class_names", json!(class_names));
    }
    if !scaling.is_empty() {
        add("scaling", scaling.iter().map(|scaling| json!([scaling.scale, scaling.offset])).collect());
    }
    if *channel_order == ChannelOrder::Bgr {
        all.insert("channel_order".into(), "BGR".into());
    }
    Value::Object(all)
}
