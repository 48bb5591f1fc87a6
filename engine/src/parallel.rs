//! Work in parts. How it is parted never changes a result: each part has outputs of its own.

use crate::error::Error;
use bantam_kernels::Columns;
use core::ops::Range;

/// How many threads share work. Without the feature `parallel` it is one, and the compiler leaves out what would part
/// work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    #[cfg(feature = "parallel")]
    count: usize,
}

/// From so many multiply-adds on, work is shared. A thread that is awake takes a microsecond to find its part, and one that
/// sleeps ten times as long.
pub(crate) const WORTH_SHARING: u64 = 1_000_000;
/// From so many elements on, a pass over them is shared.
#[cfg(feature = "parallel")]
const ELEMENTS_WORTH_SHARING: usize = 32 * 1024;

impl Threads {
    /// One.
    pub const ONE: Threads = Threads {
        #[cfg(feature = "parallel")]
        count: 1,
    };

    /// So many, and one at the least.
    pub(crate) fn new(count: usize) -> Threads {
        let _ = count;
        Threads {
            #[cfg(feature = "parallel")]
            count: count.max(1),
        }
    }

    /// Those of rayon's current pool.
    pub(crate) fn of_the_pool() -> Threads {
        #[cfg(feature = "parallel")]
        return Threads { count: rayon::current_num_threads() };
        #[cfg(not(feature = "parallel"))]
        Threads::ONE
    }

    /// How many there are.
    pub fn count(self) -> usize {
        #[cfg(feature = "parallel")]
        return self.count;
        #[cfg(not(feature = "parallel"))]
        1
    }

    pub(crate) fn are_more_than(self, count: usize) -> bool {
        cfg!(feature = "parallel") && self.count() > count
    }

    /// How many each of so many pieces of work has to itself when all are done at once.
    pub(crate) fn shared_by(self, pieces: usize) -> Threads {
        Threads::new(self.count().div_ceil(pieces.max(1)))
    }

    /// The size of the parts of `total` that keep every thread busy.
    pub(crate) fn part_of(self, total: usize) -> usize {
        total.div_ceil(self.count()).max(1)
    }

    /// The same, if so much work is worth it.
    pub(crate) fn part_of_work(self, total: usize, multiply_adds: u64) -> usize {
        if multiply_adds < WORTH_SHARING { total.max(1) } else { self.part_of(total) }
    }

    /// How many parts there are of `total` or less, at the most.
    pub(crate) fn most_parts(self, total: usize) -> usize {
        total.min(self.count())
    }
}

/// Does work of many small parts on a thread of rayon's current pool: to part it takes a microsecond there, as long as the
/// others look for parts. From outside of the pool each part would wait for two wakings, of a thread that does it and of the one
/// that asked.
#[inline]
pub(crate) fn together<T: Send>(threads: Threads, work: impl FnOnce() -> T + Send) -> T {
    #[cfg(feature = "parallel")]
    if threads.are_more_than(1) {
        return rayon::scope(|_| work());
    }
    let _ = threads;
    work()
}

/// Does large pieces of work, each for a thread or, if there are more of these, for some.
pub(crate) fn for_each_apart<T: Send>(
    threads: Threads,
    items: &mut [T],
    work: impl Fn(usize, &mut T) -> Result<(), Error> + Sync + Send,
) -> Result<(), Error> {
    #[cfg(feature = "parallel")]
    if items.len() > 1 && threads.are_more_than(1) {
        return for_each_chunk(items, 1, |i, item| work(i, &mut item[0]));
    }
    let _ = threads;
    items.iter_mut().enumerate().try_for_each(|(i, item)| work(i, item))
}

/// Both at once, or one after the other.
pub(crate) fn join(
    a: impl FnOnce() -> Result<(), Error> + Send,
    b: impl FnOnce() -> Result<(), Error> + Send,
) -> Result<(), Error> {
    #[cfg(feature = "parallel")]
    let (a, b) = rayon::join(a, b);
    #[cfg(not(feature = "parallel"))]
    let (a, b) = (a(), b());
    a.and(b)
}

