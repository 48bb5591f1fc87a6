//! How the axes that a file speaks of lie in memory.
//!
//! A net of the file has maps `[N, C, H, W]`, ours has the same maps as `[H, W, C]` of each sample. Each axis is a product of
//! factors, and memory has the factors in an order of its own: to transpose, to reshape, to flatten is to say the same factors
//! in other words, and moves nothing. Only an operator that wants its elements in a certain order may have to turn them, and
//! most want their channels last, which is where they are.

use crate::import::constant::Int;

/// A part of an axis; sizes of 1 have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Factor {
    id: u32,
    pub size: usize,
}

impl Factor {
    /// The batch: the samples, which lie outermost in memory whatever the axes are.
    pub const BATCH: Factor = Factor { id: 0, size: 0 };
}

/// Gives factors that no other is equal to.
#[derive(Debug, Default)]
pub struct Factors(u32);

impl Factors {
    /// A new one.
    pub fn of(&mut self, size: usize) -> Factor {
        self.0 += 1;
        Factor { id: self.0, size }
    }

    /// An axis of that size.
    pub fn axis(&mut self, size: usize) -> Vec<Factor> {
        if size == 1 { Vec::new() } else { vec![self.of(size)] }
    }
}

/// Axes, and where they lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrangement {
    /// The factors of each axis, outermost first.
    pub axes: Vec<Vec<Factor>>,
    /// All factors of a sample as memory has them, outermost first.
    pub order: Vec<Factor>,
}

/// How many elements, or as many as can be counted: what has more than memory has is refused when its node is done.
pub fn size(factors: &[Factor]) -> usize {
    factors.iter().fold(1, |product, factor| product.saturating_mul(factor.size))
}

/// The size of an axis in the file. `batch` is that of the whole graph.
pub fn extent(axis: &[Factor], batch: Int) -> Int {
    let known = |factor: &&Factor| **factor != Factor::BATCH;
    let sample =
        axis.iter().filter(known).fold(1, |product: i64, factor| product.saturating_mul(factor.size as i64));
    let samples = if axis.contains(&Factor::BATCH) { batch } else { Int::Known(1) };
    samples.times(Int::Known(sample)).unwrap_or(samples)
}

impl Arrangement {
    /// Of a batch of samples whose axes lie as they are said.
    pub fn of_samples(dims: &[usize], factors: &mut Factors) -> Arrangement {
        let mut axes = vec![vec![Factor::BATCH]];
        axes.extend(dims.iter().map(|&dim| factors.axis(dim)));
        let order = axes[1..].concat();
        Arrangement { axes, order }
    }

    /// The sizes of the axes.
    pub fn dims(&self, batch: Int) -> Vec<Int> {
        self.axes.iter().map(|axis| extent(axis, batch)).collect()
    }

    /// Sizes of memory as the axes have it: what lies side by side and is of one axis is one.
    pub fn natural(&self) -> Vec<usize> {
        let mut dims: Vec<(usize, usize)> = Vec::new();
        for factor in &self.order {
            let axis = self.axes.iter().position(|axis| axis.contains(factor)).unwrap_or_default();
            match dims.last_mut() {
                Some((before, size)) if *before == axis => *size = size.saturating_mul(factor.size),
                _ => dims.push((axis, factor.size)),
            }
        }
        dims.into_iter().map(|(_, size)| size).collect()
    }

    /// A factor as two, of which the outer has that size.
    fn split(&mut self, factor: Factor, outer: usize, factors: &mut Factors) {
        let parts = [factors.of(outer), factors.of(factor.size / outer)];
        for list in self.axes.iter_mut().chain([&mut self.order]) {
            if let Some(at) = list.iter().position(|&one| one == factor) {
                list.splice(at..=at, parts);
            }
        }
    }

    /// The axes in another order.
    pub fn transposed(&self, order: &[usize], batch: Int) -> Arrangement {
        let axes = order.iter().map(|&axis| self.axes[axis].clone()).collect();
        Arrangement { axes, order: self.order.clone() }.settled(batch)
    }

