//! Work in parts. How it is parted never changes a result: each part has outputs of its own.

use crate::Error;
use core::ops::Range;

/// How many threads there are to share work, less those that [`for_each_apart`] keeps busy.
pub(crate) fn threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads().div_ceil(APART.get());
    #[cfg(not(feature = "parallel"))]
    1
}

#[cfg(feature = "parallel")]
std::thread_local! {
    /// How many items this thread's is one of.
    static APART: core::cell::Cell<usize> = const { core::cell::Cell::new(1) };
}

/// Does one of so many pieces of work. A thread that waits for its own may do another's meanwhile.
#[cfg(feature = "parallel")]
fn one_of<R>(apart: usize, work: impl FnOnce() -> R) -> R {
    let outer = APART.replace(apart);
    let result = work();
    APART.set(outer);
    result
}

/// Calls `work` with each item and its index: large pieces of work, each for a thread or, if there are
/// more of these, for some.
pub(crate) fn for_each_apart<T: Send>(
    items: &mut [T],
    work: impl Fn(usize, &mut T) -> Result<(), Error> + Sync + Send,
) -> Result<(), Error> {
    #[cfg(feature = "parallel")]
    if items.len() > 1 && threads() > 1 {
        let apart = APART.get() * items.len();
        return for_each_chunk(items, 1, |i, item| one_of(apart, || work(i, &mut item[0])));
    }
    items.iter_mut().enumerate().try_for_each(|(i, item)| work(i, item))
}

/// Whether there are fewer images than threads, so that an image is parted. False to the compiler where
/// there is one thread, so that it leaves out what would do that.
pub(crate) fn fewer_than_threads(images: usize) -> bool {
    cfg!(feature = "parallel") && images < threads()
}

/// From so many multiply-adds on, work is shared. Waking a thread takes some ten microseconds.
pub(crate) const WORTH_SHARING: u64 = 4_000_000;

/// How many threads so much work is for.
fn threads_for(multiply_adds: u64) -> usize {
    if multiply_adds < WORTH_SHARING { 1 } else { threads() }
}

/// The size of the parts of `total` that keep every thread busy, if so much work is worth it.
pub(crate) fn part_of_work(total: usize, multiply_adds: u64) -> usize {
    total.div_ceil(threads_for(multiply_adds)).max(1)
}

/// The size of the parts of `total` that keep every thread busy.
pub(crate) fn part_of(total: usize) -> usize {
    total.div_ceil(threads()).max(1)
}

/// How many parts there are of `total` or less, at the most.
pub(crate) fn most_parts(total: usize) -> usize {
    total.min(threads())
}

/// Both at once, or one after the other.
pub(crate) fn join(
    a: impl FnOnce() -> Result<(), Error> + Send,
    b: impl FnOnce() -> Result<(), Error> + Send,
) -> Result<(), Error> {
    #[cfg(feature = "parallel")]
    let (a, b) = {
        let apart = APART.get();
        rayon::join(a, || one_of(apart, b))
    };
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

/// As [`for_each_chunk`], with scratch of so many elements for each chunk.
pub(crate) fn for_each_chunk_with(
    (data, chunk): (&mut [f32], usize),
    (scratch, len): (&mut [f32], usize),
    work: impl Fn(usize, &mut [f32], &mut [f32]) -> Result<(), Error> + Sync + Send,
) -> Result<(), Error> {
    #[cfg(feature = "parallel")]
    if data.len() > chunk {
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
    arrays: [(&mut [f32], usize); N],
    groups: usize,
    (scratch, scratch_len): (&mut [f32], usize),
    work: impl Fn(usize, [&mut [f32]; N], &mut [f32]) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    share(0..groups, most_parts(groups), arrays, (scratch, scratch_len), &work)
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
