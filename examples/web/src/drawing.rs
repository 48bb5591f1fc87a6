//! From a drawing to a picture as those of MNIST are.

use std::ops::Range;

/// Rows and columns of a picture.
pub const SIDE: usize = 28;

/// A picture, row by row: 0 is the ground and 1 is ink.
pub type Picture = [f32; SIDE * SIDE];

/// What a digit is brought to the size of.
const BOX: usize = 20;

/// Brings a drawing to the size and the place of MNIST's digits (LeCun, Cortes and Burges, *The MNIST database of handwritten
/// digits*): the larger side of the ink becomes 20 pixels, and the centre of its mass goes to the pixel in the middle of 28.
///
/// `rgba` has the drawing's pixels, row by row, of which alpha is the ink. Without ink the picture is blank.
///
/// # Panics
/// The pixels are no whole rows.
pub fn picture(rgba: &[[u8; 4]], columns: usize) -> Picture {
    assert!(rgba.len().is_multiple_of(columns), "expected rows of {columns} pixels, got {}", rgba.len());
    let mut picture = [0.0; SIDE * SIDE];
    let Some([rows, columns_of_ink]) = extent(rgba, columns) else { return picture };
    let step = rows.len().max(columns_of_ink.len()) as f32 / BOX as f32;
    let narrowed: Vec<[f32; BOX]> = rgba[rows.start * columns..rows.end * columns]
        .chunks_exact(columns)
        .map(|row| shrunk(&row[columns_of_ink.clone()], step, |&[.., alpha]| alpha.into()))
        .collect();
    let boxed: [[f32; BOX]; BOX] = std::array::from_fn(|column| shrunk(&narrowed, step, |row| row[column]));

    let (down, right) = (to_centre(|row| boxed.iter().map(|column| column[row]).sum()), {
        to_centre(|column| boxed[column].iter().sum())
    });
    for (column, ink) in boxed.iter().enumerate() {
        for (row, ink) in ink.iter().enumerate() {
            // What lies beyond the picture is a thin end of a digit whose mass is at the other.
            if let (Some(row), Some(column)) = (moved(row, down), moved(column, right)) {
                picture[row * SIDE + column] = ink / 255.0;
            }
        }
    }
    picture
}

/// The rows and columns that have ink.
fn extent(rgba: &[[u8; 4]], columns: usize) -> Option<[Range<usize>; 2]> {
    let has_ink = |&[.., alpha]: &[u8; 4]| alpha > 0;
    let inked = |row: &[[u8; 4]]| row.iter().any(has_ink);
    let first = rgba.chunks_exact(columns).position(inked)?;
    let last = rgba.chunks_exact(columns).rposition(inked)?;
    let [mut left, mut right] = [columns, 0];
    for row in rgba.chunks_exact(columns) {
        left = row.iter().position(has_ink).map_or(left, |at| at.min(left));
        right = row.iter().rposition(has_ink).map_or(right, |at| at.max(right));
    }
    Some([first..last + 1, left..right + 1])
}

/// The means of `line` over [`BOX`] intervals, each `step` long; there is nothing beyond its end.
fn shrunk<T>(line: &[T], step: f32, value: impl Fn(&T) -> f32) -> [f32; BOX] {
    std::array::from_fn(|i| {
        let (from, to) = (i as f32 * step, (i + 1) as f32 * step);
        let reached = (from as usize).min(line.len())..(to.ceil() as usize).min(line.len());
        let covered = |at: usize| (to.min((at + 1) as f32) - from.max(at as f32)).max(0.0);
        reached.map(|at| covered(at) * value(&line[at])).sum::<f32>() / step
    })
}

/// By how many pixels masses move so that their centre is in the middle of a picture.
fn to_centre(mass: impl Fn(usize) -> f32) -> isize {
    let (all, moment) = (0..BOX).fold((0.0, 0.0), |(all, moment), at| {
        let mass = mass(at);
        (all + mass, moment + mass * at as f32)
    });
    ((SIDE / 2) as f32 - moment / all).round() as isize
}