/// Calls `work` with the index of each chunk of `data` and the chunk.
pub(crate) fn for_each_chunk<T: Send>(
    data: &mut [T],
    chunk: usize,
    work: impl Fn(usize, &mut [T]) -> Result<(), Error> + Sync + Send,
) -> Result<(), Error> {
    #[cfg(feature = "parallel")]
    if data.len() > chunk {
        use rayon::prelude::*;
        return data.par_chunks_mut(chunk).enumerate().try_for_each(|(i, chunk)| work(i, chunk));
    }
    data.chunks_mut(chunk).enumerate().try_for_each(|(i, chunk)| work(i, chunk))
}

/// Calls `work` for parts of `data` that are a multiple of `unit` elements, with where they lie in it, if it is worth
/// sharing.
#[inline]
pub(crate) fn for_each_range(
    threads: Threads,
    data: &mut [f32],
    unit: usize,
    work: impl Fn(Range<usize>, &mut [f32]) -> Result<(), Error> + Sync + Send,
) -> Result<(), Error> {
    #[cfg(feature = "parallel")]
    if threads.are_more_than(1) && data.len() >= ELEMENTS_WORTH_SHARING {
        let part = threads.part_of(data.len()).next_multiple_of(unit);
        return for_each_chunk(data, part, |i, data| work(i * part..i * part + data.len(), data));
    }
    let _ = (threads, unit);
    work(0..data.len(), data)
}

/// As [`for_each_chunk`] over two arrays that are parted alike.
pub(crate) fn for_each_chunk2<T: Send, U: Send>(
    (a, a_chunk): (&mut [T], usize),
    (b, b_chunk): (&mut [U], usize),
    work: impl Fn(usize, &mut [T], &mut [U]) -> Result<(), Error> + Sync + Send,
) -> Result<(), Error> {
    #[cfg(feature = "parallel")]
    if a.len() > a_chunk {
        use rayon::prelude::*;
        let chunks = a.par_chunks_mut(a_chunk).zip(b.par_chunks_mut(b_chunk)).enumerate();
        return chunks.try_for_each(|(i, (a, b))| work(i, a, b));
    }
    let mut chunks = a.chunks_mut(a_chunk).zip(b.chunks_mut(b_chunk)).enumerate();
    chunks.try_for_each(|(i, (a, b))| work(i, a, b))
}

/// Calls `work` for each `part` of some images, with which they are and their chunk of `data`.
pub(crate) fn for_each_images(
    images: usize,
    part: usize,
    data: &mut [f32],
    work: impl Fn(Range<usize>, &mut [f32]) -> Result<(), Error> + Sync + Send,
) -> Result<(), Error> {
    let len = data.len() / images;
    for_each_chunk(data, part * len, |i, data| work(i * part..i * part + data.len() / len, data))
}

/// As [`for_each_chunk`], with scratch of so many elements for each chunk.
pub(crate) fn for_each_chunk_with(
    (data, chunk): (&mut [f32], usize),
    (scratch, len): (&mut [f32], usize),
    work: impl Fn(usize, &mut [f32], &mut [f32]) -> Result<(), Error> + Sync + Send,
) -> Result<(), Error> {
    #[cfg(feature = "parallel")]
    if data.len() > chunk {
        assert!(scratch.len() >= data.len().div_ceil(chunk) * len, "scratch for each chunk");
        return match len {
            0 => for_each_chunk(data, chunk, |i, data| work(i, data, &mut [])),
            _ => for_each_chunk2((data, chunk), (scratch, len), work),
        };
    }
    let mut chunks = data.chunks_mut(chunk).enumerate();
    chunks.try_for_each(|(i, data)| work(i, data, &mut scratch[..len]))
}

/// As [`for_each_chunk_with`], beside bytes that are parted alike if there are any.
pub(crate) fn for_each_part(
    data: &mut [f32],
    bytes: Option<&mut [u8]>,
    chunk: usize,
    (scratch, len): (&mut [f32], usize),
    work: impl Fn(usize, &mut [f32], Option<&mut [u8]>, &mut [f32]) -> Result<(), Error> + Sync + Send,
) -> Result<(), Error> {
    #[cfg(feature = "parallel")]
    if data.len() > chunk {
        use rayon::prelude::*;
        let Some(bytes) = bytes else {
            return for_each_chunk_with((data, chunk), (scratch, len), |i, data, scratch| {
                work(i, data, None, scratch)
            });
        };
        assert!(scratch.len() >= data.len().div_ceil(chunk) * len, "scratch for each chunk");
        let chunks = data.par_chunks_mut(chunk).zip(bytes.par_chunks_mut(chunk));
        let chunks = chunks.zip(scratch.par_chunks_mut(len)).enumerate();
        return chunks.try_for_each(|(i, ((data, bytes), scratch))| work(i, data, Some(bytes), scratch));
    }
    each_chunk(data, bytes, chunk, |i, data, bytes| work(i, data, bytes, &mut scratch[..len]))
}

