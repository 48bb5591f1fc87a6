//! Weights beside a file.

use super::proto::TensorProto;
use crate::import::refused::Refused;
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The files of a folder that were read.
pub struct Folder<'p> {
    /// None if the model did not come from one.
    path: Option<&'p Path>,
    files: RefCell<HashMap<PathBuf, Bytes>>,
}

impl<'p> Folder<'p> {
    pub fn new(path: Option<&'p Path>) -> Folder<'p> {
        Folder { path, files: RefCell::default() }
    }

    /// How many bytes were read.
    pub fn len(&self) -> usize {
        self.files.borrow().values().map(Bytes::len).sum()
    }

    /// The bytes of a tensor.
    ///
    /// # Errors
    /// They are not in a file of the folder, or there are fewer.
    pub fn bytes(&self, tensor: &TensorProto) -> Result<Bytes, Refused> {
        let entry = |key: &str| {
            tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value[..])
        };
        let location =
            entry("location").ok_or_else(|| Refused::damaged("expected the name of a file, found none"))?;
        let number = |key: &str| -> Result<Option<usize>, Refused> {
            let parse = |text: &str| {
                text.parse()
                    .map_err(|_| Refused::damaged(format!("{key}: expected a number, got \"{text}\"")))
            };
            entry(key).map(parse).transpose()
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let file = self.file(location)?;
        let end = length.map_or(Some(file.len()), |length| offset.checked_add(length));
        let range = end.filter(|&end| offset <= end && end <= file.len()).map(|end| offset..end);
        let range = range.ok_or_else(|| {
            let all = file.len();
            let got = length.map_or_else(
                || format!("byte {offset} on"),
                |length| format!("{length} from byte {offset} on"),
            );
            Refused::damaged(format!("bytes in \"{location}\": expected some of its {all}, got {got}"))
        })?;
        Ok(file.slice(range))
    }

    fn file(&self, location: &str) -> Result<Bytes, Refused> {
        let folder = self.path.ok_or_else(|| {
            Refused::damaged(format!("weights in \"{location}\": expected them in the file"))
        })?;
        let name = Path::new(location);
        let outside =
            || Refused::damaged(format!("weights in \"{location}\": expected a file in the model's folder"));
        // Not every path that leads out has a `..`: a link may.
        if !name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(outside());
        }
        let unreadable =
            |problem: std::io::Error| Refused::damaged(format!("weights in \"{location}\": {problem}"));
        let path = folder.join(name).canonicalize().map_err(unreadable)?;
        if !path.starts_with(folder.canonicalize().map_err(unreadable)?) {
            return Err(outside());
        }
        if let Some(bytes) = self.files.borrow().get(&path) {
            return Ok(bytes.clone());
        }
        let bytes = Bytes::from(fs::read(&path).map_err(unreadable)?);
        self.files.borrow_mut().insert(path, bytes.clone());
        Ok(bytes)
    }
}