    /// A batch of one is a size of one, which may be said to be of any axis: of the first.
    pub fn settled(mut self, batch: Int) -> Arrangement {
        if batch == Int::Known(1) && !self.axes.is_empty() {
            self.axes.iter_mut().for_each(|axis| axis.retain(|&factor| factor != Factor::BATCH));
            self.axes[0].insert(0, Factor::BATCH);
        }
        self
    }

    /// The same elements in the same order with other sizes, of the same product. `None` if an axis would begin within a factor
    /// that does not divide so.
    pub fn reshaped(&self, dims: &[Int], batch: Int, factors: &mut Factors) -> Option<Arrangement> {
        let mut new = self.clone();
        let mut left = new.axes.concat();
        if batch == Int::Known(1) {
            left.retain(|&factor| factor != Factor::BATCH);
        }
        left.reverse();
        let mut axes = Vec::with_capacity(dims.len());
        for &dim in dims {
            let (mut axis, mut need) = (Vec::new(), dim);
            while need != Int::Known(1) {
                let factor = left.pop()?;
                let has = if factor == Factor::BATCH { batch } else { Int::Known(factor.size as i64) };
                if let Some(rest) = need.over(has) {
                    (need, _) = (rest, axis.push(factor));
                    continue;
                }
                let outer = need.known().filter(|&outer| factor != Factor::BATCH && outer > 0)? as usize;
                if factor.size % outer != 0 {
                    return None;
                }
                new.split(factor, outer, factors);
                let at = new.order.iter().position(|&part| part.id == factors.0 - 1)?;
                left.extend([new.order[at + 1], new.order[at]]);
            }
            axes.push(axis);
        }
        new.axes = axes;
        left.is_empty().then(|| new.settled(batch))
    }

    /// As axes of one factor each, whose elements lie in the order of the axes: of memory that has been put in that order.
    pub fn in_order_of_axes(&self, factors: &mut Factors) -> Arrangement {
        let whole = |axis: &Vec<Factor>| {
            let (batch, sample): (Vec<Factor>, Vec<Factor>) =
                axis.iter().partition(|&&factor| factor == Factor::BATCH);
            [batch, factors.axis(size(&sample))].concat()
        };
        let axes: Vec<Vec<Factor>> = self.axes.iter().map(whole).collect();
        let order = axes.concat().into_iter().filter(|&factor| factor != Factor::BATCH).collect();
        Arrangement { axes, order }
    }

    /// The factors of a sample in the order of the axes.
    pub fn logical(&self) -> Vec<Factor> {
        self.axes.concat().into_iter().filter(|&factor| factor != Factor::BATCH).collect()
    }

    /// Makes the factors of axes of the same size the same as another's. `false` if those do not divide each other.
    pub fn unify(
        &mut self,
        other: &mut Arrangement,
        pairs: &[(usize, usize)],
        factors: &mut Factors,
    ) -> bool {
        if pairs.iter().all(|&(mine, others)| self.axes[mine] == other.axes[others]) {
            return true;
        }
        // A value may meet itself transposed: what it calls a factor is then another's.
        for factor in other.order.clone() {
            let new = factors.of(factor.size);
            other.rename(factor, new);
        }
        for &(mine, others) in pairs {
            let mut at = 0;
            while let (Some(&a), Some(&b)) = (self.axes[mine].get(at), other.axes[others].get(at)) {
                if a != b {
                    match (a.size, b.size) {
                        (0, _) | (_, 0) => return false,
                        (a_size, b_size) if a_size == b_size => other.rename(b, a),
                        (a_size, b_size) if a_size % b_size == 0 => {
                            self.split(a, b_size, factors);
                            continue;
                        }
                        (a_size, b_size) if b_size % a_size == 0 => {
                            other.split(b, a_size, factors);
                            continue;
                        }
                        _ => return false,
                    }
                }
                at += 1;
            }
        }
        true
    }

