use super::decode::Converted;
use super::error::ImageError;
use super::loader::ImageLoader;
use super::queue::{Queue, Sample};
use super::resize::Scratch;
use crate::draw::count;
use bantam::{Augmentation, Dataset, Error, Shape};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use xxhash_rust::xxh3::Xxh3;

/// What the target of an image is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassMode {
    /// The number of its class, from 0.
    #[default]
    Sparse,
    /// A number for each class: 1 for its own, 0 for others.
    Categorical,
    /// 0 or 1, of two classes.
    Binary,
}

/// What happens to a file that cannot be read as an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBroken {
    /// Reading it is an error.
    #[default]
    Refuse,
    /// It is a black image whose weight is 0, so that nothing is learnt of it, and in the [report](ImageSet::report).
    /// Metrics count it unless they are [`Weighted`](bantam::Weighted).
    Skip,
}

/// Images of a folder as a data set. It keeps their paths, and reads them when they are asked for.
///
/// In an epoch of a training, samples are decoded ahead in its order. Elsewhere, as in an evaluation, they are once they are
/// read one after the other.
pub struct ImageSet {
    reading: Arc<Reading>,
    class_names: Vec<String>,
    classes: Vec<u32>,
    class_mode: ClassMode,
    on_broken: OnBroken,
    /// How many, and how far they read ahead.
    threads: (usize, usize),
    queue: OnceLock<Queue>,
    seen: Mutex<Seen>,
}

/// Files and how they are read.
pub(super) struct Reading {
    pub loader: ImageLoader,
    pub paths: Vec<PathBuf>,
    /// Of an image.
    pub shape: Shape,
    pub augmentation: Option<Augmentation>,
}

/// What was noticed, by index.
#[derive(Default)]
struct Seen {
    /// What would be read next without an order.
    next: usize,
    broken: BTreeMap<usize, String>,
    grey_to_rgb: BTreeSet<usize>,
    to_8_bits: BTreeSet<usize>,
}

/// What was noticed while images were read. It prints as one line and one for each file that was skipped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Images of the set.
    pub images: usize,
    /// Files that could not be read as images.
    pub skipped: Vec<Skipped>,
    /// How many are grey and were read as RGB.
    pub grey_to_rgb: usize,
    /// How many have 16 bits a channel, of which the upper ones were read.
    pub to_8_bits: usize,
}

/// A file that could not be read as an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub problem: String,
}

impl Report {
    /// Whether every image was read, and as it is.
    pub fn is_clean(&self) -> bool {
        self.skipped.is_empty() && self.grey_to_rgb == 0 && self.to_8_bits == 0
    }
}

impl Reading {
    /// Into memory that may have any length. An image is changed if there is the seed of an epoch.
    fn read(&self, index: usize, epoch: Option<u64>, scratch: &mut Scratch, mut pixels: Vec<f32>) -> Sample {
        let Reading { loader, paths, shape, augmentation } = self;
        pixels.resize(shape.elements(), 0.0);
        let converted = match (epoch, augmentation, shape.dims()) {
            (Some(epoch), Some(augmentation), &[height, width, channels]) => {
                let mut image = std::mem::take(&mut scratch.image);
                image.resize(shape.elements(), 0.0);
                let converted = loader.load_with(&paths[index], scratch, &mut image)?;
                let seed = Augmentation::sample_seed(epoch, index);
                let changed = augmentation.apply(seed, [height, width, channels], &image, &mut pixels);
                scratch.image = image;
                changed.map_err(ImageError::Augmentation)?;
                converted
            }
            _ => loader.load_with(&paths[index], scratch, &mut pixels)?,
        };
        loader.scale(&mut pixels);
        Ok((pixels, converted))
    }
}

impl ImageSet {
    pub(super) fn new(
        reading: Reading,
        class_names: Vec<String>,
        classes: Vec<u32>,
        class_mode: ClassMode,
        on_broken: OnBroken,
        threads: (usize, usize),
    ) -> ImageSet {
        let (queue, seen) = Default::default();
        let reading = Arc::new(reading);
        ImageSet { reading, class_names, classes, class_mode, on_broken, threads, queue, seen }
    }

    /// The classes' names; a class's number is its place.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The class of an image.
    pub fn class(&self, index: usize) -> usize {
        self.classes[index] as usize
    }

    /// What an image of each class counts for all classes to count the same, which is 1 where all have as many: the number of
    /// images over that of classes and of the class's images (scikit-learn's `balanced`).
    pub fn class_weights(&self) -> Vec<f32> {
        let mut counts = vec![0u32; self.class_names.len()];
        self.classes.iter().for_each(|&class| counts[class as usize] += 1);
        let mean = self.classes.len() as f32 / counts.len() as f32;
        counts.into_iter().map(|count| mean / count.max(1) as f32).collect()
    }

    /// The file of an image.
    pub fn path(&self, index: usize) -> &Path {
        &self.reading.paths[index]
    }

    /// How images are read.
    pub fn loader(&self) -> &ImageLoader {
        &self.reading.loader
    }

