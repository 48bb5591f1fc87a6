//! The model file: what is written is read, and nothing else is.

use crate::common::model;
use bantam::{Aligned, Error, Model, ModelFileProblem, Options, Sequential, Session};

fn problem(bytes: &[u8]) -> ModelFileProblem {
    // At an address that suits, so that only the bytes are judged.
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    let aligned = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()];
    aligned.copy_from_slice(bytes);
    match Model::from_bytes(aligned) {
        Err(Error::ModelFile { problem }) => problem,
        other => panic!("expected a problem, got {other:?}"),
    }
}

#[test]
fn what_is_written_is_read() {
    let model = model();
    let bytes = model.to_bytes().unwrap();
    let read = Model::from_bytes(&bytes).unwrap();
    assert_eq!(read, model);
    assert!(!read.node("conv2d").unwrap().is_trainable());
    // In place: the weights that are read lie inside the file.
    let weights = read.parameters()[0].values().as_ptr_range();
    let file = bytes.as_ptr_range();
    assert!(file.start <= weights.start.cast() && weights.end.cast() <= file.end);
    assert_eq!((weights.start as usize - file.start as usize) % 64, 0);

    let image: Vec<f32> = (0..60).map(|i| i as f32 / 60.0).collect();
    let run = |model: &Model<'_>| -> Vec<u32> {
        let mut session = Session::new(model, Options::new(1)).unwrap();
        session.run(&image).unwrap().iter().map(|y| y.to_bits()).collect()
    };
    assert_eq!(run(&read), run(&model));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = model().to_bytes().unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            problem(&damaged);
        }
    }
}

/// Threads share the checksum of a large file. They find the same sum, and damage wherever it is.
#[test]
fn the_checksum_of_a_large_file_does_not_depend_on_threads() {
    let model = Sequential::new([700]).dense(1000).dense(200).build(1).unwrap();
    let bytes = model.to_bytes().unwrap();
    assert!(bytes.len() > 3 << 20);
    let stated = u64::from_le_bytes(bytes[24..32].try_into().unwrap());
    assert_eq!(stated, crate::common::checksum(&bytes));
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            assert_eq!(Model::from_bytes(&bytes).unwrap(), model);
            for at in [64, (1 << 20) + 63, (1 << 20) + 64, 2 << 20, bytes.len() - 1] {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                assert!(matches!(problem(&damaged), ModelFileProblem::Checksum { .. }), "{at}");
            }
        });
    }
}

#[test]
fn every_cut_is_noticed() {
    let bytes = model().to_bytes().unwrap();
    for len in 0..bytes.len() {
        let expected = if len == 0 {
            ModelFileProblem::Empty
        } else if len < 8 {
            ModelFileProblem::Foreign
        } else {
            let expected = if len < 64 { 64 } else { bytes.len() };
            ModelFileProblem::Length { expected, got: len }
        };
        assert_eq!(problem(&bytes[..len]), expected);
    }
    let mut longer = bytes.clone();
    longer.extend([0; 64]);
    let (expected, got) = (bytes.len(), longer.len());
    assert_eq!(problem(&longer), ModelFileProblem::Length { expected, got });
}