    fn rename(&mut self, from: Factor, to: Factor) {
        let lists = self.axes.iter_mut().chain([&mut self.order]);
        lists.flatten().filter(|factor| **factor == from).for_each(|factor| *factor = to);
    }

    /// Where these factors lie side by side, in any order among themselves.
    pub fn run_of(&self, run: &[Factor]) -> Option<usize> {
        let first = self.order.iter().position(|factor| run.contains(factor))?;
        let here = self.order.get(first..first + run.len())?;
        here.iter().all(|factor| run.contains(factor)).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: Int = Int::Batch(1);

    fn known(dims: &[i64]) -> Vec<Int> {
        let mut all = vec![N];
        all.extend(dims.iter().map(|&dim| Int::Known(dim)));
        all
    }

    /// `[N, C, H, W]` that lies as `[H, W, C]`.
    fn map(c: usize, h: usize, w: usize, factors: &mut Factors) -> Arrangement {
        let lies = Arrangement::of_samples(&[h, w, c], factors);
        lies.transposed(&[0, 3, 1, 2], N)
    }

    #[test]
    fn flattening_moves_nothing() {
        let mut factors = Factors::default();
        let map = map(8, 3, 5, &mut factors);
        let flat = map.reshaped(&known(&[120]), N, &mut factors).unwrap();
        assert_eq!(flat.order, map.order);
        assert_eq!(flat.dims(N), known(&[120]));
        let back = flat.reshaped(&known(&[8, 3, 5]), N, &mut factors).unwrap();
        assert_eq!(back, map);
    }

    #[test]
    fn channels_are_shuffled_in_words_alone() {
        let mut factors = Factors::default();
        let map = map(6, 2, 2, &mut factors);
        let parted = map.reshaped(&known(&[2, 3, 2, 2]), N, &mut factors).unwrap();
        assert_eq!(parted.natural(), [2, 2, 2, 3]);
        let shuffled =
            parted.transposed(&[0, 2, 1, 3, 4], N).reshaped(&known(&[6, 2, 2]), N, &mut factors).unwrap();
        assert_eq!(shuffled.order, parted.order);
        assert_ne!(shuffled.axes[1], parted.axes.concat()[1..3]);
    }

    #[test]
    fn what_does_not_divide_is_not_reshaped() {
        let mut factors = Factors::default();
        let map = map(4, 1, 3, &mut factors);
        assert_eq!(map.reshaped(&known(&[6, 2]), N, &mut factors), None);
        assert_eq!(map.reshaped(&[Int::Batch(6), Int::Known(2)], N, &mut factors), None);
        let samples = map.reshaped(&[Int::Batch(4), Int::Known(3)], N, &mut factors).unwrap();
        assert_eq!(samples.dims(N), [Int::Batch(4), Int::Known(3)]);
    }

    #[test]
    fn a_batch_of_one_may_be_left_out() {
        let (mut factors, one) = (Factors::default(), Int::Known(1));
        let map = Arrangement::of_samples(&[2, 3], &mut factors);
        let without = map.reshaped(&[Int::Known(6)], one, &mut factors).unwrap();
        let again = without.reshaped(&[one, Int::Known(2), Int::Known(3)], one, &mut factors).unwrap();
        assert_eq!(again.axes[0], [Factor::BATCH]);
        assert_eq!(again.dims(one), [one, Int::Known(2), Int::Known(3)]);
    }

    #[test]
    fn axes_of_one_size_are_made_one() {
        let mut factors = Factors::default();
        let (mut a, mut b) = (map(12, 2, 2, &mut factors), map(12, 2, 2, &mut factors));
        b = b.reshaped(&known(&[3, 4, 2, 2]), N, &mut factors).unwrap();
        b = b.reshaped(&known(&[12, 2, 2]), N, &mut factors).unwrap();
        assert!(a.unify(&mut b, &[(1, 1), (2, 2), (3, 3)], &mut factors));
        assert_eq!(a, b);
    }
}
