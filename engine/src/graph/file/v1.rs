//! Version 1 of the model file: a chain of layers. The table has the dimensions of a sample, and a layer after the other:
//! whether it is trainable, its name, a byte for its kind, and its attributes.

use super::{Arrays, Blueprint, CHECKSUM, Checksum, field, shape};
use crate::error::Error;
use crate::graph::Model;
use crate::layers::{
    Attributes, Conv2d, Dense, Differentiable, Dropout, Flatten, LayerType, MaxPool2d, Relu, Softmax,
};
use crate::memory::heap;
use alloc::borrow::Cow;
use core::iter;

pub(super) const VERSION: u32 = 1;

/// The layers by their kinds, from 1 on: the bytes of their attributes, and how many of them come before a padding, if
/// there is one.
const KINDS: [(&LayerType, usize, Option<usize>); 7] = [
    (&Conv2d::TRAINABLE, 22, Some(20)),
    (&MaxPool2d::TRAINABLE, 17, Some(16)),
    (&Flatten::TRAINABLE, 0, None),
    (&Dense::TRAINABLE, 5, None),
    (&Relu::TRAINABLE, 0, None),
    (&Softmax::TRAINABLE, 0, None),
    (&Dropout::TRAINABLE, 4, None),
];

/// Bytes of a padding that says how many pixels there are on each side, beside the one that says so.
const EXPLICIT: usize = 16;

pub(super) fn checksum(bytes: &[u8]) -> u64 {
    Checksum::NONE.add(&bytes[..CHECKSUM.start]).add(&bytes[CHECKSUM.end..]).value()
}

pub(super) fn read<'m>(mut table: Attributes<'m>, mut weights: Arrays<'m>) -> Result<Model<'m>, Error> {
    let mut inputs = heap::list(1)?;
    inputs.push(shape(&mut table));
    let (mut count, mut rest) = (0, table);
    while rest.more() {
        Entry::read(&mut rest)?;
        count += 1;
    }
    let mut model = Model::with_inputs(inputs, count, count)?;
    for value in 0..count {
        let Entry { trainable, name, layer, attributes } = Entry::read(&mut table)?;
        let (name, attributes) = (Cow::Borrowed(name), Cow::Borrowed(attributes));
        let blueprint = Blueprint { name, layer, attributes, trainable, frozen: 0, shares: None };
        model.push(blueprint, &mut iter::once(value), &mut |spec| weights.take(spec.shape))?;
    }
    let mut outputs = heap::list(1)?;
    outputs.push(count);
    model.set_outputs(outputs)?;
    weights.check_end()?;
    Ok(model)
}

/// A layer as the table has it.
struct Entry<'m> {
    trainable: bool,
    name: &'m str,
    layer: &'static LayerType,
    attributes: &'m [u8],
}

impl<'m> Entry<'m> {
    fn read(table: &mut Attributes<'m>) -> Result<Entry<'m>, Error> {
        let trainable = table.flag("trainable flag");
        let name = table.text("layer's name");
        let kind = usize::from(table.byte("kind of layer"));
        table.check()?;
        let Some(&(layer, mut len, padding)) = kind.checked_sub(1).and_then(|index| KINDS.get(index)) else {
            return Err(field("kind of layer"));
        };
        if padding.is_some_and(|at| table.peek(at) == Some(2)) {
            len += EXPLICIT;
        }
        let attributes = table.take(len, "attributes");
        table.check()?;
        Ok(Entry { trainable, name, layer, attributes })
    }
}
