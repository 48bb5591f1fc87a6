use super::decode::Color;
use super::error::FolderError;
use super::index::Index;
use super::loader::ImageLoader;
use super::resize::{AspectRatio, Resampling};
use super::set::{ClassMode, ImageSet, OnBroken, Reading};
use bantam::{Augmentation, Metadata, Scaling};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::path::PathBuf;
use std::thread::available_parallelism;

/// A folder of images with a folder for each class, and how they are read. See the [module](super).
///
/// Classes are numbered in the order of their names, sorted as text: `a10` comes before `a2`. Folders whose names begin
/// with a dot are none. Files that end in `.jpg`, `.jpeg`, `.png`, `.bmp`, `.gif` or `.webp`, in letters of either case, are
/// images of the class in whose folder, or a folder in it, they are.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    path: PathBuf,
    loader: ImageLoader,
    class_mode: ClassMode,
    on_broken: OnBroken,
    augmentation: Option<Augmentation>,
    threads: usize,
    ahead: usize,
}

impl ImageFolder {
    /// As [`ImageLoader::new`] reads, with labels that are classes' numbers; one core is left to the training, the others
    /// read up to 64 images ahead.
    pub fn new(path: impl Into<PathBuf>) -> ImageFolder {
        ImageFolder {
            path: path.into(),
            loader: ImageLoader::new(),
            class_mode: ClassMode::default(),
            on_broken: OnBroken::default(),
            augmentation: None,
            threads: available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
            ahead: 64,
        }
    }

    /// How images are read, all at once.
    pub fn loader(self, loader: ImageLoader) -> ImageFolder {
        ImageFolder { loader, ..self }
    }

    /// See [`ImageLoader::target_size`].
    pub fn target_size(self, height: usize, width: usize) -> ImageFolder {
        self.with(|loader| loader.target_size(height, width))
    }

    /// See [`ImageLoader::color`].
    pub fn color(self, color: Color) -> ImageFolder {
        self.with(|loader| loader.color(color))
    }

    /// See [`ImageLoader::strict_color`].
    pub fn strict_color(self, strict: bool) -> ImageFolder {
        self.with(|loader| loader.strict_color(strict))
    }

    /// See [`ImageLoader::interpolation`].
    pub fn interpolation(self, interpolation: Resampling) -> ImageFolder {
        self.with(|loader| loader.interpolation(interpolation))
    }

    /// See [`ImageLoader::antialias`].
    pub fn antialias(self, antialias: bool) -> ImageFolder {
        self.with(|loader| loader.antialias(antialias))
    }

    /// See [`ImageLoader::aspect_ratio`].
    pub fn aspect_ratio(self, aspect_ratio: AspectRatio) -> ImageFolder {
        self.with(|loader| loader.aspect_ratio(aspect_ratio))
    }

    /// See [`ImageLoader::rescale`].
    pub fn rescale(self, scale: f32) -> ImageFolder {
        self.with(|loader| loader.rescale(scale))
    }

    /// See [`ImageLoader::scaling`].
    pub fn scaling(self, scaling: &[Scaling]) -> ImageFolder {
        self.with(|loader| loader.scaling(scaling))
    }

    /// See [`ImageLoader::prepared_for`].
    pub fn prepared_for(self, metadata: &Metadata) -> ImageFolder {
        self.with(|loader| loader.prepared_for(metadata))
    }

    /// See [`ImageLoader::max_pixels`].
    pub fn max_pixels(self, max_pixels: u64) -> ImageFolder {
        self.with(|loader| loader.max_pixels(max_pixels))
    }

    fn with(self, change: impl FnOnce(ImageLoader) -> ImageLoader) -> ImageFolder {
        ImageFolder { loader: change(self.loader), ..self }
    }

    /// What targets are.
    pub fn class_mode(self, class_mode: ClassMode) -> ImageFolder {
        ImageFolder { class_mode, ..self }
    }

    /// What happens to files that cannot be read as images.
    pub fn on_broken(self, on_broken: OnBroken) -> ImageFolder {
        ImageFolder { on_broken, ..self }
    }

    /// Images of an epoch are changed at random, on the threads that decode, before levels are scaled. What an evaluation
    /// reads is not, nor is the validation set of a split.
    pub fn augment(self, augmentation: Augmentation) -> ImageFolder {
        ImageFolder { augmentation: Some(augmentation), ..self }
    }

