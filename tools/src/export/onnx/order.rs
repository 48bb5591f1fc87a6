//! In which order a tensor has the axes of a value. Axis 0 is the batch.

use std::ops::Range;

/// As the model has them, of a sample of so many dimensions.
pub fn natural(rank: usize) -> Vec<usize> {
    (0..=rank).collect()
}

/// Channels behind the batch.
pub fn channels_first(rank: usize) -> Vec<usize> {
    [0, rank].into_iter().take(rank.min(1) + 1).chain(1..rank).collect()
}

/// The transposition that makes one order of another.
pub fn permutation(from: &[usize], to: &[usize]) -> Vec<usize> {
    to.iter().map(|axis| from.iter().position(|have| have == axis).unwrap_or_default()).collect()
}

/// Whether two orders have all numbers in the same places: axes of one number have no place.
pub fn is_same(a: &[usize], b: &[usize], sample: &[usize]) -> bool {
    let moves = |&&axis: &&usize| axis == 0 || sample[axis - 1] > 1;
    a.iter().filter(moves).eq(b.iter().filter(moves))
}

/// What an order is called: `nchw`.
pub fn letters(order: &[usize]) -> String {
    let letters = match order.len() {
        2 => "nc",
        3 => "nlc",
        4 => "nhwc",
        _ => "ndhwc",
    };
    order.iter().filter_map(|&axis| letters.chars().nth(axis)).collect()
}

/// The order that a tensor is to have so that a reshape of the sample is one of the tensor, and the order that it has then.
///
/// Axes fall into groups, each of which becomes a group of the new ones. A group's axes have to lie side by side; the groups
/// stay in the order in which the tensor has them, but that the batch comes first.
pub fn reshape(order: &[usize], from: &[usize], to: &[usize]) -> [Vec<usize>; 2] {
    let mut groups = groups(from, to);
    groups.sort_by_key(|(axes, _)| {
        let place = order.iter().position(|axis| axes.contains(axis));
        (axes.start > 0, place)
    });
    let [mut before, mut behind] = [Vec::new(), Vec::new()];
    for (axes, new) in groups {
        before.extend(axes);
        behind.extend(new);
    }
    [before, behind]
}

/// The smallest groups of axes of as many elements, from the batch on.
fn groups(from: &[usize], to: &[usize]) -> Vec<(Range<usize>, Range<usize>)> {
    let mut groups = vec![(0..1, 0..1)];
    let (mut i, mut j) = (0, 0);
    while i < from.len() && j < to.len() {
        let (first, second) = (i, j);
        let (mut a, mut b) = (from[i], to[j]);
        (i, j) = (i + 1, j + 1);
        while a != b {
            let (size, at, sizes) = if a < b { (&mut a, &mut i, from) } else { (&mut b, &mut j, to) };
            let Some(next) = sizes.get(*at) else { break };
            *size *= next;
            *at += 1;
        }
        groups.push((first + 1..i + 1, second + 1..j + 1));
    }
    // What is left has sizes of 1.
    if let Some((axes, new)) = groups.last_mut() {
        *axes = axes.start..from.len() + 1;
        *new = new.start..to.len() + 1;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_go_to_the_front() {
        assert_eq!(channels_first(3), [0, 3, 1, 2]);
        assert_eq!(channels_first(1), [0, 1]);
        assert_eq!(permutation(&natural(3), &channels_first(3)), [0, 3, 1, 2]);
        assert_eq!(permutation(&channels_first(3), &natural(3)), [0, 2, 3, 1]);
        assert_eq!(letters(&channels_first(3)), "nchw");
        assert!(is_same(&channels_first(3), &natural(3), &[1, 1, 8]));
        assert!(!is_same(&channels_first(3), &natural(3), &[1, 2, 8]));
    }

    /// Channels that are parted into groups stay where they are; those that were turned are turned once.
    #[test]
    fn a_shuffle_of_channels_takes_one_transposition() {
        let [before, behind] = reshape(&channels_first(3), &[4, 5, 6], &[4, 5, 2, 3]);
        assert_eq!((before, behind.clone()), (channels_first(3), vec![0, 3, 4, 1, 2]));
        // Permute exchanges axes 3 and 4.
        let [before, behind] = reshape(&[0, 4, 3, 1, 2], &[4, 5, 3, 2], &[4, 5, 6]);
        assert_eq!((before, behind), (vec![0, 3, 4, 1, 2], channels_first(3)));
    }

    #[test]
    fn a_flatten_wants_the_natural_order() {
        assert_eq!(reshape(&channels_first(3), &[4, 5, 6], &[120]), [natural(3), natural(1)]);
        assert_eq!(reshape(&natural(3), &[1, 1, 6], &[6]), [natural(3), natural(1)]);
        assert_eq!(reshape(&natural(1), &[6], &[1, 6, 1]), [natural(1), natural(3)]);
        // Steps come first in recurrent layers.
        assert_eq!(reshape(&[1, 0, 2], &[5, 6], &[30]), [natural(2), natural(1)]);
    }
}
