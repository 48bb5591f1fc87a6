//! The files of a folder, class by class.

use super::error::FolderError;
use std::fs::{self, FileType};
use std::path::{Path, PathBuf};

/// Names of files that are taken for images.
const EXTENSIONS: [&str; 6] = ["bmp", "gif", "jpeg", "jpg", "png", "webp"];

/// Names of folders that hold classes.
const PARTS: [&str; 7] = ["test", "testing", "train", "training", "val", "valid", "validation"];

/// Files of classes. A class's files follow each other.
pub(super) struct Index {
    pub class_names: Vec<String>,
    pub paths: Vec<PathBuf>,
    /// Of each file.
    pub classes: Vec<u32>,
}

impl Index {
    /// The folders in a folder, sorted by their names as text, without hidden ones; and the images in each, however deep:
    /// folder by folder, each sorted. That is Keras's order.
    pub fn read(folder: &Path) -> Result<Index, FolderError> {
        let mut class_names = Vec::new();
        for (path, kind) in entries(folder)? {
            let is_folder = kind.is_dir() || kind.is_symlink() && path.is_dir();
            if !is_folder || is_hidden(&path) {
                continue;
            }
            let name = path.file_name().and_then(|name| name.to_str()).map(String::from);
            class_names.push(name.ok_or(FolderError::Name { path })?);
        }
        class_names.sort();
        if class_names.len() < 2 {
            return Err(FolderError::Classes { path: folder.into(), found: class_names });
        }
        if class_names.iter().all(|name| PARTS.iter().any(|part| part.eq_ignore_ascii_case(name))) {
            return Err(FolderError::Parts { path: folder.into(), found: class_names });
        }
        let (mut paths, mut classes) = (Vec::new(), Vec::new());
        for (class, name) in (0..).zip(&class_names) {
            let path = folder.join(name);
            collect(&path, &mut paths)?;
            if paths.len() == classes.len() {
                return Err(FolderError::EmptyClass { path });
            }
            classes.resize(paths.len(), class);
        }
        Ok(Index { class_names, paths, classes })
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), FolderError> {
    // Folders sorted by their whole paths.
    let mut folders = vec![folder.to_path_buf()];
    let mut at = 0;
    while let Some(folder) = folders.get(at).cloned() {
        // A link to a folder may lead back up.
        folders.extend(entries(&folder)?.into_iter().filter(|(_, kind)| kind.is_dir()).map(|(path, _)| path));
        at += 1;
    }
    folders.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    for folder in folders {
        let mut files: Vec<PathBuf> = entries(&folder)?
            .into_iter()
            .filter(|(path, kind)| !kind.is_dir() && is_image(path))
            .map(|(path, _)| path)
            .collect();
        files.sort();
        paths.append(&mut files);
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<(PathBuf, FileType)>, FolderError> {
    let unreadable = |problem| FolderError::Unreadable { path: folder.into(), problem };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        found.push((entry.path(), entry.file_type().map_err(unreadable)?));
    }
    Ok(found)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|it| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(it)))
}