fn moved(at: usize, by: isize) -> Option<usize> {
    at.checked_add_signed(by).filter(|&at| at < SIDE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits;

    /// `picture` with each pixel `times` × `times` as large, on a ground of `side` × `side`, `at` from its corner.
    fn enlarged(pixels: &[u8], times: usize, side: usize, at: [usize; 2]) -> Vec<[u8; 4]> {
        let mut rgba = vec![[0; 4]; side * side];
        for (i, pixel) in rgba.iter_mut().enumerate() {
            let [row, column] = [i / side, i % side].map(|x| x as isize);
            let [row, column] =
                [row - at[0] as isize, column - at[1] as isize].map(|x| x.div_euclid(times as isize));
            let within = |x: isize| usize::try_from(x).ok().filter(|&x| x < SIDE);
            if let (Some(row), Some(column)) = (within(row), within(column)) {
                pixel[3] = pixels[row * SIDE + column];
            }
        }
        rgba
    }

    #[test]
    fn digits_of_mnist_come_out_as_they_are() {
        for (times, side, at) in [(16, 448, [0, 0]), (8, 300, [70, 3]), (1, 28, [0, 0])] {
            for digit in digits::held_out() {
                let picture = picture(&enlarged(digit.pixels, times, side, at), side);
                assert_eq!(picture, digit.picture(), "{times} times, at {at:?}");
            }
        }
    }

    #[test]
    fn the_larger_side_takes_the_box_and_the_mass_the_middle() {
        for (height, width, top, left) in
            [(300, 90, 5, 290), (31, 200, 210, 2), (57, 57, 100, 100), (7, 3, 0, 0)]
        {
            let side = 400;
            let mut rgba = vec![[0; 4]; side * side];
            for row in top..top + height {
                rgba[row * side + left..][..width].fill([9, 9, 9, 255]);
            }
            let picture = picture(&rgba, side);
            let inked = |row: usize, column: usize| picture[row * SIDE + column] > 0.0;
            let rows = (0..SIDE).filter(|&row| (0..SIDE).any(|column| inked(row, column))).count();
            let columns = (0..SIDE).filter(|&column| (0..SIDE).any(|row| inked(row, column))).count();
            assert_eq!(rows.max(columns), BOX);
            let larger = height.max(width) as f32;
            assert_eq!(rows.min(columns), (BOX as f32 * height.min(width) as f32 / larger).ceil() as usize);
            let mass: f32 = picture.iter().sum();
            let expected = (BOX * BOX * height * width) as f32 / (larger * larger);
            assert!((mass - expected).abs() < 1e-3 * expected, "{mass}, expected {expected}");
            let moment = |of: fn(usize) -> usize| {
                picture.iter().enumerate().map(|(i, ink)| ink * of(i) as f32).sum::<f32>() / mass
            };
            // By half a pixel at the most, as whole ones are moved, and what rounding adds.
            for centre in [moment(|i| i / SIDE), moment(|i| i % SIDE)] {
                assert!((centre - 14.0).abs() <= 0.5 + 1e-4, "{centre}");
            }
        }
    }

    #[test]
    fn without_ink_the_picture_is_blank() {
        assert_eq!(picture(&[[255, 255, 255, 0]; 50 * 40], 50), [0.0; SIDE * SIDE]);
    }

    #[test]
    fn ink_far_from_the_centre_of_mass_is_cut() {
        // A blot with a long thin tail.
        let mut rgba = vec![[0; 4]; 100 * 100];
        (0..20).for_each(|row| rgba[row * 100..][..10].fill([0, 0, 0, 255]));
        rgba[..100].fill([0, 0, 0, 1]);
        assert!(picture(&rgba, 100).contains(&1.0));
    }
}
