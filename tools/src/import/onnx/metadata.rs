//! What a file says beside the net: images and classes as `bantam export` writes them, and anything else as notes.

use super::proto::StringStringEntryProto;
use crate::import::Report;
use bantam::{ChannelOrder, Metadata, Model, Scaling};

/// Takes it along. What is no text of that kind, or not of this net, stays a note.
pub fn read(entries: &[StringStringEntryProto], model: &mut Model<'_>, report: &mut Report) {
    let note = |StringStringEntryProto { key, value }: &StringStringEntryProto| (key.clone(), value.clone());
    let mut metadata = Metadata::default();
    for entry in entries {
        let known = match &entry.key[..] {
            "class_names" => {
                serde_json::from_str(&entry.value).map(|names| metadata.class_names = names).is_ok()
            }
            "scaling" => serde_json::from_str::<Vec<[f32; 2]>>(&entry.value)
                .map(|pairs| {
                    let scaling = pairs.into_iter().map(|[scale, offset]| Scaling { scale, offset });
                    metadata.scaling = scaling.collect();
                })
                .is_ok(),
            "channel_order" if entry.value == "BGR" => {
                metadata.channel_order = ChannelOrder::Bgr;
                true
            }
            _ => false,
        };
        if !known {
            metadata.notes.push(note(entry));
        }
    }
    if let Err(problem) = model.set_metadata(&metadata) {
        report.warnings.push(format!("metadata, which is kept as notes: {problem}"));
        let notes = entries.iter().map(note).collect();
        // Notes alone are of any net; without memory for them the net is there still.
        let _ = model.set_metadata(&Metadata { notes, ..Metadata::default() });
    }
}