/// A flash that was written in part reads as ones from there on.
#[test]
fn a_file_that_was_flashed_in_part_is_noticed() {
    let bytes = model().to_bytes().unwrap();
    for len in (0..bytes.len()).step_by(4) {
        let mut flash = bytes.clone();
        flash[len..].fill(0xff);
        match problem(&flash) {
            ModelFileProblem::Foreign => assert!(len < 8),
            ModelFileProblem::Version { .. } => assert_eq!(len, 8),
            ModelFileProblem::Length { got, .. } => assert!(len < 24 && got == bytes.len()),
            ModelFileProblem::Checksum { .. } => assert!(len >= 24),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn foreign_and_newer_files_are_named() {
    assert_eq!(
        problem(b"\x89PNG\r\n\x1a\n and more of a picture than a header has, much more of it"),
        ModelFileProblem::Foreign
    );
    let mut newer = model().to_bytes().unwrap();
    newer[8] = 3;
    assert_eq!(problem(&newer), ModelFileProblem::Version { expected: 2, got: 3 });
    let message = Error::from(problem(&newer)).to_string();
    assert_eq!(message, "model file: expected version 2, found 3");
}

#[test]
fn an_odd_address_is_refused() {
    let bytes = model().to_bytes().unwrap();
    let mut words = vec![0u64; bytes.len() / 8 + 1];
    let shifted = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut words)[1..=bytes.len()];
    shifted.copy_from_slice(&bytes);
    let Err(Error::Layer { cause, .. }) = Model::from_bytes(shifted) else { panic!("it was read") };
    assert_eq!(*cause, Error::ModelFile { problem: ModelFileProblem::Misaligned { expected: 4 } });
}

#[test]
fn included_bytes_are_aligned() {
    static FILE: &[u8] = bantam::include_aligned!("../golden/mnist_step.f32");
    assert_eq!(FILE.as_ptr() as usize % 64, 0);
    assert_eq!(align_of::<Aligned<u8>>(), 64);
}

#[cfg(feature = "std")]
mod saving {
    use crate::common::model;
    use bantam::{AtomicFile, Error, Model};
    use std::fs;
    use std::path::{Path, PathBuf};

    /// A folder that goes when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("bantam-saving-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn join(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        /// The names of all that is in it.
        fn names(&self) -> Vec<String> {
            let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
            let mut names: Vec<String> =
                fs::read_dir(&self.0).unwrap().map(|entry| name(entry.unwrap())).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Why saving was refused, of the path that was asked for.
    fn refused(path: &Path) -> String {
        match model().save(path) {
            Err(Error::File { path: named, problem }) if named == path.display().to_string() => problem,
            other => panic!("expected an error of {}, got {other:?}", path.display()),
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = Folder::new("whole");
        let path = folder.join("model.bantam");
        let model = model();
        model.save(&path).unwrap();
        model.save(&path).unwrap();
        assert_eq!(Model::load(&path).unwrap(), model);
        assert_eq!(folder.names(), ["model.bantam"], "a temporary file was left");
        let missing = Model::load(folder.join("none.bantam")).unwrap_err();
        assert!(missing.to_string().contains("none.bantam"), "{missing}");
    }

    #[test]
    fn what_was_there_stays_until_the_commit() {
        let folder = Folder::new("commit");
        let path = folder.join("file");
        fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write(b"new ").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(file);
        assert_eq!((fs::read(&path).unwrap(), folder.names().len()), (b"old".to_vec(), 1));

        let mut file = AtomicFile::create(&path).unwrap();
        file.write(b"new ").unwrap();
        file.write(b"contents").unwrap();
        file.commit().unwrap();
        assert_eq!((fs::read(&path).unwrap(), folder.names().len()), (b"new contents".to_vec(), 1));
    }

    #[test]
    fn a_failed_commit_leaves_no_temporary_file() {
        let folder = Folder::new("failed");
        let path = folder.join("file");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write(b"new").unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(file.commit(), Err(Error::File { path: named, .. }) if Path::new(&named) == path));
        assert_eq!(folder.names(), ["file"]);
    }

    #[test]
    fn a_folder_or_a_missing_one_is_named() {
        let folder = Folder::new("folders");
        assert!(refused(&folder.0).contains("expected a file to replace, or a new one's name, got a folder"));
        assert!(refused(&folder.join("none/")).contains("got a folder's name"));
        assert!(refused(Path::new("")).contains("got an empty path"));
        let problem = refused(&folder.join("none/model.bantam"));
        let none = folder.join("none").display().to_string();
        assert!(problem.contains(&format!("cannot make a file in the folder {none}: ")), "{problem}");
        assert!(folder.names().is_empty());
    }

    #[test]
    fn a_read_only_file_stays() {
        let folder = Folder::new("read-only");
        let path = folder.join("model.bantam");
        fs::write(&path, "guarded").unwrap();
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        let before = permissions.clone();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        assert!(refused(&path).contains("got one that is read-only"));
        assert_eq!(fs::read(&path).unwrap(), b"guarded");
        fs::set_permissions(&path, before).unwrap();
    }

    #[test]
    fn a_name_may_be_as_long_as_the_system_allows() {
        let folder = Folder::new("long");
        let path = folder.join(&"m".repeat(255));
        // Some systems allow less.
        if fs::write(&path, "").is_ok() {
            model().save(&path).unwrap();
            assert_eq!(Model::load(&path).unwrap(), model());
        }
    }

    #[cfg(unix)]
    mod unix {
        use super::*;
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
        use std::os::unix::net::UnixListener;
        use std::process::Command;

        fn mode(path: &Path) -> u32 {
            fs::metadata(path).unwrap().permissions().mode() & 0o7777
        }

        #[test]
        fn a_link_is_followed() {
            let folder = Folder::new("links");
            fs::create_dir(folder.join("models")).unwrap();
            fs::write(folder.join("models/old"), "old").unwrap();
            symlink("models/old", folder.join("inner")).unwrap();
            symlink(folder.join("inner"), folder.join("link")).unwrap();
            symlink("models/new", folder.join("dangling")).unwrap();
            for (link, target) in [("link", "models/old"), ("dangling", "models/new")] {
                model().save(folder.join(link)).unwrap();
                assert!(folder.join(link).is_symlink(), "{link} was replaced");
                assert!(!folder.join(target).is_symlink());
                assert_eq!(Model::load(folder.join(target)).unwrap(), model());
            }
            assert!(folder.join("inner").is_symlink());
            assert_eq!(folder.names(), ["dangling", "inner", "link", "models"]);
            assert_eq!(fs::read_dir(folder.join("models")).unwrap().count(), 2, "a temporary file was left");

            symlink("round", folder.join("round")).unwrap();
            refused(&folder.join("round"));
            symlink("none/model.bantam", folder.join("lost")).unwrap();
            let problem = refused(&folder.join("lost"));
            assert!(problem.contains(&folder.join("none").display().to_string()), "{problem}");
        }

        #[test]
        fn the_mode_is_kept() {
            let folder = Folder::new("mode");
            let (path, made) = (folder.join("model.bantam"), folder.join("made"));
            model().save(&path).unwrap();
            fs::write(&made, "").unwrap();
            assert_eq!(mode(&path), mode(&made), "a new file's mode is the usual one");
            for kept in [0o600, 0o640, 0o666, 0o755] {
                fs::set_permissions(&path, fs::Permissions::from_mode(kept)).unwrap();
                model().save(&path).unwrap();
                assert_eq!(mode(&path), kept);
            }
        }

        /// Only root can give a file away, and so see this.
        #[test]
        fn the_owner_is_kept() {
            let folder = Folder::new("owner");
            let path = folder.join("model.bantam");
            fs::write(&path, "").unwrap();
            if std::os::unix::fs::chown(&path, Some(12345), Some(54321)).is_ok() {
                model().save(&path).unwrap();
                let saved = fs::metadata(&path).unwrap();
                assert_eq!((saved.uid(), saved.gid()), (12345, 54321));
            }
        }

        #[test]
        fn what_is_no_regular_file_stays() {
            let folder = Folder::new("special");
            let (pipe, socket, device) = (folder.join("pipe"), folder.join("socket"), folder.join("device"));
            let _listener = UnixListener::bind(&socket).unwrap();
            let made = |program: &str, path: &Path, rest: &[&str]| {
                Command::new(program)
                    .arg(path)
                    .args(rest)
                    .output()
                    .is_ok_and(|output| output.status.success())
            };
            assert!(made("mkfifo", &pipe, &[]));
            let mut special = vec![pipe, socket];
            // Only root makes devices: here another `/dev/full`.
            if made("mknod", &device, &["c", "1", "7"]) {
                special.push(device);
            }
            for path in special {
                let link = path.with_extension("link");
                symlink(&path, &link).unwrap();
                for path in [&path, &link] {
                    assert!(refused(path).contains("got a device, a pipe or a socket"));
                    assert!(!fs::metadata(path).unwrap().is_file());
                }
                fs::remove_file(link).unwrap();
            }
        }

        #[test]
        fn a_planted_link_is_not_followed() {
            let folder = Folder::new("planted");
            let (path, victim) = (folder.join("model.bantam"), folder.join("victim"));
            fs::write(&victim, "precious").unwrap();
            let guess = format!("model.bantam.{}.tmp", std::process::id());
            symlink(&victim, folder.join(&guess)).unwrap();
            model().save(&path).unwrap();
            assert_eq!(fs::read(&victim).unwrap(), b"precious");
            assert!(!path.is_symlink());
        }

        /// Root may write everywhere, and cannot see this.
        #[test]
        fn a_folder_that_takes_no_new_file_is_named() {
            let folder = Folder::new("closed");
            let path = folder.join("model.bantam");
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o555)).unwrap();
            if fs::write(folder.join("other"), "").is_err() {
                let problem = refused(&path);
                let expected = "cannot make a file in the folder";
                assert!(problem.contains(expected) && problem.contains("which replacing this"), "{problem}");
                assert_eq!(fs::read(&path).unwrap(), b"old");
                let problem = refused(&folder.join("new.bantam"));
                assert!(problem.contains(expected) && !problem.contains("replacing"), "{problem}");
            }
            fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

/// A megabyte of layers, each with another name: refused before they are compared with each other.
#[test]
fn a_file_of_a_hundred_thousand_layers_is_refused_at_once() {
    let layers = 100_000;
    let mut file = Sequential::new([4]).relu().build(1).unwrap().to_bytes().unwrap();
    let mut table = [&[1][..], &4u32.to_le_bytes()].concat(); // rank and one dimension
    for i in 0..layers {
        let name = format!("{i:06}");
        table.extend([1, name.len() as u8, 0]);
        table.extend(name.bytes());
        table.push(5); // ReLU
    }
    file.truncate(64);
    file[8] = 1; // version
    file[12..16].copy_from_slice(&(table.len() as u32).to_le_bytes());
    file.extend(&table);
    file.resize(file.len().next_multiple_of(64), 0);
    let len = file.len() as u64;
    file[16..24].copy_from_slice(&len.to_le_bytes());
    let words = file[..24].chunks(8).chain(file[32..].chunks(8));
    let sum = words.fold(0xcbf2_9ce4_8422_2325_u64, |sum, word| {
        (sum ^ u64::from_le_bytes(word.try_into().unwrap())).wrapping_mul(0x0000_0100_0000_01b3)
    });
    file[24..32].copy_from_slice(&sum.to_le_bytes());
    let start = std::time::Instant::now();
    assert_eq!(Model::from_bytes(&file), Err(Error::TooMany { what: "layers", max: 4096, got: layers }));
    assert!(start.elapsed().as_secs_f32() < 0.5, "{:?}", start.elapsed());
}

#[test]
fn an_empty_file_is_told_to_be_empty() {
    assert_eq!(
        Model::from_bytes(&[]).unwrap_err().to_string(),
        "model file: expected a model, found no bytes"
    );
}