    /// Of all files, of their classes, and of how they are read: what tells whether features of these images are stale
    /// ([`FeatureFile`](crate::features::FeatureFile)). No image is decoded.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn checksum(&self) -> Result<u64, Error> {
        let mut sum = Xxh3::new();
        sum.update(format!("{:?} {:?} {:?}", self.class_names, self.class_mode, self.loader()).as_bytes());
        for (index, path) in self.reading.paths.iter().enumerate() {
            let bytes =
                fs::read(path).map_err(|problem| self.refused(index, &ImageError::Unreadable(problem)))?;
            sum.update(&self.classes[index].to_le_bytes());
            sum.update(&(bytes.len() as u64).to_le_bytes());
            sum.update(&bytes);
        }
        Ok(sum.digest())
    }

    /// What was noticed so far.
    pub fn report(&self) -> Report {
        let seen = self.seen();
        let skipped = |(&index, problem): (&usize, &String)| Skipped {
            path: self.path(index).to_path_buf(),
            problem: problem.clone(),
        };
        Report {
            images: self.classes.len(),
            skipped: seen.broken.iter().map(skipped).collect(),
            grey_to_rgb: seen.grey_to_rgb.len(),
            to_8_bits: seen.to_8_bits.len(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> &Queue {
        self.queue.get_or_init(|| {
            let (threads, ahead) = self.threads;
            let reading = Arc::clone(&self.reading);
            let read =
                move |index, seed, scratch: &mut Scratch, pixels| reading.read(index, seed, scratch, pixels);
            Queue::new(threads, ahead, Box::new(read))
        })
    }

    /// An image that is not the next one of an order.
    fn read_apart(&self, index: usize) -> Sample {
        let next = std::mem::replace(&mut self.seen().next, index + 1);
        if index == next {
            self.queue().begin((index..self.classes.len()).collect(), None);
            if let Some(sample) = self.queue().take(index) {
                return sample;
            }
        }
        self.reading.read(index, None, &mut Scratch::default(), Vec::new())
    }

    fn note(&self, index: usize, sample: &Sample) {
        let mut seen = self.seen();
        match sample {
            Ok((_, Converted { grey_to_rgb, to_8_bits })) => {
                seen.broken.remove(&index);
                if *grey_to_rgb {
                    seen.grey_to_rgb.insert(index);
                }
                if *to_8_bits {
                    seen.to_8_bits.insert(index);
                }
            }
            Err(problem) => {
                seen.broken.insert(index, problem.to_string());
            }
        }
    }

    fn refused(&self, index: usize, problem: &ImageError) -> Error {
        Error::Sample { index, problem: format!("{}: {problem}", self.path(index).display()) }
    }
}

impl Dataset for ImageSet {
    fn len(&self) -> usize {
        self.classes.len()
    }

    fn input_shape(&self) -> Shape {
        self.reading.shape
    }

    fn target_len(&self) -> usize {
        match self.class_mode {
            ClassMode::Sparse | ClassMode::Binary => 1,
            ClassMode::Categorical => self.class_names.len(),
        }
    }

    /// 0 of an image that was skipped when it was read last.
    fn weight(&self, index: usize) -> f32 {
        if self.seen().broken.contains_key(&index) { 0.0 } else { 1.0 }
    }

    fn begin_epoch(&self, order: &[usize], seed: u64) -> Result<(), Error> {
        self.queue().begin(order.to_vec(), Some(seed));
        Ok(())
    }

    fn read(&self, index: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
        let sample = self.queue.get().and_then(|queue| queue.take(index));
        let sample = sample.unwrap_or_else(|| self.read_apart(index));
        self.note(index, &sample);
        match sample {
            Ok((pixels, _)) => {
                input.copy_from_slice(&pixels);
                if let Some(queue) = self.queue.get() {
                    queue.recycle(pixels);
                }
            }
            Err(problem) if self.on_broken == OnBroken::Refuse => return Err(self.refused(index, &problem)),
            Err(_) => input.fill(0.0),
        }
        match self.class_mode {
            ClassMode::Sparse | ClassMode::Binary => target.fill(self.classes[index] as f32),
            ClassMode::Categorical => {
                target.fill(0.0);
                target[self.class(index)] = 1.0;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("ImageSet");
        fields.field("images", &self.len()).field("shape", &self.input_shape());
        fields.field("class_names", &self.class_names).finish_non_exhaustive()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { images, skipped, grey_to_rgb, to_8_bits } = self;
        write!(f, "of {}", count(*images, "image"))?;
        let noticed = [
            (skipped.len(), "skipped"),
            (*grey_to_rgb, "grey, read as RGB"),
            (*to_8_bits, "of 16 bits a channel, read as 8"),
        ];
        let told: Vec<_> = noticed.iter().filter(|(number, _)| *number > 0).collect();
        if told.is_empty() {
            f.write_str(": all read")?;
        }
        for (at, (number, what)) in told.into_iter().enumerate() {
            write!(f, "{} {number} {what}", if at == 0 { ":" } else { ";" })?;
        }
        skipped.iter().try_for_each(|Skipped { path, problem }| write!(f, "\n{}: {problem}", path.display()))
    }
}
