//! Files and folders that are none.

use crate::made::{folder, grey, picture, save};
use bantam::{Dataset, Error};
use bantam_tools::images::{FolderError, ImageError, ImageFolder, ImageLoader, ImageSet, OnBroken};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A PNG's header, and nothing behind it.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    bytes.extend(&chunk);
    bytes.extend(crc(&chunk).to_be_bytes());
    bytes.extend(b"\0\0\0\x08IDAT\0\0\0\0\0\0\0\0\0\0\0\0");
    bytes
}

/// ISO 3309, as PNG has it.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn bmp_header(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend([1, 0, 24, 0]);
    bytes.resize(54, 0);
    bytes
}

/// Whole files of all formats.
fn whole(folder: &Path) -> Vec<PathBuf> {
    let paths =
        ["jpg", "png", "bmp", "gif", "webp"].map(|extension| folder.join("whole").with_extension(extension));
    paths.iter().for_each(|path| save(picture(40, 30, 200), path));
    paths.to_vec()
}

fn load(path: &Path) -> Result<Vec<f32>, ImageError> {
    let loader = ImageLoader::new().target_size(8, 8);
    let mut pixels = vec![f32::NAN; 8 * 8 * 3];
    loader.load(path, &mut pixels)?;
    Ok(pixels)
}

#[test]
fn a_file_that_is_cut_short_is_refused() {
    let folder = TempDir::new().unwrap();
    for path in whole(folder.path()) {
        assert!(load(&path).is_ok(), "{path:?}");
        let bytes = fs::read(&path).unwrap();
        for len in [0, 1, 10, bytes.len() / 4, bytes.len() / 2, bytes.len() * 9 / 10] {
            fs::write(&path, &bytes[..len]).unwrap();
            let refused = load(&path).unwrap_err();
            assert!(!matches!(refused, ImageError::Unreadable(_)), "{path:?}, {len} bytes: {refused}");
        }
    }
}

#[test]
fn what_follows_an_image_does_not_matter() {
    let folder = TempDir::new().unwrap();
    for path in whole(folder.path()) {
        let pixels = load(&path).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend([0xFF, 0, 7, 0xFF]);
        fs::write(&path, bytes).unwrap();
        assert_eq!(load(&path).unwrap(), pixels, "{path:?}");
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let folder = TempDir::new().unwrap();
    for path in whole(folder.path()) {
        let bytes = fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] = !damaged[at];
            fs::write(&path, damaged).unwrap();
            if let Ok(pixels) = load(&path) {
                assert!(pixels.iter().all(|x| (0.0..=255.0).contains(x)), "{path:?}, byte {at}");
            }
        }
    }
}

#[test]
fn sizes_are_refused_by_the_header() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("picture");
    for (width, height) in [(30_000, 30_000), (0, 0), (0, 7), (1 << 30, 1)] {
        for header in [png_header(width, height), bmp_header(width, height)] {
            fs::write(&path, header).unwrap();
            let before = resident("VmHWM:");
            let refused = load(&path).unwrap_err();
            assert!(matches!(refused, ImageError::Size { .. } | ImageError::Damaged(_)), "{refused:?}");
            let taken = resident("VmHWM:").saturating_sub(before);
            assert!(taken < 64 << 20, "{width}×{height}: {taken} bytes");
        }
    }
    fs::write(&path, png_header(30_000, 30_000)).unwrap();
    let expected = "expected 1 to 67108864 pixels, its header says 30000×30000";
    assert_eq!(load(&path).unwrap_err().to_string(), expected);
    // A limit of one's own.
    save(picture(40, 30, 1), &folder.path().join("small.png"));
    let loader = ImageLoader::new().target_size(2, 2).max_pixels(1199);
    assert!(matches!(
        loader.load(folder.path().join("small.png"), &mut [0.0; 12]),
        Err(ImageError::Size { .. })
    ));
}

/// Bytes of this process, where Linux tells them.
fn resident(field: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) << 10
}

