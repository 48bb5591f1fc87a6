//! Products with constant matrices.

use crate::import::constant::{Int, Tensor};
use crate::import::net::{Kind, Make, Weights};
use crate::import::refused::Refused;
use crate::import::tflite::graph::Node;
use crate::import::tflite::importer::{Given, Importer, Map, shape};
use bantam::{Conv1d, Dense};

/// `FULLY_CONNECTED`, with weights `[O, I]`: of rows of as many elements as a row of weights, whatever the input's shape.
pub fn fully_connected(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let weights = importer.weights(node, 1, "the weights", 2)?;
    let [units, columns] = [weights.dims[0], weights.dims[1]];
    if node.byte(1)? != 0 {
        return Err(Refused::expected_got("order of the weights", "as they are", "shuffled"));
    }
    let refused = || Refused::expected_got("input", format!("rows of {columns}"), shape(&map.dims));
    let all = map.dims.iter().try_fold(Int::Known(1), |all, &dim| all.times(dim));
    let rows = all.and_then(|all| all.over(Int::Known(columns as i64))).ok_or_else(refused)?;
    let dims = if node.flag(2)? {
        let (&last, rest) = map.dims.split_last().ok_or_else(refused)?;
        if last != Int::Known(columns as i64) {
            return Err(refused());
        }
        [rest, &[Int::Known(units as i64)]].concat()
    } else {
        vec![rows, Int::Known(units as i64)]
    };
    let bias = importer.bias(node, 2, units)?;
    product(importer, node, &map, weights.transposed(&[1, 0]), bias, dims, node.byte(0)?)
}

/// `BATCH_MATMUL` of a map and a constant matrix.
pub fn batch_matmul(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = match [0, 1].map(|input| importer.map(node, input).ok()) {
        [Some(map), None] => map,
        maps => return Err(Refused::product(maps.map(|map| Some(shape(&map?.dims))))),
    };
    let rank = importer.floats(node, 1)?.map_or(0, |matrix| matrix.dims.len());
    let matrix = importer.weights(node, 1, "a matrix", rank.max(2))?;
    let ones = rank - 2;
    if matrix.dims[..ones].iter().any(|&dim| dim != 1) || node.flag(0)? {
        return Err(Refused::expected_got(
            "second input",
            "one matrix for all",
            format!("{:?}", matrix.dims),
        ));
    }
    let matrix =
        matrix.view(matrix.dims[ones..].to_vec(), vec![matrix.stride(ones), matrix.stride(ones + 1)]);
    let matrix = if node.flag(1)? { matrix.transposed(&[1, 0]) } else { matrix };
    let Some((&last, rest)) = map.dims.split_last() else {
        return Err(Refused::expected_got("input", "a matrix", shape(&map.dims)));
    };
    if last != Int::Known(matrix.dims[0] as i64) {
        return Err(Refused::expected_got("input", format!("rows of {}", matrix.dims[0]), shape(&map.dims)));
    }
    let dims = [rest, &[Int::Known(matrix.dims[1] as i64)]].concat();
    product(importer, node, &map, matrix, None, dims, 0)
}

/// Rows times a matrix `[In, Out]`.
fn product(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    map: &Map,
    matrix: Tensor,
    bias: Option<Tensor>,
    dims: Vec<Int>,
    function: u8,
) -> Given {
    let [columns, units] = [matrix.dims[0], matrix.dims[1]];
    let all: usize = importer.sample(map)?.iter().product();
    let rows = all / columns;
    if rows * columns != all || rows == 0 {
        return Err(Refused::expected_got(
            "input",
            format!("rows of {columns} in each sample"),
            shape(&map.dims),
        ));
    }
    let (make, before, behind): (Make, _, _) = if rows == 1 {
        let how = Dense::new(units);
        let make: Make =
            Box::new(move |graph, x, bias| graph.layer(if bias { how } else { how.no_bias() }, x));
        (make, vec![columns], vec![units])
    } else {
        let how = Conv1d::valid().filters(units).kernel(1);
        let make: Make =
            Box::new(move |graph, x, bias| graph.layer(if bias { how } else { how.no_bias() }, x));
        (make, vec![rows, columns], vec![rows, units])
    };
    let kernel = if rows == 1 { matrix } else { matrix.with_axis(0) };
    let id = importer.net.reshape(&node.name, map.id, &before);
    let weights = [Weights::new("kernel", kernel)].into_iter();
    let weights = weights.chain(bias.map(|bias| Weights::new("bias", bias))).collect();
    let kind = Kind::Sums { outputs: units, inner: 1 };
    let id = importer.net.add(&node.name, kind, &[id], behind, weights, make);
    importer.activated(node, id, dims, function)
}
