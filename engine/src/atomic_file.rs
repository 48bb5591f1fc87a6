use crate::error::Error;
use std::format;
use std::fs::{self, File, Metadata, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf, is_separator};
use std::string::{String, ToString};

/// A file that is replaced as a whole or not at all: what was there stays until [`commit`](Self::commit),
/// and stays if that never comes. [`Model::save`](crate::Model::save) writes by it; it serves too for what
/// lies beside a model.
///
/// A link is followed to its target, which keeps its permissions. The new contents lie in the target's
/// folder until then, under another name.
///
/// ```
/// # let path = std::env::temp_dir().join(format!("bantam-atomic-file-{}", std::process::id()));
/// let mut file = bantam::AtomicFile::create(&path)?; // refused here if it cannot be replaced
/// file.write(b"all of it")?;
/// file.commit()?;
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Debug)]
pub struct AtomicFile {
    /// As the caller named it.
    path: PathBuf,
    target: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl AtomicFile {
    /// Begins to replace a file, or to make a new one.
    ///
    /// # Errors
    /// [`Error::File`]: the path leads to what is no regular file, such as a folder or a device, or to a
    /// file that is read-only; or its folder takes no new file.
    pub fn create(path: impl AsRef<Path>) -> Result<AtomicFile, Error> {
        let path = path.as_ref();
        let refused = |problem: String| Error::File { path: path.display().to_string(), problem };
        let old = replaceable(path).map_err(refused)?;
        let target = target(path).map_err(|problem| file_error(path, &problem))?;
        let folder = folder(&target);
        let no_new_file = |problem: io::Error| {
            let why = if old.is_some() { ", which replacing this one takes" } else { "" };
            refused(format!("cannot make a file in the folder {}{why}: {problem}", folder.display()))
        };
        // A name that nobody can guess, short enough for every file system.
        let temporary = folder.join(format!(".bantam-{:016x}.tmp", RandomState::new().hash_one(())));
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary).map_err(no_new_file)?;
        let new = AtomicFile { path: path.to_path_buf(), target, temporary, file };
        if let Some(old) = old {
            keep_access(&new.file, &old).map_err(|problem| file_error(path, &problem))?;
        }
        Ok(new)
    }

    /// Appends to the new contents, and waits until the disk has them.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_all());
        written.map_err(|problem| file_error(&self.path, &problem))
    }

    /// Puts the new contents in the place of the old.
    ///
    /// # Errors
    /// [`Error::File`] where the system refuses; the old are still there then.
    pub fn commit(self) -> Result<(), Error> {
        fs::rename(&self.temporary, &self.target).map_err(|problem| file_error(&self.path, &problem))?;
        // The file is there. That its name outlasts a power failure is more than all systems can promise.
        #[cfg(unix)]
        let _ = File::open(folder(&self.target)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // After `commit` there is none.
        let _ = fs::remove_file(&self.temporary);
    }
}

pub(crate) fn file_error(path: &Path, problem: &io::Error) -> Error {
    Error::File { path: path.display().to_string(), problem: problem.to_string() }
}

/// What the path leads to: a file that may be replaced, or nothing yet.
fn replaceable(path: &Path) -> Result<Option<Metadata>, String> {
    let found = match fs::metadata(path) {
        Ok(old) if old.is_dir() => "a folder",
        Ok(old) if !old.is_file() => "a device, a pipe or a socket",
        Ok(old) if old.permissions().readonly() => "one that is read-only",
        Ok(old) => return Ok(Some(old)),
        // A separator at the end would be dropped and a file made.
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => {
            let last = path.as_os_str().as_encoded_bytes().last().copied();
            match last {
                None => "an empty path",
                Some(last) if is_separator(last.into()) => "a folder's name",
                Some(_) => return Ok(None),
            }
        }
        Err(problem) => return Err(problem.to_string()),
    };
    Err(format!("expected a file to replace, or a new one's name, got {found}"))
}

/// Where the links at the end of a path lead, also if nothing is there.
fn target(path: &Path) -> io::Result<PathBuf> {
    /// As Linux has it.
    const MOST_LINKS: usize = 40;
    let mut target = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&target) {
            Ok(link) => target = folder(&target).join(link),
            Err(_) => return Ok(target),
        }
    }
    Err(io::Error::other("expected a file, got links without an end"))
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Lets those at a new file who were let at the old one.
fn keep_access(new: &File, old: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        // Only root may give a file away; others' new files are their own.
        let _ = fchown(new, Some(old.uid()), Some(old.gid()));
    }
    new.set_permissions(old.permissions())
}