fn with_broken(on_broken: OnBroken) -> (TempDir, ImageSet) {
    let made = folder(&["a/1.png", "a/2.png", "b/1.png", "b/2.png", "b/4.png"]);
    fs::write(made.path().join("a/2.png"), "no picture").unwrap();
    save(grey(6, 4, 77), &made.path().join("b/3.png"));
    let set = ImageFolder::new(made.path()).target_size(4, 6).on_broken(on_broken).threads(2).open().unwrap();
    (made, set)
}

#[test]
fn a_broken_file_is_refused_by_its_name() {
    let (made, set) = with_broken(OnBroken::Refuse);
    let mut pixels = [0.0; 72];
    set.begin_epoch(&[0, 1, 2], 1).unwrap();
    set.read(0, &mut pixels, &mut [0.0]).unwrap();
    let path = made.path().join("a/2.png");
    let problem = format!("{}: expected a JPEG, PNG, BMP, GIF or WebP, found another file", path.display());
    assert_eq!(set.read(1, &mut pixels, &mut [0.0]), Err(Error::Sample { index: 1, problem }));
}

#[test]
fn a_broken_file_is_skipped_and_counted() {
    let (made, set) = with_broken(OnBroken::Skip);
    let mut pixels = [1.0; 72];
    let mut target = [9.0];
    for epoch in 0..2 {
        set.begin_epoch(&[5, 1, 4], epoch).unwrap();
        for index in [5, 1, 4] {
            set.read(index, &mut pixels, &mut target).unwrap();
            assert_eq!(set.weight(index), f32::from(index != 1));
            assert_eq!(target, [f32::from(index != 1)]);
            assert_eq!(pixels.iter().all(|&x| x == 0.0), index == 1);
        }
    }
    let report = set.report();
    assert_eq!((report.images, report.skipped.len(), report.grey_to_rgb), (6, 1, 1));
    assert_eq!(report.skipped[0].path, made.path().join("a/2.png"));
    let said = report.to_string();
    assert!(said.starts_with("of 6 images: 1 skipped; 1 grey, read as RGB\n"), "{said}");
    // Once it is whole it counts again.
    save(picture(6, 4, 1), &made.path().join("a/2.png"));
    set.read(1, &mut pixels, &mut target).unwrap();
    assert_eq!((set.weight(1), set.report().skipped), (1.0, vec![]));
}

#[test]
fn grey_where_colours_were_asked_for_can_be_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("grey.png");
    save(grey(5, 5, 77), &path);
    assert_eq!(load(&path).unwrap(), [77.0; 192]);
    let strict = ImageLoader::new().target_size(8, 8).strict_color(true);
    let refused = strict.load(&path, &mut [0.0; 192]).unwrap_err();
    assert_eq!(refused.to_string(), "expected colours, found grey");
}

#[test]
fn folders_that_are_no_data_set() {
    let open = |path: &Path| match ImageFolder::new(path).open() {
        Err(error) => error,
        Ok(_) => panic!("{path:?} was opened"),
    };
    let made = folder(&["only/1.png"]);
    let only = open(made.path());
    assert!(matches!(&only, FolderError::Classes { found, .. } if found == &["only"]));
    assert!(
        only.to_string().ends_with("expected a folder for each of two classes or more, found only \"only\"")
    );
    assert!(
        matches!(open(&made.path().join("only")), FolderError::Classes { found, .. } if found.is_empty())
    );
    assert!(matches!(open(&made.path().join("none")), FolderError::Unreadable { .. }));
    assert!(matches!(open(&made.path().join("only/1.png")), FolderError::Unreadable { .. }));
    fs::create_dir(made.path().join("vacant")).unwrap();
    assert!(open(made.path()).to_string().ends_with("vacant: expected images of that class, found none"));
    let sized = ImageFolder::new(folder(&["a/1.png", "b/1.png"]).path()).target_size(0, 5).open().err();
    assert!(matches!(sized, Some(FolderError::Shape(_))));
}
