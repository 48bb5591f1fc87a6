//! Dilated convolutions, as the converter writes them where the batch is open: pixels that are as far apart as the cells of a
//! window become samples of their own, of which a plain convolution is made.

use crate::import::refused::Refused;
use crate::import::tflite::graph::Node;
use crate::import::tflite::importer::{Blocks, Given, Importer, Map, Value, one};

/// `SPACE_TO_BATCH_ND` with two numbers of a block, and what is put around.
pub fn space_to_batch(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    importer.pixels(&map)?;
    let (apart, pads) = (sizes(importer, node, 1)?, sizes(importer, node, 2)?);
    let (&[rows, columns], &[top, bottom, left, right]) = (&apart[..], &pads[..]) else {
        return Err(Refused::expected_got("block", "rows and columns", format!("{apart:?}")));
    };
    if rows == 0 || columns == 0 {
        return Err(Refused::expected_got("block", "numbers of at least 1", format!("{apart:?}")));
    }
    one(Value::Blocks(Blocks { map, apart: [rows, columns], pads: [[top, bottom], [left, right]] }))
}

/// `BATCH_TO_SPACE_ND`: the convolution before it has given whole maps.
pub fn batch_to_space(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let graph = importer.graph;
    let input = node.inputs.first().copied().flatten();
    let producer = input.and_then(|input| graph.given_by[input]).map(|at| &graph.nodes[at]);
    let whole = producer.is_some_and(|producer| {
        let read = producer.inputs.first().copied().flatten();
        read.is_some_and(|read| matches!(importer.values[read], Value::Blocks(_)))
    });
    if whole {
        return one(importer.seen(node, &map, map.dims.clone()));
    }
    Err(Refused::new("expected the blocks of a convolution").advice("samples are not told apart"))
}

/// What a convolution that gives this value of blocks puts around whole maps: what was put there, without what is cut off behind it.
pub fn around(importer: &Importer<'_>, node: &Node<'_>, blocks: &Blocks) -> Result<[[usize; 2]; 2], Refused> {
    let refused = || {
        Refused::new("blocks of pixels: expected BATCH_TO_SPACE_ND of the same behind it, and nothing else")
    };
    let graph = importer.graph;
    let output = node.outputs.first().copied().filter(|&output| graph.readers[output] == 1);
    let behind = output.and_then(|output| graph.read_by[output]).map(|at| &graph.nodes[at]);
    let behind = behind.filter(|behind| behind.op == "BATCH_TO_SPACE_ND").ok_or_else(refused)?;
    let (apart, cut) = (sizes(importer, behind, 1)?, sizes(importer, behind, 2)?);
    let (true, &[0, bottom, 0, right]) = (apart == blocks.apart, &cut[..]) else { return Err(refused()) };
    let [[top, more], [left, wider]] = blocks.pads;
    match (more.checked_sub(bottom), wider.checked_sub(right)) {
        (Some(more), Some(wider)) => Ok([[top, more], [left, wider]]),
        _ => Err(refused()),
    }
}

/// The map that a convolution reads, and whether its pixels are in blocks.
pub fn read(importer: &Importer<'_>, node: &Node<'_>) -> Result<(Map, Option<Blocks>), Refused> {
    let value = node.inputs.first().copied().flatten().map(|input| &importer.values[input]);
    match value {
        Some(Value::Blocks(blocks)) => {
            Ok((Map { exclusive: false, ..blocks.map.clone() }, Some(blocks.clone())))
        }
        _ => importer.map(node, 0).map(|map| (map, None)),
    }
}

fn sizes(importer: &Importer<'_>, node: &Node<'_>, input: usize) -> Result<Vec<usize>, Refused> {
    let told = importer.numbers(node, input, "sizes")?;
    let size = |&size: &i64| usize::try_from(size).ok().filter(|&size| size <= i32::MAX as usize);
    told.iter().map(size).collect::<Option<_>>().ok_or_else(|| {
        Refused::expected_got(&format!("input {input}"), "numbers of at least 0", format!("{told:?}"))
    })
}
