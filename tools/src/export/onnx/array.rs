//! Initialisers: weights, turned while they are written, and small constants.

use bytemuck::cast_slice;
use std::borrow::Cow;
use std::ptr;

/// An initialiser.
#[derive(Clone, Debug)]
pub struct Array<'m> {
    pub name: String,
    pub dims: Vec<usize>,
    pub data: Data<'m>,
}

/// What an initialiser has.
#[derive(Clone, Debug)]
pub enum Data<'m> {
    Floats(Floats<'m>),
    Ints(Vec<i64>),
}

/// Numbers of a model, in another order.
#[derive(Clone, Debug)]
pub struct Floats<'m> {
    values: Cow<'m, [f32]>,
    /// As the model has them.
    dims: Vec<usize>,
    /// Which of these each dimension is, outermost first.
    order: Vec<usize>,
}

impl<'m> Floats<'m> {
    pub fn new(values: impl Into<Cow<'m, [f32]>>) -> Floats<'m> {
        let values = values.into();
        Floats { dims: vec![values.len()], values, order: vec![0] }
    }

    /// The same, of these dimensions, in that order.
    pub fn turned(self, dims: &[usize], order: &[usize]) -> Floats<'m> {
        Floats { dims: dims.to_vec(), order: order.to_vec(), ..self }
    }

    /// Sizes, outermost first.
    pub fn sizes(&self) -> Vec<usize> {
        self.order.iter().map(|&axis| self.dims[axis]).collect()
    }

    /// Whether they are certainly the same: those of layers that share them are at the same place.
    fn is(&self, other: &Floats<'_>) -> bool {
        let same = match (&self.values, &other.values) {
            (Cow::Borrowed(a), Cow::Borrowed(b)) => ptr::eq(*a, *b),
            (Cow::Owned(a), Cow::Owned(b)) => a == b,
            _ => false,
        };
        same && self.dims == other.dims && self.order == other.order
    }

    /// All, in order.
    fn collect(&self) -> Cow<'_, [f32]> {
        if self.order.is_sorted() {
            return Cow::Borrowed(&self.values);
        }
        let stride = |&axis: &usize| self.dims[axis + 1..].iter().product::<usize>();
        let (sizes, strides) = (self.sizes(), self.order.iter().map(stride).collect::<Vec<_>>());
        let Some((&row, outer)) = sizes.split_last() else { return Cow::Borrowed(&self.values) };
        let step = strides[outer.len()];
        let mut turned = Vec::with_capacity(self.values.len());
        for index in 0..self.values.len() / row.max(1) {
            let (mut index, mut at) = (index, 0);
            for (size, stride) in outer.iter().zip(&strides).rev() {
                at += index % size * stride;
                index /= size;
            }
            turned.extend(self.values[at..].iter().step_by(step).take(row));
        }
        Cow::Owned(turned)
    }
}

impl Array<'_> {
    /// Whether another may stand for it.
    pub fn is(&self, other: &Array<'_>) -> bool {
        self.dims == other.dims
            && match (&self.data, &other.data) {
                (Data::Floats(a), Data::Floats(b)) => a.is(b),
                (Data::Ints(a), Data::Ints(b)) => a == b,
                _ => false,
            }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Floats(floats) => floats.values.len() * size_of::<f32>(),
            Data::Ints(ints) => ints.len() * size_of::<i64>(),
        }
    }

    /// Little-endian, as files have them.
    pub fn bytes<E>(&self, write: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match &self.data {
            Data::Floats(floats) if cfg!(target_endian = "little") => write(cast_slice(&floats.collect())),
            Data::Floats(floats) => floats.collect().iter().try_for_each(|x| write(&x.to_le_bytes())),
            Data::Ints(ints) => ints.iter().try_for_each(|x| write(&x.to_le_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_turned() {
        let values: Vec<f32> = (0..24).map(|x| x as f32).collect();
        let turned = Floats::new(&values[..]).turned(&[2, 3, 4], &[2, 0, 1]);
        assert_eq!(turned.sizes(), [4, 2, 3]);
        let expected: Vec<f32> = (0..24).map(|i| (i % 6 * 4 + i / 6) as f32).collect();
        assert_eq!(*turned.collect(), expected);
    }
}