/// One after the other, what [`for_each_part`] does at once.
pub(crate) fn each_chunk(
    data: &mut [f32],
    bytes: Option<&mut [u8]>,
    chunk: usize,
    mut work: impl FnMut(usize, &mut [f32], Option<&mut [u8]>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut chunks = data.chunks_mut(chunk).enumerate();
    match bytes {
        None => chunks.try_for_each(|(i, data)| work(i, data, None)),
        Some(bytes) => {
            let mut chunks = chunks.zip(bytes.chunks_mut(chunk));
            chunks.try_for_each(|((i, data), bytes)| work(i, data, Some(bytes)))
        }
    }
}

/// Calls `work` with the index of each group and its chunk of each array, of so many elements for each
/// group or, the last, fewer. Threads share the groups; each has scratch of its own.
pub(crate) fn for_each_group<const N: usize>(
    threads: Threads,
    arrays: [(&mut [f32], usize); N],
    groups: usize,
    (scratch, scratch_len): (&mut [f32], usize),
    work: impl Fn(usize, [&mut [f32]; N], &mut [f32]) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    share(0..groups, threads.most_parts(groups), arrays, (scratch, scratch_len), &work)
}

fn share<const N: usize>(
    groups: Range<usize>,
    threads: usize,
    arrays: [(&mut [f32], usize); N],
    (scratch, scratch_len): (&mut [f32], usize),
    work: &(impl Fn(usize, [&mut [f32]; N], &mut [f32]) -> Result<(), Error> + Sync),
) -> Result<(), Error> {
    if threads <= 1 {
        let mut arrays = arrays.map(|(array, len)| array.chunks_mut(len));
        return groups.into_iter().try_for_each(|group| {
            let chunks = arrays.each_mut().map(|chunks| chunks.next().unwrap_or_default());
            work(group, chunks, &mut scratch[..scratch_len])
        });
    }
    let left_threads = threads / 2;
    let left_groups = (groups.len() * left_threads).div_ceil(threads);
    let middle = groups.start + left_groups;
    let mut rights = [const { None }; N];
    let mut rights_of = rights.iter_mut();
    let lefts = arrays.map(|(array, len)| {
        let (left, right) = array.split_at_mut((len * left_groups).min(array.len()));
        if let Some(place) = rights_of.next() {
            *place = Some((right, len));
        }
        (left, len)
    });
    let rights = rights.map(|right| right.unwrap_or_default());
    let (left_scratch, right_scratch) = scratch.split_at_mut(left_threads * scratch_len);
    let left = || share(groups.start..middle, left_threads, lefts, (left_scratch, scratch_len), work);
    let right_threads = threads - left_threads;
    let right = || share(middle..groups.end, right_threads, rights, (right_scratch, scratch_len), work);
    join(left, right)
}

/// Calls `work` with each of so many parts, its columns, which begin with that of `first_of`, and scratch of so many
/// elements. Threads share the parts.
pub(crate) fn for_each_columns(
    parts: Range<usize>,
    columns: Columns<'_>,
    (scratch, scratch_len): (&mut [f32], usize),
    first_of: &(impl Fn(usize) -> usize + Sync),
    work: &(impl Fn(usize, Columns<'_>, &mut [f32]) -> Result<(), Error> + Sync),
) -> Result<(), Error> {
    if parts.len() <= 1 {
        return work(parts.start, columns, &mut scratch[..scratch_len]);
    }
    let middle = parts.start + parts.len() / 2;
    let (left, right) = columns.split_at(first_of(middle) - first_of(parts.start));
    let (left_scratch, right_scratch) = scratch.split_at_mut(scratch_len * (middle - parts.start));
    join(
        || for_each_columns(parts.start..middle, left, (left_scratch, scratch_len), first_of, work),
        || for_each_columns(middle..parts.end, right, (right_scratch, scratch_len), first_of, work),
    )
}
