//! The order in which Keras lists a model's layers.

use super::builder::{Draft, Drafts, Place};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::mem;

/// The nodes by how far they are from the outputs on the longest way, the farthest first, and of those that are as far in the
/// order in which a depth-first walk from the outputs meets them (keras 3.15, `map_graph` of `ops/function.py`). Nodes that
/// no output depends on come last, as they were.
///
/// `inputs` are the nodes that each node reads, which come before it.
fn by_depth(inputs: &[Vec<usize>], outputs: &[usize]) -> Vec<usize> {
    // When the walk met a node; never, where it is `None`.
    let (mut met, mut count) = (vec![None; inputs.len()], 0);
    let mut ahead: Vec<usize> = outputs.iter().rev().copied().collect();
    while let Some(node) = ahead.pop() {
        if met[node].is_none() {
            met[node] = Some(count);
            count += 1;
            ahead.extend(inputs[node].iter().rev());
        }
    }
    let mut depths = vec![0; inputs.len()];
    for node in (0..inputs.len()).rev().filter(|&node| met[node].is_some()) {
        for &input in &inputs[node] {
            depths[input] = depths[input].max(depths[node] + 1);
        }
    }
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|&node| (met[node].is_none(), Reverse(depths[node]), met[node]));
    order
}

impl Drafts {
    /// Puts the nodes in that order, and gives the outputs' new places. Of those that share weights the first has them.
    pub fn order(&mut self, outputs: &[Place]) -> Vec<Place> {
        let node_of = |place: &Place| match *place {
            Place::Node { node, .. } => Some(node),
            Place::Input(_) => None,
        };
        let inputs = self.nodes.iter().map(|draft| draft.inputs.iter().filter_map(node_of).collect());
        let order =
            by_depth(&inputs.collect::<Vec<_>>(), &outputs.iter().filter_map(node_of).collect::<Vec<_>>());
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, &node)| places[node] = place);
        let moved = |place: &Place| match *place {
            Place::Node { node, named } => Place::Node { node: places[node], named: places[named] },
            input => input,
        };
        // Whose weights each node uses, and where they are first used.
        let mut owners: Vec<usize> = Vec::with_capacity(order.len());
        for (node, draft) in self.nodes.iter().enumerate() {
            owners.push(draft.shares.map_or(node, |earlier| owners[earlier]));
        }
        let mut firsts: Vec<Option<usize>> = vec![None; order.len()];
        let mut before: Vec<Option<Draft>> = mem::take(&mut self.nodes).into_iter().map(Some).collect();
        for (place, &node) in order.iter().enumerate() {
            let Some(mut draft) = before[node].take() else { continue };
            draft.inputs.iter_mut().for_each(|input| *input = moved(input));
            draft.shares = firsts[owners[node]];
            firsts[owners[node]].get_or_insert(place);
            self.nodes.push(draft);
        }
        outputs.iter().map(moved).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::by_depth;
    use alloc::vec;

    #[test]
    fn the_longest_way_counts_and_then_the_walk() {
        // 0 feeds 1 → 2 and 3, which 4 adds in that order; 3 is as near to the output as 2, and met after it.
        let inputs = [vec![], vec![0], vec![1], vec![0], vec![2, 3]];
        assert_eq!(by_depth(&inputs, &[4]), [0, 1, 2, 3, 4]);
        // Added the other way round, 3 is met first.
        let inputs = [vec![], vec![0], vec![1], vec![0], vec![3, 2]];
        assert_eq!(by_depth(&inputs, &[4]), [0, 1, 3, 2, 4]);
    }

    #[test]
    fn branches_take_turns_level_by_level() {
        // 0 → 1 → 2 and 0 → 3 → 4, each branch drawn as a whole.
        let inputs = [vec![], vec![0], vec![1], vec![0], vec![3], vec![2, 4]];
        assert_eq!(by_depth(&inputs, &[5]), [0, 1, 3, 2, 4, 5]);
    }

    #[test]
    fn what_no_output_needs_comes_last() {
        let inputs = [vec![], vec![0], vec![0], vec![2]];
        assert_eq!(by_depth(&inputs, &[3]), [0, 2, 3, 1]);
        // Of two outputs the first's way is walked first.
        assert_eq!(by_depth(&inputs, &[1, 3]), [0, 2, 1, 3]);
        assert_eq!(by_depth(&inputs, &[]), [0, 1, 2, 3]);
    }
}
