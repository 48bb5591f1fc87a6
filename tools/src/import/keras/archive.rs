//! The archive of Keras 3: a zip of `config.json`, `metadata.json` and `model.weights.h5`.

use super::hdf5::Hdf5;
use crate::import::{Cause, Unsupported};
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;
use zip::ZipArchive;

/// Deflate makes no more of a byte.
const MAX_RATIO: u64 = 1032;

/// What is in an archive.
pub(super) struct Archive {
    pub config: Vec<u8>,
    pub metadata: Vec<u8>,
    pub weights: Hdf5,
}

pub(super) fn open(path: &Path) -> Result<Archive, Cause> {
    let file = File::open(path).map_err(Cause::Unreadable)?;
    read(BufReader::new(file))
}

pub(super) fn from_bytes(bytes: &[u8]) -> Result<Archive, Cause> {
    read(Cursor::new(bytes))
}

fn read(bytes: impl Read + Seek) -> Result<Archive, Cause> {
    let mut zip = ZipArchive::new(bytes).map_err(|error| Cause::damaged("zip", error))?;
    let name = "config.json";
    if zip.index_for_name(name).is_none() {
        let pickle = zip.file_names().any(|name| name.ends_with("data.pkl"));
        let (found, advice) = if pickle {
            ("an archive of PyTorch", "save the weights as .safetensors, or the model as ONNX")
        } else {
            ("an archive without a config.json", "expected is what Keras 3 saves as .keras")
        };
        return Err(Cause::Foreign { found, advice });
    }
    if zip.index_for_name("model.weights.h5").is_none() && zip.index_for_name("model.weights.json").is_some()
    {
        let what = "weights in several files".into();
        let advice = "save it in Keras without a largest size of a file".into();
        return Err(Cause::Unsupported(vec![Unsupported {
            name: "model.weights.json".into(),
            what,
            advice,
        }]));
    }
    Ok(Archive {
        config: entry(&mut zip, name)?,
        metadata: entry(&mut zip, "metadata.json")?,
        weights: Hdf5::from_bytes(entry(&mut zip, "model.weights.h5")?)?,
    })
}

/// The bytes of a file in the archive. Memory grows with what is there.
fn entry(zip: &mut ZipArchive<impl Read + Seek>, name: &str) -> Result<Vec<u8>, Cause> {
    let entry = zip.by_name(name).map_err(|error| Cause::damaged(name, error))?;
    let offset = Some(entry.header_start());
    let most = entry.compressed_size().saturating_mul(MAX_RATIO);
    let mut bytes = Vec::new();
    match entry.take(most).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(problem) => Err(Cause::Damaged { what: name.into(), offset, problem: problem.to_string() }),
    }
}