    /// Threads that decode, one at the least. Neither the order nor a bit of what is read depends on it.
    pub fn threads(self, threads: usize) -> ImageFolder {
        ImageFolder { threads, ..self }
    }

    /// The most images that are decoded ahead of what is asked for: with this the memory that they take is bounded, however
    /// large the folder.
    pub fn ahead(self, ahead: usize) -> ImageFolder {
        ImageFolder { ahead, ..self }
    }

    /// All images of the folder. Files are listed now and read later.
    ///
    /// # Errors
    /// The folder cannot be read, has fewer than two classes, or one without images, or its folders are `train`, `test` and the
    /// like; or the class mode does not fit them.
    pub fn open(&self) -> Result<ImageSet, FolderError> {
        let Index { class_names, paths, classes } = self.index()?;
        self.set(class_names, paths.into_iter().zip(classes))
    }

    /// The images of the folder in two parts, to learn from and to validate with: `share` of each class, drawn by `seed`,
    /// rounded, go into the second. Files stay in order.
    ///
    /// Keras's `ImageDataGenerator` takes each class's first files for its validation set instead, and
    /// `image_dataset_from_directory` some of all, shuffled, so that classes may be uneven.
    ///
    /// # Errors
    /// As [`open`](ImageFolder::open), or a class would have no images in one of the parts.
    pub fn validation_split(&self, share: f64, seed: u64) -> Result<(ImageSet, ImageSet), FolderError> {
        if !(share > 0.0 && share < 1.0) {
            return Err(FolderError::OutOfRange {
                what: "share of the validation set",
                expected: "more than 0 and less than 1",
                got: share,
            });
        }
        let Index { class_names, paths, classes } = self.index()?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut held_out = Vec::with_capacity(paths.len());
        for (name, files) in class_names.iter().zip(classes.chunk_by(|a, b| a == b)) {
            let images = files.len();
            let count = (images as f64 * share).round() as usize;
            if count == 0 || count == images {
                return Err(FolderError::Split { class: name.clone(), images, share });
            }
            held_out.extend(draw(count, images, &mut random));
        }
        let part = |of: &ImageFolder, second: bool| {
            let files = paths.iter().cloned().zip(classes.iter().copied()).zip(&held_out);
            let files = files.filter(|&(_, &held_out)| held_out == second).map(|(file, _)| file);
            of.set(class_names.clone(), files)
        };
        let validation = ImageFolder { augmentation: None, ..self.clone() };
        Ok((part(self, false)?, part(&validation, true)?))
    }

    fn index(&self) -> Result<Index, FolderError> {
        let index = Index::read(&self.path)?;
        if self.class_mode == ClassMode::Binary && index.class_names.len() != 2 {
            return Err(FolderError::NotBinary { found: index.class_names });
        }
        Ok(index)
    }

    fn set(
        &self,
        class_names: Vec<String>,
        files: impl Iterator<Item = (PathBuf, u32)>,
    ) -> Result<ImageSet, FolderError> {
        let shape = self.loader.shape().map_err(FolderError::Shape)?;
        if let Some(augmentation) = &self.augmentation {
            let [height, width, channels] = *shape.dims() else {
                unreachable!("shapes of images have rank 3")
            };
            let size = [height, width, channels];
            if augmentation.output_shape(size).map_err(FolderError::Augmentation)? != size {
                return Err(FolderError::Crop);
            }
        }
        let (paths, classes) = files.unzip();
        let ImageFolder { loader, class_mode, on_broken, augmentation, threads, ahead, .. } = self.clone();
        let reading = Reading { loader, paths, shape, augmentation };
        Ok(ImageSet::new(reading, class_names, classes, class_mode, on_broken, (threads, ahead)))
    }
}

/// Which of `all` are among `count` drawn ones (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S).
fn draw(count: usize, all: usize, random: &mut Xoshiro256PlusPlus) -> impl Iterator<Item = bool> {
    let mut missing = count as u128;
    (0..all).map(move |i| {
        let rest = (all - i) as u128;
        let chosen = (u128::from(random.next_u64()) * rest) >> 64 < missing;
        missing -= u128::from(chosen);
        chosen
    })
}
