//! Maps files and memory for `bantam`, which borrows bytes and does not ask where they lie.
//!
//! It is a crate of its own because a mapped file is the operating system's: the language cannot keep others from
//! changing it while it is borrowed, so that mapping it is `unsafe`, which `bantam` has none of.
//!
//! ```
//! use bantam_mapped::MappedFile;
//! # let path = std::env::temp_dir().join(format!("bantam-mapped-doc-{}", std::process::id()));
//! # std::fs::write(&path, [7; 4096])?;
//! // SAFETY: the file is this program's own, and nobody writes to it while it is mapped.
//! let file = unsafe { MappedFile::open(&path)? };
//! // let model = bantam::Model::from_bytes(&file)?; // weights are used where they lie in the file
//! assert_eq!(file[4095], 7);
//! # drop(file);
//! # std::fs::remove_file(&path)?;
//! # Ok::<(), std::io::Error>(())
//! ```

use memmap2::{Mmap, MmapMut};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;

/// The bytes of a file where the operating system has them: none is copied, and programs that map the same file share
/// them. They begin at a page, where a model's weights can be used.
#[derive(Debug)]
pub struct MappedFile(Mmap);

impl MappedFile {
    /// Maps a file. What it costs is the same for any size.
    ///
    /// # Safety
    /// While it is mapped nobody changes the file or makes it shorter, in this program or another. A file that is
    /// replaced as a whole, as `bantam::Model::save` does, stays as it was for whoever has it mapped.
    ///
    /// # Errors
    /// There is no such file, or the system refuses.
    pub unsafe fn open(path: impl AsRef<Path>) -> io::Result<MappedFile> {
        let file = File::open(path)?;
        // SAFETY: the caller's promise.
        Ok(MappedFile(unsafe { Mmap::map(&file)? }))
    }

    /// Gives back the memory of what was read so far, for what is rarely read again: a `bantam::Session` has most weights in
    /// another form from its start. What is read then comes from the file again.
    ///
    /// ```
    /// # use bantam_mapped::MappedFile;
    /// # let path = std::env::temp_dir().join(format!("bantam-mapped-release-{}", std::process::id()));
    /// # std::fs::write(&path, [7; 4096])?;
    /// // SAFETY: the file is this program's own, and nobody writes to it while it is mapped.
    /// let file = unsafe { MappedFile::open(&path)? };
    /// // let model = bantam::Model::from_bytes(&file)?;
    /// // let session = bantam::Session::new(&model, options)?;
    /// file.release()?;
    /// assert_eq!(file[4095], 7);
    /// # drop(file);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The system refuses. Where it has no such call there is nothing to do.
    pub fn release(&self) -> io::Result<()> {
        #[cfg(unix)]
        // SAFETY: the pages are those of a file that nobody changes, as the caller of `open` promised: they come back as they
        // were.
        unsafe {
            self.0.unchecked_advise(memmap2::UncheckedAdvice::DontNeed)?;
        }
        Ok(())
    }

    /// The same for the pages that an array has a part of, if it lies in the file: those that `bantam::Session` tells while it
    /// is made.
    ///
    /// ```no_run
    /// # use bantam_mapped::{LargePages, MappedFile};
    /// # use bantam::{Model, Options, Plan, Session};
    /// // SAFETY: nobody writes to the file while it is mapped.
    /// let file = unsafe { MappedFile::open("net.bantam")? };
    /// let model = Model::from_bytes(&file)?;
    /// let mut arena = LargePages::new(Plan::new(&model, Options::new(1))?.peak_bytes())?;
    /// let release = |weights: &[f32]| file.release_part(weights).unwrap_or_default();
    /// let session = Session::with_bytes_observed(&model, Options::new(1), &mut arena, release)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`release`](MappedFile::release).
    pub fn release_part<T>(&self, part: &[T]) -> io::Result<()> {
        let (file, part) = (self.0.as_ptr_range(), part.as_ptr_range());
        let (start, end) = (part.start.cast::<u8>(), part.end.cast::<u8>());
        if start >= end || start < file.start || file.end < end {
            return Ok(());
        }
        let (offset, len) = (start as usize - file.start as usize, end as usize - start as usize);
        #[cfg(unix)]
        // SAFETY: as in `release`.
        unsafe {
            self.0.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, len)?;
        }
        let _ = (offset, len);
        Ok(())
    }
}

impl Deref for MappedFile {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Zeros at the start of a page, in pages of 2 MB where the system offers them: memory for the arena of a large model, by
/// `bantam::Session::with_bytes`, which takes few page faults to fill.
#[derive(Debug)]
pub struct LargePages(MmapMut);

impl LargePages {
    /// So many bytes.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn new(bytes: usize) -> io::Result<LargePages> {
        let map = MmapMut::map_anon(bytes)?;
        // Where there are no such pages, others serve.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(LargePages(map))
    }
}

impl Deref for LargePages {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for LargePages {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// The system's allocator, with pages of 2 MB for what is large where Linux offers them: for programs that train, whose arenas
/// the library claims itself. A step goes over tens of megabytes, more than a CPU has addresses of small pages for.
///
/// ```
/// use bantam_mapped::LargePagesAllocator;
/// #[global_allocator]
/// static ALLOCATOR: LargePagesAllocator = LargePagesAllocator;
///
/// let samples = vec![0.5_f32; 8 << 20];
/// assert!(samples.iter().all(|&number| number == 0.5));
/// ```
#[derive(Debug)]
pub struct LargePagesAllocator;

/// What is smaller would waste much of its last page.
const LARGE: usize = 8 << 20;

// SAFETY: all is `System`'s; where its memory lies and what is in it stays as it was.
unsafe impl GlobalAlloc for LargePagesAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        in_large_pages(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        in_large_pages(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        in_large_pages(unsafe { System.realloc(memory, layout, size) }, size)
    }
}

/// Asks for large pages where so many bytes were allocated and are large.
fn in_large_pages(memory: *mut u8, size: usize) -> *mut u8 {
    #[cfg(target_os = "linux")]
    if size >= LARGE && !memory.is_null() {
        /// A page of any CPU that Linux runs on begins at a multiple.
        const PAGE: usize = 1 << 16;
        let before = memory.addr().next_multiple_of(PAGE) - memory.addr();
        let whole = (size - before) / PAGE * PAGE;
        // SAFETY: these pages lie in what was allocated, and the advice changes nothing of what is in them. Where there are no
        // large pages, others serve.
        unsafe { libc::madvise(memory.add(before).cast(), whole, libc::MADV_HUGEPAGE) };
    }
    let _ = size;
    memory
}
