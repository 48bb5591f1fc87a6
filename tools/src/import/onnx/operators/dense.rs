//! Products with constant matrices.

use crate::import::constant::Tensor;
use crate::import::net::{Kind, Make, Weights};
use crate::import::onnx::arrangement::{Arrangement, Factor, size};
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, Map, one};
use crate::import::refused::Refused;
use bantam::{Conv1d, Dense};

/// `Gemm`: `alpha · A · B + beta · C`, in which `A` is the map.
pub fn gemm(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let (map, matrix) = factors(importer, node)?;
    if map.lies.axes.len() != 2 || matrix.dims.len() != 2 {
        let got = format!("{} and {:?}", importer.shape(&map), matrix.dims);
        return Err(Refused::expected_got("inputs", "matrices", got));
    }
    if node.flag("transA") {
        return Err(Refused::new("transA: expected rows that are samples, got columns"));
    }
    let matrix = if node.flag("transB") { matrix.transposed(&[1, 0]) } else { matrix };
    let (alpha, beta) = (node.float("alpha").unwrap_or(1.0), node.float("beta").unwrap_or(1.0));
    let units = matrix.dims[1];
    let bias = match importer.floats(node, 2)? {
        Some(bias) => {
            let dims = bias.dims.clone();
            let bias = bias.broadcast(&[1, units]).ok_or_else(|| {
                Refused::expected_got("shape of the bias", format!("[{units}]"), format!("{dims:?}"))
            })?;
            let bias = bias.view(vec![units], vec![bias.stride(1)]);
            Some(if beta == 1.0 { bias } else { bias.mapped(|value| beta * value) })
        }
        None => None,
    };
    product(importer, node, &map, &matrix, alpha, bias)
}

/// `MatMul` of a map and a constant matrix.
pub fn matmul(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let (map, matrix) = factors(importer, node)?;
    let Some((&[rows, units], others)) = matrix.dims.split_last_chunk().map(|(others, last)| (last, others))
    else {
        return Err(Refused::expected_got("second input", "a matrix", format!("{:?}", matrix.dims)));
    };
    if others.iter().any(|&other| other != 1) {
        return Err(Refused::expected_got(
            "second input",
            "one matrix for all",
            format!("{:?}", matrix.dims),
        ));
    }
    let new = others.len();
    let matrix = matrix.view(vec![rows, units], vec![matrix.stride(new), matrix.stride(new + 1)]);
    product(importer, node, &map, &matrix, 1.0, None)
}

/// The factors of a product, of which the second is constant.
fn factors(importer: &Importer<'_>, node: &Node<'_>) -> Result<(Map, Tensor), Refused> {
    match [0, 1].map(|input| importer.map(node, input).ok()) {
        [Some(map), None] => Ok((map, importer.weights(node, 1, "a matrix")?)),
        maps => Err(Refused::product(maps.map(|map| Some(importer.shape(&map?))))),
    }
}

/// A matrix of `[In, Out]` whose rows, which are those of an axis of these columns, are in the order in which the axis lies in
/// memory: `[…, Out]`, with a dimension for each factor.
pub fn rows_in_order(matrix: &Tensor, columns: &[Factor], memory: &[Factor]) -> Tensor {
    let (mut dims, mut strides) = (Vec::new(), Vec::new());
    for factor in memory {
        let within = columns.iter().skip_while(|other| *other != factor).skip(1);
        dims.push(factor.size);
        strides.push(within.map(|inner| inner.size).product::<usize>() * matrix.stride(0));
    }
    dims.push(matrix.dims[1]);
    strides.push(matrix.stride(1));
    matrix.view(dims, strides)
}

/// The last axis times a matrix of `[In, Out]`. Its rows are put into the order in which the axis lies in memory, so that what
/// was flattened channels first need not be turned.
fn product(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    map: &Map,
    matrix: &Tensor,
    alpha: f32,
    bias: Option<Tensor>,
) -> Given {
    let (Some((columns, outer)), &[rows, units]) = (map.lies.axes.split_last(), &matrix.dims[..]) else {
        return Err(Refused::expected_got("input", "a matrix", importer.shape(map)));
    };
    if size(columns) != rows || columns.contains(&Factor::BATCH) {
        return Err(Refused::expected_got("input", format!("{rows} columns"), importer.shape(map)));
    }
    let order = &map.lies.order;
    let at = map.lies.run_of(columns).filter(|&at| at + columns.len() == order.len());
    let (before, inside) = match at {
        Some(at) => (order[..at].to_vec(), order[at..].to_vec()),
        None => (order.iter().filter(|factor| !columns.contains(factor)).copied().collect(), columns.clone()),
    };
    let kernel = rows_in_order(matrix, columns, &inside);
    let series = size(&before);
    let id = if before.is_empty() {
        importer.laid(node, map, &[&inside])
    } else {
        importer.laid(node, map, &[&before, &inside])
    };
    let (make, dims): (Make, _) = if before.is_empty() {
        let how = Dense::new(units);
        (Box::new(move |graph, x, bias| graph.layer(if bias { how } else { how.no_bias() }, x)), vec![units])
    } else {
        let how = Conv1d::valid().filters(units).kernel(1);
        (
            Box::new(move |graph, x, bias| graph.layer(if bias { how } else { how.no_bias() }, x)),
            vec![series, units],
        )
    };
    let mut weights = vec![Weights::new("kernel", kernel)];
    if alpha != 1.0 {
        weights[0].scale(1, vec![alpha; units]);
    }
    weights.extend(bias.map(|bias| Weights::new("bias", bias)));
    let id = importer.net.add(node.name, Kind::Sums { outputs: units, inner: 1 }, &[id], dims, weights, make);
    let new = importer.factors.axis(units);
    let lies =
        Arrangement { axes: [outer, std::slice::from_ref(&new)].concat(), order: [before, new].concat() };
    one(importer.given(node, id, lies))
}
