use super::elements_of_one;
use crate::error::Error;
use crate::parallel::{Threads, WORTH_SHARING, for_each_chunk, for_each_images};
use bantam_kernels::max_pool2d::Geometry;

/// Calls `pool` for parts of some images, each with its input and output. Threads share the images or, of fewer images, the
/// rows of each.
pub(super) fn for_each_part(
    threads: Threads,
    whole: &Geometry,
    input: &[f32],
    output: &mut [f32],
    pool: impl Fn(&Geometry, &[f32], &mut [f32]) -> Result<(), Error> + Sync + Send,
) -> Result<(), Error> {
    let ([images, _, columns, channels], [_, rows, output_columns, _]) = (whole.input(), whole.output());
    let [len, output_len] = [whole.input(), whole.output()].map(elements_of_one);
    let part = threads.part_of(rows);
    if threads.are_more_than(images)
        && COST * input.len() as u64 >= WORTH_SHARING
        && (0..rows).step_by(part).all(|row| whole.rows(row..rows.min(row + part)).is_some())
    {
        let (row, output_row) = (columns * channels, output_columns * channels);
        return input.chunks(len).zip(output.chunks_mut(output_len)).try_for_each(|(input, output)| {
            for_each_chunk(output, part * output_row, |i, output| {
                let rows = i * part..i * part + output.len() / output_row;
                let Some((part, seen)) = whole.rows(rows) else { return Ok(()) };
                pool(&part, &input[seen.start * row..seen.end * row], output)
            })
        });
    }
    for_each_images(images, threads.part_of(images), output, |images, output| {
        pool(&whole.first(images.len()), &input[images.start * len..images.end * len], output)
    })
}

/// Multiply-adds of a convolution that take as long as one number of a pool's input.
const COST: u64 = 16;
